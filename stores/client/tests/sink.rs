//! Sinks that are a part of each generation, through the client: typed, by generation, from an id on, and what it refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_client::{Client, ClientParts, WrittenRecord};
use rufous_core::{ErrorKind, Frontier, Sink, Timestamp};
use rufous_store_api::records::{RecordWriter, SinkGeneration};
use rufous_store_api::{GenerationStore, Manifest, ManifestLog, WrittenId};
use rufous_store_memory::{MemoryGenerations, MemoryManifests};

const OVERDRAWN: Sink<(String, i64)> = Sink::new("overdrawn");

fn id(offset: u64) -> WrittenId {
    WrittenId {
        source: "payments".into(),
        partition: 1,
        offset,
        number: 0,
    }
}

fn written(offset: u64) -> WrittenRecord<(String, i64)> {
    WrittenRecord {
        id: id(offset),
        record: (format!("account {offset}"), -(offset as i64)),
    }
}

/// Generation 0 has no sinks, 1 and 2 extend each other.
struct World {
    manifests: MemoryManifests,
    generations: MemoryGenerations,
}

impl World {
    fn new(schema: &str, bytes: fn(u64) -> Vec<u8>) -> Self {
        let world = Self {
            manifests: MemoryManifests::default(),
            generations: MemoryGenerations::default(),
        };
        let mut sink = SinkGeneration {
            schema: schema.into(),
            files: Vec::new(),
        };
        world.publish(0, BTreeMap::new());
        for (number, offsets) in [(1, 0..5), (2, 5..9)] {
            let mut file = RecordWriter::begin(&world.generations, OVERDRAWN.name()).unwrap();
            for offset in offsets {
                file.push(&id(offset).to_bytes(), &bytes(offset)).unwrap();
            }
            sink.files.extend(file.finish().unwrap());
            world.publish(number, BTreeMap::from([(OVERDRAWN.name().to_string(), sink.clone())]));
        }
        world
    }
    fn publish(&self, number: u64, sinks: BTreeMap<String, SinkGeneration>) {
        let mut manifest = Manifest {
            format: 1,
            number,
            job: "alerts".into(),
            line: "l".into(),
            fingerprint: "f".into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: None,
            stores: BTreeMap::new(),
            frontier: Frontier::default(),
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(0),
            covered_until: String::new(),
            window: None,
            not_repeatable: Vec::new(),
            sinks,
        };
        manifest.format = manifest.format_needed();
        self.manifests.publish(&manifest).unwrap();
    }
    fn client(&self) -> Client {
        Client::new(ClientParts {
            job: "alerts".into(),
            manifests: Arc::new(self.manifests.clone()),
            generations: Arc::new(self.generations.clone()) as Arc<dyn GenerationStore>,
            realtime: Arc::new(|_, _| Ok(None)),
        })
    }
}

fn bytes(offset: u64) -> Vec<u8> {
    rufous_algebra::Codec::to_bytes(&written(offset).record)
}

fn schema() -> String {
    <(String, i64) as rufous_algebra::Codec>::schema()
}

#[test]
fn records_are_read_as_they_were_written() {
    let world = World::new(&schema(), bytes);
    let sink = world.client().sink(OVERDRAWN);
    let newest = sink.newest().unwrap();
    assert_eq!((newest.len(), newest.raw().number(), newest.is_empty()), (9, 2, false));
    let all: Vec<_> = newest.iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(all, (0..9).map(written).collect::<Vec<_>>());
    let from: Vec<_> = newest.iter(Some(&id(7))).unwrap().map(Result::unwrap).collect();
    assert_eq!(from, [written(7), written(8)]);
    // An older generation stays what it was.
    let older = sink.generation(1).unwrap();
    assert_eq!(
        older.iter(None).unwrap().map(Result::unwrap).collect::<Vec<_>>(),
        all[..5]
    );
}

#[test]
fn what_is_not_there_is_said() {
    let world = World::new(&schema(), bytes);
    let sink = world.client().sink(OVERDRAWN);
    let e = sink.generation(0).err().unwrap();
    assert!(
        e.to_string()
            .contains("generation 0 has nothing of sink `overdrawn` (it has: none)"),
        "{e}"
    );
    let e = sink.generation(7).err().unwrap();
    assert!(e.to_string().contains("there is no generation 7"), "{e}");
    let other: Sink<u64> = Sink::new("overdrawn");
    let e = world.client().sink(other).newest().err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("the port has `u64`"), "{e}");
}

/// Bytes that are none of the type are an error that names the record, and the end.
#[test]
fn a_record_of_another_type_is_named() {
    let world = World::new(&schema(), |offset| if offset == 6 { vec![0xff] } else { bytes(offset) });
    let newest = world.client().sink(OVERDRAWN).newest().unwrap();
    let mut all: Vec<_> = newest.iter(None).unwrap().collect();
    let e = all.pop().unwrap().unwrap_err();
    assert_eq!(all.len(), 6);
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    assert!(e.to_string().contains("overdrawn/payments/1/6/0"), "{e}");
}

//! What a read costs in process: single keys, many keys, and a window of hourly HyperLogLogs, over generations in files and cells in
//! RocksDB, opened by the same process or read through its owner.
//!
//! ```sh
//! cargo bench -p rufous-store-rocksdb --bench reads            # READS=200000 KEYS=100000 ONLY="get, own"
//! ```
//!
//! 100 000 counters, each in the generation and in two batches of each of two partitions; 20 keys of 720 hourly HyperLogLogs, of
//! which the last two hours are cells. Printed are the times of single calls.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rufous_algebra::{Codec, Hll, Monoid};
use rufous_client::{Client, ClientParts, Window};
use rufous_core::{
    AsKey, BatchId, Cut, Delta, Deltas, Frontier, HopSize, Result, SourcePartition, Store, StoreFace, Timestamp,
    WindowedStore, key,
};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::{
    Advance, Commit, Committed, GenerationStore, Manifest, ManifestLog, Progress, RealtimeReader, RealtimeStore,
    Repair, StoreGeneration, Until,
};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};

const COUNTS: Store<String, u64> = Store::new("counts");
const VISITORS: WindowedStore<String, Hll<12>> = WindowedStore::new("visitors", &[HopSize::hours(1)]);
const PARTITIONS: u32 = 2;
const HOURS: i64 = 720;
const HOUR: i64 = 3_600_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn faces() -> Vec<StoreFace> {
    vec![StoreFace::of(COUNTS), StoreFace::windowed(VISITORS)]
}

fn name(n: u64) -> String {
    format!("https://example.org/page/{n:08}")
}

fn hop(page: &str, hour: i64) -> Vec<u8> {
    let mut bytes = key::to_bytes(page);
    let grid = VISITORS.windows().grid().unwrap();
    grid.hop(HopSize::hours(1), Timestamp(hour * HOUR))
        .encode_key(&mut bytes);
    bytes
}

fn visitors(seed: u64) -> Vec<u8> {
    let mut sum = Hll::<12>::zero();
    for n in 0..300 {
        sum.insert(&(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (n * n)));
    }
    sum.to_bytes()
}

/// Cells as a commit takes them.
struct Cells {
    partition: u32,
    batch: BatchId,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Deltas for Cells {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()> {
        self.rows.iter().try_for_each(|(key, value)| {
            f(Delta {
                key,
                source: 0,
                partition: self.partition,
                batch: self.batch,
                value,
            })
        })
    }
    fn clear(&mut self) {
        self.rows.clear();
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn live(dir: &Path, keys: u64) -> RocksStore {
    let store = RocksStore::open(dir, "n1", &faces(), RocksOptions::default()).unwrap();
    for p in 0..PARTITIONS {
        let partition = SourcePartition::new("lines", p);
        let start = || Progress::standing_at(cut(), "t".into(), "c".into(), "f".into());
        let mut epoch = 0;
        for face in faces() {
            let row = store.acquire(face.name, &partition, &mut |row| {
                Ok(Repair::Keep(row.cloned().unwrap_or_else(start)))
            });
            epoch = row.unwrap().epoch;
        }
        for batch in 0..2 {
            let counts = (0..keys)
                .map(|n| (key::to_bytes(name(n).as_str()), (n % 7 + 1).to_bytes()))
                .collect();
            let hops = (0..20)
                .map(|n| (hop(&name(n), HOURS - 2 + batch), visitors(n + 77)))
                .collect();
            let cells = |rows| Cells {
                partition: p,
                batch: BatchId(HOURS - 2 + batch),
                rows,
            };
            let (counts, hops) = (cells(counts), cells(hops));
            let from = 1000 + batch as u64 * 1000;
            let advance = Advance {
                partition: partition.clone(),
                epoch,
                from,
                to: from + 1000,
                batch: BatchId(HOURS - 2 + batch),
                cuts: if batch == 0 {
                    vec![]
                } else {
                    vec![(BatchId(HOURS - 1), from)]
                },
                holes: vec![],
                leader_epoch: -1,
                last_time: Some(Timestamp(HOURS * HOUR)),
                running: None,
            };
            let commit = Commit {
                advances: &[advance],
                sources: &["lines"],
                deltas: &[("counts", &counts as &dyn Deltas), ("visitors", &hops as &dyn Deltas)],
            };
            assert_eq!(store.commit(&commit).unwrap(), Committed::Done);
        }
    }
    store
}

fn cut() -> Cut {
    Cut {
        batch: BatchId(HOURS - 2),
        cut: 1000,
        batch_before: BatchId(HOURS - 3),
    }
}

fn published(dir: &Path, keys: u64) -> (Arc<Manifests>, Arc<Generations>) {
    let manifests = Manifests::new(dir.join("manifests"));
    let generations = Generations::new(dir.join("offline"));
    let mut stores = BTreeMap::new();
    let mut add = |face: &StoreFace, rows: BTreeMap<Vec<u8>, Vec<u8>>| {
        let mut run = generations.begin_run(face).unwrap();
        rows.iter().for_each(|(key, value)| run.push(key, value).unwrap());
        let generation = StoreGeneration {
            schema: face.schema(),
            runs: run.finish().unwrap().into_iter().collect(),
            ..StoreGeneration::default()
        };
        stores.insert(face.name.to_string(), generation);
    };
    let counts = (0..keys).map(|n| (key::to_bytes(name(n).as_str()), (n + 1000).to_bytes()));
    add(&faces()[0], counts.collect());
    let hops = (0..20).flat_map(|n| (0..HOURS - 2).map(move |h| (hop(&name(n), h), visitors(n * 1000 + h as u64))));
    add(&faces()[1], hops.collect());
    let frontier = (0..PARTITIONS)
        .map(|p| (SourcePartition::new("lines", p), cut()))
        .collect();
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        number: 0,
        job: "reads".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: Some("n1".into()),
        stores,
        frontier: Frontier(frontier),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(0),
        covered_until: String::new(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    };
    manifests.publish(&manifest).unwrap();
    (Arc::new(manifests), Arc::new(generations))
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1000.0;
    let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len() as f64;
    println!(
        "{what:<44} mean {mean:9.1} us   p50 {:9.1}   p99 {:9.1}   p99.9 {:9.1}",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

fn measure(what: &str, n: u64, mut f: impl FnMut(u64)) {
    if std::env::var("ONLY").is_ok_and(|only| only != what) {
        return;
    }
    let mut seed = 1u64;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    (0..n / 10).for_each(|_| f(next()));
    let times = (0..n).map(|_| {
        let key = next();
        let began = Instant::now();
        f(key);
        began.elapsed()
    });
    show(what, times.collect());
}

fn main() {
    let (keys, reads) = (number("KEYS", 100_000), number("READS", 100_000));
    let dir = tempfile::tempdir().unwrap();
    let (manifests, generations) = published(dir.path(), keys);
    let state = dir.path().join("realtime");
    let store = Arc::new(live(&state, keys));
    store.serve().unwrap();
    let client = |reader: Arc<dyn RealtimeReader>| {
        Client::new(ClientParts {
            job: "reads".into(),
            manifests: manifests.clone(),
            generations: generations.clone(),
            realtime: Arc::new(move |_: &str, _: &Until| Ok(Some(reader.clone()))),
        })
    };
    let remote: Arc<dyn RealtimeReader> = Arc::new(RocksReader::find(&state, "n1", &faces()).unwrap().unwrap());
    let own: Arc<dyn RealtimeReader> = store.clone();
    let expected = |n: u64| Some(n + 1000 + 4 * (n % 7 + 1));
    for (place, reader) in [("own", own), ("through the owner", remote)] {
        for (cache, bytes) in [("", 16 << 20), (", no cache", 0)] {
            let client = client(reader.clone()).cache_bytes(bytes);
            let counts = client.store(COUNTS).unwrap();
            let what = |what: &str| format!("{what}, {place}{cache}");
            measure(&what("get"), reads, |n| {
                assert_eq!(counts.get(name(n % keys).as_str()).unwrap().value, expected(n % keys));
            });
            measure(&what("get of 1000 hot keys"), reads, |n| {
                assert_eq!(counts.get(name(n % 1000).as_str()).unwrap().value, expected(n % 1000));
            });
            let held = client.snapshot().unwrap().store(COUNTS).unwrap();
            measure(&what("get of a held snapshot"), reads, |n| {
                assert_eq!(held.get(name(n % keys).as_str()).unwrap().value, expected(n % keys));
            });
            measure(&what("multi_get of 100 keys"), reads / 100, |n| {
                let some: Vec<String> = (0..100).map(|i| name((n + i * 977) % keys)).collect();
                let some: Vec<&str> = some.iter().map(String::as_str).collect();
                assert!(
                    counts
                        .multi_get(&some)
                        .iter()
                        .all(|a| a.as_ref().unwrap().value.is_some())
                );
            });
            let views = client.windows(VISITORS).unwrap();
            let window = Window::between(Timestamp(0), Timestamp(HOURS * HOUR));
            measure(&what("720 hourly HyperLogLogs, with estimate"), reads / 200, |n| {
                let found = views.get(name(n % 20).as_str(), window).unwrap();
                assert!(found.hops == HOURS as usize && found.answer.value.unwrap().estimate().value > 100.0);
            });
        }
    }
}

//! What the tests share: a store with one column family of counts.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;

use rufous_algebra::Codec;
use rufous_core::{
    BatchId, ChunkMeta, Cut, Deltas, Frontier, Job, Plan, Source, SourcePartition, Store, StoreFace, TextChunk, key,
};
use rufous_store_api::{Advance, Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};

pub const LINES: Source<str> = Source::new("lines");
pub const COUNTS: Store<String, u64> = Store::new("counts");

pub fn plan() -> Plan {
    Job::new("bed", LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS))
        .plan()
        .unwrap()
}

pub fn faces() -> Vec<StoreFace> {
    vec![StoreFace::of(COUNTS)]
}

pub fn part(n: u32) -> SourcePartition {
    SourcePartition::new("lines", n)
}

pub fn open(dir: &Path) -> RocksStore {
    RocksStore::open(dir, "n1", &faces(), RocksOptions::default()).unwrap()
}

pub fn reader(dir: &Path) -> Box<dyn RealtimeReader> {
    RocksReader::open(dir, "n1", &faces()).unwrap().unwrap()
}

pub fn acquire(store: &dyn RealtimeStore, p: &SourcePartition) -> Progress {
    let start = || Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
    store
        .acquire("counts", p, &mut |row| {
            Ok(Repair::Keep(row.cloned().unwrap_or_else(start)))
        })
        .unwrap()
}

pub fn row(store: &dyn RealtimeReader, p: &SourcePartition) -> Progress {
    store
        .snapshot()
        .unwrap()
        .partitions("counts")
        .unwrap()
        .iter()
        .find(|(q, _)| q == p)
        .unwrap()
        .1
        .clone()
}

/// One record a word, one offset a word.
pub fn try_add(
    store: &dyn RealtimeStore,
    p: &SourcePartition,
    batch: i64,
    words: &[&str],
) -> rufous_core::Result<Committed> {
    let r = row(store, p);
    let mut run = plan().instantiate();
    let mut chunk = TextChunk::default();
    words.iter().for_each(|w| chunk.push(w));
    run.push(
        &ChunkMeta {
            source: 0,
            partition: p.partition,
            batch: BatchId(batch),
        },
        &mut chunk,
    )
    .unwrap();
    let deltas = run.take(Vec::new()).unwrap().remove(0);
    let cuts = if BatchId(batch) > r.batch {
        vec![(BatchId(batch), r.next)]
    } else {
        vec![]
    };
    let to = r.next + words.len() as u64;
    let advance = Advance {
        partition: p.clone(),
        epoch: r.epoch,
        from: r.next,
        to,
        batch: BatchId(batch).max(r.batch),
        cuts,
        holes: vec![],
        leader_epoch: -1,
        last_time: None,
        running: None,
    };
    store.commit(&Commit {
        advances: &[advance],
        sources: &["lines"],
        deltas: &[("counts", &*deltas as &dyn Deltas)],
    })
}

pub fn add(store: &dyn RealtimeStore, p: &SourcePartition, batch: i64, words: &[&str]) {
    assert_eq!(try_add(store, p, batch, words).unwrap(), Committed::Done);
}

pub fn total(snapshot: &dyn Snapshot, word: &str) -> u64 {
    let cells = snapshot
        .cells("counts", &[key::to_bytes(word)], &Frontier::default())
        .unwrap();
    cells[0].iter().map(|c| u64::decode(&c.value).unwrap()).sum()
}

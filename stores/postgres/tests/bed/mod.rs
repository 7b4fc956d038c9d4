//! What the tests of this crate share: a job of four stores, deltas as plain lists, and a plain map of what must be there.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::any::Any;
use std::collections::BTreeMap;

use rufous_algebra::{Codec, Max};
use rufous_core::{BatchId, Cut, Delta, Deltas, Frontier, Result, SourcePartition, Store, StoreFace, TimeBucket, key};
use rufous_store_api::{
    Advance, Cell, Commit, Committed, NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot,
};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime};

pub(crate) const COUNTS: Store<String, u64> = Store::new("counts");
pub(crate) const CENTS: Store<(String, TimeBucket), i64> = Store::new("cents");
pub(crate) const GREATEST: Store<u32, Max<String>> = Store::new("greatest");

/// The namespace of most tests.
pub(crate) const N1: NamespaceOf<'static> = NamespaceOf::new("job", "main", "n1");

pub(crate) fn counts() -> [StoreFace; 1] {
    [StoreFace::of(COUNTS)]
}

pub(crate) fn stores() -> [StoreFace; 3] {
    [StoreFace::of(COUNTS), StoreFace::of(CENTS), StoreFace::of(GREATEST)]
}

pub(crate) fn open(url: &str, stores: &[StoreFace]) -> Result<PostgresRealtime> {
    PostgresRealtime::open(url, &PostgresOptions::default(), N1, stores)
}

pub(crate) fn part(partition: u32) -> SourcePartition {
    SourcePartition::new("source", partition)
}

/// (source, partition, batch, key, value), in the order of deltas.
#[derive(Default)]
pub(crate) struct List(pub(crate) Vec<(u32, u32, i64, Vec<u8>, Vec<u8>)>);

impl List {
    pub(crate) fn of<V: Codec>(cells: &[(u32, i64, &str, V)]) -> Self {
        let mut list: Vec<_> = { cells.iter() }
            .map(|(p, batch, k, v)| (0, *p, *batch, key::to_bytes(*k), v.to_bytes()))
            .collect();
        list.sort_by(|a, b| (a.2, &a.3, a.0, a.1).cmp(&(b.2, &b.3, b.0, b.1)));
        Self(list)
    }
}

impl Deltas for List {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()> {
        for (source, partition, batch, key, value) in &self.0 {
            f(Delta {
                source: *source,
                partition: *partition,
                batch: BatchId(*batch),
                key,
                value,
            })?;
        }
        Ok(())
    }
    fn clear(&mut self) {
        self.0.clear();
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Acquires a partition in these stores; where nothing is there it stands at the origin.
pub(crate) fn acquire(store: &dyn RealtimeStore, stores: &[&str], p: &SourcePartition) -> Progress {
    let mut row = None;
    for name in stores {
        let start = Progress::standing_at(Cut::ORIGIN, "topic".into(), "cut".into(), "print".into());
        let mut keep = |found: Option<&Progress>| Ok(Repair::Keep(found.cloned().unwrap_or_else(|| start.clone())));
        row = Some(store.acquire(name, p, &mut keep).unwrap());
    }
    row.unwrap()
}

/// The step of a row by `n` offsets into a batch.
pub(crate) fn step(p: &SourcePartition, row: &Progress, n: u64, batch: i64) -> Advance {
    let begins = batch > row.batch.0;
    Advance {
        partition: p.clone(),
        epoch: row.epoch,
        from: row.next,
        to: row.next + n,
        batch: row.batch.max(BatchId(batch)),
        cuts: if begins {
            vec![(BatchId(batch), row.next)]
        } else {
            Vec::new()
        },
        holes: Vec::new(),
        leader_epoch: 1,
        last_time: None,
        running: None,
    }
}

/// The row behind a step.
pub(crate) fn after(row: &Progress, a: &Advance) -> Progress {
    let mut row = row.clone();
    (row.next, row.batch, row.leader_epoch) = (a.to, a.batch, a.leader_epoch);
    row.cuts.extend_from_slice(&a.cuts);
    row
}

pub(crate) fn commit(
    store: &dyn RealtimeStore,
    advances: &[Advance],
    deltas: &[(&str, &dyn Deltas)],
) -> Result<Committed> {
    store.commit(&Commit {
        advances,
        sources: &["source"],
        deltas,
    })
}

pub(crate) fn scanned(snapshot: &dyn Snapshot, store: &str) -> Result<Vec<(i64, Vec<u8>, u32, Vec<u8>)>> {
    let mut all = Vec::new();
    snapshot.scan(store, &[], &Frontier::default(), &mut |key, c: Cell| {
        all.push((c.batch.0, key.to_vec(), c.partition, c.value));
        Ok(())
    })?;
    Ok(all)
}

/// Counts by text, over all batches and partitions.
pub(crate) fn totals(store: &dyn RealtimeReader) -> BTreeMap<String, u64> {
    let snapshot = store.snapshot().unwrap();
    let mut totals = BTreeMap::new();
    for (_, k, _, v) in scanned(&*snapshot, "counts").unwrap() {
        *totals.entry(key::decode_all::<String>(&k).unwrap()).or_insert(0) += u64::decode(&v).unwrap();
    }
    totals
}

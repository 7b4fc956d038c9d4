//! A test bed: a store, and a plain map of what it must hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_algebra::{Codec, Max};
use rufous_core::{
    BatchId, ChunkMeta, Cut, Deltas, Frontier, Job, Plan, Source, SourcePartition, Store, TextChunk, key,
};

use super::Make;
use crate::progress::Progress;
use crate::realtime::{Advance, Commit, Committed, First, KeyRange, RealtimeStore, Repair, Snapshot};
use crate::until::Until;

pub(super) const NAMESPACE: &str = "conformance";
const LEFT: Source<str> = Source::new("left");
const RIGHT: Source<str> = Source::new("right");
const COUNTS: Store<String, u64> = Store::new("counts");
const GREATEST: Store<String, Max<String>> = Store::new("greatest");

/// One record: source, partition, batch, key, weight. It adds the weight to `counts` and as many letters to `greatest`.
pub(super) type Add<'a> = (&'a str, u32, i64, &'a str, u64);

/// What a cell is worth: the count, and the greatest text's length.
type Model = BTreeMap<(i64, Vec<u8>, SourcePartition), (u64, u64)>;

pub(super) struct Bed {
    pub(super) store: Arc<dyn RealtimeStore>,
    plan: Plan,
    sources: Vec<&'static str>,
    pub(super) rows: BTreeMap<SourcePartition, Progress>,
    pub(super) cells: Model,
}

pub(super) fn part(source: &str, partition: u32) -> SourcePartition {
    SourcePartition::new(source, partition)
}

pub(super) fn start() -> Progress {
    Progress::standing_at(Cut::ORIGIN, "topic".into(), "cut".into(), "print".into())
}

pub(super) fn bytes(text: &str) -> Vec<u8> {
    key::to_bytes(text)
}

impl Bed {
    pub(super) fn new(make: Make<'_>) -> Self {
        // A record is "key<TAB>weight".
        fn split(line: &str) -> (&str, u64) {
            let (key, weight) = line.rsplit_once('\t').expect("a record of the bed");
            (key, weight.parse().expect("a weight"))
        }
        let both = LEFT.read().keyed(|l, out| {
            let (k, w) = split(l);
            out.emit(k, w)
        });
        let both = both.merge(RIGHT.read().keyed(|l, out| {
            let (k, w) = split(l);
            out.emit(k, w)
        }));
        let texts = LEFT.read().keyed(|l, out| {
            let (k, w) = split(l);
            out.emit(k, Max::of("x".repeat(w as usize)))
        });
        let texts = texts.merge(RIGHT.read().keyed(|l, out| {
            let (k, w) = split(l);
            out.emit(k, Max::of("x".repeat(w as usize)))
        }));
        let plan = Job::new("conformance", (both.sum_by_key(COUNTS), texts.sum_by_key(GREATEST)))
            .plan()
            .expect("the bed's job");
        let store = make(NAMESPACE, plan.stores());
        let sources = plan.sources().iter().map(|s| s.name).collect();
        Self {
            store,
            plan,
            sources,
            rows: BTreeMap::new(),
            cells: Model::new(),
        }
    }

    pub(super) fn stores(&self) -> Vec<&'static str> {
        self.plan.stores().iter().map(|s| s.name).collect()
    }

    /// Acquires in all stores, from the origin when there is no row.
    pub(super) fn acquire(&mut self, p: &SourcePartition) {
        for store in self.stores() {
            let row = self
                .store
                .acquire(store, p, &mut |row| {
                    Ok(Repair::Keep(row.cloned().unwrap_or_else(start)))
                })
                .expect("acquire");
            let mut expected = self.rows.get(p).cloned().unwrap_or_else(start);
            expected.epoch += 1;
            assert_eq!(row, expected, "P10a: the row as written");
            if store == self.stores()[1] {
                self.rows.insert(p.clone(), expected);
            }
        }
    }

    pub(super) fn deltas(&self, adds: &[Add<'_>]) -> Vec<Box<dyn Deltas>> {
        let mut run = self.plan.instantiate();
        for (source, partition, batch, key, weight) in adds {
            let source = self
                .sources
                .iter()
                .position(|s| s == source)
                .expect("a source of the bed") as u32;
            let mut chunk = TextChunk::default();
            chunk.push(&format!("{key}\t{weight}"));
            run.push(
                &ChunkMeta {
                    source,
                    partition: *partition,
                    batch: BatchId(*batch),
                },
                &mut chunk,
            )
            .expect("push");
        }
        run.take(Vec::new()).expect("take")
    }

    /// The step of `p` by `n` offsets, as the row stands.
    pub(super) fn step(&self, p: &SourcePartition, n: u64, batch: i64) -> Advance {
        let row = &self.rows[p];
        let cuts = if batch > row.batch.0 {
            vec![(BatchId(batch), row.next)]
        } else {
            Vec::new()
        };
        let batch = BatchId(batch).max(row.batch);
        Advance {
            partition: p.clone(),
            epoch: row.epoch,
            from: row.next,
            to: row.next + n,
            batch,
            cuts,
            holes: Vec::new(),
            leader_epoch: 3,
            last_time: None,
            running: None,
        }
    }

    pub(super) fn try_commit(&self, advances: &[Advance], adds: &[Add<'_>]) -> rufous_core::Result<Committed> {
        let deltas = self.deltas(adds);
        let by_store: Vec<(&str, &dyn Deltas)> = self.stores().into_iter().zip(deltas.iter().map(|d| &**d)).collect();
        self.store.commit(&Commit {
            advances,
            sources: &self.sources,
            deltas: &by_store,
        })
    }

    /// Commits, and does the same to the model.
    pub(super) fn commit(&mut self, advances: &[Advance], adds: &[Add<'_>]) {
        assert_eq!(self.try_commit(advances, adds).expect("commit"), Committed::Done);
        for a in advances {
            let row = self.rows.get_mut(&a.partition).expect("an acquired partition");
            row.next = a.to;
            row.batch = a.batch;
            row.leader_epoch = a.leader_epoch;
            for cut in &a.cuts {
                row.cuts.push(*cut);
            }
        }
        for (source, partition, batch, key, weight) in adds {
            let cell = self
                .cells
                .entry((*batch, bytes(key), part(source, *partition)))
                .or_insert((0, 0));
            *cell = (cell.0 + weight, cell.1.max(*weight));
        }
    }

    pub(super) fn drop_below(&mut self, p: &SourcePartition, batch: i64) {
        self.store.drop_below(p, BatchId(batch)).expect("drop");
        let row = self.rows.get_mut(p).expect("an acquired partition");
        row.retained_from = BatchId(batch).max(row.retained_from);
        let kept = row.retained_from;
        row.cuts = row.cuts.iter().filter(|c| c.0 >= kept).copied().collect();
        self.cells = std::mem::take(&mut self.cells)
            .into_iter()
            .filter(|((b, _, of), _)| of != p || *b >= kept.0)
            .collect();
    }

    /// Cells in the order of a scan, as (batch, key, partition's place, value).
    pub(super) fn expected(
        &self,
        store: &str,
        from: &Frontier,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Vec<(i64, Vec<u8>, u32, Vec<u8>)> {
        let places: Vec<_> = self.rows.keys().collect();
        let mut all = Vec::new();
        for ((batch, key, p), (count, letters)) in &self.cells {
            if *batch < from.0.get(p).map_or(i64::MIN, |c| c.batch.0) || !wanted(key) {
                continue;
            }
            let value = if store == "counts" {
                count.to_bytes()
            } else {
                Max::of("x".repeat(*letters as usize)).to_bytes()
            };
            all.push((
                *batch,
                key.clone(),
                places.iter().position(|x| *x == p).expect("a known partition") as u32,
                value,
            ));
        }
        all.sort();
        all
    }

    /// A snapshot shows exactly the model: rows, scans, keys.
    pub(super) fn compare(&self, from: &Frontier) {
        let snapshot = self.store.snapshot().expect("snapshot");
        self.compare_with(&*snapshot, from);
        self.compare_first(from);
    }

    /// A snapshot that knows what is asked first answers as any other, and what is asked then as well.
    fn compare_first(&self, from: &Frontier) {
        let keys: Vec<Vec<u8>> = self.cells.keys().rev().step_by(3).map(|k| k.1.clone()).collect();
        for store in self.stores() {
            let first = First {
                store,
                keys: &keys,
                from,
            };
            let snapshot = self.store.snapshot_first(&first, &Until::default()).expect("snapshot");
            for _ in 0..2 {
                let found = snapshot.cells(store, &keys, from).expect("cells");
                for (key, cells) in keys.iter().zip(found) {
                    let cells = cells
                        .into_iter()
                        .map(|c| (c.batch.0, key.clone(), c.partition, c.value));
                    let expected = self.expected(store, from, |k| k == key);
                    assert_eq!(
                        cells.collect::<Vec<_>>(),
                        expected,
                        "cells that were asked first in {store}"
                    );
                }
            }
            self.compare_with(&*snapshot, from);
            self.compare_with(&*snapshot, &Frontier::default());
        }
    }

    pub(super) fn compare_with(&self, snapshot: &dyn Snapshot, from: &Frontier) {
        assert_eq!(snapshot.namespace(), NAMESPACE);
        for store in self.stores() {
            let rows: BTreeMap<_, _> = snapshot.partitions(store).expect("rows").iter().cloned().collect();
            assert_eq!(rows, self.rows, "progress rows of {store}");
            let order: Vec<_> = snapshot
                .partitions(store)
                .expect("rows")
                .iter()
                .map(|(p, _)| p.clone())
                .collect();
            assert!(order.iter().eq(self.rows.keys()), "rows come in a fixed order");
            assert_eq!(
                scanned(snapshot, store, &[], from),
                self.expected(store, from, |_| true),
                "scan of {store}"
            );
            self.compare_ranges(snapshot, store, from);
            let mut keys: Vec<Vec<u8>> = self.cells.keys().map(|k| k.1.clone()).rev().collect();
            keys.push(bytes("surely absent"));
            let got = snapshot.cells(store, &keys, from).expect("cells");
            assert_eq!(got.len(), keys.len(), "an answer to every key, repeated ones too");
            for (key, cells) in keys.iter().zip(got) {
                let cells: Vec<_> = cells
                    .into_iter()
                    .map(|c| (c.batch.0, key.clone(), c.partition, c.value))
                    .collect();
                assert_eq!(
                    cells,
                    self.expected(store, from, |k| k == key),
                    "cells of one key in {store}"
                );
            }
        }
    }
}

impl Bed {
    /// Ranges that begin and end at keys, between them, and beyond all; one and several at a time.
    fn compare_ranges(&self, snapshot: &dyn Snapshot, store: &str, from: &Frontier) {
        let keys: std::collections::BTreeSet<&Vec<u8>> = self.cells.keys().map(|(_, key, _)| key).collect();
        let mut bounds = vec![Vec::new()];
        for (i, key) in keys.into_iter().enumerate().filter(|(i, _)| i % 3 != 1) {
            bounds.push(key.clone());
            if i % 2 == 0 {
                bounds.push([key.as_slice(), &[0]].concat());
            }
        }
        bounds.push(vec![0xff; 12]);
        bounds.dedup();
        let all: Vec<KeyRange> = bounds.windows(2).map(|b| b[0].clone()..b[1].clone()).collect();
        let whole = bounds[0].clone()..bounds[bounds.len() - 1].clone();
        let second: Vec<KeyRange> = all.iter().skip(1).step_by(2).cloned().collect();
        for ranges in [&[whole][..], &second, &all, &[]] {
            let mut found = vec![Vec::new(); ranges.len()];
            let f = &mut |place: usize, key: &[u8], c: crate::realtime::Cell| {
                found[place].push((c.batch.0, key.to_vec(), c.partition, c.value));
                Ok(())
            };
            snapshot.ranges(store, ranges, from, f).expect("ranges");
            for (range, found) in ranges.iter().zip(found) {
                let expected = self.expected(store, from, |k| *range.start <= *k && *k < *range.end);
                assert_eq!(found, expected, "cells of a range in {store}");
            }
        }
    }
}

pub(super) fn scanned(
    snapshot: &dyn Snapshot,
    store: &str,
    prefix: &[u8],
    from: &Frontier,
) -> Vec<(i64, Vec<u8>, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let f = &mut |key: &[u8], c: crate::realtime::Cell| {
        all.push((c.batch.0, key.to_vec(), c.partition, c.value));
        Ok(())
    };
    snapshot.scan(store, prefix, from, f).expect("scan");
    all
}

pub(super) fn frontier(cuts: &[(&SourcePartition, i64)]) -> Frontier {
    Frontier(
        cuts.iter()
            .map(|(p, b)| {
                (
                    (*p).clone(),
                    Cut {
                        batch: BatchId(*b),
                        cut: 0,
                        batch_before: BatchId::MIN,
                    },
                )
            })
            .collect(),
    )
}

//! Cells and progress rows in ordered maps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Error, Frontier, Result, SourcePartition, StoreFace, ValueFace};
use rufous_store_api::realtime::apply_advances;
use rufous_store_api::{
    Cell, Commit, Committed, KeyRange, Progress, ProgressRows, RealtimeReader, RealtimeStore, Repair, Snapshot,
};

type Rows = BTreeMap<SourcePartition, Progress>;
type CellKey = (BatchId, Vec<u8>, SourcePartition);

#[derive(Clone)]
struct StoreState {
    value: ValueFace,
    rows: Rows,
    cells: BTreeMap<CellKey, Vec<u8>>,
}

type State = BTreeMap<String, StoreState>;

/// A namespace in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryRealtime {
    namespace: Arc<str>,
    state: Arc<Mutex<Arc<State>>>,
}

impl MemoryRealtime {
    /// An empty namespace with these stores.
    pub fn new(namespace: &str, stores: &[StoreFace]) -> Self {
        let empty = |s: &StoreFace| {
            (
                s.name.to_string(),
                StoreState {
                    value: s.value,
                    rows: Rows::new(),
                    cells: BTreeMap::new(),
                },
            )
        };
        Self {
            namespace: namespace.into(),
            state: Arc::new(Mutex::new(Arc::new(stores.iter().map(empty).collect()))),
        }
    }

    /// The namespace as it is now. It shares nothing with this one: what comes later is in one of them only (P16).
    pub fn copy(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            state: Arc::new(Mutex::new(self.lock().clone())),
        }
    }

    /// Changes of the state are made by code that cannot fail half-way, so a poisoned lock guards a whole state.
    fn lock(&self) -> MutexGuard<'_, Arc<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(state: &'a State, namespace: &str, store: &str) -> Result<&'a StoreState> {
    state.get(store).ok_or_else(|| {
        Error::invalid(format!(
            "namespace {namespace} has no store `{store}`: bind it when the namespace is opened"
        ))
    })
}

impl RealtimeStore for MemoryRealtime {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let mut state = self.lock();
        let found = of(&state, &self.namespace, store)?.rows.get(p);
        let epoch = found.map_or(0, |r| r.epoch) + 1;
        let (mut row, replace) = match repair(found)? {
            Repair::Keep(row) => (row, false),
            Repair::Replace(row) => (row, true),
        };
        row.epoch = epoch;
        if let Some(s) = Arc::make_mut(&mut state).get_mut(store) {
            if replace {
                s.cells.retain(|(_, _, of), _| of != p);
            }
            s.rows.insert(p.clone(), row.clone());
        }
        Ok(row)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        let mut state = self.lock();
        let mut moved: Vec<(String, Rows)> = Vec::new();
        for (name, s) in state.iter() {
            let mut rows = s.rows.clone();
            if let refused @ Committed::Refused { .. } = apply_advances(&mut rows, commit.advances) {
                return Ok(refused);
            }
            moved.push((name.clone(), rows));
        }
        let mut sums: Vec<(&str, CellKey, Vec<u8>)> = Vec::new();
        for (store, deltas) in commit.deltas {
            let s = of(&state, &self.namespace, store)?;
            deltas.for_each(&mut |d| {
                let source = commit
                    .sources
                    .get(d.source as usize)
                    .ok_or_else(|| Error::bug(format!("store `{store}`: a delta of source number {}", d.source)))?;
                let key = (d.batch, d.key.to_vec(), SourcePartition::new(*source, d.partition));
                let mut sum = Vec::new();
                let parts = s.cells.get(&key).map(Vec::as_slice).into_iter().chain([d.value]);
                s.value.sum(&mut { parts }, &mut sum).map_err(|e| {
                    Error::corrupt(format!("store `{store}`, partition {}, batch {}: {e}", key.2, key.0.0))
                })?;
                sums.push((store, key, sum));
                Ok(())
            })?;
        }
        let state = Arc::make_mut(&mut state);
        for (store, key, sum) in sums {
            if let Some(s) = state.get_mut(store) {
                s.cells.insert(key, sum);
            }
        }
        for (store, rows) in moved {
            if let Some(s) = state.get_mut(&store) {
                s.rows = rows;
            }
        }
        Ok(Committed::Done)
    }

    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let mut state = self.lock();
        for s in Arc::make_mut(&mut state).values_mut() {
            let Some(row) = s.rows.get_mut(p) else { continue };
            let from = row.retained_from.max(batch);
            if kept(Rule::RaiseRetained) {
                row.retained_from = from;
                row.cuts.retain(|(b, _)| *b >= from);
            }
            s.cells.retain(|(b, _, of), _| of != p || *b >= from);
        }
        Ok(())
    }
}

impl RealtimeReader for MemoryRealtime {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(MemorySnapshot {
            namespace: self.namespace.clone(),
            state: self.lock().clone(),
        }))
    }
}

#[derive(Clone)]
struct MemorySnapshot {
    namespace: Arc<str>,
    state: Arc<State>,
}

impl MemorySnapshot {
    /// Every cell of a store that the frontier lets through, in order, until `f` fails.
    fn each(&self, store: &str, from: &Frontier, f: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        let s = of(&self.state, &self.namespace, store)?;
        for ((batch, key, p), value) in &s.cells {
            let Some(partition) = s.rows.keys().position(|of| of == p) else {
                continue;
            };
            if *batch >= from.of(p).batch.max(s.rows[p].retained_from) {
                f(
                    key,
                    Cell {
                        partition: partition as u32,
                        batch: *batch,
                        value: value.clone(),
                    },
                )?;
            }
        }
        Ok(())
    }
}

impl Snapshot for MemorySnapshot {
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        let rows = &of(&self.state, &self.namespace, store)?.rows;
        Ok(rows.iter().map(|(p, r)| (p.clone(), r.clone())).collect())
    }
    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let mut by_key: BTreeMap<&[u8], Vec<Cell>> = keys.iter().map(|k| (k.as_slice(), Vec::new())).collect();
        self.each(store, from, &mut |key, cell| {
            if let Some(cells) = by_key.get_mut(key) {
                cells.push(cell);
            }
            Ok(())
        })?;
        Ok(keys.iter().map(|k| by_key[k.as_slice()].clone()).collect())
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        self.each(store, from, &mut |key, cell| {
            if key.starts_with(prefix) { f(key, cell) } else { Ok(()) }
        })
    }
    fn ranges(
        &self,
        store: &str,
        ranges: &[KeyRange],
        from: &Frontier,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let s = of(&self.state, &self.namespace, store)?;
        let of: Vec<_> = s.rows.iter().zip(0..).collect();
        let mut at = s.cells.iter().next().map(|((batch, ..), _)| *batch);
        while let Some(batch) = at {
            for (place, range) in ranges.iter().enumerate().filter(|(_, r)| r.start < r.end) {
                // Partitions sort behind the key: nothing of the range's end is in.
                let least = SourcePartition::new("", 0);
                let bound = |key: &[u8]| (batch, key.to_vec(), least.clone());
                for ((_, key, p), value) in s.cells.range(bound(&range.start)..bound(&range.end)) {
                    let Ok(i) = of.binary_search_by(|((own, _), _)| (*own).cmp(p)) else {
                        continue;
                    };
                    let ((_, row), partition) = of[i];
                    if batch < from.of(p).batch.max(row.retained_from) {
                        continue;
                    }
                    let value = value.clone();
                    f(
                        place,
                        key,
                        Cell {
                            partition,
                            batch,
                            value,
                        },
                    )?;
                }
            }
            let later = batch.0.checked_add(1).map(BatchId);
            let least = |b| (b, Vec::new(), SourcePartition::new("", 0));
            at = later.and_then(|b| s.cells.range(least(b)..).next().map(|((batch, ..), _)| *batch));
        }
        Ok(())
    }
}

//! The comparison itself: the run's delta key by key, then the keys that only the cells have.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rufous_algebra::DecodeError;
use rufous_core::{BatchId, Error, Frontier, Result, StoreFace};
use rufous_store_api::{Cell, GenerationStore, Snapshot, StoreGeneration};

use super::lists::{Lists, Walk};
use super::{Comparison, Drift};

/// How many keys are asked for at once.
const KEYS: usize = 4096;
/// How many drifted keys are shown.
const SHOWN: usize = 20;

/// One store of a run that can be compared.
pub(super) struct Compare<'a> {
    pub(super) generations: &'a dyn GenerationStore,
    pub(super) face: &'a StoreFace,
    pub(super) snapshot: &'a dyn Snapshot,
    /// Set from outside: it ends.
    pub(super) stop: &'a AtomicBool,
    /// Cells at and above it ...
    pub(super) floor: &'a Frontier,
    /// ... the same as batches, one a row, and the batches that they are below.
    pub(super) range: Vec<Range<BatchId>>,
    /// What the run added.
    pub(super) delta: StoreGeneration,
    /// For the cells of the run.
    pub(super) memory: usize,
}

#[derive(Default)]
struct Found {
    keys: u64,
    within: u64,
    drifted: u64,
    first: Vec<Drift>,
}

impl Compare<'_> {
    pub(super) fn run(self) -> Result<Comparison> {
        let found = match self.gather()? {
            Some(cells) => self.side_by_side(&cells)?,
            None => self.key_by_key()?,
        };
        Ok(Comparison::Compared {
            keys: found.keys,
            within: found.within,
            drifted: found.drifted,
            first: found.first,
        })
    }

    /// The cells of the run, if they fit.
    fn gather(&self) -> Result<Option<Lists>> {
        if self.delta.runs.iter().map(|r| r.bytes).sum::<u64>() > self.memory as u64 {
            return Ok(None);
        }
        let (mut cells, mut fits, mut n) = (Lists::within(self.memory), true, 0_usize);
        let floor = self.floor;
        let scanned = self.snapshot.scan(self.face.name, &[], floor, &mut |key, cell| {
            n += 1;
            if n.is_multiple_of(KEYS) {
                self.go_on()?;
            }
            if self.covered(&cell) && !cells.push(key, &cell) {
                fits = false;
                // Nothing more is of use.
                return Err(Error::closed("these cells do not fit"));
            }
            Ok(())
        });
        match scanned {
            Err(_) if !fits => Ok(None),
            scanned => scanned.map(|()| Some(cells)),
        }
    }

    /// Either layer in one pass.
    fn side_by_side(&self, cells: &Lists) -> Result<Found> {
        let mut found = Found::default();
        let (mut walk, mut values, mut sum) = (cells.walk(), Vec::new(), Vec::new());
        self.generations
            .scan(self.face, &self.delta, &[], &mut |key, offline| {
                self.only_cells(&mut walk, Some(key), &mut found)?;
                found.keys += 1;
                if found.keys.is_multiple_of(KEYS as u64) {
                    self.go_on()?;
                }
                if walk.key() != Some(key) {
                    found.drift(key.to_vec(), Some(offline.to_vec()), None);
                    return Ok(());
                }
                walk.take(&mut values);
                self.sum(&values, &mut sum)?;
                if sum == offline {
                    return Ok(());
                }
                if self.agree(offline, &sum)? {
                    found.within += 1;
                } else {
                    found.drift(key.to_vec(), Some(offline.to_vec()), Some(sum.clone()));
                }
                Ok(())
            })?;
        self.only_cells(&mut walk, None, &mut found)?;
        Ok(found)
    }

    /// Keys below `end` that only the cells have.
    fn only_cells(&self, walk: &mut Walk<'_>, end: Option<&[u8]>, found: &mut Found) -> Result<()> {
        walk.below(end, &mut |key, values| {
            let mut sum = Vec::new();
            self.sum(values, &mut sum)?;
            found.keys += 1;
            found.drift(key.to_vec(), None, Some(sum));
            Ok(())
        })
    }

    fn sum(&self, values: &[&[u8]], sum: &mut Vec<u8>) -> Result<()> {
        sum.clear();
        let mut values = values.iter().copied();
        let value = self.face.value;
        value.sum(&mut values, sum).map_err(|e| self.undecodable(&e))?;
        Ok(())
    }

    /// A look for each key: slower, in little memory.
    fn key_by_key(&self) -> Result<Found> {
        let mut found = Found::default();
        let mut pairs = Vec::new();
        self.generations.scan(self.face, &self.delta, &[], &mut |key, value| {
            pairs.push((key.to_vec(), value.to_vec()));
            if pairs.len() < KEYS {
                Ok(())
            } else {
                self.compare(&mut pairs, &mut found)
            }
        })?;
        self.compare(&mut pairs, &mut found)?;
        let missing: Vec<_> = self.only_live()?.into_iter().collect();
        for keys in missing.chunks(KEYS) {
            let realtime = self.realtime(keys)?;
            for (key, realtime) in keys.iter().zip(realtime) {
                found.keys += 1;
                found.drift(key.clone(), None, realtime);
            }
        }
        Ok(found)
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Relaxed) {
            return Err(Error::closed("the comparison was stopped"));
        }
        Ok(())
    }

    /// Keys with cells of the run's batches that the run does not have. A key may have several cells.
    fn only_live(&self) -> Result<BTreeSet<Vec<u8>>> {
        let (mut asked, mut missing) = (BTreeSet::new(), BTreeSet::new());
        let mut look = |asked: &mut BTreeSet<Vec<u8>>| -> Result<()> {
            self.go_on()?;
            let keys: Vec<_> = std::mem::take(asked).into_iter().collect();
            let found = self.generations.get(self.face, &self.delta, &keys)?;
            let absent = keys.into_iter().zip(found).filter(|(_, v)| v.is_none());
            missing.extend(absent.map(|(key, _)| key));
            Ok(())
        };
        self.snapshot.scan(self.face.name, &[], self.floor, &mut |key, cell| {
            if self.covered(&cell) && asked.insert(key.to_vec()) && asked.len() >= KEYS {
                look(&mut asked)?;
            }
            Ok(())
        })?;
        look(&mut asked)?;
        Ok(missing)
    }

    fn compare(&self, pairs: &mut Vec<(Vec<u8>, Vec<u8>)>, found: &mut Found) -> Result<()> {
        self.go_on()?;
        let keys: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let realtime = self.realtime(&keys)?;
        for ((key, offline), realtime) in pairs.drain(..).zip(realtime) {
            found.keys += 1;
            match realtime {
                Some(realtime) if realtime == offline => {}
                Some(realtime) if self.agree(&offline, &realtime)? => found.within += 1,
                realtime => found.drift(key, Some(offline), realtime),
            }
        }
        Ok(())
    }

    /// Bytes that differ: of exact sums that is drift, of approximate ones only beyond the published bounds.
    fn agree(&self, offline: &[u8], realtime: &[u8]) -> Result<bool> {
        let value = self.face.value;
        value.agree(offline, realtime).map_err(|e| self.undecodable(&e))
    }

    fn undecodable(&self, e: &DecodeError) -> Error {
        Error::corrupt(format!("store `{}`: a value is not of its type: {e}", self.face.name))
    }

    /// The sums of the cells of these keys, in order.
    fn realtime(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let cells = self.snapshot.cells(self.face.name, keys, self.floor)?;
        let sum = |cells: Vec<Cell>| {
            let covered = cells.iter().filter(|c| self.covered(c));
            let values: Vec<_> = covered.map(|c| &c.value[..]).collect();
            if values.is_empty() {
                return Ok(None);
            }
            let mut sum = Vec::new();
            self.sum(&values, &mut sum)?;
            Ok(Some(sum))
        };
        cells.into_iter().map(sum).collect()
    }

    /// Whether the run covers a cell.
    fn covered(&self, cell: &Cell) -> bool {
        self.range
            .get(cell.partition as usize)
            .is_some_and(|range| range.contains(&cell.batch))
    }
}

impl Found {
    fn drift(&mut self, key: Vec<u8>, offline: Option<Vec<u8>>, realtime: Option<Vec<u8>>) {
        self.drifted += 1;
        if self.first.len() < SHOWN {
            self.first.push(Drift { key, offline, realtime });
        }
    }
}

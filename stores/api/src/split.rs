//! Stores that cannot write values and offsets together: a cache, a table without transactions. They are at-least-once, and
//! their type says so.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rufous_core::{BatchId, Deltas, Error, Result, SourcePartition};

use crate::progress::Progress;
use crate::realtime::{Commit, Committed, Guarantee, RealtimeReader, RealtimeStore, Repair, Snapshot, apply_advances};

/// A place that adds values and keeps progress rows, each by itself. [`AtLeastOnce`] makes a [`RealtimeStore`] of it.
pub trait SplitStore: RealtimeReader {
    /// The names of its stores.
    fn stores(&self) -> Vec<String>;
    /// The row of a partition in a store.
    ///
    /// # Errors
    /// The place's own.
    fn row(&self, store: &str, p: &SourcePartition) -> Result<Option<Progress>>;
    /// Writes rows, each whole. Durable when it returns; a crash may leave some written and others not.
    ///
    /// # Errors
    /// The place's own: any of them may be written then.
    fn save(&self, rows: &[(&str, &SourcePartition, &Progress)]) -> Result<()>;
    /// Adds values to cells; `sources` are the names that deltas index. Durable when it returns; a crash may leave some added
    /// and others not, but each cell whole.
    ///
    /// # Errors
    /// The place's own: any of them may be added then.
    fn merge(&self, sources: &[&str], deltas: &[(&str, &dyn Deltas)]) -> Result<()>;
    /// Deletes the cells of a partition with a batch below `below`; all of them for `None`.
    ///
    /// # Errors
    /// The place's own.
    fn delete(&self, store: &str, p: &SourcePartition, below: Option<BatchId>) -> Result<()>;
}

/// A [`SplitStore`] as a [`RealtimeStore`]: values first, then offsets. A crash between the two makes the chunk come again, so
/// nothing is lost and some values are added twice. Its snapshots are the place's own.
pub struct AtLeastOnce<S> {
    inner: S,
    /// One write at a time: the checks and what they allow belong together.
    writing: Mutex<()>,
}

impl<S: SplitStore> AtLeastOnce<S> {
    /// Of a place that nobody else writes.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            writing: Mutex::new(()),
        }
    }
    /// The place.
    pub fn get(&self) -> &S {
        &self.inner
    }

    /// The row that a store of a partition goes on from. A crash may have left the rows of a job's stores apart: the one
    /// furthest behind counts for all, what the others have more is added again.
    fn behind(&self, store: &str, p: &SourcePartition) -> Result<Option<Progress>> {
        let Some(own) = self.inner.row(store, p)? else {
            return Ok(None);
        };
        let mut least = own.clone();
        for other in self.inner.stores() {
            match self.inner.row(&other, p)? {
                Some(row) if row.next < least.next => least = row,
                _ => {}
            }
        }
        least.epoch = own.epoch;
        Ok(Some(least))
    }
}

impl<S: SplitStore> RealtimeReader for AtLeastOnce<S> {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}

impl<S: SplitStore> RealtimeStore for AtLeastOnce<S> {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.inner.stores().iter().any(|s| s == store) {
            return Err(Error::invalid(format!("there is no store `{store}` in this namespace")));
        }
        let found = self.behind(store, p)?;
        let epoch = found.as_ref().map_or(0, |r| r.epoch) + 1;
        let mut row = match repair(found.as_ref())? {
            Repair::Keep(row) => row,
            Repair::Replace(row) => {
                // Before the row: after a crash between the two the row is as it was, and is repaired in the same way again.
                self.inner.delete(store, p, None)?;
                row
            }
        };
        row.epoch = epoch;
        self.inner.save(&[(store, p, &row)])?;
        Ok(row)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = Vec::new();
        for store in self.inner.stores() {
            let mut rows = BTreeMap::new();
            for advance in commit.advances {
                if let Some(row) = self.inner.row(&store, &advance.partition)? {
                    rows.insert(advance.partition.clone(), row);
                }
            }
            if let refused @ Committed::Refused { .. } = apply_advances(&mut rows, commit.advances) {
                return Ok(refused);
            }
            moved.push((store, rows));
        }
        self.inner.merge(commit.sources, commit.deltas)?;
        let rows: Vec<_> = moved
            .iter()
            .flat_map(|(store, rows)| rows.iter().map(|(p, row)| (store.as_str(), p, row)))
            .collect();
        self.inner.save(&rows)?;
        Ok(Committed::Done)
    }

    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for store in self.inner.stores() {
            let Some(mut row) = self.inner.row(&store, p)? else {
                continue;
            };
            row.retained_from = row.retained_from.max(batch);
            let kept = row.retained_from;
            row.cuts.retain(|(b, _)| *b >= kept);
            // P26: raise first, delete later.
            self.inner.save(&[(&store, p, &row)])?;
            self.inner.delete(&store, p, Some(kept))?;
        }
        Ok(())
    }
}

//! Realtime state: cells and progress rows of one namespace.
//!
//! The owner of a partition merges: it reads the cells that a chunk adds to, adds up, and one script sets rows and cells, if every
//! row still has the very bytes that the owner knew. A row changes with every write of its partition, so equal bytes say that offset,
//! epoch and cells are what they were (P11, P13). Other processes write other partitions at the same time.

mod chunk;
mod commit;
mod layout;
mod meta;
mod namespaces;
mod open;
mod scripts;
mod shared;
mod snapshot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rufous_core::{BatchId, Error, Result, SourcePartition};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::points::reach;
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, Until};

use layout::Row;
pub use open::RedisReader;
use shared::{Applied, Change, Core, Stored, lock};

/// How often a write is tried again that met another one: only drops and acquisitions of the same partition are in its way.
const ATTEMPTS: usize = 8;

/// A namespace of realtime state in Redis. Several processes may have it open, each the owner of other partitions.
pub struct RedisRealtime {
    core: Arc<Core>,
    /// The rows as this process last wrote them, by store and partition: a hint that every write checks.
    known: Mutex<HashMap<(usize, SourcePartition), Stored>>,
}

impl RealtimeStore for RedisRealtime {
    fn is_shared(&self) -> bool {
        true
    }

    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let core = &*self.core;
        let of = (core.store(store)?, p.clone());
        for _ in 0..ATTEMPTS {
            let found = core.rows(std::slice::from_ref(&of))?.pop().flatten();
            let mut row = match &found {
                Some(stored) => stored.row.clone(),
                None => Row::fresh(),
            };
            let before = found.as_ref().map_or(0, |s| s.row.progress.epoch);
            let (Some(epoch), Some(lane)) = (before.checked_add(1), row.lane.checked_add(1)) else {
                let text = format!(
                    "store `{store}`, partition {p}: the epoch is {before}, the lane {}",
                    row.lane
                );
                return Err(Error::corrupt(text));
            };
            let mut dooms = Vec::new();
            row.progress = match repair(found.as_ref().map(|s| &s.row.progress))? {
                Repair::Keep(progress) => progress,
                Repair::Replace(progress) => {
                    dooms.extend(row.batches.drain(..).map(|b| layout::cells(store, p, row.lane, b)));
                    row.lane = lane;
                    progress
                }
            };
            row.progress.epoch = epoch;
            row.owner = unique_name();
            let change = Change {
                rows: vec![(of.0, p.clone(), found.map(|s| s.bytes), row)],
                dooms,
                cells: Vec::new(),
            };
            reach("acquire.before");
            match core.apply(&format!("acquire {p} for store `{store}` in"), change)? {
                Applied::Done(mut written) => {
                    reach("acquire.written");
                    let (of, stored) = written.pop().ok_or_else(|| core.odd("acquire in"))?;
                    let progress = stored.row.progress.clone();
                    lock(&self.known).insert(of, stored);
                    return Ok(progress);
                }
                Applied::Moved => {}
                // P32: what is missing is begun again.
                Applied::Lost => {
                    lock(&self.known).clear();
                    core.create()?;
                }
            }
        }
        Err(core.busy(&format!("the row of {p} in store `{store}`")))
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.commit_chunk(commit)
    }

    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let core = &*self.core;
        let wanted: Vec<_> = (0..core.stores.len()).map(|store| (store, p.clone())).collect();
        for _ in 0..ATTEMPTS {
            let mut change = Change {
                rows: Vec::new(),
                dooms: Vec::new(),
                cells: Vec::new(),
            };
            for ((store, p), stored) in wanted.iter().zip(core.rows(&wanted)?) {
                let Some(Stored { bytes, mut row }) = stored else {
                    continue;
                };
                let kept = row.progress.retained_from.max(batch);
                row.progress.retained_from = kept;
                row.progress.cuts.retain(|(b, _)| *b >= kept);
                let below = row.batches.partition_point(|b| *b < kept);
                let gone = row.batches.drain(..below);
                change
                    .dooms
                    .extend(gone.map(|b| layout::cells(core.name(*store), p, row.lane, b)));
                change.rows.push((*store, p.clone(), Some(bytes), row));
            }
            if change.rows.is_empty() {
                return Ok(());
            }
            match core.apply(&format!("drop cells of {p} below {} in", batch.show()), change)? {
                Applied::Done(written) => {
                    reach("drop.written");
                    self.learn(written);
                    reach("drop.deleted");
                    return Ok(());
                }
                Applied::Moved => {}
                Applied::Lost => return Err(self.forget()),
            }
        }
        Err(core.busy(&format!("the rows of {p}")))
    }
}

impl RedisRealtime {
    /// Where it lies, without a password.
    pub fn location(&self) -> String {
        self.core.place.clone()
    }

    /// Rows that this process owns are known from then on; those of others stay unknown.
    fn learn(&self, written: Vec<((usize, SourcePartition), Stored)>) {
        let mut known = lock(&self.known);
        for (of, stored) in written {
            // A drop may have met the row of another owner.
            if let Some(own) = known.get_mut(&of)
                && own.row.owner == stored.row.owner
            {
                *own = stored;
            }
        }
    }

    /// What was opened is gone. What is there now, if anything, is looked at from then on.
    fn forget(&self) -> Error {
        lock(&self.known).clear();
        match self.core.look(&Until::default()) {
            Ok(_) => self.core.lost(),
            Err(e) => e,
        }
    }
}

impl RealtimeReader for RedisRealtime {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.core, until)
    }
}

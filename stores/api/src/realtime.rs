//! The realtime store: cells (key, partition, batch) and progress rows, changed together in one atomic write.

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Deltas, Frontier, Result, SourcePartition, Timestamp};

use crate::progress::{Hole, Progress};
use crate::stats::StoreStats;
use crate::until::Until;

/// The realtime value of one (key, partition, batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its partition: an index into [`Snapshot::partitions`].
    pub partition: u32,
    /// Its batch.
    pub batch: BatchId,
    /// The value's canonical bytes.
    pub value: Vec<u8>,
}

/// The progress rows of a store in one snapshot, in its order. Whoever reads the same state again may be given the same ones.
pub type ProgressRows = Arc<[(SourcePartition, Progress)]>;

/// The question of a read that is known before its snapshot is taken: the progress rows of a store, and the cells of some keys.
#[derive(Clone, Copy, Debug)]
pub struct First<'a> {
    /// The store.
    pub store: &'a str,
    /// As [`Snapshot::cells`] takes them.
    pub keys: &'a [Vec<u8>],
    /// From where on; when the read turns out to need another one, it asks again.
    pub from: &'a Frontier,
}

/// What becomes of a shard when it is acquired (P10a, section 8 of the protocol).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The cells stay; the row is replaced by this one.
    Keep(Progress),
    /// All cells of the partition are deleted and the row is replaced: a rebuild (P32).
    Replace(Progress),
}

/// One partition's step in a commit: `[from, to)` was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The partition.
    pub partition: SourcePartition,
    /// The owner's epoch.
    pub epoch: u64,
    /// Where the chunk begins; must equal the row's `next`.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// The running batch at `to`.
    pub batch: BatchId,
    /// Where batches began inside the chunk, ascending.
    pub cuts: Vec<(BatchId, u64)>,
    /// Ranges that turned out lost.
    pub holes: Vec<Hole>,
    /// The leader epoch of what lies before `to`; -1 when it is not known: then the row does not know it either (an older
    /// one would make a log look truncated that is not).
    pub leader_epoch: i32,
    /// The greatest time among the records.
    pub last_time: Option<Timestamp>,
    /// The running time within `batch` at `to`, where the records of several sources have one order (O3).
    pub running: Option<Timestamp>,
}

/// A chunk to commit (P11): all of it or nothing.
pub struct Commit<'a> {
    /// The partitions' steps.
    pub advances: &'a [Advance],
    /// Names of the plan's sources: [`Delta::source`](rufous_core::Delta) is an index into it.
    pub sources: &'a [&'a str],
    /// What each store adds.
    pub deltas: &'a [(&'a str, &'a dyn Deltas)],
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is durable as far as the store promises.
    Done,
    /// Another owner or an earlier attempt was there; nothing was written (P12, P13).
    Refused {
        /// Whose check failed.
        partition: SourcePartition,
        /// The row as it stands, if any.
        found: Option<(u64, u64)>,
    },
}

/// What becomes of values when a process dies between two writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Values and offsets are one write: each record is in the values once.
    ExactlyOnce,
    /// Values first, offsets afterwards: what was written since the last offset may be added again.
    AtLeastOnce,
}

/// A namespace that can be written by its owner.
pub trait RealtimeStore: RealtimeReader {
    /// What it promises. A store that cannot write values and offsets at once is no `RealtimeStore` by itself: it implements
    /// [`SplitStore`](crate::split::SplitStore), and [`AtLeastOnce`](crate::split::AtLeastOnce) makes one of it.
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    /// Whether several processes write it, each the partitions of its own (mode 1): the epoch of a row keeps them apart, and what one
    /// of them does not read is in the same rows. Otherwise one process has it alone.
    fn is_shared(&self) -> bool {
        false
    }

    /// Acquires `p` for `store` (P10a): in one transaction the epoch goes up by one, `repair` sees the row (if there is one)
    /// and says what becomes of the shard, and the row is written back. Returns the row as written.
    ///
    /// # Errors
    /// What `repair` returns, with nothing written; or the store's own.
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress>;

    /// Commits a chunk: for every partition checks `next == from` and the epoch in the rows of all stores, then merges all
    /// deltas and moves the rows, in one atomic write (P11).
    ///
    /// # Errors
    /// When the outcome is unknown or the write failed: acquire again (P12).
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed>;

    /// Raises `retained_from` of `p` to `batch` and deletes the cells below, in one atomic write (P26).
    ///
    /// # Errors
    /// The store's own.
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()>;

    /// How the store is at this moment; `None`: it does not say.
    ///
    /// # Errors
    /// The store's own.
    fn stats(&self) -> Result<Option<StoreStats>> {
        Ok(None)
    }
}

/// A namespace that can be read, by its owner or from outside.
pub trait RealtimeReader: Send + Sync {
    /// Rows and cells of one point in time.
    ///
    /// # Errors
    /// `TryAgain` when the owner does not answer.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>>;

    /// The same for a caller who does not wait longer than that. Who may wait for somebody else ends then, and soon after the caller has
    /// gone away; the snapshot keeps this until it is told otherwise.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), and `TryAgain` that says what was waited for.
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        let mut snapshot = self.snapshot()?;
        snapshot.set_until(until);
        Ok(snapshot)
    }

    /// The same for a caller who knows what he will ask first. Who asks somebody else for a snapshot may send this question along with
    /// it; whether that was done is not seen but in the time that it takes.
    ///
    /// # Errors
    /// As [`snapshot_until`](Self::snapshot_until). What is wrong with the question is told when it is asked.
    fn snapshot_first(&self, _first: &First<'_>, until: &Until) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(until)
    }
}

/// Progress rows and cells from one point in time.
pub trait Snapshot: Send {
    /// The namespace it was taken of.
    fn namespace(&self) -> &str;
    /// No question waits for somebody else for longer than that from now on: it is `TryAgain` then. A snapshot that waits for nobody
    /// has nothing to do.
    fn set_until(&mut self, _until: &Until) {}
    /// The progress rows of a store, in a fixed order; empty when nothing was ever read.
    ///
    /// # Errors
    /// The store's own.
    fn partitions(&self, store: &str) -> Result<ProgressRows>;
    /// For each key, in order, its cells with `batch >= from.of(p).batch`, ascending by batch and partition.
    ///
    /// # Errors
    /// The store's own.
    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>>;
    /// Calls `f` with every cell whose key begins with `prefix` and whose batch is in the frontier's reach, ascending by
    /// batch and key.
    ///
    /// # Errors
    /// The first error of `f`, or the store's own.
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()>;
    /// Calls `f` with every cell whose key lies in one of `ranges` and whose batch is in the frontier's reach, with the place of
    /// the range; those of one range ascend by batch and key. The ranges ascend and share no key. Many keys beside each other
    /// cost little more than one: windows are read so.
    ///
    /// # Errors
    /// The first error of `f`, or the store's own.
    fn ranges(
        &self,
        store: &str,
        ranges: &[KeyRange],
        from: &Frontier,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        by_scans(ranges, f, &mut |prefix, f| self.scan(store, prefix, from, f))
    }
}

/// Shows a cell with its key.
type Show<'a> = dyn FnMut(&[u8], Cell) -> Result<()> + 'a;

/// [`Snapshot::ranges`] by scans, one a range.
pub(crate) fn by_scans(
    ranges: &[KeyRange],
    f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    scan: &mut dyn FnMut(&[u8], &mut Show<'_>) -> Result<()>,
) -> Result<()> {
    for (place, range) in ranges.iter().enumerate() {
        scan(shared_prefix(range), &mut |key, cell| {
            if within(range, key) {
                f(place, key, cell)
            } else {
                Ok(())
            }
        })?;
    }
    Ok(())
}

/// Keys from the first on, below the second.
pub type KeyRange = std::ops::Range<Vec<u8>>;

/// What all keys of a range begin with.
pub fn shared_prefix(range: &KeyRange) -> &[u8] {
    let shared = range.start.iter().zip(&range.end).take_while(|(a, b)| a == b).count();
    &range.start[..shared]
}

/// Whether a key is in a range.
pub fn within(range: &KeyRange, key: &[u8]) -> bool {
    range.start.as_slice() <= key && key < range.end.as_slice()
}

/// The batch from which each partition of a list is read: what [`Snapshot::cells`] filters by.
pub fn floors(partitions: &[(SourcePartition, Progress)], from: &Frontier) -> Vec<BatchId> {
    partitions.iter().map(|(p, _)| from.of(p).batch).collect()
}

/// Applies the steps of a commit to rows, or says which check failed. Stores share it so that P11 is written once.
pub fn apply_advances(rows: &mut BTreeMap<SourcePartition, Progress>, advances: &[Advance]) -> Committed {
    for a in advances {
        let found = rows.get(&a.partition).map(|r| (r.next, r.epoch));
        let next = found.map(|(next, _)| next) == Some(a.from) || !kept(Rule::CommitChecksOffset);
        let epoch = found.map(|(_, epoch)| epoch) == Some(a.epoch) || !kept(Rule::CommitChecksEpoch);
        if !(next && epoch) {
            return Committed::Refused {
                partition: a.partition.clone(),
                found,
            };
        }
    }
    for a in advances {
        if let Some(row) = rows.get_mut(&a.partition) {
            row.next = a.to;
            row.batch = a.batch;
            row.cuts.extend_from_slice(&a.cuts);
            row.holes.extend_from_slice(&a.holes);
            row.last_time = row.last_time.max(a.last_time);
            row.leader_epoch = a.leader_epoch;
            row.running = a.running;
        }
    }
    Committed::Done
}

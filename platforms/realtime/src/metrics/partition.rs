//! What is known of one partition while it is read.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use rufous_core::{BatchId, Timestamp};

/// No time, no batch.
const NONE: i64 = i64::MIN;

/// One partition of a stream or of an archiver. Written by its reader once a chunk, read by anyone.
#[derive(Debug)]
pub struct PartitionMetrics {
    /// The position after what was read.
    pub next: AtomicU64,
    /// The position that is committed, in the store or in the archive's index.
    pub committed: AtomicU64,
    /// Where the log ends, as far as is known; never below `next`.
    pub end: AtomicU64,
    /// The number of the running batch; `i64::MIN` before the first.
    pub batch: AtomicI64,
    /// The first instant of the running batch in milliseconds; `i64::MIN` when batches have no times. An archiver keeps
    /// here the running batch of its last index entry: everything before it is sealed there.
    pub batch_start_ms: AtomicI64,
    /// The greatest time that was read, in milliseconds; `i64::MIN` before the first.
    pub last_time_ms: AtomicI64,
    /// Records behind the running batch (P4).
    pub late: AtomicU64,
    /// Records that `max_step` held back (P3).
    pub held: AtomicU64,
    /// Records that could not be read.
    pub bad: AtomicU64,
    /// Lost ranges (P33, P34).
    pub holes: AtomicU64,
    /// Offsets in them.
    pub lost: AtomicU64,
    /// Where reading began when the partition was acquired last.
    pub replay_from: AtomicU64,
    /// Where the log ended then: below it everything read is a replay.
    pub replay_to: AtomicU64,
    /// Records of its domain that wait until this partition shows a later one (O4).
    pub waiting_for: AtomicU64,
    /// Whether this process owns it.
    pub owned: AtomicBool,
}

impl Default for PartitionMetrics {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            end: AtomicU64::new(0),
            batch: AtomicI64::new(NONE),
            batch_start_ms: AtomicI64::new(NONE),
            last_time_ms: AtomicI64::new(NONE),
            late: AtomicU64::new(0),
            held: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            holes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            replay_from: AtomicU64::new(0),
            replay_to: AtomicU64::new(0),
            waiting_for: AtomicU64::new(0),
            owned: AtomicBool::new(false),
        }
    }
}

impl PartitionMetrics {
    /// The partition was acquired: reading begins at `next`, and the log ends at `end` now.
    pub fn acquired(&self, next: u64, end: u64) {
        self.committed.store(next, Relaxed);
        self.replay_from.store(next, Relaxed);
        self.replay_to.store(end, Relaxed);
        self.at(next, end);
    }
    /// Reading stands at `next`, and the log ends at `end`.
    pub fn at(&self, next: u64, end: u64) {
        self.next.store(next, Relaxed);
        self.end.store(end.max(next), Relaxed);
    }
    /// The running batch and its first instant.
    pub fn runs(&self, batch: BatchId, start: Option<Timestamp>) {
        let number = if batch == BatchId::MIN { NONE } else { batch.0 };
        self.batch.store(number, Relaxed);
        self.batch_start_ms.store(start.map_or(NONE, |t| t.0), Relaxed);
    }
    /// A record of this time was read.
    pub fn saw_time(&self, t: Option<Timestamp>) {
        if let Some(t) = t {
            self.last_time_ms.fetch_max(t.0, Relaxed);
        }
    }
    /// One more range turned out lost. An archiver counts those that it meets: it does not read the whole index again.
    pub fn lost_more(&self, from: u64, to: u64) {
        self.holes.fetch_add(1, Relaxed);
        self.lost.fetch_add(to.saturating_sub(from), Relaxed);
    }
    /// These ranges are lost: their number and the offsets in them.
    pub fn lost(&self, ranges: impl Iterator<Item = (u64, u64)>) {
        let (mut holes, mut lost) = (0_u64, 0_u64);
        for (from, to) in ranges {
            holes += 1;
            lost = lost.saturating_add(to.saturating_sub(from));
        }
        self.holes.store(holes, Relaxed);
        self.lost.store(lost, Relaxed);
    }
    /// Records between the committed position and the log's end. Offsets have gaps, so this is an upper bound.
    pub fn lag(&self) -> u64 {
        self.end.load(Relaxed).saturating_sub(self.committed.load(Relaxed))
    }
    /// How much of what the log held when the partition was acquired was read: 1 when all of it was.
    pub fn replayed(&self) -> f64 {
        let (from, to) = (self.replay_from.load(Relaxed), self.replay_to.load(Relaxed));
        let next = self.next.load(Relaxed);
        if next >= to || from >= to {
            return 1.0;
        }
        next.saturating_sub(from) as f64 / (to - from) as f64
    }
    /// Whether it is still behind the end that the log had when it was acquired.
    pub fn is_replaying(&self) -> bool {
        self.next.load(Relaxed) < self.replay_to.load(Relaxed)
    }
    /// The greatest time that was read.
    pub fn last_time(&self) -> Option<Timestamp> {
        some(&self.last_time_ms)
    }
    /// The first instant of the running batch.
    pub fn batch_start(&self) -> Option<Timestamp> {
        some(&self.batch_start_ms)
    }
    /// The running batch.
    pub fn running_batch(&self) -> Option<i64> {
        Some(self.batch.load(Relaxed)).filter(|b| *b != NONE)
    }
    /// How far the end of the last sealed batch is behind the greatest time that was read, in milliseconds: at most a
    /// batch in a partition whose archive keeps up. `None` when batches have no times or nothing was sealed.
    pub fn seal_lag_ms(&self) -> Option<u64> {
        let behind = self.last_time()?.0.saturating_sub(self.batch_start()?.0);
        Some(u64::try_from(behind).unwrap_or(0))
    }
}

fn some(ms: &AtomicI64) -> Option<Timestamp> {
    Some(ms.load(Relaxed)).filter(|t| *t != NONE).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replay is measured against the end at the acquisition, lag against what is committed.
    #[test]
    fn replay_and_lag() {
        let p = PartitionMetrics::default();
        p.acquired(100, 200);
        assert!(p.is_replaying());
        p.at(150, 300);
        assert!((p.replayed() - 0.5).abs() < 1e-12);
        assert_eq!(p.lag(), 200);
        p.at(310, 300);
        p.committed.store(310, Relaxed);
        assert!(!p.is_replaying());
        assert!((p.replayed() - 1.0).abs() < 1e-12);
        assert_eq!(p.lag(), 0, "the end is never below the position");
        p.acquired(310, 5);
        assert!(!p.is_replaying());
    }

    #[test]
    fn seal_lag_is_the_time_behind_the_running_batch() {
        let p = PartitionMetrics::default();
        p.saw_time(Some(Timestamp(5_000)));
        assert_eq!(p.seal_lag_ms(), None, "nothing is sealed");
        p.runs(BatchId(4), Some(Timestamp(4_000)));
        p.saw_time(Some(Timestamp(4_500)));
        assert_eq!(p.seal_lag_ms(), Some(1_000));
        p.lost([(5, 10), (20, 21)].into_iter());
        assert_eq!((p.holes.load(Relaxed), p.lost.load(Relaxed)), (2, 6));
    }
}

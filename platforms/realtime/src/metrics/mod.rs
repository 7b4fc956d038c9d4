//! What the engine counts while it runs. Counters are relaxed atomics, written by one thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use rufous_core::Timestamp;

use crate::cutter::LATENESS_BUCKETS;

/// Live counters of a stream or an archiver.
#[derive(Debug)]
pub struct Metrics {
    /// Records read.
    pub records: AtomicU64,
    /// Bytes of records read.
    pub bytes: AtomicU64,
    /// Bad records that were passed: skipped, or sent to the dead letters. Each once, however often it is read.
    pub bad: AtomicU64,
    /// The same by source; none of a source without any.
    pub bad_of: Mutex<BTreeMap<String, u64>>,
    /// Dead letters sent.
    pub dead_letters: AtomicU64,
    /// Late records by how late: how far their time lies behind the greatest time of their partition so far. Bucket `i` counts
    /// those below [`LATENESS_BOUNDS`](crate::cutter::LATENESS_BOUNDS)`[i]`, the last one all others.
    pub lateness: [AtomicU64; LATENESS_BUCKETS],
    /// Records behind the running batch: counted in it, reported here (P4).
    pub late: AtomicU64,
    /// Records that `max_step` held back (P3).
    pub held: AtomicU64,
    /// Commits done.
    pub commits: AtomicU64,
    /// Offsets between what was committed and the log's end when last looked at.
    pub lag: AtomicU64,
    /// The greatest time applied, in milliseconds; `i64::MIN` before the first.
    pub last_time_ms: AtomicI64,
    /// Records that came out of each named step.
    pub steps: Mutex<BTreeMap<String, u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            bad_of: Mutex::default(),
            dead_letters: AtomicU64::new(0),
            lateness: Default::default(),
            late: AtomicU64::new(0),
            held: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            last_time_ms: AtomicI64::new(i64::MIN),
            steps: Mutex::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn saw_steps<'a>(&self, emitted: impl Iterator<Item = (&'a str, u64)>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, n) in emitted {
            match steps.get_mut(name) {
                Some(steps) => *steps = n,
                None => drop(steps.insert(name.to_string(), n)),
            }
        }
    }
    /// Records that came out of each named step, at the last commit.
    pub fn steps(&self) -> BTreeMap<String, u64> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub(crate) fn saw_bad(&self, source: &str, n: u64) {
        if n == 0 {
            return;
        }
        self.bad.fetch_add(n, Relaxed);
        let mut of = self.bad_of.lock().unwrap_or_else(PoisonError::into_inner);
        *of.entry(source.to_string()).or_default() += n;
    }
    pub(crate) fn saw_lateness(&self, lateness: &[u64; LATENESS_BUCKETS]) {
        for (count, n) in self.lateness.iter().zip(lateness) {
            if *n > 0 {
                count.fetch_add(*n, Relaxed);
            }
        }
    }
    pub(crate) fn saw_time(&self, t: Option<Timestamp>) {
        if let Some(t) = t {
            self.last_time_ms.fetch_max(t.0, Relaxed);
        }
    }
    /// The greatest time applied.
    pub fn last_time(&self) -> Option<Timestamp> {
        Some(self.last_time_ms.load(Relaxed))
            .filter(|t| *t != i64::MIN)
            .map(Timestamp)
    }
    /// The counters as they stand.
    pub fn report(&self) -> StreamReport {
        StreamReport {
            records: self.records.load(Relaxed),
            bad: self.bad.load(Relaxed),
            dead_letters: self.dead_letters.load(Relaxed),
            late: self.late.load(Relaxed),
            held: self.held.load(Relaxed),
            commits: self.commits.load(Relaxed),
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport {
    /// Records read.
    pub records: u64,
    /// Bad records that were passed: skipped, or sent to the dead letters.
    pub bad: u64,
    /// Of these: dead letters sent.
    pub dead_letters: u64,
    /// Records behind the running batch.
    pub late: u64,
    /// Records that `max_step` held back.
    pub held: u64,
    /// Commits done.
    pub commits: u64,
}

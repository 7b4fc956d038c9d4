//! What the engine counts while it runs. Counters are relaxed atomics, written by one thread once a chunk, never once a
//! record; locks are taken only where partitions are acquired, where a commit fails, and by those who look.
//!
//! - [`source`](SourceMetrics) and [`partition`](PartitionMetrics): what is counted for each;
//! - [`histogram`](Histogram), [`moment`](Moment): atomics with a meaning; [`samples`](Samples): some of the records that something was wrong with;
//! - [`ready`](Reason): whether the loop is alive, and whether its answers are fresh.

mod histogram;
mod moment;
mod partition;
mod ready;
mod samples;
mod source;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rufous_core::{Error, Timestamp};

use crate::cutter::LATENESS_BUCKETS;

pub use histogram::Histogram;
pub use moment::Moment;
pub use partition::PartitionMetrics;
pub use ready::{Limits, Reason};
pub use samples::{Sample, Samples};
pub use source::{LATENESS_MS, SourceMetrics};

/// How long a commit took: upper bounds of the histogram, in milliseconds.
pub const COMMIT_MS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// Live counters of a stream or an archiver.
#[derive(Debug)]
pub struct Metrics {
    /// Records read.
    pub records: AtomicU64,
    /// Bytes of records read.
    pub bytes: AtomicU64,
    /// Bad records that were passed: skipped, or sent to the dead letters. Each once, however often it is read.
    pub bad: AtomicU64,
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
    /// What [`records`](Self::records) was when the last commit that was done began: all that was read later is in no store yet.
    pub committed_records: AtomicU64,
    /// Partitions that another process of the consumer group reads: they are missing in the answers of this one.
    pub elsewhere: AtomicU64,
    /// Offsets between what was committed and the log's end when last looked at.
    pub lag: AtomicU64,
    /// Records that a stream which ended has left in the log: they wait for later ones of other partitions (O4).
    pub waiting: AtomicU64,
    /// The greatest time applied, in milliseconds; `i64::MIN` before the first.
    pub last_time_ms: AtomicI64,
    /// Records that came out of each named step.
    pub steps: Mutex<BTreeMap<String, u64>>,
    /// Records that came out of each step at the last commit, as [`Executor::passed`](rufous_core::Executor::passed) says them.
    passed: Mutex<Vec<u64>>,
    /// The loop came round: also when the log is silent.
    pub heartbeat: Moment,
    /// Records came.
    pub received: Moment,
    /// All that was read before was committed, or there was nothing to commit.
    pub settled: Moment,
    /// A commit was done.
    pub committed: Moment,
    /// Commits that failed.
    pub failed_commits: AtomicU64,
    /// How many of them in a row, up to now.
    pub failing: AtomicU64,
    /// How long commits took, failed ones too.
    pub commit_seconds: Histogram,
    /// Cells that commits wrote: (key, partition, batch) of each store.
    pub cells: AtomicU64,
    /// Bytes in the combining maps when the last commit began.
    pub map_bytes: AtomicU64,
    /// Milliseconds between commits, as the options say.
    pub commit_interval_ms: AtomicU64,
    /// The stream is over: nothing is stuck any more.
    pub ended: AtomicBool,
    /// Every partition was acquired once.
    pub opened: AtomicBool,
    /// Why the last failed commit failed.
    failure: Mutex<Option<String>>,
    sources: Mutex<BTreeMap<String, Arc<SourceMetrics>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            lateness: Default::default(),
            elsewhere: AtomicU64::new(0),
            late: AtomicU64::new(0),
            held: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            committed_records: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            last_time_ms: AtomicI64::new(i64::MIN),
            steps: Mutex::default(),
            passed: Mutex::default(),
            heartbeat: Moment::default(),
            received: Moment::default(),
            settled: Moment::default(),
            committed: Moment::default(),
            failed_commits: AtomicU64::new(0),
            failing: AtomicU64::new(0),
            commit_seconds: Histogram::new(COMMIT_MS),
            cells: AtomicU64::new(0),
            map_bytes: AtomicU64::new(0),
            commit_interval_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            failure: Mutex::default(),
            sources: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The source's own, made when it is first asked for. A reader asks when it starts and keeps the answer.
    pub fn source(&self, name: &str) -> Arc<SourceMetrics> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.get(name) {
            Some(source) => source.clone(),
            None => sources.entry(name.to_string()).or_default().clone(),
        }
    }
    /// All sources, by name.
    pub fn sources(&self) -> Vec<(String, Arc<SourceMetrics>)> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|(n, s)| (n.clone(), s.clone())).collect()
    }
    /// Records that are not committed yet, over all partitions that are owned.
    pub fn lag_records(&self) -> u64 {
        self.sources().iter().map(|(_, s)| s.lag()).sum()
    }
    /// A commit ended.
    pub(crate) fn committed(&self, cells: usize) {
        self.commits.fetch_add(1, Relaxed);
        self.cells.fetch_add(cells as u64, Relaxed);
        self.failing.store(0, Relaxed);
        self.committed.mark();
        self.settled.mark();
    }
    /// A commit failed, and its records are read again.
    pub(crate) fn commit_failed(&self, failure: &Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_string());
        self.failed_commits.fetch_add(1, Relaxed);
        self.failing.fetch_add(1, Relaxed);
    }
    /// Why the last failed commit failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub(crate) fn runs_every(&self, commit_interval: Duration) {
        let ms = commit_interval.as_millis().min(u128::from(u64::MAX)) as u64;
        self.commit_interval_ms.store(ms, Relaxed);
        self.heartbeat.mark();
    }
    pub(crate) fn saw_steps<'a>(&self, emitted: impl Iterator<Item = (&'a str, u64)>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, n) in emitted {
            match steps.get_mut(name) {
                Some(steps) => *steps = n,
                None => drop(steps.insert(name.to_string(), n)),
            }
        }
    }
    pub(crate) fn saw_passed(&self, passed: &[u64]) {
        let mut known = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
        known.extend_from_slice(passed);
    }
    /// Records that came out of each step of the plan, at the last commit; empty before the first.
    pub fn passed(&self) -> Vec<u64> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Records that were read and are in no store yet. What a failed commit left is read, and counted, again.
    pub fn uncommitted(&self) -> u64 {
        let records = self.records.load(Relaxed);
        records.saturating_sub(self.committed_records.load(Relaxed))
    }
    /// Records that came out of each named step, at the last commit.
    pub fn steps(&self) -> BTreeMap<String, u64> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            waiting: self.waiting.load(Relaxed),
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
    /// Records that were read and left in the log: they wait for later ones of other partitions (O4).
    pub waiting: u64,
}

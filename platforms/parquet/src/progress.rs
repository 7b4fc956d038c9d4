//! How far a run is, for those who watch it from another thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rufous_core::Plan;

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It looks at its inputs.
    #[default]
    Planning,
    /// It reads and sums.
    Reading,
    /// It adds up what its threads have summed, and writes runs.
    Writing,
    /// It merges runs of earlier generations.
    Merging,
    /// The manifest is being created.
    Publishing,
    /// What was published is compared with the live part, by those who run it.
    Comparing,
}

impl Phase {
    /// A word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Merging => "merging",
            Self::Publishing => "publishing",
            Self::Comparing => "comparing with the live part",
        }
    }
}

/// Counts of what flows, each by its place in the plan.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Records of each source that were read.
    pub(crate) read: Box<[AtomicU64]>,
    /// Those of them that are bad.
    pub(crate) bad: Box<[AtomicU64]>,
    /// Records that came out of each step.
    pub(crate) passed: Box<[AtomicU64]>,
    /// All of them, as they were when a run was published last: a backfill is many runs.
    published: Mutex<Vec<u64>>,
}

impl Flow {
    fn of(plan: &Plan) -> Self {
        let none = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect();
        let steps = plan.drawn().iter().filter_map(|node| node.step).max();
        Self {
            read: none(plan.sources().len()),
            bad: none(plan.sources().len()),
            passed: none(steps.map_or(0, |last| last + 1)),
            published: Mutex::default(),
        }
    }
    fn all(&self) -> impl Iterator<Item = &AtomicU64> {
        self.read.iter().chain(&self.bad).chain(&self.passed)
    }
    /// Takes back what a run counted that was not published.
    fn begin(&self) {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let before = published.iter().copied().chain(std::iter::repeat(0));
        self.all()
            .zip(before)
            .for_each(|(counter, n)| counter.store(n, Relaxed));
    }
    fn keep(&self) {
        let now = self.all().map(|counter| counter.load(Relaxed)).collect();
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

fn now(counters: &[AtomicU64]) -> Vec<u64> {
    counters.iter().map(|counter| counter.load(Relaxed)).collect()
}

/// Counts of a run, or of several one after the other, as a backfill makes them. They go up while it reads; those of what flows go on over runs, and
/// what is read again, because others published meanwhile or after a panic, is counted once.
#[derive(Debug, Default)]
pub struct Progress {
    phase: Mutex<Phase>,
    /// Records that will be read, where that is known.
    pub rows_total: AtomicU64,
    /// Records that were read.
    pub rows: AtomicU64,
    /// Bytes of input that will be read.
    pub bytes_total: AtomicU64,
    /// Keys that were written.
    pub keys: AtomicU64,
    /// Bytes of sums that went to files because they outgrew the memory.
    pub spilled: AtomicU64,
    /// Of the plan that runs.
    flow: OnceLock<Flow>,
}

impl Progress {
    /// What the run is doing.
    pub fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// From now on it does this.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        tracing::debug!(phase = phase.name(), "bulk run");
    }
    /// How many records of each source were read, in the plan's order; empty before the run reads.
    pub fn read(&self) -> Vec<u64> {
        self.flow.get().map_or_else(Vec::new, |flow| now(&flow.read))
    }
    /// How many of them are bad and were left out.
    pub fn bad(&self) -> Vec<u64> {
        self.flow.get().map_or_else(Vec::new, |flow| now(&flow.bad))
    }
    /// How many records came out of each step, as [`Executor::passed`](rufous_core::Executor::passed) says; told after each chunk.
    pub fn passed(&self) -> Vec<u64> {
        self.flow.get().map_or_else(Vec::new, |flow| now(&flow.passed))
    }
    pub(crate) fn flow(&self) -> Option<&Flow> {
        self.flow.get()
    }
    pub(crate) fn begin(&self, rows: u64, bytes: u64, plan: &Plan) {
        self.flow.get_or_init(|| Flow::of(plan)).begin();
        for (counter, n) in [(&self.rows_total, rows), (&self.bytes_total, bytes)] {
            counter.store(n, Relaxed);
        }
        for counter in [&self.rows, &self.keys, &self.spilled] {
            counter.store(0, Relaxed);
        }
    }
    /// What was counted since [`begin`](Self::begin) is of a run that was published.
    pub(crate) fn published(&self) {
        if let Some(flow) = self.flow.get() {
            flow.keep();
        }
    }
}

/// Keeps several threads together below a rate.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<u64>,
    begun: Instant,
    rows: AtomicU64,
}

impl Pace {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.map(|rate| rate.max(1)),
            begun: Instant::now(),
            rows: AtomicU64::new(0),
        }
    }
    /// How long to wait after so many more records.
    pub(crate) fn wait(&self, rows: u64) -> Option<Duration> {
        let rate = self.rate?;
        let rows = self.rows.fetch_add(rows, Relaxed) + rows;
        let due = Duration::from_secs_f64(rows as f64 / rate as f64);
        due.checked_sub(self.begun.elapsed()).filter(|wait| !wait.is_zero())
    }
}

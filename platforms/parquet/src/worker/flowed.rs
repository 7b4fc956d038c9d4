//! What a thread tells of what flows, for people who watch: added up beside it, and told after each chunk.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::progress::Progress;

/// Numbers of one kind, by their place in the plan: those that were told since the sums were taken.
#[derive(Default)]
struct Open(Vec<u64>);

impl Open {
    fn tell(&mut self, counters: &[AtomicU64], at: usize, more: u64) {
        self.0.resize(counters.len(), 0);
        if let (Some(counter), Some(told)) = (counters.get(at), self.0.get_mut(at))
            && more > 0
        {
            counter.fetch_add(more, Relaxed);
            *told += more;
        }
    }
    fn take_back(&mut self, counters: &[AtomicU64]) {
        for (counter, told) in counters.iter().zip(&mut self.0) {
            counter.fetch_sub(std::mem::take(told), Relaxed);
        }
    }
}

/// What this thread has told.
#[derive(Default)]
pub(super) struct Flowed {
    /// What its executor had counted by then.
    seen: Vec<u64>,
    rows: u64,
    read: Open,
    bad: Open,
    passed: Open,
}

impl Flowed {
    /// Records of a source, and how many of them are bad.
    pub(super) fn read(&mut self, progress: &Progress, source: u32, rows: u64, bad: u64) {
        progress.rows.fetch_add(rows, Relaxed);
        self.rows += rows;
        if let Some(flow) = progress.flow() {
            self.read.tell(&flow.read, source as usize, rows);
            self.bad.tell(&flow.bad, source as usize, bad);
        }
    }
    /// What came out of the steps of the executor so far.
    pub(super) fn passed(&mut self, progress: &Progress, passed: &[u64]) {
        let Some(flow) = progress.flow() else { return };
        self.seen.resize(passed.len(), 0);
        for (at, (now, seen)) in passed.iter().zip(&mut self.seen).enumerate() {
            self.passed.tell(&flow.passed, at, now.saturating_sub(*seen));
            *seen = *now;
        }
    }
    /// The sums were taken: what was told stands.
    pub(super) fn settle(&mut self) {
        self.rows = 0;
        for open in [&mut self.read, &mut self.bad, &mut self.passed] {
            open.0.fill(0);
        }
    }
    /// What was told since then is read again, by another executor.
    pub(super) fn take_back(&mut self, progress: &Progress) {
        self.seen.clear();
        progress.rows.fetch_sub(std::mem::take(&mut self.rows), Relaxed);
        if let Some(flow) = progress.flow() {
            self.read.take_back(&flow.read);
            self.bad.take_back(&flow.bad);
            self.passed.take_back(&flow.passed);
        }
    }
}

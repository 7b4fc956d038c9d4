//! Where the engine writes what others see of it: a few relaxed stores a chunk and a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rufous_core::{RecordBatch, Timestamp};
use rufous_store_api::Advance;

use crate::bind::Bound;
use crate::cutter::{Cuts, Cutter};
use crate::engine::Engine;
use crate::log::Log;
use crate::metrics::{Metrics, PartitionMetrics, SourceMetrics};
use crate::partition::Partition;

/// Says when it is dropped that a loop is over, however that came.
pub(crate) struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Metrics {
    /// The stream runs as long as this is kept.
    pub(crate) fn run(&self) -> Running<'_> {
        self.ended.store(false, Relaxed);
        Running(&self.ended)
    }
}

impl SourceMetrics {
    /// The archiver runs as long as this is kept.
    pub(crate) fn run(&self) -> Running<'_> {
        self.ended.store(false, Relaxed);
        self.heartbeat.mark();
        Running(&self.ended)
    }
    /// Where its log is.
    pub(crate) fn is_at(&self, location: String) {
        // The first stays: a source has one log.
        let _ = self.location.set(location);
    }
    /// Nothing came: is the server silent, or is there no news?
    pub(crate) fn listen(&self, log: &dyn Log) {
        match log.silence() {
            Some(age) => self.heard.mark_ago(age),
            None => self.heard.mark(),
        }
    }
    /// A chunk was read.
    pub(crate) fn read(&self, records: &RecordBatch, cuts: &Cuts) {
        self.records.fetch_add(records.entries.len() as u64, Relaxed);
        self.bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        self.late.fetch_add(cuts.late, Relaxed);
        self.held.fetch_add(cuts.held, Relaxed);
        self.lateness.add(&cuts.lateness, cuts.lateness_ms);
        self.heard.mark();
    }
    /// Keeps a late record of a chunk that has some.
    pub(crate) fn show_late(&self, records: &RecordBatch, times: &[Option<Timestamp>], cutter: &Cutter, cuts: &Cuts) {
        if !self.late_samples.is_due() {
            return;
        }
        let Some((i, time, start)) = cutter.late_one(records, times, &cuts.runs) else {
            return;
        };
        if let Some(entry) = records.entries.get(i) {
            let why = || format!("its time lies before the running batch, which begins at {start}: it counts there");
            self.late_samples.take(records, entry, Some(time), &why);
        }
    }
}

impl Bound {
    /// From now on `metrics` shows this source.
    pub(crate) fn show_in(&mut self, metrics: &Metrics) {
        self.meter = metrics.source(&self.name);
        self.meter.is_at(self.log.location());
    }
    /// Nothing came: is the server silent, or is there no news?
    pub(crate) fn listen(&self) {
        self.meter.listen(&*self.log);
    }
}

impl Partition {
    /// Right after the acquisition: from now on `meter` shows this partition.
    pub(crate) fn meet(&mut self, meter: Arc<PartitionMetrics>, metrics: &Metrics) {
        meter.acquired(self.next, self.end);
        meter.runs(self.cutter.batch(), self.cutter.start());
        meter.saw_time(self.row.last_time);
        metrics.saw_time(self.row.last_time);
        meter.lost(self.row.holes.iter().map(|h| (h.from, h.to)));
        self.meter = meter;
    }
    /// A chunk was read.
    pub(crate) fn measure(&self, cuts: &Cuts) {
        self.meter.at(self.next, self.end);
        self.meter.runs(self.cutter.batch(), self.cutter.start());
        self.meter.saw_time(cuts.last_time);
        self.meter.late.fetch_add(cuts.late, Relaxed);
        self.meter.held.fetch_add(cuts.held, Relaxed);
    }
}

impl Engine<'_> {
    /// Everything was acquired for the first time.
    pub(crate) fn measure_start(&mut self) {
        self.metrics.runs_every(self.options.commit_interval);
        self.metrics.settled.mark();
        self.measure_ownership();
    }
    /// A group that has given nothing yet leaves nothing open to be acquired, and nothing to answer from.
    pub(crate) fn measure_ownership(&self) {
        if self.bound.iter().all(Bound::is_settled) {
            self.metrics.opened.store(true, Relaxed);
        }
    }
    /// Before a commit, and when there is nothing to commit: the log may have grown without a record for us.
    pub(crate) fn measure(&self) {
        for p in self.bound.iter().flat_map(|b| b.partitions.values()) {
            p.meter.at(p.next, p.end);
            p.meter.lost(p.row.holes.iter().map(|h| (h.from, h.to)));
        }
    }
    /// These steps are committed.
    pub(crate) fn measure_commit(&self, advances: &[Advance]) {
        for a in advances {
            let bound = self.bound.iter().find(|b| b.name == a.partition.source);
            if let Some(p) = bound.and_then(|b| b.partitions.get(&a.partition.partition)) {
                p.meter.committed.store(a.to, Relaxed);
            }
            tracing::debug!(
                source = a.partition.source,
                partition = a.partition.partition,
                from = a.from,
                to = a.to,
                batch = a.batch.0,
                "committed"
            );
        }
    }
}

//! A consumer group that gives partitions a moment after the run looked.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rufous_core::{Format, Job, RecordBatch, Result};
use rufous_realtime::metrics::Limits;
use rufous_realtime::{BoundLog, Log, Metrics, PartitionInfo, Polled, Position, Stream, StreamOptions};
use support::{Bed, COUNTS, LINES, ListLog, Rec, counted, lists};

/// Nothing is given until it was polled once; the log knows it then, and tells it some polls later.
struct Late {
    inner: ListLog,
    polls: usize,
    metrics: Arc<Metrics>,
    /// Whether the run called itself ready before it had anything.
    ready: Arc<AtomicBool>,
}

impl Late {
    fn given(&self) -> bool {
        self.polls > 0
    }
}

impl Log for Late {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let given = self.given();
        let infos = self.inner.partitions()?.into_iter();
        Ok(infos.map(|info| PartitionInfo { owned: given, ..info }).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.inner.assign(positions)
    }
    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        self.inner.assign_at(positions)
    }
    fn waits(&self) -> bool {
        !self.given()
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        self.polls += 1;
        if self.polls <= 5 && self.metrics.unready(&Limits::default()).is_empty() {
            self.ready.store(true, Relaxed);
        }
        match self.polls {
            1..5 => Ok(Polled::Idle),
            5 => Ok(Polled::PartitionsChanged),
            _ => self.inner.poll(timeout, into),
        }
    }
}

/// `--until-end` and `/readyz` (P10a): a run that owns nothing yet is neither at the end of what it will own, nor ready.
#[test]
fn a_run_that_owns_nothing_yet_is_not_at_its_end() {
    let words = LINES.read().keyed(|line, out| out.emit(line, 1));
    let plan = Job::new("words", words.sum_by_key(COUNTS)).plan().unwrap();
    let text = ["a", "b", "a"];
    let log = lists(vec![text.iter().map(|w| Rec::text(w)).collect()]);
    let bed = Bed::new(&plan);
    let late = Late {
        inner: ListLog::new(&log, 2),
        polls: 0,
        metrics: bed.metrics.clone(),
        ready: Arc::default(),
    };
    let ready = late.ready.clone();
    let stream = Stream {
        plan: &plan,
        logs: vec![BoundLog::new("lines", Box::new(late))],
        store: Arc::new(bed.memory.clone()),
        manifests: &bed.manifests,
        generations: None,
        metrics: bed.metrics.clone(),
        options: StreamOptions {
            until_end: true,
            ..bed.options.clone()
        },
    };
    stream.run().unwrap();
    assert!(!ready.load(Relaxed), "ready before the group gave anything");
    assert!(bed.metrics.opened.load(Relaxed));
    assert_eq!(bed.sums(&plan), counted(text));
}

//! What is known of one source while it is read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Histogram, Moment, PartitionMetrics, Samples};
use crate::cutter::LATENESS_BOUNDS;

/// How late a late record is: upper bounds of the histogram, in milliseconds.
pub const LATENESS_MS: &[u64] = &[
    LATENESS_BOUNDS[0].unsigned_abs(),
    LATENESS_BOUNDS[1].unsigned_abs(),
    LATENESS_BOUNDS[2].unsigned_abs(),
    LATENESS_BOUNDS[3].unsigned_abs(),
];

/// One source of a stream or of an archiver.
#[derive(Debug)]
pub struct SourceMetrics {
    /// Where its log is.
    pub location: OnceLock<String>,
    /// Records read.
    pub records: AtomicU64,
    /// Bytes of records read.
    pub bytes: AtomicU64,
    /// Records that could not be read.
    pub bad: AtomicU64,
    /// Records behind the running batch (P4).
    pub late: AtomicU64,
    /// Records that `max_step` held back (P3).
    pub held: AtomicU64,
    /// Bad records that were handed to a dead-letter topic or file.
    pub dead_letters: AtomicU64,
    /// Some of the bad ones.
    pub bad_samples: Samples,
    /// Some of the late ones.
    pub late_samples: Samples,
    /// By how much late records were late.
    pub lateness: Histogram,
    /// Index entries that an archiver wrote.
    pub entries: AtomicU64,
    /// How often an archiver paused because it could not write.
    pub pauses: AtomicU64,
    /// Whether it pauses now.
    pub paused: AtomicBool,
    /// The archiver's loop came round. A stream has one loop for all sources: [`Metrics::heartbeat`](super::Metrics).
    pub heartbeat: Moment,
    /// The archiver has found where it goes on, in every partition.
    pub opened: AtomicBool,
    /// The archiver is over.
    pub ended: AtomicBool,
    /// The log gave a sign of life.
    pub heard: Moment,
    partitions: Mutex<BTreeMap<u32, Arc<PartitionMetrics>>>,
}

impl Default for SourceMetrics {
    fn default() -> Self {
        Self {
            location: OnceLock::new(),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            late: AtomicU64::new(0),
            held: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            bad_samples: Samples::default(),
            late_samples: Samples::default(),
            lateness: Histogram::new(LATENESS_MS),
            entries: AtomicU64::new(0),
            pauses: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            heartbeat: Moment::default(),
            opened: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            heard: Moment::default(),
            partitions: Mutex::default(),
        }
    }
}

impl SourceMetrics {
    /// The partition's own, made when it is first asked for. A reader asks when it acquires and keeps the answer.
    pub fn partition(&self, partition: u32) -> Arc<PartitionMetrics> {
        self.lock().entry(partition).or_default().clone()
    }
    /// All partitions that were seen, ascending.
    pub fn partitions(&self) -> Vec<(u32, Arc<PartitionMetrics>)> {
        self.lock().iter().map(|(p, m)| (*p, m.clone())).collect()
    }
    /// From now on exactly these partitions are owned.
    pub fn owns(&self, owned: impl Iterator<Item = u32>) {
        let owned: Vec<u32> = owned.collect();
        for (p, m) in self.lock().iter() {
            m.owned.store(owned.contains(p), Relaxed);
        }
    }
    /// Records that are not committed yet, over the partitions that are owned.
    pub fn lag(&self) -> u64 {
        self.lock()
            .values()
            .filter(|m| m.owned.load(Relaxed))
            .map(|m| m.lag())
            .sum()
    }
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Arc<PartitionMetrics>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

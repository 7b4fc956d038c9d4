//! A histogram of atomics: what is counted is written without a lock and read while it runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts by upper bounds in milliseconds, which ascend. The last bucket has no bound.
#[derive(Debug)]
pub struct Histogram {
    bounds_ms: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum_ms: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new(bounds_ms: &'static [u64]) -> Self {
        Self {
            bounds_ms,
            counts: (0..=bounds_ms.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_ms: AtomicU64::new(0),
        }
    }
    /// Counts one more. A value at a bound belongs to that bound's bucket.
    pub fn observe(&self, took: Duration) {
        let ms = took.as_millis().min(u128::from(u64::MAX)) as u64;
        // A bucket holds what is at or below its bound, to the microsecond.
        let bucket = self.bounds_ms.partition_point(|b| Duration::from_millis(*b) < took);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ms.fetch_add(ms, Relaxed);
    }
    /// Counts many more: of each bucket, and their sum.
    pub fn add(&self, counts: &[u64], sum_ms: u64) {
        if counts.iter().all(|n| *n == 0) {
            return;
        }
        for (count, n) in self.counts.iter().zip(counts) {
            count.fetch_add(*n, Relaxed);
        }
        self.sum_ms.fetch_add(sum_ms, Relaxed);
    }
    /// (upper bound in seconds, count of this bucket alone), infinity last; and the sum in seconds.
    pub fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = self.bounds_ms.iter().map(|ms| *ms as f64 / 1e3).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|c| c.load(Relaxed));
        (bounds.zip(counts).collect(), self.sum_ms.load(Relaxed) as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_at_or_below_their_bound() {
        let h = Histogram::new(&[10, 100]);
        for ms in [0, 10, 11, 100, 101, 5_000] {
            h.observe(Duration::from_millis(ms));
        }
        let (buckets, sum) = h.read();
        assert_eq!(buckets, [(0.01, 2), (0.1, 2), (f64::INFINITY, 2)]);
        assert!((sum - 5.222).abs() < 1e-9);
    }
}

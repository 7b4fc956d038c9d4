//! From counts to answers.

use super::Quantiles;
use super::bucket::Bucket;
use crate::estimate::Estimate;

impl Quantiles {
    /// How many values were counted, less those taken away.
    pub fn count(&self) -> i64 {
        self.buckets().fold(0, |sum, (_, n)| sum.wrapping_add(n))
    }

    /// Buckets from which no more was taken than had been added.
    fn present(&self) -> impl Iterator<Item = (Bucket, i128)> {
        self.buckets().filter(|(_, n)| *n > 0).map(|(b, n)| (b, i128::from(n)))
    }

    /// The nearest-rank quantile: of `n` values the `ceil(q * n)`-th smallest, the smallest for `q = 0`. `None` of nothing.
    ///
    /// `q` is clamped to `[0, 1]`, and not-a-number asks for nothing. Buckets from which more was taken than had been added
    /// are passed over.
    pub fn quantile(&self, q: f64) -> Option<Estimate> {
        if q.is_nan() {
            return None;
        }
        // No overflow: fewer than 2^18 buckets of fewer than 2^63 values.
        let n: i128 = self.present().map(|(_, n)| n).sum();
        let rank = ((q.clamp(0.0, 1.0) * n as f64).ceil() as i128).clamp(1, n.max(1));
        let mut seen = 0;
        self.present()
            .find(|(_, count)| {
                seen += count;
                seen >= rank
            })
            .map(|(bucket, _)| bucket.bounded())
    }

    /// How many values were at most `x`: the bounds are the values below its bucket, and those with it. Buckets from which
    /// more was taken than had been added are passed over. Not-a-number is above nothing.
    pub fn rank(&self, x: f64) -> Estimate {
        let Some(own) = Bucket::of(x) else {
            return Estimate::exact(0.0);
        };
        let (mut below, mut with) = (0i128, 0i128);
        for (bucket, n) in self.present().take_while(|(bucket, _)| *bucket <= own) {
            with += n;
            below += if bucket < own { n } else { 0 };
        }
        let bounds = own.bounded();
        // All of the bucket are at most its greatest number.
        let (low, high) = if x >= bounds.high { (with, with) } else { (below, with) };
        Estimate::certain((low + high) as f64 / 2.0, low as f64, high as f64)
    }

    /// How many values were above `a` and at most `b`.
    pub fn count_between(&self, a: f64, b: f64) -> Estimate {
        let (a, b) = (self.rank(a), self.rank(b));
        let certain = |low: f64, high: f64| Estimate::certain((low + high) / 2.0, low, high);
        certain((b.low - a.high).max(0.0), (b.high - a.low).max(0.0))
    }

    /// About the sum of the values: each within 1/129 of itself. Infinite values make it infinite or not a number.
    pub fn sum(&self) -> Estimate {
        let (mut value, mut low, mut high) = (0.0, 0.0, 0.0);
        for (bucket, n) in self.present() {
            let (bounds, n) = (bucket.bounded(), n as f64);
            value += n * bounds.value;
            low += n * bounds.low;
            high += n * bounds.high;
        }
        Estimate::certain(value, low, high)
    }
}

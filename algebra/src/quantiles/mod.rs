//! Quantiles from a signed log-histogram.
//!
//! **State.** A count per bucket. The bucket of a value is its `f64` rounded to six bits after the leading one: sign, exponent
//! (11 bits) and mantissa (6). That is integer arithmetic on the bits; a logarithm would differ between maths libraries.
//! Negative values mirror positive ones, and 0 has a bucket of its own.
//!
//! **Laws, exact.** Equal multisets have equal bytes under any merge tree. Commutative. A
//! [`Group`](crate::Group): counts are signed, so
//! what was added can be taken away, and a bucket with a count of zero is no longer there. Not idempotent.
//!
//! **Guarantee.** [`Quantiles::quantile`] finds the bucket that holds the exact nearest-rank quantile of the values (order
//! between buckets is kept, so ranks are exact). The answer is the centre of the bucket, which is within 1/129 (0.775 %)
//! of each value in it, and the bucket's bounds. *Proof:* around a centre `c = 2^e (1 + k/64)` a bucket reaches
//! `2^e / 128` to each side (half of that below `2^e` itself); relative to the value this is greatest at the lower end
//! of `k = 1`: `(1/128) / (1 + 1/64 - 1/128) = 1/129`. Integers up to 128 in magnitude are centres, and exact.
//!
//! **Cost.** 16 bytes in memory for each bucket in use: values that span a factor of 1,000 fill at most 640. An insert
//! tries the bucket of the last one, then searches.
//!
//! ```
//! use rufous_algebra::{Group, Quantiles, Semigroup};
//! let mut delays = Quantiles::default();
//! (1..=1000).for_each(|minutes| delays.insert(minutes));
//! let p95 = delays.quantile(0.95).unwrap();
//! assert!(p95.low <= 950.0 && 950.0 <= p95.high && (p95.value - 950.0).abs() <= 950.0 / 129.0);
//!
//! let mut undo = delays.clone();
//! undo.negate();
//! delays.combine(&undo);
//! assert_eq!(delays, Quantiles::default());
//! ```

mod bucket;
mod bytes;
mod merge;

use std::num::NonZeroU64;

use crate::estimate::Estimate;
use crate::semigroup::Absorb;
use bucket::Bucket;

/// Counts of values by relative size. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    /// Ascending by bucket, no count is 0.
    buckets: Vec<(Bucket, i64)>,
    /// Where the last insert hit: streams repeat themselves. A hint, no part of the value.
    last: usize,
}

/// Equality of the counts, which is that of the bytes.
impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.buckets == other.buckets
    }
}
impl Eq for Quantiles {}

impl Quantiles {
    /// Counts a value. Beyond 2^53 it is the nearest `f64` that is counted.
    #[inline]
    pub fn insert(&mut self, value: i64) {
        self.add(Bucket::of(value as f64), 1);
    }

    /// Counts a value `n` times (modulo 2^64: counts wrap).
    #[inline]
    pub fn insert_times(&mut self, value: i64, n: NonZeroU64) {
        self.add(Bucket::of(value as f64), n.get() as i64);
    }

    /// Counts a value. Not-a-number is no value: it is ignored. Infinities have buckets of their own; subnormal numbers
    /// (below 2.3e-308 in magnitude) count as 0.
    #[inline]
    pub fn insert_f64(&mut self, value: f64) {
        if !value.is_nan() {
            self.add(Bucket::of(value), 1);
        }
    }

    #[inline]
    fn add(&mut self, bucket: Bucket, count: i64) {
        match self.buckets.get_mut(self.last) {
            // A sum of zero would have to leave: not here.
            Some((b, n)) if *b == bucket && n.wrapping_add(count) != 0 => *n = n.wrapping_add(count),
            _ => self.add_elsewhere(bucket, count),
        }
    }

    fn add_elsewhere(&mut self, bucket: Bucket, count: i64) {
        let at = self.buckets.partition_point(|(b, _)| *b < bucket);
        self.last = at;
        match self.buckets.get_mut(at) {
            Some((b, n)) if *b == bucket => {
                *n = n.wrapping_add(count);
                if *n == 0 {
                    self.buckets.remove(at);
                }
            }
            _ if count == 0 => {}
            _ => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// How many values were counted, less those taken away.
    pub fn count(&self) -> i64 {
        self.buckets.iter().fold(0, |sum, (_, n)| sum.wrapping_add(*n))
    }

    /// The nearest-rank quantile: of `n` values the `ceil(q * n)`-th smallest, the smallest for `q = 0`. `None` of nothing.
    ///
    /// `q` is clamped to `[0, 1]`, and not-a-number asks for nothing. Buckets from which more was taken than had been added
    /// are passed over.
    pub fn quantile(&self, q: f64) -> Option<Estimate> {
        if q.is_nan() {
            return None;
        }
        let present = || self.buckets.iter().filter(|(_, n)| *n > 0);
        // No overflow: fewer than 2^18 buckets of fewer than 2^63 values.
        let n: i128 = present().map(|(_, n)| i128::from(*n)).sum();
        let rank = ((q.clamp(0.0, 1.0) * n as f64).ceil() as i128).clamp(1, n.max(1));
        let mut seen = 0;
        present()
            .find(|(_, count)| {
                seen += i128::from(*count);
                seen >= rank
            })
            .map(|(bucket, _)| bucket.bounded())
    }
}

impl Absorb<i64> for Quantiles {
    #[inline]
    fn absorb(&mut self, item: &i64) {
        self.insert(*item);
    }
    #[inline]
    fn absorb_times(&mut self, item: &i64, n: NonZeroU64) {
        self.insert_times(*item, n);
    }
}

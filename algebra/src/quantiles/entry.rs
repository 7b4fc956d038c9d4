//! A bucket and its count in one word.

use super::bucket::Bucket;

/// Bits of the count.
const COUNT_BITS: u32 = 46;
/// Added to a key, so that words sort as buckets do.
const BIAS: i32 = 1 << 17;

/// The key above 46 bits of a signed count: half the memory of a pair. Never a count of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    /// `None` when the count takes more bits. (The range is symmetric, so the negative of an entry is one.)
    #[inline]
    pub(super) fn new(bucket: Bucket, count: i64) -> Option<Self> {
        let fits = count.unsigned_abs() < 1 << (COUNT_BITS - 1);
        let count = count.cast_unsigned() & ((1 << COUNT_BITS) - 1);
        fits.then_some(Self(Self::order_of(bucket) << COUNT_BITS | count))
    }
    #[inline]
    fn order_of(bucket: Bucket) -> u64 {
        u64::from((bucket.key() + BIAS).unsigned_abs())
    }
    #[inline]
    pub(super) fn bucket(self) -> Bucket {
        Bucket::with_key((self.0 >> COUNT_BITS) as i32 - BIAS)
    }
    #[inline]
    pub(super) fn count(self) -> i64 {
        (self.0 << (u64::BITS - COUNT_BITS)).cast_signed() >> (u64::BITS - COUNT_BITS)
    }
    #[inline]
    pub(super) fn both(self) -> (Bucket, i64) {
        (self.bucket(), self.count())
    }
}

/// Where a bucket is in an ascending list, or would be.
#[inline]
pub(super) fn find(list: &[Entry], bucket: Bucket) -> Result<usize, usize> {
    let order = Entry::order_of(bucket);
    let at = list.partition_point(|e| e.0 >> COUNT_BITS < order);
    match list.get(at) {
        Some(e) if e.0 >> COUNT_BITS == order => Ok(at),
        _ => Err(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words hold what went in, and sort as buckets do.
    #[test]
    fn words_hold_both() {
        let most = (1i64 << 45) - 1;
        let mut list = Vec::new();
        for value in [
            f64::NEG_INFINITY,
            -1e300,
            -1.0,
            0.0,
            1e-300,
            1.0,
            7.0,
            f64::MAX,
            f64::INFINITY,
        ] {
            let bucket = Bucket::of(value).unwrap();
            for count in [1, -1, most, -most] {
                assert_eq!(Entry::new(bucket, count).map(Entry::both), Some((bucket, count)));
            }
            assert_eq!(
                [most + 1, -most - 1, i64::MIN].map(|n| Entry::new(bucket, n)),
                [None; 3]
            );
            assert_eq!(find(&list, bucket), Err(list.len()));
            list.extend(Entry::new(bucket, -5));
            assert_eq!(find(&list, bucket), Ok(list.len() - 1));
        }
    }
}

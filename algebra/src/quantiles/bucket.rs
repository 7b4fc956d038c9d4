//! Which values share a count.

use crate::estimate::Estimate;

/// Bits of an `f64` below a bucket: 52 of the mantissa less 6.
const LOW_BITS: u32 = 46;
const HALF: u64 = 1 << (LOW_BITS - 1);
/// The least normal number.
pub(super) const FIRST: i32 = (f64::MIN_POSITIVE.to_bits() >> LOW_BITS) as i32;
pub(super) const INFINITE: i32 = (f64::INFINITY.to_bits() >> LOW_BITS) as i32;

/// The top of the bits of an `f64`, rounded to nearest; negative for negative values. Ordered as the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(i32);

impl Bucket {
    /// The rounded bits with the sign: the key of a value's bucket, except near zero and at the ends of the range.
    #[inline]
    pub(super) fn raw_key(value: f64) -> i32 {
        let bits = value.to_bits();
        let size = bits & (u64::MAX >> 1);
        // A carry out of the mantissa counts the exponent up, as rounding should.
        let key = ((size + HALF) >> LOW_BITS) as i32;
        // -1 of negative values: then this is the negative of the key, without a jump.
        let sign = (bits.cast_signed() >> 63) as i32;
        (key ^ sign) - sign
    }

    /// The bucket of a value; `None` of not-a-number.
    pub(super) fn of(value: f64) -> Option<Self> {
        let key = match value.abs() {
            size if size.is_nan() => return None,
            size if size < f64::MIN_POSITIVE => 0,
            // Finite values stay finite.
            size if size.is_finite() => Self::raw_key(size).min(INFINITE - 1),
            _ => INFINITE,
        };
        Some(Self(if value < 0.0 { -key } else { key }))
    }

    /// The bucket of a decoded number; `None` when no value has it.
    pub(super) fn from_key(key: i64) -> Option<Self> {
        let key = i32::try_from(key).ok()?;
        let size = key.checked_abs()?;
        (size == 0 || (FIRST..=INFINITE).contains(&size)).then_some(Self(key))
    }

    #[inline]
    pub(super) fn key(self) -> i32 {
        self.0
    }

    /// The bucket of a key that was taken from one.
    #[inline]
    pub(super) fn with_key(key: i32) -> Self {
        debug_assert!(Self::from_key(i64::from(key)).is_some());
        Self(key)
    }

    /// The centre, and the least and the greatest number of the bucket.
    pub(super) fn bounded(self) -> Estimate {
        let key = self.0.abs();
        let centre = u64::from(key.unsigned_abs()) << LOW_BITS;
        let (low, high) = match key {
            0 | INFINITE => (centre, centre),
            // The values that would have rounded to infinity.
            k if k == INFINITE - 1 => (centre - HALF, f64::MAX.to_bits()),
            _ => (centre - HALF, centre + HALF - 1),
        };
        let [value, low, high] = [centre, low, high].map(f64::from_bits);
        if self.0 < 0 {
            Estimate::certain(-value, -high, -low)
        } else {
            Estimate::certain(value, low, high)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64) -> Bucket {
        Bucket::of(value).unwrap()
    }

    /// The bound: each value lies in its bucket's bounds, and the centre is within 1/129 of it.
    #[test]
    fn centres_are_within_the_bound() {
        let mut x = f64::MIN_POSITIVE;
        while x < 1.7e308 {
            for v in [x, -x] {
                let b = of(v).bounded();
                assert!(b.low <= v && v <= b.high, "{v} in {b:?}");
                assert!((b.value - v).abs() <= v.abs() / 129.0 * (1.0 + 1e-12), "{v} near {b:?}");
            }
            x *= 1.000_37;
        }
    }

    /// Bounds are tight: the ends of a bucket belong to it, the numbers next to them do not, and order is kept.
    #[test]
    fn buckets_meet_without_gap_or_overlap() {
        for key in (FIRST + 1..INFINITE).step_by(7).chain(INFINITE - 2..INFINITE) {
            let bucket = Bucket(key);
            let b = bucket.bounded();
            assert_eq!([b.low, b.value, b.high].map(of), [bucket; 3]);
            assert_eq!(
                [b.low.next_down(), b.high.next_up()].map(of),
                [Bucket(key - 1), Bucket(key + 1)]
            );
        }
    }

    /// Integers up to 128 are exact; the special values have buckets of their own.
    #[test]
    fn small_integers_are_exact() {
        for i in -128..=128 {
            assert_eq!(of(f64::from(i)).bounded().value, f64::from(i));
        }
        assert_eq!(of(-0.0), Bucket(0));
        assert_eq!(of(f64::MIN_POSITIVE / 2.0), Bucket(0));
        assert_eq!(of(f64::NEG_INFINITY).bounded().high, f64::NEG_INFINITY);
        assert!(of(f64::MAX) < of(f64::INFINITY));
        assert_eq!(of(f64::MAX).bounded().high, f64::MAX);
    }

    /// Only keys that a value has are decoded.
    #[test]
    fn foreign_keys_are_refused() {
        for key in [
            1,
            -1,
            i64::from(FIRST) - 1,
            i64::from(INFINITE) + 1,
            i64::from(i32::MIN),
            i64::MIN,
            i64::MAX,
        ] {
            assert_eq!(Bucket::from_key(key), None, "{key}");
        }
        for value in [0.0, -1.0, f64::MIN_POSITIVE, f64::MAX, f64::NEG_INFINITY] {
            let bucket = of(value);
            assert_eq!(Bucket::from_key(i64::from(bucket.key())), Some(bucket));
        }
    }
}

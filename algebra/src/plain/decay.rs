//! Weights that halve with each half-life, and how far sums of them are off.

use super::bounded::U;
use super::scaled::Scaled;
use crate::estimate::Estimate;

/// Whole half-lives of a time, and the part of one that is left, from 0 to 1 and off by less than `4 u`.
#[inline]
fn half_lives<const HALF_LIFE: u64>(time: i64) -> (i64, f64) {
    const {
        assert!(
            HALF_LIFE >= 2 && HALF_LIFE <= i64::MAX as u64,
            "a half-life of 2 to 2^63 - 1 ticks"
        )
    };
    let whole = time.div_euclid(HALF_LIFE as i64);
    let rest = time.wrapping_sub(whole.wrapping_mul(HALF_LIFE as i64));
    (whole, rest as f64 * const { 1.0 / HALF_LIFE as f64 })
}

/// The weight `2^(time / half_life)`. Its error is below `6 u` of itself: `exp2` is good to one unit in the last place, which is
/// `2 u`, and its argument is off by less than `4 u`.
#[inline]
pub(super) fn weight<const HALF_LIFE: u64>(time: i64) -> Scaled {
    let (whole, part) = half_lives::<HALF_LIFE>(time);
    Scaled::new(part.exp2(), whole)
}

/// What a sum of `n` decayed items is off by, relative to the sum of their magnitudes; with room for reading it at some time.
/// Infinite for counts that no stream has.
pub(super) fn relative_error(n: u64) -> f64 {
    let error = (n as f64 + 24.0) * U;
    if error < 0.01 {
        error / (1.0 - 2.0 * error)
    } else {
        f64::INFINITY
    }
}

/// The sum at some time: `sum / 2^(time / half_life)`.
pub(super) fn at<const HALF_LIFE: u64>(sum: Scaled, time: i64) -> f64 {
    let (whole, part) = half_lives::<HALF_LIFE>(time);
    sum.times((-part).exp2(), -whole).to_f64()
}

/// A time at which a decayed sum is near 1, so that it is neither lost nor infinite there.
pub(super) fn settled<const HALF_LIFE: u64>(sum: Scaled) -> i64 {
    sum.exponent().saturating_mul(HALF_LIFE as i64)
}

/// `value +- error`, or everything where a float cannot say it.
pub(super) fn around(value: f64, error: f64) -> Estimate {
    if !value.is_finite() || !error.is_finite() {
        return Estimate::certain(value, f64::NEG_INFINITY, f64::INFINITY);
    }
    // Two more steps for what is rounded below the normal numbers.
    let low = (value - error).next_down().next_down();
    let high = (value + error).next_up().next_up();
    Estimate::certain(value, low, high)
}

/// The laws that decayed counts and sums share.
macro_rules! decayed {
    ($name:ident) => {
        impl<const HALF_LIFE: u64> $crate::Monoid for $name<HALF_LIFE> {
            fn zero() -> Self {
                Self::default()
            }
            fn is_zero(&self) -> bool {
                self.items == 0
            }
        }
        impl<const HALF_LIFE: u64> $crate::Commutative for $name<HALF_LIFE> {}
        impl<const HALF_LIFE: u64> $crate::Tiered for $name<HALF_LIFE> {
            type Tier = $crate::Approximate;
        }
        /// The query is the time of reading.
        impl<const HALF_LIFE: u64> $crate::ApproxLaws for $name<HALF_LIFE> {
            type Query = i64;
            fn answer(&self, time: &i64) -> Option<$crate::Estimate> {
                Some(self.at(*time))
            }
        }
    };
}
pub(super) use decayed;

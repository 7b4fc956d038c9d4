//! Floats that carry a bound of their error.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::codec::{DecodeError, canonical_bits, decode_part, put_part};
use crate::estimate::Estimate;

/// Unit roundoff of `f64`: a rounded result is off by at most this part of itself.
pub(super) const U: f64 = f64::EPSILON / 2.0;
/// What underflow may add to an error.
const LEAST: f64 = 8.0 * f64::from_bits(1);

/// A float and a bound of its distance to the true value (running error analysis; N. Higham, Accuracy and Stability of
/// Numerical Algorithms, 2002, section 3.3). Every operation adds its own rounding to the errors of what it is given. The
/// bounds are rounded as well, which the factor `1 + 8 u` makes up for. What overflows has a bound of infinity or
/// not-a-number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounded {
    pub(super) value: f64,
    pub(super) error: f64,
}

impl Bounded {
    /// No error.
    pub(super) const fn exact(value: f64) -> Self {
        Self { value, error: 0.0 }
    }
    /// A count: rounded only beyond 2^53.
    pub(super) fn count(n: u64) -> Self {
        let value = n as f64;
        let error = if n < 1 << 53 { 0.0 } else { value * f64::EPSILON };
        Self { value, error }
    }
    /// Surely zero.
    pub(super) fn is_zero(self) -> bool {
        self.value == 0.0 && self.error == 0.0
    }
    /// The weighted mean `p a + q b` with `p + q = 1`, best computed with the greater weight as `p`. What errors `a` and `b`
    /// had are averaged too, not summed.
    #[inline]
    pub(super) fn mean_of(a: Self, b: Self, p: Self, q: Self) -> Self {
        let (from, to) = (Self::exact(a.value), Self::exact(b.value));
        let mean = from + (to - from) * q;
        let inherited = (p.value + p.error) * a.error + (q.value + q.error) * b.error;
        Self {
            value: mean.value,
            error: up(mean.error + up(inherited) + if a.error + b.error > 0.0 { LEAST } else { 0.0 }),
        }
    }
    /// The estimate with these bounds.
    pub(super) fn estimate(self) -> Estimate {
        let (low, high) = self.ends();
        Estimate::certain(self.value, low, high)
    }
    /// Value and error as bits, for equality: one not-a-number, no `-0.0`.
    pub(super) fn key(self) -> [u64; 2] {
        [canonical_bits(self.value), canonical_bits(self.error)]
    }
    /// Appends value and error.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        put_part(&self.value, out);
        put_part(&self.error, out);
    }
    /// Takes value and error off the front.
    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let (value, error) = (decode_part(bytes)?, decode_part(bytes)?);
        if error < 0.0 {
            return Err(DecodeError::new("error bound below zero"));
        }
        Ok(Self { value, error })
    }
    /// The ends of the interval, or everything.
    pub(super) fn ends(self) -> (f64, f64) {
        let (low, high) = (self.value - self.error, self.value + self.error);
        if low.is_nan() || high.is_nan() || !self.value.is_finite() {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        if self.error == 0.0 {
            return (self.value, self.value);
        }
        (low.next_down(), high.next_up())
    }
}

fn up(error: f64) -> f64 {
    error * (1.0 + 8.0 * U)
}

impl Add for Bounded {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        let (a, b) = (self.value, other.value);
        let value = a + b;
        // Knuth's two-sum: just what the addition lost.
        let b_kept = value - a;
        let lost = (a - (value - b_kept)) + (b - b_kept);
        Self {
            value,
            error: up(self.error + other.error + lost.abs()),
        }
    }
}
impl Neg for Bounded {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self {
            value: -self.value,
            error: self.error,
        }
    }
}
impl Sub for Bounded {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}
impl Mul for Bounded {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::default();
        }
        let (a, b) = (self.value.abs(), other.value.abs());
        let value = self.value * other.value;
        let inherited = a * other.error + b * self.error + self.error * other.error;
        Self {
            value,
            error: up(inherited + value.abs() * U + LEAST),
        }
    }
}
impl Div for Bounded {
    type Output = Self;
    #[inline]
    fn div(self, other: Self) -> Self {
        if self.is_zero() {
            return Self::default();
        }
        let value = self.value / other.value;
        let least = other.value.abs() - other.error;
        let inherited = (self.error + value.abs() * other.error) / least;
        let error = up(inherited + value.abs() * U + LEAST);
        Self {
            value,
            // A divisor that may be zero.
            error: if least > 0.0 { up(error) } else { f64::INFINITY },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fused multiply-add says was rounded away lies within the bounds, also where it is nearly half a unit.
    #[test]
    fn products_and_quotients_bound_their_rounding() {
        let mut worst = [0.0f64; 2];
        for i in 0..10_000 {
            let (a, b) = (1.0 + f64::from(i) / 9_973.0, 1.0 + f64::from(i * i % 7_919) / 7_907.0);
            let (product, quotient) = (
                Bounded::exact(a) * Bounded::exact(b),
                Bounded::exact(a) / Bounded::exact(b),
            );
            let lost = a.mul_add(b, -product.value).abs();
            let off = quotient.value.mul_add(-b, a).abs() / b;
            assert!(lost <= product.error && off <= quotient.error, "{a} {b}");
            worst = [worst[0].max(lost / product.error), worst[1].max(off / quotient.error)];
        }
        // The bounds are not much wider than they need to be.
        assert!(worst.iter().all(|w| *w > 0.9), "{worst:?}");
    }

    /// Inherited errors: all four corners of two intervals lie within the bounds of the result.
    #[test]
    fn results_hold_the_corners() {
        let with = |value, error| Bounded { value, error };
        for (x, y) in [
            (with(3.0, 0.5), with(-7.0, 0.25)),
            (with(-1e-3, 1e-3), with(2.0, 0.5)),
            (with(0.0, 1.0), with(4.0, 3.0)),
        ] {
            for (a, b) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
                .map(|(s, t)| (x.value + s * x.error, y.value + t * y.error))
            {
                for (result, truth) in [(x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b)] {
                    let (low, high) = result.ends();
                    assert!(low <= truth && truth <= high, "{x:?} {y:?}: {truth} in {result:?}");
                }
            }
        }
        let (low, high) = (with(1.0, 0.0) / with(0.5, 0.5)).ends();
        assert_eq!((low, high), (f64::NEG_INFINITY, f64::INFINITY));
    }
}

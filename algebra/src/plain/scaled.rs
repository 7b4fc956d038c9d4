//! Floats with an exponent of 64 bits.

use std::cmp::Ordering;

use crate::codec::{DecodeError, canonical_bits, decode_part, put_part};

/// `significand * 2^exponent`: never too large or too small. Zero has exponent 0, and so have infinities and not-a-number; all
/// others have a significand from 1 to 2 and a sign.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scaled {
    significand: f64,
    exponent: i64,
}

const FRACTION: u64 = (1 << 52) - 1;
const SIGN: u64 = 1 << 63;

/// `2^k`, for normal results.
fn power_of_two(k: i64) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

impl Scaled {
    /// `value * 2^exponent`; exponents are at most 2^62 in magnitude.
    #[inline]
    pub(super) fn new(value: f64, exponent: i64) -> Self {
        let bits = value.to_bits();
        let field = (bits >> 52 & 0x7ff) as i64;
        if field == 0 || field == 0x7ff {
            return Self::odd(value, exponent);
        }
        Self {
            significand: f64::from_bits(bits & (SIGN | FRACTION) | 1023 << 52),
            exponent: exponent.saturating_add(field - 1023),
        }
    }

    #[cold]
    fn odd(value: f64, exponent: i64) -> Self {
        if value == 0.0 {
            Self::default()
        } else if value.is_finite() {
            Self::new(value * power_of_two(64), exponent.saturating_sub(64))
        } else {
            Self {
                significand: value,
                exponent: 0,
            }
        }
    }

    pub(super) fn is_zero(self) -> bool {
        self.significand == 0.0
    }

    /// Rounded as a sum of two floats is.
    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        if self.is_zero() {
            return other;
        }
        if other.is_zero() {
            return self;
        }
        if !self.significand.is_finite() || !other.significand.is_finite() {
            return Self {
                significand: self.significand + other.significand,
                exponent: 0,
            };
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let distance = high.exponent.saturating_sub(low.exponent);
        // What is 2^1000 times smaller is far below the last bit.
        let low = if distance > 1000 {
            0.0
        } else {
            low.significand * power_of_two(-distance)
        };
        Self::new(high.significand + low, high.exponent)
    }

    /// As a float: infinite or zero beyond its range.
    pub(super) fn to_f64(self) -> f64 {
        let Self {
            significand,
            mut exponent,
        } = self;
        if exponent > 1023 {
            return significand * f64::INFINITY;
        }
        if exponent >= -1022 {
            return significand * power_of_two(exponent);
        }
        // Below the normal numbers: rounded once, by the last step.
        exponent = exponent.max(-1100);
        significand * power_of_two(-1000) * power_of_two(exponent + 1000)
    }

    /// `self * factor * 2^shift`.
    pub(super) fn times(self, factor: f64, shift: i64) -> Self {
        if self.significand.is_finite() {
            Self::new(self.significand * factor, self.exponent.saturating_add(shift))
        } else {
            self
        }
    }

    /// The product.
    #[inline]
    pub(super) fn by(self, other: Self) -> Self {
        let exponent = self.exponent.saturating_add(other.exponent);
        Self::new(self.significand * other.significand, exponent)
    }

    /// The magnitude.
    #[inline]
    pub(super) fn size(self) -> Self {
        Self {
            significand: self.significand.abs(),
            ..self
        }
    }

    /// `self / other`, zero or infinite beyond the range of floats.
    pub(super) fn ratio(self, other: Self) -> f64 {
        if self.is_zero() {
            return 0.0;
        }
        Self::new(
            self.significand / other.significand,
            self.exponent.saturating_sub(other.exponent),
        )
        .to_f64()
    }

    /// The power of two in it.
    pub(super) fn exponent(self) -> i64 {
        self.exponent
    }

    /// The greater of two positive numbers.
    pub(super) fn max(self, other: Self) -> Self {
        if self.compare(other).is_ge() { self } else { other }
    }

    /// The order of positive numbers.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let key = |v: Self| (!v.is_zero(), v.exponent);
        key(self)
            .cmp(&key(other))
            .then(self.significand.total_cmp(&other.significand))
    }

    /// For equality: one not-a-number.
    pub(super) fn key(self) -> (u64, i64) {
        (canonical_bits(self.significand), self.exponent)
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        put_part(&self.significand, out);
        put_part(&self.exponent, out);
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let value = Self {
            significand: decode_part(bytes)?,
            exponent: decode_part(bytes)?,
        };
        if Self::new(value.significand, value.exponent).key() == value.key() {
            Ok(value)
        } else {
            Err(DecodeError::new("scaled float not in its one form"))
        }
    }
}

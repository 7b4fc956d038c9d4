//! Integers as wrapping sums; `bool` and `f64` as bytes only.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, canonical_bits};
use crate::semigroup::{Absorb, Commutative, Group, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

macro_rules! integers {
    ($($t:ty)*) => {$(
        /// Wrapping addition: a group, so overflow loses no law and never panics.
        impl Semigroup for $t {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                *self = self.wrapping_add(*other);
            }
            #[inline]
            fn times(self, n: NonZeroU64) -> Self {
                // Multiplication modulo 2^bits needs only the low bits of n.
                self.wrapping_mul(n.get() as $t)
            }
        }
        impl Monoid for $t {
            #[inline]
            fn zero() -> Self {
                0
            }
            #[inline]
            fn is_zero(&self) -> bool {
                *self == 0
            }
        }
        impl Group for $t {
            fn negate(&mut self) {
                *self = self.wrapping_neg();
            }
        }
        impl Commutative for $t {}
        impl Tiered for $t {
            type Tier = Exact;
        }
        impl Absorb<$t> for $t {
            fn absorb(&mut self, item: &$t) {
                self.combine(item);
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

/// All of `bytes`, when they are as many as they should be.
#[inline]
pub(crate) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes
        .try_into()
        .map_err(|_| DecodeError::new(format!("wanted {N} bytes, not {}", bytes.len())))
}

macro_rules! integer_codecs {
    ($($t:ty)*) => {$(
        impl Codec for $t {
            const WIDTH: Option<usize> = Some(size_of::<$t>());
            const MERGE: Option<Merge> = Some(|a, b, out| {
                <$t>::decode(a)?.wrapping_add(<$t>::decode(b)?).encode(out);
                Ok(())
            });
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                exactly(bytes).map(<$t>::from_le_bytes)
            }
            fn schema() -> String {
                stringify!($t).into()
            }
            fn json(&self) -> Value {
                // JSON numbers beyond 64 bits are not read alike everywhere: those are text.
                i64::try_from(*self).map(Value::from).or_else(|_| u64::try_from(*self).map(Value::from)).unwrap_or_else(|_| Value::String(self.to_string()))
            }
            fn magnitude(&self) -> f64 {
                *self as f64
            }
        }
    )*};
}
integer_codecs!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

impl Codec for bool {
    const WIDTH: Option<usize> = Some(1);
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match u8::decode(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            b => Err(DecodeError::new(format!("byte {b} is no bool"))),
        }
    }
    fn schema() -> String {
        "bool".into()
    }
    fn json(&self) -> Value {
        Value::from(*self)
    }
    fn magnitude(&self) -> f64 {
        f64::from(u8::from(*self))
    }
}

/// Bytes only: sums of floats depend on their order. The bits are canonical: one not-a-number and no `-0.0`, so numbers
/// that compare equal have equal bytes. (`NaN` alone comes back without being equal to itself.)
impl Codec for f64 {
    const WIDTH: Option<usize> = Some(8);
    fn encode(&self, out: &mut Vec<u8>) {
        canonical_bits(*self).encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bits = u64::decode(bytes)?;
        let value = Self::from_bits(bits);
        if canonical_bits(value) == bits {
            Ok(value)
        } else {
            Err(DecodeError::new("f64 bits are not canonical"))
        }
    }
    fn schema() -> String {
        "f64".into()
    }
    fn json(&self) -> Value {
        // JSON has no infinities and no NaN.
        if self.is_finite() {
            Value::from(*self)
        } else {
            Value::String(self.to_string())
        }
    }
    fn magnitude(&self) -> f64 {
        *self
    }
}

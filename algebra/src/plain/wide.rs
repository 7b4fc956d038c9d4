//! Signed integers of several 64-bit limbs, which wrap.

use std::num::NonZeroU64;
use std::ops::{Add, Mul, Neg, Sub};

use serde_json::Value;

use super::nearest::nearest;
use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Group, Monoid, Semigroup};

/// Two's complement, the lowest limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide<const N: usize>([u64; N]);

impl<const N: usize> From<i128> for Wide<N> {
    #[inline]
    fn from(value: i128) -> Self {
        let mut limbs = [(value >> 127) as u64; N];
        limbs
            .iter_mut()
            .zip([value as u64, (value >> 64) as u64])
            .for_each(|(l, v)| *l = v);
        Self(limbs)
    }
}

impl<const N: usize> Wide<N> {
    pub(super) fn is_negative(self) -> bool {
        self.0.last().is_some_and(|top| *top as i64 <= -1)
    }
    /// The lowest 128 bits.
    pub(super) fn to_i128(self) -> i128 {
        let Wide([low, high]) = self.to::<2>();
        (u128::from(high) << 64 | u128::from(low)) as i128
    }
    /// The same number in more limbs, or its lowest ones.
    pub(super) fn to<const M: usize>(self) -> Wide<M> {
        let mut limbs = [if self.is_negative() { u64::MAX } else { 0 }; M];
        limbs.iter_mut().zip(self.0).for_each(|(l, v)| *l = v);
        Wide(limbs)
    }
    /// The nearest `f64`.
    pub(super) fn to_f64(self) -> f64 {
        let negative = self.is_negative();
        let size = if negative { -self } else { self };
        let digits: Vec<u32> = size.0.iter().flat_map(|l| [*l as u32, (*l >> 32) as u32]).collect();
        nearest(negative, &digits, 0)
    }
}

impl<const N: usize> Add for Wide<N> {
    type Output = Self;
    #[inline]
    fn add(mut self, other: Self) -> Self {
        let mut carry = false;
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = mine.overflowing_add(theirs);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *mine = sum;
            carry = over || over_again;
        }
        self
    }
}
impl<const N: usize> Neg for Wide<N> {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self(self.0.map(|l| !l)) + Self::from(1)
    }
}
impl<const N: usize> Sub for Wide<N> {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}
/// Modulo `2^(64 N)`, as of unsigned numbers.
impl<const N: usize> Mul for Wide<N> {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        let mut product = [0u64; N];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0u128;
            for (p, b) in product[i..].iter_mut().zip(other.0) {
                let sum = u128::from(*a) * u128::from(b) + u128::from(*p) + carry;
                *p = sum as u64;
                carry = sum >> 64;
            }
        }
        Self(product)
    }
}

impl<const N: usize> Semigroup for Wide<N> {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        *self = *self + *other;
    }
    fn times(self, n: NonZeroU64) -> Self {
        self * Self::from(i128::from(n.get()))
    }
}
impl<const N: usize> Monoid for Wide<N> {
    fn zero() -> Self {
        Self([0; N])
    }
    fn is_zero(&self) -> bool {
        self.0 == [0; N]
    }
}
impl<const N: usize> Group for Wide<N> {
    fn negate(&mut self) {
        *self = -*self;
    }
}

/// Two's complement bytes, the lowest first, no more than needed: none for zero.
impl<const N: usize> Codec for Wide<N> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend(self.0.iter().flat_map(|l| l.to_le_bytes()));
        let fill = if self.is_negative() { 0xff } else { 0 };
        while out.len() > at
            && out.last() == Some(&fill)
            && (out.len() - at == 1 && fill == 0 || out.len() - at > 1 && out[out.len() - 2] >> 7 == fill >> 7)
        {
            out.pop();
        }
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0] => return Err(DecodeError::new("integer longer than needed")),
            [.., below, top] if *top as i8 == *below as i8 >> 7 => {
                return Err(DecodeError::new("integer longer than needed"));
            }
            bytes if bytes.len() > 8 * N => {
                return Err(DecodeError::new(format!(
                    "integer of {} bytes, not {}",
                    bytes.len(),
                    8 * N
                )));
            }
            _ => {}
        }
        let negative = bytes.last().is_some_and(|top| *top as i8 <= -1);
        let mut limbs = [if negative { u64::MAX } else { 0 }; N];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.chunks(8)) {
            let mut filled = limb.to_le_bytes();
            filled[..bytes.len()].copy_from_slice(bytes);
            *limb = u64::from_le_bytes(filled);
        }
        Ok(Self(limbs))
    }
    fn schema() -> String {
        format!("i{}", 64 * N)
    }
    fn json(&self) -> Value {
        self.to_f64().json()
    }
    fn magnitude(&self) -> f64 {
        self.to_f64()
    }
}

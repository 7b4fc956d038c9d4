//! Arrays of a fixed length, element by element.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_parts, nothing_left, put_part};
use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::Tiered;

/// Element by element, so an array has every law that its elements have.
impl<T: Semigroup, const N: usize> Semigroup for [T; N] {
    const BY_PARTS: bool = T::BY_PARTS;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(a, b)| a.combine(b));
    }
    #[inline]
    fn combine_owned(&mut self, other: Self) {
        self.iter_mut().zip(other).for_each(|(a, b)| a.combine_owned(b));
    }
    fn times(self, n: NonZeroU64) -> Self {
        self.map(|v| v.times(n))
    }
}
impl<T: Monoid, const N: usize> Monoid for [T; N] {
    fn zero() -> Self {
        std::array::from_fn(|_| T::zero())
    }
    fn is_zero(&self) -> bool {
        self.iter().all(T::is_zero)
    }
}
impl<T: Group, const N: usize> Group for [T; N] {
    fn negate(&mut self) {
        self.iter_mut().for_each(T::negate);
    }
}
impl<T: Commutative, const N: usize> Commutative for [T; N] {}
impl<T: Idempotent, const N: usize> Idempotent for [T; N] {}
impl<T: Tiered, const N: usize> Tiered for [T; N] {
    type Tier = T::Tier;
}

/// The elements as parts, one after the other.
impl<T: Codec, const N: usize> Codec for [T; N] {
    const WIDTH: Option<usize> = match T::WIDTH {
        Some(width) if width > 0 && N > 0 => Some(width * N),
        _ => None,
    };
    const MERGE: Option<Merge> = match T::MERGE {
        Some(_) => Some(|mut a, mut b, out| {
            (0..N).try_for_each(|i| {
                merge_parts::<T>(&mut a, &mut b, out).map_err(|e| e.within(format_args!("element {i}")))
            })?;
            nothing_left(a).and_then(|()| nothing_left(b))
        }),
        None => None,
    };
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|v| put_part(v, out));
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut list: Vec<T> = Vec::new();
        while list.len() < N {
            list.push(decode_part(&mut bytes).map_err(|e| e.within(format_args!("element {}", list.len())))?);
        }
        nothing_left(bytes)?;
        list.try_into()
            .map_err(|list: Vec<T>| DecodeError::new(format!("array of {} elements, not {N}", list.len())))
    }
    fn schema() -> String {
        format!("array<{},{N}>", T::schema())
    }
    fn json(&self) -> Value {
        Value::Array(self.iter().map(T::json).collect())
    }
    fn magnitude(&self) -> f64 {
        self.first().map_or(0.0, T::magnitude)
    }
    fn agrees(&self, other: &Self) -> bool {
        self.iter().zip(other).all(|(a, b)| a.agrees(b))
    }
}

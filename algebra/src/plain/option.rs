//! `Option<T>` gives any semigroup a zero.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::Tiered;

impl<T: Semigroup> Semigroup for Option<T> {
    const BY_PARTS: bool = T::BY_PARTS;
    fn combine(&mut self, other: &Self) {
        match (self.as_mut(), other) {
            (Some(a), Some(b)) => a.combine(b),
            (None, b) => self.clone_from(b),
            (Some(_), None) => {}
        }
    }
    fn combine_owned(&mut self, other: Self) {
        match (self.as_mut(), other) {
            (Some(a), Some(b)) => a.combine_owned(b),
            (None, b) => *self = b,
            (Some(_), None) => {}
        }
    }
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
    fn times(self, n: NonZeroU64) -> Self {
        self.map(|v| v.times(n))
    }
}
impl<T: Semigroup> Monoid for Option<T> {
    fn zero() -> Self {
        None
    }
    fn is_zero(&self) -> bool {
        self.is_none()
    }
}
impl<T: Commutative> Commutative for Option<T> {}
impl<T: Idempotent> Idempotent for Option<T> {}
impl<T: Tiered> Tiered for Option<T> {
    type Tier = T::Tier;
}

/// Whether a value needs a byte before it, since it may have no bytes itself.
const fn tagged<T: Codec>() -> bool {
    matches!(T::WIDTH, Some(0) | None)
}

/// Nothing has no bytes. A value has its own, behind a byte of 1 unless all have the same width.
impl<T: Codec> Codec for Option<T> {
    const MERGE: Option<Merge> = match T::MERGE {
        Some(_) => Some(merge::<T>),
        None => None,
    };
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(v) = self {
            if const { tagged::<T>() } {
                out.push(1);
            }
            v.encode(out);
        }
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        some::<T>(bytes)?.map(T::decode).transpose()
    }
    fn schema() -> String {
        format!("option<{}>", T::schema())
    }
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::json)
    }
    fn magnitude(&self) -> f64 {
        self.as_ref().map_or(f64::NEG_INFINITY, T::magnitude)
    }
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(a), Some(b)) => a.agrees(b),
            (a, b) => a.is_none() == b.is_none(),
        }
    }
}

/// The bytes of the value, if there is one.
fn some<T: Codec>(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    match bytes {
        [] => Ok(None),
        bytes if !const { tagged::<T>() } => Ok(Some(bytes)),
        [1, value @ ..] => Ok(Some(value)),
        [tag, ..] => Err(DecodeError::new(format!("option tag {tag}"))),
    }
}

fn merge<T: Codec>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (Some(a_value), Some(b_value), Some(merge)) = (some::<T>(a)?, some::<T>(b)?, T::MERGE) else {
        // At least one of them is nothing.
        out.extend_from_slice(a);
        out.extend_from_slice(b);
        return Ok(());
    };
    if const { tagged::<T>() } {
        out.push(1);
    }
    merge(a_value, b_value, out)
}

//! `Option<T>` gives any semigroup a zero.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};

impl<T: Semigroup> Semigroup for Option<T> {
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
impl<T: Codec> Codec for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(v) => {
                out.push(1);
                v.encode(out);
            }
        }
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::decode(bytes)? {
            0 => Ok(None),
            1 => T::decode(bytes).map(Some),
            tag => Err(DecodeError::new(format!("option tag {tag}"))),
        }
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
}

//! Lists.

use serde_json::Value;

use crate::codec::{Codec, DecodeError, put_varint, take_varint};
use crate::semigroup::{Monoid, Semigroup};

/// Concatenation: associative, not commutative.
impl<T: Clone + Send + Sync + 'static> Semigroup for Vec<T> {
    fn combine(&mut self, other: &Self) {
        self.extend_from_slice(other);
    }
    fn combine_owned(&mut self, mut other: Self) {
        self.append(&mut other);
    }
}
impl<T: Clone + Send + Sync + 'static> Monoid for Vec<T> {
    fn zero() -> Self {
        Self::new()
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}
impl<T: Codec> Codec for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.len() as u64, out);
        self.iter().for_each(|v| v.encode(out));
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let n = take_varint(bytes)?;
        let mut list = Self::new();
        for _ in 0..n {
            // A count is only a claim. Every element takes a byte at least, so memory stays in proportion to the input.
            if bytes.is_empty() {
                return Err(DecodeError::new("list cut short"));
            }
            list.push(T::decode(bytes)?);
        }
        Ok(list)
    }
    fn schema() -> String {
        format!("list<{}>", T::schema())
    }
    fn json(&self) -> Value {
        Value::Array(self.iter().map(T::json).collect())
    }
    fn magnitude(&self) -> f64 {
        self.len() as f64
    }
}

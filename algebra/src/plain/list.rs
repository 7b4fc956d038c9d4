//! Lists.

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, decode_part, put_part, take_part};
use crate::semigroup::{Monoid, Semigroup};

/// Concatenation: associative, not commutative.
impl<T: Clone + Send + Sync + 'static> Semigroup for Vec<T> {
    const BY_PARTS: bool = true;
    fn combine(&mut self, other: &Self) {
        self.extend_from_slice(other);
    }
    fn combine_owned(&mut self, mut other: Self) {
        self.append(&mut other);
    }
    /// Without what the elements own.
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
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
/// The elements as parts, one after the other: no count, so concatenation is that of the bytes.
impl<T: Codec> Codec for Vec<T> {
    const MERGE: Option<Merge> = Some(|a, b, out| {
        for mut bytes in [a, b] {
            out.extend_from_slice(bytes);
            while !bytes.is_empty() {
                take_part::<T>(&mut bytes)?;
            }
        }
        Ok(())
    });
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|v| put_part(v, out));
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut list = Self::new();
        while !bytes.is_empty() {
            list.push(decode_part(&mut bytes).map_err(|e| e.within(format_args!("element {}", list.len())))?);
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

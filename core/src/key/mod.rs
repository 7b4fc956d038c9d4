//! Keys as canonical bytes: they decide identity, order, routing and storage.
//!
//! Every part of a key knows its own end and keeps the order of its values, so keys compare as bytes, and the bytes of the
//! first parts of a tuple are a prefix of the bytes of the whole: a read of `a` never meets `ab`.
//!
//! | type | bytes |
//! |---|---|
//! | unsigned integers | big-endian, fixed width |
//! | signed integers | the same with the sign bit flipped |
//! | `bool` | one byte, 0 or 1 |
//! | text | UTF-8 with bytes 0 and 1 written as `01 01` and `01 02`, then a 0 |
//! | [`TimeBucket`](crate::TimeBucket) | size in ms as `u64`, number as `i64` |
//! | tuples | part after part |

mod parts;
mod text;
mod tuple;

pub(crate) use parts::next as next_part;
pub use rufous_algebra::DecodeError as KeyError;
use serde_json::Value;

use crate::native::KeyColumn;

/// An owned key.
///
/// **Laws:** `decode_key(encode_key(k)) == k`; `a < b` exactly when `bytes(a) < bytes(b)`; no key's bytes are a proper
/// prefix of another's of the same type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key: it has no canonical bytes",
    label = "this key would have to be hashed, sorted and stored",
    note = "add `#[derive(Key)]` to your own type; integers, text, `TimeBucket` and tuples are keys already",
    note = "floats are no keys (-0.0, NaN): round to an integer first"
)]
pub trait Key: AsKey<Key = Self> + Clone + Ord + Send + Sync + 'static {
    /// Takes one key off the front of `bytes`. Hostile bytes are an error, never a panic.
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError>;
    /// The same into a key whose space may be used again. After an error `self` is some key.
    fn decode_key_into(&mut self, bytes: &mut &[u8]) -> Result<(), KeyError> {
        *self = Self::decode_key(bytes)?;
        Ok(())
    }
    /// What the bytes mean, as text.
    fn schema() -> String;
    /// Appends the parts as people and JSON see them.
    fn parts(&self, out: &mut Vec<Value>);
    /// Takes the key's parts off the front of `parts`, as they are typed on a command line.
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError>;
    /// Appends what the parts are, for places that have columns of their own types. The default says nothing of them: one opaque
    /// part.
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Opaque);
    }
    /// Appends the bytes of as many parts as are given: a prefix of the key when they are fewer than it has.
    fn encode_prefix(parts: &mut &[&str], out: &mut Vec<u8>) -> Result<(), KeyError> {
        if !parts.is_empty() {
            Self::parse_parts(parts)?.encode_key(out);
        }
        Ok(())
    }
}

/// Anything that spells a key without building it: `&str` for `String`, `(&str, u32)` for `(String, u32)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key: it has no canonical bytes",
    label = "this key would have to be hashed, sorted and stored",
    note = "add `#[derive(Key)]` to your own type; integers, text, `TimeBucket` and tuples are keys already",
    note = "floats are no keys (-0.0, NaN): round to an integer first"
)]
pub trait AsKey {
    /// The owned form.
    type Key: Key;
    /// Appends the canonical bytes; the same as those of the owned form.
    fn encode_key(&self, out: &mut Vec<u8>);
}

/// `Self` may be asked for by a `Q`: `String` by `&str`, `(String, u32)` by `("a", 7)`. Written this way round so that
/// literals take their type from the store: `store.get((7, hour))`.
#[diagnostic::on_unimplemented(
    message = "the keys of this store are `{Self}`; a `{Q}` does not spell one",
    label = "wrong key type"
)]
pub trait KeyOf<Q> {}

/// A `Q` spells the first parts of `Self`: `(u32, TimeBucket)` is asked for by `(7,)`.
#[diagnostic::on_unimplemented(
    message = "the keys of this store are `{Self}`; `{Q}` is no beginning of one",
    label = "wrong key prefix",
    note = "a prefix is a shorter tuple: `(7,)` for keys `(u32, TimeBucket)`"
)]
pub trait PrefixOf<Q> {
    /// Appends the bytes of the prefix.
    fn encode_prefix_of(prefix: &Q, out: &mut Vec<u8>);
}

impl<T: AsKey + ?Sized> AsKey for &T {
    type Key = T::Key;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        (**self).encode_key(out);
    }
}

/// Decodes a key that must fill `bytes` to the end.
///
/// # Errors
/// When the bytes are no such key.
pub fn decode_all<K: Key>(mut bytes: &[u8]) -> Result<K, KeyError> {
    let key = K::decode_key(&mut bytes)?;
    if bytes.is_empty() {
        Ok(key)
    } else {
        Err(KeyError::new(format!("{} bytes follow the key", bytes.len())))
    }
}

/// The canonical bytes in a vector of their own.
pub fn to_bytes<Q: AsKey + ?Sized>(key: &Q) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode_key(&mut out);
    out
}

/// A key for JSON: its only part, or the array of its parts.
pub fn to_json<K: Key>(key: &K) -> Value {
    let mut parts = Vec::new();
    key.parts(&mut parts);
    if parts.len() == 1 {
        parts.swap_remove(0)
    } else {
        Value::Array(parts)
    }
}

/// A key for people: its parts with commas between. The form that [`parse_text`] reads.
pub fn to_text<K: Key>(key: &K) -> String {
    let mut parts = Vec::new();
    key.parts(&mut parts);
    let one = parts.len() == 1;
    let show = |v: &Value| match v {
        Value::String(s) if !one => s.replace('\\', "\\\\").replace(',', "\\,"),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    parts.iter().map(show).collect::<Vec<_>>().join(",")
}

/// How many parts a key has. Keys with one part are typed as they are; of others, `\,` is a comma inside a part.
fn split_text(text: &str, one_part: bool) -> Vec<String> {
    if one_part {
        return vec![text.to_string()];
    }
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => parts.last_mut().expect("never empty").extend(chars.next()),
            ',' => parts.push(String::new()),
            c => parts.last_mut().expect("never empty").push(c),
        }
    }
    parts
}

/// The bytes of a key, or of a key's first parts, as typed on a command line.
///
/// # Errors
/// When a part is malformed, or (unless `prefix`) their number is not the key's.
pub fn parse_text<K: Key>(text: &str, prefix: bool) -> Result<Vec<u8>, KeyError> {
    let one_part = !K::schema().starts_with('(');
    let parts = split_text(text, one_part);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut rest = parts.as_slice();
    let mut out = Vec::new();
    if prefix {
        K::encode_prefix(&mut rest, &mut out)?;
    } else {
        K::parse_parts(&mut rest)?.encode_key(&mut out);
    }
    if rest.is_empty() {
        Ok(out)
    } else {
        Err(KeyError::new(format!(
            "`{text}` has more parts than a key {}",
            K::schema()
        )))
    }
}

#[cfg(test)]
mod tests;

//! Canonical bytes of values: the same value always has the same bytes, on every machine, for ever (per schema).
//!
//! Layout: little-endian, fixed widths, no padding; parts follow each other without separators, each knows its own end.
//! The containers that hold these bytes (store rows, run files) carry the format version; the schema text beside them
//! names every type and parameter.

use std::fmt;

/// A value that a store can keep.
///
/// **Laws:** `decode(encode(a)) == a`, consuming exactly the bytes of `encode(a)`; equal values have equal bytes.
/// `decode` survives hostile bytes: it returns an error, never panics, and allocates no more than a small multiple of
/// the input's length.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no canonical bytes, so no store can keep it",
    label = "a store would have to write this value down",
    note = "add `#[derive(Codec)]` to `{Self}`"
)]
pub trait Codec: Sized {
    /// Appends the canonical bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// Takes one value off the front of `bytes`.
    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError>;
    /// What the bytes mean, as text: type names and parameters. A store compares it at open.
    fn schema() -> String;
    /// A form for people and JSON: sketches show their estimate and bounds, not their state.
    fn json(&self) -> serde_json::Value;
    /// A number by which "largest" is meant (`top`): the value itself, an estimate, a struct's first field.
    fn magnitude(&self) -> f64;

    /// Decodes a value that must fill `bytes` to the end.
    fn decode_all(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = Self::decode(&mut bytes)?;
        if bytes.is_empty() {
            Ok(value)
        } else {
            Err(DecodeError::new(format!("{} bytes follow the value", bytes.len())))
        }
    }
    /// The canonical bytes in a vector of their own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// The bytes are no value of this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(String);

impl DecodeError {
    /// `what` is a lower-case phrase: "hll token out of order".
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// Takes `n` bytes off the front.
///
/// # Errors
/// When fewer are left.
#[inline]
pub fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], DecodeError> {
    let Some((front, rest)) = bytes.split_at_checked(n) else {
        return Err(DecodeError::new(format!("wanted {n} bytes, {} left", bytes.len())));
    };
    *bytes = rest;
    Ok(front)
}

/// Appends an unsigned LEB128 number.
#[inline]
pub fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Maps small numbers of either sign to small unsigned ones (0, -1, 1, -2, ...), for [`put_varint`].
#[inline]
pub(crate) fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Takes an unsigned LEB128 number in its shortest form.
///
/// # Errors
/// When it is cut short, longer than 64 bits, or not in its shortest form.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut n = 0u64;
    for i in 0..10 {
        let Some((&b, rest)) = bytes.split_first() else {
            return Err(DecodeError::new("number cut short"));
        };
        *bytes = rest;
        if i == 9 && b > 1 {
            return Err(DecodeError::new("number longer than 64 bits"));
        }
        n |= u64::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            if b == 0 && i > 0 {
                return Err(DecodeError::new("number not in its shortest form"));
            }
            return Ok(n);
        }
    }
    Err(DecodeError::new("number longer than 64 bits"))
}

/// The bits of a float that are the same for all numbers that compare equal: no `-0.0`, and one not-a-number.
#[inline]
pub(crate) fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() {
        0x7ff8_0000_0000_0000
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

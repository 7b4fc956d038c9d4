//! Canonical bytes of values: the same value always has the same bytes, on every machine, for ever (per schema).
//!
//! Layout: little-endian, fixed widths where all values have one, no padding. A value does not mark its own end; what holds
//! it knows how long it is. A part of a struct, tuple, list or map stands as it is when all values of its type have the same
//! [width](Codec::WIDTH), otherwise behind its length (LEB128). So a part can be found, skipped and merged undecoded, and its
//! bytes are those that it has alone.
//!
//! The schema text names every type and parameter; stores compare it when they open. Sketches begin with a [`Form`] byte,
//! which also tells their version and hash. Plain values and containers have no header: their layout is said by the schema
//! text, and the files and rows that hold them have a version of their own.

mod bits;
mod form;
mod number;
mod part;
mod schema;
mod sum;

use std::fmt;

pub use bits::{BitReader, BitWriter};
pub use form::{Form, HashId};
pub use number::{canonical_bits, put_varint, take, take_varint, unzigzag, zigzag};
pub use part::{decode_part, merge_parts, nothing_left, put_framed, put_part, put_part_bytes, take_part, width_of_two};
pub use schema::schema_reads;
pub use sum::{AddAll, Merge, merge_bytes, merge_decoded, sum_bytes};

/// A value that a store can keep.
///
/// **Laws:** `decode(encode(a)) == a`; equal values have equal bytes, and only such bytes are decoded. `decode` survives
/// hostile bytes: it returns an error, never panics, and allocates at most 4 times the input's length plus 64 KiB. (Of lists,
/// sets and maps the elements count as they are in memory: a million empty texts take a million bytes, and more in memory.)
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no canonical bytes, so no store can keep it",
    label = "a store would have to write this value down",
    note = "add `#[derive(Codec)]` to `{Self}`"
)]
pub trait Codec: Sized {
    /// The number of bytes, when every value has as many. Parts of such a type need no length before them.
    const WIDTH: Option<usize> = None;

    /// Adds two encodings part by part without decoding all of them. `None`: there is no such way, or no sum at all.
    ///
    /// **Law:** where [`Semigroup::BY_PARTS`](crate::Semigroup::BY_PARTS) holds as well, `MERGE(a, b)` appends the encoding of
    /// the sum of `a` and `b`. Bytes that are no value are an error or lead to bytes that are none, never a panic.
    const MERGE: Option<Merge> = None;

    /// Adds many encodings to a value at once, where that is quicker than to decode each. `None`: there is no such way.
    ///
    /// **Law:** only of types whose sums commute. `ADD_ALL(v, parts)` leaves the sum of `v` and of all parts in `v`; it fails where
    /// one of them cannot be decoded, and says `false` where it did nothing.
    const ADD_ALL: Option<AddAll<Self>> = None;

    /// Appends the canonical bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// The value whose encoding is `bytes`, all of them.
    ///
    /// # Errors
    /// When they are the canonical bytes of no value.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// What the bytes mean, as text: type names and parameters. A store compares it at open.
    fn schema() -> String;
    /// A form for people and JSON: sketches show their estimate and bounds, not their state.
    fn json(&self) -> serde_json::Value;
    /// A number by which "largest" is meant (`top`): the value itself, an estimate, a struct's first field.
    fn magnitude(&self) -> f64;

    /// Whether these two could be sums of the same items, made by different merge trees: what two layers that count
    /// the same are compared by. Of exact sums that is whether they have the same bytes, which is the default. An
    /// approximate type says it by its published bounds: what it keeps exactly is equal, and the intervals of its
    /// answers [meet](crate::Estimate::meets). What holds parts asks them one by one.
    ///
    /// **Laws:** reflexive and symmetric; sums of the same items agree, where the bounds have a confidence below 1 in
    /// at least so many cases.
    fn agrees(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }

    /// The canonical bytes in a vector of their own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::WIDTH.unwrap_or(0));
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
    /// Says in which part of the value the error is.
    #[must_use]
    pub fn within(self, part: impl fmt::Display) -> Self {
        Self(format!("{part}: {}", self.0))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

//! From item to token: which hash, and how its bits are used.

use std::fmt::Debug;

use super::{RANK_BITS, SLOT_BITS, Token};
use crate::codec::HashId;
use crate::hash::HashBytes;

/// The hash of a [`HyperLogLog`](super::HyperLogLog): [`Xxh3`]. It is part of the type, so that sketches of different hashes
/// cannot be merged.
pub trait ItemHash: sealed::Sealed + Clone + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// The hash in the bytes of a sketch.
    #[doc(hidden)]
    const ID: HashId;
    /// The hash in schema texts.
    #[doc(hidden)]
    const NAME: &'static str;
    /// The highest rank of a token.
    #[doc(hidden)]
    const MAX_RANK: u8;
}

/// A hash that takes items of type `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hash items of type `{T}`",
    note = "text, bytes, integers of fixed width, `bool`, `f64` and tuples of these are hashed; `usize` is not the same everywhere",
    note = "an item of your own type: insert a tuple of what identifies it, or write `impl HashBytes for {T}`"
)]
pub trait Hashes<T: ?Sized>: ItemHash {
    /// `None` for items that are passed over.
    #[doc(hidden)]
    fn token(item: &T) -> Option<Token>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Xxh3 {}
}

/// XXH3-64 with seed 0: the low 26 bits are the slot, the leading zeros of the other 38 and one are the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xxh3 {}

impl ItemHash for Xxh3 {
    const ID: HashId = HashId::Xxh3;
    const NAME: &'static str = "xxh3";
    const MAX_RANK: u8 = (u64::BITS - SLOT_BITS) as u8 + 1;
}

impl<T: HashBytes + ?Sized> Hashes<T> for Xxh3 {
    #[inline]
    fn token(item: &T) -> Option<Token> {
        let hash = item.hash64();
        let slot = (hash & ((1 << SLOT_BITS) - 1)) as u32;
        // A one below the 38 bits ends the run of zeros.
        let rank = (hash >> SLOT_BITS << SLOT_BITS | 1 << (SLOT_BITS - 1)).leading_zeros() + 1;
        Some(Token(slot << RANK_BITS | rank))
    }
}

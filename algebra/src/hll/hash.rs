//! From item to token: which hash, and how its bits are used.

use std::fmt::Debug;

use super::{RANK_BITS, SLOT_BITS, Token};
use crate::codec::HashId;
use crate::hash::HashBytes;
use crate::murmur::{self, MurmurItem};

/// The hash of a [`HyperLogLog`](super::HyperLogLog): [`Xxh3`] or [`Murmur3`]. It is part of the type, so that sketches of different hashes
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
    /// A sketch of `2^P` registers has at most `2^P / 32` times this many tokens.
    #[doc(hidden)]
    const TOKENS_IN_32: usize;
    /// But if `P` is below 8, as many as this.
    #[doc(hidden)]
    const TOKENS_BELOW_8: Option<usize>;
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
    impl Sealed for super::Murmur3 {}
}

/// XXH3-64 with seed 0: the low 26 bits are the slot, the leading zeros of the other 38 and one are the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xxh3 {}

impl ItemHash for Xxh3 {
    const ID: HashId = HashId::Xxh3;
    const NAME: &'static str = "xxh3";
    const MAX_RANK: u8 = (u64::BITS - SLOT_BITS) as u8 + 1;
    // A token takes 32 bits and a register 6: with more tokens than 3/16, registers are shorter.
    const TOKENS_IN_32: usize = 6;
    const TOKENS_BELOW_8: Option<usize> = None;
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

/// Murmur3-x64-128 with seed 9001 and the input rules of Apache DataSketches: then tokens are its coupons, and such sketches
/// can be merged with those of Java, C++, Python, Go, Spark and Druid ([`HyperLogLog::to_apache`](super::HyperLogLog)).
/// An insert takes about 1.2 ns more than with [`Xxh3`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Murmur3 {}

impl ItemHash for Murmur3 {
    const ID: HashId = HashId::Murmur3;
    const NAME: &'static str = "murmur3";
    const MAX_RANK: u8 = 63;
    // Registers come where they come there, so that an image has one form here.
    const TOKENS_IN_32: usize = 3;
    const TOKENS_BELOW_8: Option<usize> = Some(7);
}

impl<T: MurmurItem + ?Sized> Hashes<T> for Murmur3 {
    #[inline]
    fn token(item: &T) -> Option<Token> {
        item.murmur().map(|hash| Token(murmur::token(hash)))
    }
}

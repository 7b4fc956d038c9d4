//! HyperLogLog: how many different items there were.
//!
//! **State.** The 64-bit hash of an item gives a *token*: the low 26 bits are its *slot*, the number of leading zeros in the
//! other 38 bits plus one is its *rank* (1 to 39). A small sketch is the sorted list of its tokens, at most one a slot, the
//! highest rank. With more than `3/16 * 2^P` tokens the list would be longer than packed registers, and the state becomes
//! `2^P` registers: register `i` holds the highest rank among the slots that are `i` modulo `2^P`.
//!
//! **Laws, exact.** Both forms are functions of the set of tokens seen, and so is the change between them (the number of
//! slots seen). So equal sets of items have equal bytes, under any merge tree, on any machine. Commutative and idempotent:
//! redelivery is harmless. No inverse: an item cannot be taken out.
//!
//! **Guarantee.** The standard error of a dense sketch is `1.04 / sqrt(2^P)`: 1.63 % at P = 12, 0.81 % at P = 14 (P. Flajolet
//! and others, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007). Sparse sketches count
//! in `2^26` slots and are nearly exact.
//!
//! **Cost.** In memory 4 bytes an item while sparse, then `2^P` bytes (a merge is a maximum of bytes, which is SIMD). Written:
//! no item 1 byte, one 5, 10 items 41, 100 about 285, from then on less than 3 bytes an item up to `3/4 * 2^P` bytes. A
//! dense insert is one hash and one comparison; a sparse one is a place in a hash table that is kept in order.
//!
//! **Not for** counts that must be exact, membership ([`Bloom`](crate::Bloom)), or intersections (inclusion and exclusion of
//! two estimates has the error of the larger set).
//!
//! ```
//! use rufous_algebra::{Codec, Hll, Semigroup};
//! let (mut monday, mut tuesday) = (Hll::<12>::default(), Hll::<12>::default());
//! (0..2_000u32).for_each(|user| monday.insert(&user));
//! (1_000..3_000u32).for_each(|user| tuesday.insert(&user));
//! monday.combine(&tuesday);
//! let users = monday.estimate();
//! assert!(users.low <= 3_000.0 && 3_000.0 <= users.high);
//!
//! let mut all_at_once = Hll::<12>::default();
//! (0..3_000u32).for_each(|user| all_at_once.insert(&user));
//! assert_eq!(all_at_once.to_bytes(), monday.to_bytes());
//! ```

mod add;
#[cfg(feature = "datasketches")]
mod apache;
mod bytes;
mod estimate;
mod hash;
mod merge;
mod tokens;

pub use hash::{Hashes, ItemHash, Murmur3, Xxh3};

use std::marker::PhantomData;
use std::num::NonZeroU64;

use crate::estimate::Estimate;
use crate::semigroup::Absorb;
use tokens::Tokens;

/// Bits of a slot in a token.
const SLOT_BITS: u32 = 26;
/// Bits of a rank in a token.
const RANK_BITS: u32 = 6;
/// Distinct count with `2^P` registers. See the [module](self).
///
/// `P` is from 4 to 18; another is an error when compiled:
///
/// ```compile_fail,E0080
/// let _ = rufous_algebra::Hll::<3>::default();
/// ```
pub type Hll<const P: u8> = HyperLogLog<P, Xxh3>;

/// Distinct count that can be merged with HyperLogLog sketches of Apache DataSketches. See [`Murmur3`].
pub type ApacheHll<const P: u8> = HyperLogLog<P, Murmur3>;

/// [`Hll`] with any of the hashes. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HyperLogLog<const P: u8, H> {
    state: State,
    hash: PhantomData<fn() -> H>,
}

/// Canonical at all times, so the derived equality is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// At most [`HyperLogLog::MAX_TOKENS`] tokens, one a slot.
    Sparse(Tokens),
    /// `2^P` ranks.
    Dense(Box<[u8]>),
}

/// `slot << 6 | rank`: tokens sort by slot, and of two tokens of one slot the greater has the higher rank.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(u32);

impl Token {
    #[inline]
    const fn new(slot: u32, rank: u8) -> Self {
        Self(slot << RANK_BITS | rank as u32)
    }
    #[inline]
    fn slot(self) -> u32 {
        self.0 >> RANK_BITS
    }
    #[inline]
    fn rank(self) -> u8 {
        (self.0 & ((1 << RANK_BITS) - 1)) as u8
    }
}

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    const REGISTERS: usize = {
        assert!(P >= 4 && P <= 18, "the precision of a HyperLogLog is from 4 to 18");
        1 << P
    };
    /// With more tokens than this the sketch has registers.
    const MAX_TOKENS: usize = match H::TOKENS_BELOW_8 {
        Some(tokens) if P < 8 => tokens,
        _ => Self::REGISTERS / 16 * H::TOKENS_IN_32 / 2,
    };

    /// Sees an item. Nothing is allocated but, now and then, room for more tokens (doubling).
    #[inline]
    pub fn insert<T: ?Sized>(&mut self, item: &T)
    where
        H: Hashes<T>,
    {
        if let Some(token) = H::token(item) {
            match &mut self.state {
                State::Dense(registers) => raise(registers, token),
                State::Sparse(_) => self.insert_sparse(token),
            }
        }
    }

    fn of(state: State) -> Self {
        // Every sketch comes from here: a wrong precision fails when it is compiled.
        const { assert!(Self::REGISTERS > 0) };
        Self {
            state,
            hash: PhantomData,
        }
    }

    fn insert_sparse(&mut self, token: Token) {
        let State::Sparse(tokens) = &mut self.state else { return };
        tokens.insert(token);
        self.settle();
    }

    /// Leaves the sparse form once it has too many tokens.
    fn settle(&mut self) {
        if let State::Sparse(tokens) = &self.state
            && tokens.len() > Self::MAX_TOKENS
        {
            let mut registers = vec![0; Self::REGISTERS].into_boxed_slice();
            tokens.for_each(|t| raise(&mut registers, t));
            self.state = State::Dense(registers);
        }
    }

    /// How many different items there were, with bounds of two standard errors.
    pub fn estimate(&self) -> Estimate {
        match &self.state {
            State::Sparse(tokens) => estimate::sparse(tokens.len()),
            State::Dense(registers) => estimate::dense(registers, H::MAX_RANK),
        }
    }

    /// The sketch that a lower precision `Q` would have made of the same items: exact, because a register of it is the
    /// highest of `2^(P - Q)` registers here.
    ///
    /// A higher precision is an error when compiled.
    #[must_use]
    pub fn fold<const Q: u8>(&self) -> HyperLogLog<Q, H> {
        const { assert!(Q <= P, "a sketch can only be folded to a lower precision") };
        let mut folded = HyperLogLog::<Q, H>::default();
        match &self.state {
            State::Sparse(tokens) => {
                folded.state = State::Sparse(tokens.clone());
                folded.settle();
            }
            State::Dense(registers) => {
                let mut lower = vec![0; HyperLogLog::<Q, H>::REGISTERS].into_boxed_slice();
                for part in registers.chunks_exact(lower.len()) {
                    lower.iter_mut().zip(part).for_each(|(a, b)| *a = (*a).max(*b));
                }
                folded.state = State::Dense(lower);
            }
        }
        folded
    }
}

/// Shows a token to the registers, `2^P` of them.
#[inline]
fn raise(registers: &mut [u8], token: Token) {
    let i = place(registers, token);
    registers[i] = registers[i].max(token.rank());
}

/// The register that a token is shown to.
#[inline]
fn place(registers: &[u8], token: Token) -> usize {
    token.slot() as usize & (registers.len() - 1)
}

impl<const P: u8, H: ItemHash> Default for HyperLogLog<P, H> {
    /// No items seen.
    fn default() -> Self {
        Self::of(State::Sparse(Tokens::default()))
    }
}

impl<const P: u8, H: Hashes<T>, T: ?Sized> Absorb<T> for HyperLogLog<P, H> {
    #[inline]
    fn absorb(&mut self, item: &T) {
        self.insert(item);
    }
    const SPREAD: bool = true;
    #[inline]
    fn glance(&self, item: &T) -> u8 {
        match (&self.state, H::token(item)) {
            (State::Dense(registers), Some(token)) => registers[place(registers, token)],
            _ => 0,
        }
    }
    #[inline]
    fn absorb_times(&mut self, item: &T, _: NonZeroU64) {
        self.insert(item);
    }
}

//! Bloom filter: whether an item was seen, in little memory, with "no" always right.
//!
//! For sets too large to keep, when a rare false "yes" does no harm: to skip a look-up, to count each item once. Not
//! when items must be listed or taken out again, and not for a few hundred of them: a set is exact. To count different
//! items, [`Hll`](crate::Hll) is smaller.
//!
//! **State.** One 64-bit hash for each item. A small filter is the sorted list of them. With more than a quarter of the
//! memory of the bits, or more than 4,096 (inserts into longer lists cost more than the memory saved is worth), it
//! becomes `BITS` bits, of which each item sets `K`; see [`Bloom::insert`].
//!
//! **Guarantee.** An item that was seen is always found. Of others, with `n` items seen, a share of about `(1 - e^(-K n
//! / BITS))^K` is found (B. Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; A. Kirsch and M.
//! Mitzenmacher, "Less hashing, same performance", 2006, for probes from one hash). A list gives a false "yes" only for
//! equal hashes, a share of `n / 2^64`. [`bits`] and [`probes`] choose the parameters: the fewest bits that keep the
//! rate up to a number of items. More items do no harm but to the rate. [`Bloom::estimate_len`] counts the items from
//! the bits (S. Swamidass and P. Baldi, "Mathematical correction for fingerprint similarity measures", 2007).
//!
//! **Laws, exact.** Commutative and idempotent: redelivery is harmless. Both forms are functions of the set of hashes,
//! and so is the change between them (their number, which never falls): equal sets of items have equal bytes under any
//! merge tree. No inverse.
//!
//! **Cost.** Memory and bytes: 8 bytes an item while a list (1 byte empty, 9 for one item, 81 for ten), then `BITS /
//! 8`: for 10^6 items at 1 % 1.2 MB. With 5 * 10^5 items at 1 % an insert into the bits takes 6.7 ns, a look-up 7.6 ns
//! when the item was seen and 16 ns when not (the processor cannot foresee which bit is missing), a merge of two
//! filters 12 us; x86-64, benchmark `bloom`.
//!
//! ```
//! use rufous_algebra::{Bloom, Codec, Semigroup, bloom};
//! type Seen = Bloom<{ bloom::bits(10_000, 0.01) }, { bloom::probes(0.01) }>;
//! let (mut a, mut b) = (Seen::default(), Seen::default());
//! (0..6_000u32).for_each(|user| a.insert(&user));
//! (4_000..10_000u32).for_each(|user| b.insert(&user));
//! a.combine(&b);
//! assert!((0..10_000u32).all(|user| a.contains(&user)));
//! assert!((10_000..20_000u32).filter(|user| a.contains(user)).count() < 150);
//! assert!(a.estimate_len().contains(10_000.0));
//! ```

mod bytes;
mod estimate;
mod merge;
mod size;

use std::num::NonZeroU64;

use crate::hash::HashBytes;
use crate::semigroup::Absorb;
pub use size::{bits, probes};

/// Whether items were seen, in `BITS` bits, `K` for each. See the [module](self).
///
/// `BITS` is a multiple of 64 up to 2^40, `K` is from 1 to 64; others are an error when compiled:
///
/// ```compile_fail,E0080
/// let _ = rufous_algebra::Bloom::<1000, 7>::default();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bloom<const BITS: usize, const K: usize> {
    state: State,
}

/// Canonical at all times, so the derived equality is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// At most [`Bloom::MAX_HASHES`], ascending, all different.
    Sparse(Vec<u64>),
    /// `BITS` bits, from the low bit of the first word on.
    Dense(Box<[u64]>),
}

/// The constant between the probes of an item: its powers are good multipliers (G. Steele and S. Vigna,
/// "Computationally easy, spectrally good multipliers for congruential pseudorandom number generators", 2022).
/// Persisted through the bits.
const MULTIPLIER: u64 = 0xd134_2543_de82_ef95;

impl<const BITS: usize, const K: usize> Bloom<BITS, K> {
    const WORDS: usize = {
        assert!(BITS >= 64 && BITS.is_multiple_of(64), "the bits are whole words of 64");
        assert!(BITS as u64 <= 1 << 40, "a bloom filter has up to 2^40 bits");
        assert!(K >= 1 && K <= 64, "an item has from 1 to 64 bits");
        BITS / 64
    };
    /// A list of a quarter of the memory of the bits, and not too long to insert into.
    const MAX_HASHES: usize = {
        let quarter = Self::WORDS / 4;
        if quarter < 4_096 { quarter } else { 4_096 }
    };
    const MULTIPLIERS: [u64; K] = {
        let mut powers = [1u64; K];
        let mut i = 1;
        while i < K {
            powers[i] = powers[i - 1].wrapping_mul(MULTIPLIER);
            i += 1;
        }
        powers
    };

    /// Sees an item.
    ///
    /// Its bits, for `i` from 0 to `K - 1`, are `(h * c^i mod 2^64) * BITS / 2^64`, where `h` is its
    /// [`hash64`](HashBytes::hash64). (Double hashing with sums, `a + i * b`, is as quick, but small filters then have
    /// more false answers, 11.1 in 1,000 for the expected 10.2 with 384 bits: items whose probes run through each other
    /// share several.)
    #[inline]
    pub fn insert<T: HashBytes + ?Sized>(&mut self, item: &T) {
        self.insert_hash(item.hash64());
    }

    #[inline]
    fn insert_hash(&mut self, hash: u64) {
        match &mut self.state {
            State::Dense(words) => Self::set(words, hash),
            State::Sparse(_) => self.insert_sparse(hash),
        }
    }

    fn insert_sparse(&mut self, hash: u64) {
        if let State::Sparse(hashes) = &mut self.state
            && let Err(at) = hashes.binary_search(&hash)
        {
            hashes.insert(at, hash);
            self.settle();
        }
    }

    /// Leaves the list once it has too many hashes.
    fn settle(&mut self) {
        if let State::Sparse(hashes) = &self.state
            && hashes.len() > Self::MAX_HASHES
        {
            let mut words = vec![0; Self::WORDS].into_boxed_slice();
            hashes.iter().for_each(|hash| Self::set(&mut words, *hash));
            self.state = State::Dense(words);
        }
    }

    /// The bits of a hash.
    #[inline]
    fn places(hash: u64) -> [usize; K] {
        const { Self::MULTIPLIERS }.map(|c| ((u128::from(hash.wrapping_mul(c)) * BITS as u128) >> 64) as usize)
    }

    #[inline]
    fn set(words: &mut [u64], hash: u64) {
        Self::places(hash)
            .iter()
            .for_each(|place| words[place / 64] |= 1 << (place % 64));
    }

    /// Whether the item was seen: `false` is always right, `true` is wrong at the
    /// [`false_positive_rate`](Self::false_positive_rate).
    #[inline]
    pub fn contains<T: HashBytes + ?Sized>(&self, item: &T) -> bool {
        let hash = item.hash64();
        match &self.state {
            State::Dense(words) => Self::places(hash)
                .iter()
                .all(|place| words[place / 64] >> (place % 64) & 1 == 1),
            State::Sparse(hashes) => hashes.binary_search(&hash).is_ok(),
        }
    }
}

impl<const BITS: usize, const K: usize> Default for Bloom<BITS, K> {
    /// Nothing seen.
    fn default() -> Self {
        // Every filter starts here or is decoded: wrong parameters fail at the first use.
        const { assert!(Self::WORDS > 0) };
        Self {
            state: State::Sparse(Vec::new()),
        }
    }
}

impl<const BITS: usize, const K: usize, T: HashBytes + ?Sized> Absorb<T> for Bloom<BITS, K> {
    #[inline]
    fn absorb(&mut self, item: &T) {
        self.insert(item);
    }
    #[inline]
    fn absorb_times(&mut self, item: &T, _: NonZeroU64) {
        self.insert(item);
    }
}

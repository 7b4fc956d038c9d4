//! MinHash: how similar two sets are.
//!
//! **State.** The 64-bit hash of an item chooses one of `M` bins by its low bits; its upper 32 bits are its *rank*
//! there. A bin keeps the least rank. So an item costs one hash and one comparison, not `M` hashes (P. Li, A. Owen and
//! C. Zhang, "One permutation hashing", 2012). Up to `M / 8` bins in use, the state is the sorted list of these, which
//! is at most a quarter of the memory of all bins; then it is all bins.
//!
//! **Laws, exact.** Both forms are functions of the set of items, and so is the change between them (the number of bins
//! in use). So equal sets have equal bytes, under any merge tree, on any machine. Commutative and idempotent: a sum is
//! the union. No inverse.
//!
//! | type | zero | commutative | idempotent | inverse | tier |
//! |---|---|---|---|---|---|
//! | [`MinHash<M>`] | the empty set | yes | yes | no | exact |
//!
//! **Guarantee.** [`MinHash::jaccard`] is the share of bins with equal ranks among those that either set uses, an
//! unbiased estimate of `J = |A and B| / |A or B|` with a standard error of at most `sqrt(J (1 - J) / used)` (the same
//! paper, lemmas 3 and 4). Every bin is used from some `M ln M` items on, then `used = M`: at M = 256 the error of `J =
//! 0.5` is 0.031. Ranks of 32 bits meet by chance as well, with a probability of about `items / M / 2^33`: the estimate
//! is sound to some 10^10 items.
//!
//! **Empty bins.** Nothing is filled in while the state is kept or merged, as that would not be a function of the set.
//! [`MinHash::signature`] fills them when asked, for locality-sensitive hashing, which compares bins one by one.
//!
//! **Cost.** Bytes: 1 of nothing, 5 to 7 more for each bin in use, `4 M + 1` in the end. At M = 256
//! an insert into all bins takes 1.4 ns with the hash, and a merge, which is a SIMD minimum of numbers, 31 ns.
//!
//! **When not to use it.** For small `J` the *relative* error is large: of sets that share less than `1 / M` it tells
//! nothing. For the size of an intersection, multiply by a distinct count of the union, and the errors add up.
//!
//! ```
//! use rufous_algebra::{MinHash, Semigroup};
//! let (mut ann, mut bob) = (MinHash::<256>::default(), MinHash::default());
//! (0..6_000u32).for_each(|page| ann.insert(&page));
//! (2_000..8_000u32).for_each(|page| bob.insert(&page));
//! assert!(ann.jaccard(&bob).contains(4.0 / 8.0));
//!
//! let both = MinHash::sum_all([&ann, &bob]).unwrap();
//! assert!(both.jaccard(&bob).contains(6.0 / 8.0));
//! ```

mod bytes;
mod estimate;
mod merge;

use std::num::NonZeroU64;

pub(crate) use estimate::share;

use crate::hash::HashBytes;
use crate::semigroup::Absorb;

/// The rank of a bin that no item fell in; an item with this rank has the one below.
const UNUSED: u32 = u32::MAX;

/// A set, as the least ranks in `M` bins. See the [module](self).
///
/// `M` is a power of two from 16 to 65,536; another is an error when compiled:
///
/// ```compile_fail,E0080
/// let _ = rufous_algebra::MinHash::<100>::default();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinHash<const M: usize> {
    state: State<M>,
}

/// Canonical at all times, so the derived equality is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State<const M: usize> {
    /// At most [`MinHash::FEW`] bins in use, ascending.
    Few(Vec<Bin>),
    /// A rank for each bin.
    All(Box<[u32; M]>),
}

/// `bin << 32 | rank`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bin(u64);

impl Bin {
    fn new(number: usize, rank: u32) -> Self {
        Self((number as u64) << 32 | u64::from(rank))
    }
    fn number(self) -> usize {
        (self.0 >> 32) as usize
    }
    fn rank(self) -> u32 {
        self.0 as u32
    }
}

impl<const M: usize> MinHash<M> {
    /// A bin in use takes 8 bytes in the list and 4 otherwise: up to so many, the list is at most a quarter.
    const FEW: usize = {
        assert!(
            M.is_power_of_two() && M >= 16 && M <= 1 << 16,
            "MinHash has a power of two of bins, from 16 to 65,536"
        );
        M / 8
    };

    /// Sees an item.
    #[inline]
    pub fn insert<T: HashBytes + ?Sized>(&mut self, item: &T) {
        let hash = item.hash64();
        let (number, rank) = (hash as usize & (M - 1), ((hash >> 32) as u32).min(UNUSED - 1));
        match &mut self.state {
            State::All(ranks) => ranks[number] = ranks[number].min(rank),
            State::Few(_) => self.lower(Bin::new(number, rank)),
        }
    }

    /// Shows a bin to the state, whichever form it has.
    fn lower(&mut self, bin: Bin) {
        match &mut self.state {
            State::All(ranks) => ranks[bin.number()] = ranks[bin.number()].min(bin.rank()),
            State::Few(bins) => {
                let at = bins.partition_point(|b| b.number() < bin.number());
                match bins.get_mut(at) {
                    Some(same) if same.number() == bin.number() => *same = bin.min(*same),
                    _ => {
                        bins.insert(at, bin);
                        self.settle();
                    }
                }
            }
        }
    }

    /// Leaves the list once it is too long.
    fn settle(&mut self) {
        if let State::Few(bins) = &self.state
            && bins.len() > Self::FEW
        {
            self.state = State::All(self.ranks());
        }
    }

    /// The rank of each bin.
    fn ranks(&self) -> Box<[u32; M]> {
        match &self.state {
            State::All(ranks) => ranks.clone(),
            State::Few(bins) => {
                let mut ranks = Box::new([UNUSED; M]);
                bins.iter().for_each(|bin| ranks[bin.number()] = bin.rank());
                ranks
            }
        }
    }
}

impl<const M: usize> Default for MinHash<M> {
    /// The empty set.
    fn default() -> Self {
        // Every state starts here or is decoded: a wrong number of bins fails at the first use.
        const { assert!(Self::FEW > 0) };
        Self {
            state: State::Few(Vec::new()),
        }
    }
}

impl<const M: usize, T: HashBytes + ?Sized> Absorb<T> for MinHash<M> {
    #[inline]
    fn absorb(&mut self, item: &T) {
        self.insert(item);
    }
    #[inline]
    fn absorb_times(&mut self, item: &T, _: NonZeroU64) {
        self.insert(item);
    }
}

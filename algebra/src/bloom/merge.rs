//! Unions of filters.

use std::num::NonZeroU64;

use super::{Bloom, State};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// Up to this many hashes are inserted one by one: cheaper than a pass over both lists.
const FEW: usize = 4;

/// Merges `theirs` into `mine`, both ascending without repetition, from the back so that no second list is needed.
fn merge_hashes(mine: &mut Vec<u64>, theirs: &[u64]) {
    let (mut i, mut j) = (mine.len(), theirs.len());
    mine.extend_from_slice(theirs);
    let mut free = mine.len();
    while let Some(&b) = theirs[..j].last() {
        free -= 1;
        match mine[..i].last() {
            Some(&a) if a >= b => {
                mine[free] = a;
                i -= 1;
                j -= usize::from(a == b);
            }
            _ => {
                mine[free] = b;
                j -= 1;
            }
        }
    }
    // Hashes in both lists left a gap between what never moved and what did.
    mine.drain(i..free);
}

impl<const BITS: usize, const K: usize> Bloom<BITS, K> {
    /// Ascending, without repetition.
    fn add_hashes(&mut self, theirs: &[u64]) {
        match &mut self.state {
            State::Dense(words) => theirs.iter().for_each(|hash| Self::set(words, *hash)),
            State::Sparse(_) if theirs.len() <= FEW => theirs.iter().for_each(|hash| self.insert_hash(*hash)),
            State::Sparse(mine) => {
                merge_hashes(mine, theirs);
                self.settle();
            }
        }
    }

    /// Adds hashes in any order and empties the list.
    fn add_unsorted(&mut self, hashes: &mut Vec<u64>) {
        hashes.sort_unstable();
        hashes.dedup();
        self.add_hashes(hashes);
        hashes.clear();
    }
}

/// The union of the sets of items.
impl<const BITS: usize, const K: usize> Semigroup for Bloom<BITS, K> {
    const BY_PARTS: bool = true;

    fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Sparse(hashes) => hashes.capacity() * size_of::<u64>(),
            State::Dense(words) => size_of_val(&**words),
        }
    }

    fn combine(&mut self, other: &Self) {
        match (&mut self.state, &other.state) {
            (_, State::Sparse(hashes)) => self.add_hashes(hashes),
            // Without indices: compiles to SIMD.
            (State::Dense(mine), State::Dense(theirs)) => mine.iter_mut().zip(theirs).for_each(|(a, b)| *a |= b),
            (State::Sparse(hashes), State::Dense(theirs)) => {
                let mut words = theirs.clone();
                hashes.iter().for_each(|hash| Self::set(&mut words, *hash));
                self.state = State::Dense(words);
            }
        }
    }

    /// Adds the smaller to the larger: the union is commutative, and the larger has the buffers.
    fn combine_owned(&mut self, mut other: Self) {
        let other_is_larger = match (&self.state, &other.state) {
            (State::Sparse(a), State::Sparse(b)) => a.len() < b.len(),
            (State::Sparse(_), State::Dense(_)) => true,
            (State::Dense(_), _) => false,
        };
        if other_is_larger {
            std::mem::swap(self, &mut other);
        }
        self.combine(&other);
    }

    /// Gathers the hashes of many small filters and sorts them once; pairwise sums would copy the growing list each
    /// time.
    fn sum_all<'a, I>(items: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a Self>,
        Self: 'a,
    {
        let mut items = items.into_iter();
        let mut sum = items.next()?.clone();
        let mut gathered = Vec::new();
        for item in items {
            match (&item.state, &sum.state) {
                (State::Sparse(hashes), State::Sparse(_)) => {
                    gathered.extend_from_slice(hashes);
                    // Bounds the memory, and finds out early that the sum has bits.
                    if gathered.len() > Self::MAX_HASHES {
                        sum.add_unsorted(&mut gathered);
                    }
                }
                _ => sum.combine(item),
            }
        }
        sum.add_unsorted(&mut gathered);
        Some(sum)
    }

    /// Itself: idempotent.
    fn times(self, _: NonZeroU64) -> Self {
        self
    }
}

impl<const BITS: usize, const K: usize> Monoid for Bloom<BITS, K> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        matches!(&self.state, State::Sparse(hashes) if hashes.is_empty())
    }
}

impl<const BITS: usize, const K: usize> Commutative for Bloom<BITS, K> {}
impl<const BITS: usize, const K: usize> Idempotent for Bloom<BITS, K> {}
impl<const BITS: usize, const K: usize> Tiered for Bloom<BITS, K> {
    type Tier = Exact;
}

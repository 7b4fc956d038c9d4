//! Unions: the least rank of each bin.

use std::num::NonZeroU64;

use super::{Bin, MinHash, State};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// The union of the sets of items.
impl<const M: usize> Semigroup for MinHash<M> {
    const BY_PARTS: bool = true;

    fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Few(bins) => bins.capacity() * size_of::<u64>(),
            State::All(ranks) => size_of_val(&**ranks),
        }
    }

    fn combine(&mut self, other: &Self) {
        match (&mut self.state, &other.state) {
            (_, State::Few(bins)) => bins.iter().for_each(|bin| self.lower(*bin)),
            // A plain minimum of numbers, without indices: compiles to SIMD.
            (State::All(mine), State::All(theirs)) => {
                mine.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a = (*a).min(*b));
            }
            (State::Few(bins), State::All(_)) => {
                let bins = std::mem::take(bins);
                self.state = other.state.clone();
                bins.into_iter().for_each(|bin| self.lower(bin));
            }
        }
    }

    /// Adds the smaller to the larger: the union is commutative, and the larger has the buffers.
    fn combine_owned(&mut self, mut other: Self) {
        let other_is_larger = match (&self.state, &other.state) {
            (State::Few(a), State::Few(b)) => a.len() < b.len(),
            (State::Few(_), State::All(_)) => true,
            (State::All(_), _) => false,
        };
        if other_is_larger {
            std::mem::swap(self, &mut other);
        }
        self.combine(&other);
    }

    /// Gathers the bins of many small sets and sorts them once; pairwise sums would move the growing list each time.
    fn sum_all<'a, I>(items: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a Self>,
    {
        let mut items = items.into_iter();
        let mut sum = items.next()?.clone();
        let mut gathered: Vec<Bin> = Vec::new();
        for item in items {
            match (&item.state, &sum.state) {
                (State::Few(bins), State::Few(_)) => {
                    gathered.extend_from_slice(bins);
                    // Bounds the memory, and finds out early that the sum needs all bins.
                    if gathered.len() > Self::FEW {
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

impl<const M: usize> MinHash<M> {
    /// Adds bins in any order and empties the list.
    fn add_unsorted(&mut self, gathered: &mut Vec<Bin>) {
        match &mut self.state {
            State::All(_) => gathered.iter().for_each(|bin| self.lower(*bin)),
            State::Few(bins) => {
                bins.append(gathered);
                // Of one bin, the least rank comes first and stays.
                bins.sort_unstable();
                bins.dedup_by_key(|bin| bin.number());
                self.settle();
            }
        }
        gathered.clear();
    }
}

impl<const M: usize> Monoid for MinHash<M> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        matches!(&self.state, State::Few(bins) if bins.is_empty())
    }
}

impl<const M: usize> Commutative for MinHash<M> {}
impl<const M: usize> Idempotent for MinHash<M> {}
impl<const M: usize> Tiered for MinHash<M> {
    type Tier = Exact;
}

//! Unions of sketches.

use std::num::NonZeroU64;

use super::hash::ItemHash;
use super::tokens::Tokens;
use super::{HyperLogLog, State, Token, raise};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    fn add_tokens(&mut self, theirs: &Tokens) {
        match &mut self.state {
            State::Dense(registers) => theirs.for_each(|t| raise(registers, t)),
            State::Sparse(mine) => {
                mine.merge(theirs);
                self.settle();
            }
        }
    }
}

/// The union of the sets of items.
impl<const P: u8, H: ItemHash> Semigroup for HyperLogLog<P, H> {
    const BY_PARTS: bool = true;

    fn combine(&mut self, other: &Self) {
        match (&mut self.state, &other.state) {
            (_, State::Sparse(tokens)) => self.add_tokens(tokens),
            // A plain maximum of bytes, without indices: compiles to SIMD.
            (State::Dense(mine), State::Dense(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(a, b)| *a = (*a).max(*b));
            }
            (State::Sparse(tokens), State::Dense(theirs)) => {
                let mut registers = theirs.clone();
                tokens.for_each(|t| raise(&mut registers, t));
                self.state = State::Dense(registers);
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

    /// Gathers the tokens of many small sketches and sorts them once; pairwise sums would copy the growing list each time.
    fn sum_all<'a, I>(items: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a Self>,
        Self: 'a,
    {
        let mut items = items.into_iter();
        let mut sum = items.next()?.clone();
        let mut gathered: Vec<Token> = Vec::new();
        for item in items {
            match (&item.state, &sum.state) {
                (State::Sparse(tokens), State::Sparse(_)) => {
                    tokens.append_to(&mut gathered);
                    // Bounds the memory, and finds out early that the sum is dense.
                    if gathered.len() > Self::MAX_TOKENS {
                        sum.add_unsorted(&mut gathered);
                    }
                }
                _ => sum.combine(item),
            }
        }
        sum.add_unsorted(&mut gathered);
        Some(sum)
    }

    fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Sparse(tokens) => tokens.heap_bytes(),
            State::Dense(registers) => registers.len(),
        }
    }

    /// Itself: idempotent.
    fn times(self, _: NonZeroU64) -> Self {
        self
    }
}

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    /// Adds tokens in any order and empties the list.
    fn add_unsorted(&mut self, tokens: &mut Vec<Token>) {
        // Descending: of one slot, the highest rank comes first and stays.
        tokens.sort_unstable_by(|a, b| b.cmp(a));
        tokens.dedup_by_key(|t| t.slot());
        tokens.reverse();
        self.add_tokens(&Tokens::of(tokens));
        tokens.clear();
    }
}

impl<const P: u8, H: ItemHash> Monoid for HyperLogLog<P, H> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        matches!(&self.state, State::Sparse(tokens) if tokens.is_empty())
    }
}

impl<const P: u8, H: ItemHash> Commutative for HyperLogLog<P, H> {}
impl<const P: u8, H: ItemHash> Idempotent for HyperLogLog<P, H> {}
impl<const P: u8, H: ItemHash> Tiered for HyperLogLog<P, H> {
    type Tier = Exact;
}

#[cfg(test)]
mod tests {
    use super::super::Hll;
    use super::*;

    const P: u8 = 6;

    /// Registers do not depend on when a sketch became dense: before a token of a register's slots, or after.
    #[test]
    fn folding_to_registers_commutes_with_merging() {
        let sparse = |tokens: &[(u32, u32)]| {
            let mut sketch = Hll::<P>::zero();
            tokens
                .iter()
                .for_each(|(slot, rank)| sketch.add_unsorted(&mut vec![Token(slot << 6 | rank)]));
            sketch
        };
        // Slots 5 and 5 + 2^P share a register.
        let many: Vec<(u32, u32)> = (0..=Hll::<P>::MAX_TOKENS as u32).map(|slot| (slot, 2)).collect();
        let few = [(5, 1), (5 + (1 << P), 30)];
        let (dense, small) = (sparse(&many), sparse(&few));
        let whole = sparse(&[many.as_slice(), &few].concat());
        for (mut a, b) in [(dense.clone(), &small), (small.clone(), &dense)] {
            a.combine(b);
            assert_eq!(a, whole);
        }
        let State::Dense(registers) = &whole.state else {
            panic!("sparse")
        };
        assert_eq!((registers[4], registers[5], registers[63]), (2, 30, 0));
    }
}

//! Sums of heavy hitters.

use std::num::NonZeroU64;

use super::table::Table;
use super::{HeavyHitters, Item};
use crate::semigroup::{Commutative, Monoid, Semigroup};
use crate::tier::{Approximate, Tiered};

/// Counters are added, then the `(K + 1)`-th greatest count is taken from all.
impl<T: Item, const K: usize> Semigroup for HeavyHitters<T, K> {
    const BY_PARTS: bool = true;

    /// Without what long items own.
    fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    fn combine(&mut self, other: &Self) {
        self.add(&other.table, other.total, other.offset);
    }

    /// Adds the table with fewer counters to the other: the sum is the same, and fewer items are cloned.
    fn combine_owned(&mut self, mut other: Self) {
        if self.table.len() < other.table.len() {
            std::mem::swap(self, &mut other);
        }
        self.add(&other.table, other.total, other.offset);
    }

    /// Multiplies: sums of equal values have the same items, so nothing is subtracted.
    fn times(mut self, n: NonZeroU64) -> Self {
        self.total = self.total.saturating_mul(n.get());
        self.offset = self.offset.saturating_mul(n.get());
        self.table.multiply(n.get());
        self
    }
}

impl<T: Item, const K: usize> HeavyHitters<T, K> {
    fn add(&mut self, table: &Table<T>, total: u64, offset: u64) {
        self.total = self.total.saturating_add(total);
        self.offset = self.offset.saturating_add(offset);
        self.table.add(table);
        if self.table.len() > K {
            let mut counts: Vec<u64> = self.table.entries().iter().map(|e| e.count).collect();
            let (_, kth, _) = counts.select_nth_unstable_by(K, |a, b| b.cmp(a));
            self.subtract(*kth);
        }
    }
}

impl<T: Item, const K: usize> Monoid for HeavyHitters<T, K> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.total == 0
    }
}

impl<T: Item, const K: usize> Commutative for HeavyHitters<T, K> {}
impl<T: Item, const K: usize> Tiered for HeavyHitters<T, K> {
    type Tier = Approximate;
}

//! What heavy hitters answer.

use std::borrow::Borrow;

use super::table::Entry;
use super::{HeavyHitters, Item};
use crate::estimate::Estimate;
use crate::hash::HashBytes;
use crate::tier::ApproxLaws;

/// The items with at least some share of the total. See [`HeavyHitters::at_least`].
#[derive(Clone, Debug, PartialEq)]
pub struct AtLeast<T> {
    /// These certainly have it, most frequent first.
    pub guaranteed: Vec<(T, Estimate)>,
    /// These may have it, most frequent first.
    pub possible: Vec<(T, Estimate)>,
    /// Whether no other item can have it. Always so for shares above `1 / (K + 1)`.
    pub complete: bool,
}

impl<T: Item, const K: usize> HeavyHitters<T, K> {
    /// How often all items came, together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The width of all bounds: at most `total / (K + 1)`.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How often an item came. The bounds always hold.
    ///
    /// The estimate of an item that is kept is the upper bound, which is the truth if it was kept all along, as
    /// frequent items are; that of another is 0.
    pub fn estimate<Q: HashBytes + Eq + ?Sized>(&self, item: &Q) -> Estimate
    where
        T: Borrow<Q>,
    {
        let found = self.table.find(item.hash64(), |mine| mine.borrow() == item);
        match found.and_then(|at| self.table.entries().get(at)) {
            Some(entry) => self.bounded(entry.count),
            None => Estimate::certain(0.0, 0.0, self.offset as f64),
        }
    }

    /// The `n` items with the highest counts, most frequent first; items of one count by their order.
    pub fn top(&self, n: usize) -> Vec<(T, Estimate)> {
        self.by_count()
            .into_iter()
            .take(n)
            .map(|e| self.with_bounds(e))
            .collect()
    }

    /// The items that came at least `share` (0 to 1) of all times: those that certainly did, and those that may have.
    /// There is no other if the answer is complete.
    pub fn at_least(&self, share: f64) -> AtLeast<T> {
        let least = share * self.total as f64;
        let reaches = |count: u64| count as f64 >= least;
        let by_count = self.by_count();
        let (guaranteed, others) = by_count.split_at(by_count.partition_point(|e| reaches(e.count)));
        let possible = others.iter().filter(|e| reaches(e.count.saturating_add(self.offset)));
        AtLeast {
            guaranteed: guaranteed.iter().map(|e| self.with_bounds(e)).collect(),
            possible: possible.map(|e| self.with_bounds(e)).collect(),
            complete: !reaches(self.offset),
        }
    }

    /// Between what and what an item's count lies.
    pub(super) fn bounds(&self, item: &T) -> (u64, u64) {
        let found = self.table.find(item.hash64(), |mine| mine == item);
        let count = found.and_then(|at| self.table.entries().get(at)).map_or(0, |e| e.count);
        (count, count.saturating_add(self.offset))
    }

    fn with_bounds(&self, entry: &Entry<T>) -> (T, Estimate) {
        (entry.item.clone(), self.bounded(entry.count))
    }

    fn bounded(&self, count: u64) -> Estimate {
        let high = count.saturating_add(self.offset) as f64;
        Estimate::certain(high, count as f64, high)
    }

    /// In the order of the bytes: counts descend, items of one count ascend.
    pub(super) fn by_count(&self) -> Vec<&Entry<T>> {
        let mut entries: Vec<_> = self.table.entries().iter().collect();
        entries.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.item.cmp(&b.item)));
        entries
    }
}

impl<T: Item, const K: usize> ApproxLaws for HeavyHitters<T, K> {
    type Query = T;
    fn answer(&self, item: &T) -> Option<Estimate> {
        Some(self.estimate(item))
    }
}

//! Heavy hitters: which items came most often, and how often.
//!
//! **State.** At most `K` items with a counter each, the total `N` of all counts, and the *offset*: what was taken from
//! each counter so far. An item that has no counter gets one; when that makes `K + 1`, the least count is taken from
//! all of them, and those that come to nothing leave (J. Misra and D. Gries, "Finding repeated elements", 1982). A sum
//! adds counter to counter, then takes the `(K + 1)`-th greatest count from all (P. Agarwal and others, "Mergeable
//! summaries", 2012, section 3.1).
//!
//! **Guarantee.** For every item, kept or not (its count is then 0), and after any tree of merges, `count <= truth <=
//! count + offset` and `offset <= N / (K + 1)`. So each item with more than that share of the total is kept. *Proof:*
//! whatever takes `c` from the counters takes it from at least `K + 1` of them, and an item that loses less than `c` is
//! left with a count of 0. Hence `(K + 1) * offset + (sum of counts) <= N`; this is also checked where bytes are
//! decoded. The offset is the one that was incurred, mostly far below `N / (K + 1)`; as long as there were no more than
//! `K` items it is 0, and all is exact.
//!
//! **Laws, approximate.** Commutative. The bound is kept by every merge tree, the state is not: which items of little
//! weight survive depends on the order. Not idempotent. No inverse. Counts saturate: all holds of counts up to `2^64 -
//! 1`.
//!
//! | type | zero | commutative | idempotent | inverse | tier |
//! |---|---|---|---|---|---|
//! | [`HeavyHitters<T, K>`] | nothing counted | yes | no | no | approximate |
//!
//! **Cost.** Bytes: 1 of nothing, 3 and the text of one short text that came less than 128 times, then 1 to 10 for each
//! count and those of the item: 96 counters of `u64` in use take about 700, however many items came. In memory 16 bytes
//! and the item per counter, and 8 to 16 bytes of index once there are more than 8. At `K = 96` an insert takes 11 ns
//! on a skewed stream of numbers, 22 ns of words, and a sum of two full states 0.4 us. Subtractions cost an insert no
//! more than a look at one counter. Nothing is allocated for an item that is there already.
//!
//! **When not to use it.** For the `n` greatest of *values* that items bring with them use a top-k by score. For the
//! count of any item, however rare, use a frequency sketch. A "top n of a frequency sketch" is not offered: a list of
//! the best `n` so far forgets items that another part would have brought back, so it is not associative, and its
//! bounds do not hold.
//!
//! ```
//! use rufous_algebra::{Absorb, HeavyHitters, Semigroup};
//! let mut words = HeavyHitters::<String, 2>::default();
//! for word in "the cat and the dog and the bird".split(' ') {
//!     words.absorb(word)
//! }
//! words.combine(&HeavyHitters::of("the".to_string(), 7));
//!
//! let (word, count) = words.top(1).remove(0);
//! assert_eq!(word, "the");
//! assert!(count.low <= 10.0 && 10.0 <= count.high);
//! assert!(words.offset() <= words.total() / 3);
//! ```

mod answer;
mod bytes;
mod item;
mod merge;
mod table;

use std::num::NonZeroU64;

pub use answer::AtLeast;
pub use item::{Item, Keep};

use crate::hash::HashBytes;
use crate::semigroup::Absorb;
use table::Table;

/// The items that came most often, in `K` counters. See the [module](self).
///
/// `K` is from 1 to 2^20; another is an error when compiled:
///
/// ```compile_fail,E0080
/// let _ = rufous_algebra::HeavyHitters::<u64, 0>::default();
/// ```
#[derive(Clone, Debug)]
pub struct HeavyHitters<T, const K: usize> {
    /// All counts ever added.
    total: u64,
    /// What an item's counter may have lost.
    offset: u64,
    /// At most `K` counters between calls.
    table: Table<T>,
}

/// Same counters, total and offset, which is equality of the bytes.
impl<T: Eq, const K: usize> PartialEq for HeavyHitters<T, K> {
    fn eq(&self, other: &Self) -> bool {
        (self.total, self.offset) == (other.total, other.offset) && self.table.same_as(&other.table)
    }
}
impl<T: Eq, const K: usize> Eq for HeavyHitters<T, K> {}

impl<T, const K: usize> Default for HeavyHitters<T, K> {
    /// Nothing counted.
    fn default() -> Self {
        const { assert!(K >= 1 && K <= 1 << 20, "heavy hitters have from 1 to 2^20 counters") };
        Self {
            total: 0,
            offset: 0,
            table: Table::new(),
        }
    }
}

impl<T: Item, const K: usize> HeavyHitters<T, K> {
    /// Of one item that came `n` times.
    pub fn of(item: T, n: u64) -> Self {
        let mut one = Self::default();
        if n > 0 {
            one.total = n;
            one.table.push(item.hash64(), item, n);
        }
        one
    }

    /// Counts an item; text also as `&str`.
    #[inline]
    pub fn insert<Q: HashBytes + Eq + ?Sized>(&mut self, item: &Q)
    where
        T: Keep<Q>,
    {
        self.insert_times(item, 1);
    }

    /// Counts an item that came `n` times.
    #[inline]
    pub fn insert_times<Q: HashBytes + Eq + ?Sized>(&mut self, item: &Q, n: u64)
    where
        T: Keep<Q>,
    {
        let hash = item.hash64();
        self.total = self.total.saturating_add(n);
        let found = self.table.find(hash, |mine| mine.borrow() == item);
        match found.and_then(|at| self.table.get_mut(at)) {
            Some(mine) => mine.count = mine.count.saturating_add(n),
            None => self.insert_new(hash, item, n),
        }
    }

    /// As adding a counter and then subtracting the least of `K + 1` from all, but the item is only kept if it stays.
    fn insert_new<Q: HashBytes + Eq + ?Sized>(&mut self, hash: u64, item: &Q, n: u64)
    where
        T: Keep<Q>,
    {
        let mut left = n;
        if self.table.len() == K {
            let least = self.table.entries().iter().fold(n, |least, e| least.min(e.count));
            left -= least;
            self.subtract(least);
        }
        if left > 0 {
            self.table.push(hash, T::keep(item), left);
        }
    }

    fn subtract(&mut self, n: u64) {
        self.table.subtract(n);
        self.offset = self.offset.saturating_add(n);
    }
}

impl<T: Item + Keep<Q>, Q: HashBytes + Eq + ?Sized, const K: usize> Absorb<Q> for HeavyHitters<T, K> {
    #[inline]
    fn absorb(&mut self, item: &Q) {
        self.insert(item);
    }
    #[inline]
    fn absorb_times(&mut self, item: &Q, n: NonZeroU64) {
        self.insert_times(item, n.get());
    }
}

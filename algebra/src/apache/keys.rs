//! What Theta and Tuple sketches share: the `k` smallest hashes of the items, each with a sum.
//!
//! The normal form, which is the state: all hashes below `theta`, ascending, at most `k`. As long as no more than `k`
//! were seen, `theta` is the greatest; then it is the `k + 1`-th smallest. Both are functions of the set of hashes, so
//! any merge tree has one result. A sketch that was read from elsewhere may have fewer than `k` hashes and a smaller
//! `theta`: the union takes the smallest `theta` and then does the same.

use std::borrow::Cow;

use crate::semigroup::Semigroup;

/// One more than the greatest hash: hashes have 63 bits and are not zero.
pub(super) const MAX_THETA: u64 = i64::MAX as u64;
/// Fresh items are sorted in once there are as many as half of the sorted ones, at the least so many.
const FEW: usize = 32;

/// Hashes with a value each.
#[derive(Clone, Debug)]
pub(super) struct Keys<S> {
    pub(super) theta: u64,
    /// Ascending, below `theta`, at most `k`.
    sorted: Vec<(u64, S)>,
    /// Not yet sorted in; may repeat what is sorted.
    fresh: Vec<(u64, S)>,
}

impl<S> Keys<S> {
    pub(super) fn heap_bytes(&self) -> usize {
        (self.sorted.capacity() + self.fresh.capacity()) * size_of::<(u64, S)>()
    }
}

impl<S> Default for Keys<S> {
    fn default() -> Self {
        Self {
            theta: MAX_THETA,
            sorted: Vec::new(),
            fresh: Vec::new(),
        }
    }
}

/// Two ascending lists as one, as far as `most`; of equal hashes the values are summed.
fn merged<S: Semigroup>(a: &[(u64, S)], b: &[(u64, S)], most: usize) -> Vec<(u64, S)> {
    let mut out = Vec::with_capacity(most.min(a.len() + b.len()));
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j))
        && out.len() < most
    {
        if x.0 == y.0 {
            let mut sum = x.1.clone();
            sum.combine(&y.1);
            out.push((x.0, sum));
            (i, j) = (i + 1, j + 1);
        } else {
            // Which of them comes first cannot be foretold: a choice without a jump.
            let first = x.0 < y.0;
            out.push(if first { x } else { y }.clone());
            i += usize::from(first);
            j += usize::from(!first);
        }
    }
    // One of them is at its end, or there is enough.
    let left = most - out.len();
    let rest = if i < a.len() { &a[i..] } else { &b[j..] };
    out.extend_from_slice(&rest[..left.min(rest.len())]);
    out
}

impl<S: Semigroup> Keys<S> {
    /// Sees an item; hashes are those of the family, halved to 63 bits.
    #[inline]
    pub(super) fn see(&mut self, hash: u64, value: impl FnOnce() -> S, k: usize) {
        let hash = hash >> 1;
        if hash < self.theta && hash > 0 {
            self.fresh.push((hash, value()));
            if self.fresh.len() >= FEW && self.fresh.len() * 2 > self.sorted.len() {
                self.settle(k);
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.fresh.is_empty() && self.sorted.last().is_none_or(|(hash, _)| *hash < self.theta)
    }

    /// Sorts in what is fresh.
    pub(super) fn settle(&mut self, k: usize) {
        if self.is_settled() {
            return;
        }
        // Equal hashes stay in the order they came in: sums of floats depend on it.
        self.fresh.sort_by_key(|(hash, _)| *hash);
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.combine(&later.1);
            }
            same
        });
        self.keep(merged(&self.sorted, &fresh, k + 1), k);
    }

    /// Takes over those of the `k + 1` smallest hashes that are below `theta`; if all are, the last one becomes
    /// `theta`.
    fn keep(&mut self, mut smallest: Vec<(u64, S)>, k: usize) {
        smallest.truncate(smallest.partition_point(|(hash, _)| *hash < self.theta));
        if smallest.len() > k
            && let Some((hash, _)) = smallest.pop()
        {
            self.theta = hash;
        }
        self.sorted = smallest;
    }

    /// This with nothing fresh.
    pub(super) fn settled(&self, k: usize) -> Cow<'_, Self> {
        if self.is_settled() {
            return Cow::Borrowed(self);
        }
        let mut settled = self.clone();
        settled.settle(k);
        Cow::Owned(settled)
    }

    pub(super) fn union(&mut self, other: &Self, k: usize) {
        self.settle(k);
        let other = other.settled(k);
        if other.is_zero() {
            return;
        }
        self.theta = self.theta.min(other.theta);
        self.keep(merged(&self.sorted, &other.sorted, k + 1), k);
    }

    /// Takes over another's items without sorting them: for many at a time, in their order.
    pub(super) fn gather(&mut self, other: &Self, k: usize) {
        self.theta = self.theta.min(other.theta);
        self.fresh.extend(other.sorted.iter().chain(&other.fresh).cloned());
        if self.fresh.len() > 4 * k {
            self.settle(k);
        }
    }

    /// Keeps what `both` decides for each hash of ours, with the other's value if it has one.
    pub(super) fn filtered(&self, other: &Self, k: usize, both: impl Fn(&S, Option<&S>) -> Option<S>) -> Self {
        let (a, b) = (self.settled(k), other.settled(k));
        let theta = a.theta.min(b.theta);
        let mut theirs = b.sorted.iter().peekable();
        let mut sorted = Vec::new();
        for (hash, mine) in a.sorted.iter().take_while(|(hash, _)| *hash < theta) {
            while theirs.next_if(|(other, _)| other < hash).is_some() {}
            let other = theirs.peek().filter(|(other, _)| other == hash).map(|(_, value)| value);
            sorted.extend(both(mine, other).map(|value| (*hash, value)));
        }
        Self {
            theta,
            sorted,
            fresh: Vec::new(),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.theta == MAX_THETA && self.sorted.is_empty() && self.fresh.is_empty()
    }

    /// Settled only: how many hashes.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Settled only: ascending.
    pub(super) fn entries(&self) -> &[(u64, S)] {
        &self.sorted
    }

    pub(super) fn map(&mut self, change: impl Fn(S) -> S) {
        for list in [&mut self.sorted, &mut self.fresh] {
            *list = std::mem::take(list)
                .into_iter()
                .map(|(hash, value)| (hash, change(value)))
                .collect();
        }
    }

    /// The probability with which an item is in the sample.
    pub(super) fn probability(&self) -> f64 {
        self.theta as f64 / MAX_THETA as f64
    }

    /// What an image holds, in any order and perhaps too much of it.
    pub(super) fn of(theta: u64, entries: Vec<(u64, S)>, k: usize) -> Self {
        let mut keys = Self {
            theta,
            sorted: Vec::new(),
            fresh: entries,
        };
        keys.settle(k);
        keys
    }

    /// Takes over what is in the normal form already.
    pub(super) fn of_sorted(theta: u64, entries: Vec<(u64, S)>, k: usize) -> Option<Self> {
        let normal = entries.len() <= k && entries.is_sorted_by(|a, b| a.0 < b.0);
        normal.then_some(Self {
            theta,
            sorted: entries,
            fresh: Vec::new(),
        })
    }
}

/// Settled ones only.
impl<S: PartialEq> PartialEq for Keys<S> {
    fn eq(&self, other: &Self) -> bool {
        self.theta == other.theta && self.sorted == other.sorted
    }
}

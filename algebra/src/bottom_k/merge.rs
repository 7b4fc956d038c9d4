//! Sums: the least keys of both.

use std::cmp::Ordering;
use std::num::NonZeroU64;

use super::{BottomK, Key, Payload, is_less, keep_least};
use crate::semigroup::{Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// A list with so many times fewer entries is inserted one by one: cheaper than a pass over both.
const FEWER: usize = 16;
/// Up to this many entries are inserted one by one as well.
const FEW: usize = 4;

/// The least keys of both.
impl<K: Key, V: Payload, const N: usize> Semigroup for BottomK<K, V, N> {
    const BY_PARTS: bool = true;

    /// Without what keys and values own.
    fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(K, V)>()
    }

    fn combine(&mut self, other: &Self) {
        if self.is_much_longer(other) {
            other.entries.iter().for_each(|(key, value)| self.insert(key, value));
        } else {
            self.merge(other.entries.iter(), |entry| &entry.0, Clone::clone);
        }
    }

    /// Adds the shorter list to the longer one: the sum is the same.
    fn combine_owned(&mut self, mut other: Self) {
        if self.entries.len() < other.entries.len() {
            std::mem::swap(self, &mut other);
        }
        if self.is_much_longer(&other) {
            other.entries.into_iter().for_each(|entry| self.insert_owned(entry));
        } else {
            self.merge(other.entries.into_iter(), |entry| &entry.0, |entry| entry);
        }
    }

    /// Gathers the entries of short lists and sorts them once; pairwise sums would copy the growing list each time.
    fn sum_all<'a, I>(items: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a Self>,
    {
        let mut items = items.into_iter();
        let mut sum = items.next()?.clone();
        let mut gathered: Vec<&(K, V)> = Vec::new();
        for item in items {
            if sum.is_full() && sum.is_much_longer(item) || 2 * item.entries.len() > N {
                sum.combine(item);
            } else {
                gathered.extend(&item.entries);
            }
            // Bounds the memory.
            if gathered.len() > N.max(1 << 10) {
                sum.add_unsorted(&mut gathered);
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

impl<K: Key, V: Payload, const N: usize> BottomK<K, V, N> {
    fn is_much_longer(&self, other: &Self) -> bool {
        other.entries.len() <= FEW.max(self.entries.len() / FEWER)
    }

    /// Adds entries in any order and empties the list.
    fn add_unsorted(&mut self, gathered: &mut Vec<&(K, V)>) {
        gathered.sort_by(|a, b| a.0.cmp(&b.0));
        gathered.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same && size_of::<V>() > 0 && is_less(&next.1, &kept.1) {
                *kept = *next;
            }
            same
        });
        self.merge(gathered.drain(..), |entry| &entry.0, Clone::clone);
    }

    /// A pass over both lists, until there are `N`.
    fn merge<E>(&mut self, theirs: impl ExactSizeIterator<Item = E>, key: fn(&E) -> &K, own: fn(E) -> (K, V)) {
        let capacity = N.min(self.entries.len() + theirs.len());
        let mut theirs = theirs.peekable();
        let turned_down = |first: &E| self.is_full() && self.entries.last().is_some_and(|(last, _)| last < key(first));
        if theirs.peek().is_none_or(turned_down) {
            return;
        }
        let mut mine = std::mem::take(&mut self.entries).into_iter().peekable();
        let merged = &mut self.entries;
        merged.reserve_exact(capacity);
        while merged.len() < N {
            let order = match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) => a.0.cmp(key(b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let mut next = if order.is_gt() { None } else { mine.next() };
            if order.is_ge() {
                let theirs = theirs.next();
                match (&mut next, theirs) {
                    (Some(mine), Some(theirs)) if size_of::<V>() > 0 => keep_least(&mut mine.1, own(theirs).1),
                    (None, theirs) => next = theirs.map(own),
                    _ => {}
                }
            }
            merged.extend(next);
        }
    }
}

impl<K: Key, V: Payload, const N: usize> Monoid for BottomK<K, V, N> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Key, V: Payload, const N: usize> Commutative for BottomK<K, V, N> {}
impl<K: Key, V: Payload, const N: usize> Idempotent for BottomK<K, V, N> {}
impl<K: Key, V: Payload, const N: usize> Tiered for BottomK<K, V, N> {
    type Tier = Exact;
}

/// The laws of a type whose only field `core` is a [`BottomK`].
macro_rules! as_its_core {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $crate::semigroup::Semigroup for $type {
            const BY_PARTS: bool = true;
            fn heap_bytes(&self) -> usize {
                self.core.heap_bytes()
            }
            fn combine(&mut self, other: &Self) {
                self.core.combine(&other.core);
            }
            fn combine_owned(&mut self, other: Self) {
                self.core.combine_owned(other.core);
            }
            fn sum_all<'a, I>(items: I) -> Option<Self>
            where
                I: IntoIterator<Item = &'a Self>,
            {
                let core = $crate::semigroup::Semigroup::sum_all(items.into_iter().map(|item| &item.core))?;
                Some(Self { core })
            }
            /// Itself: idempotent.
            fn times(self, _: std::num::NonZeroU64) -> Self {
                self
            }
        }
        impl<$($generics)*> $crate::semigroup::Monoid for $type {
            fn zero() -> Self {
                Self::default()
            }
            fn is_zero(&self) -> bool {
                self.core.is_empty()
            }
        }
        impl<$($generics)*> $crate::semigroup::Commutative for $type {}
        impl<$($generics)*> $crate::semigroup::Idempotent for $type {}
        impl<$($generics)*> $crate::tier::Tiered for $type {
            type Tier = $crate::tier::Exact;
        }
    };
}
pub(super) use as_its_core;

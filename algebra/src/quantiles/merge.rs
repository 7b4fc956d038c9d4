//! Sums of histograms.

use std::num::NonZeroU64;

use super::entry::Entry;
use super::pages::page_of;
use super::{Dense, Quantiles};
use crate::semigroup::{Commutative, Group, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// The sum of the counts, bucket by bucket.
impl Semigroup for Quantiles {
    const BY_PARTS: bool = true;

    fn combine(&mut self, other: &Self) {
        if let Some(dense) = &other.dense {
            self.add_dense(dense);
        }
        self.add_list(&other.list);
    }

    /// Adds the smaller to the larger: the sum is commutative, and the larger has the room.
    fn combine_owned(&mut self, mut other: Self) {
        if self.heap_bytes() < other.heap_bytes() {
            std::mem::swap(self, &mut other);
        }
        self.combine(&other);
    }

    fn heap_bytes(&self) -> usize {
        let dense = self.dense.as_ref().map_or(0, |d| {
            size_of::<Dense>() + d.pages.heap_bytes() + d.large.capacity() * size_of_val(&d.large[..0])
        });
        self.list.capacity() * size_of::<Entry>() + dense
    }

    fn times(self, n: NonZeroU64) -> Self {
        // Multiplication modulo 2^64 needs only the bits of n, whatever its sign. It may lead to zero.
        self.map(|count| count.wrapping_mul(n.get() as i64))
    }
}

impl Quantiles {
    fn add_dense(&mut self, other: &Dense) {
        for (page, counts) in other.pages.iter() {
            let dense = self.dense.get_or_insert_default();
            if dense.pages.get_mut(page).is_none() {
                dense.pages.make(&[page]);
                self.fill_page(page);
            }
            if let Some(mine) = self.dense.as_mut().and_then(|d| d.pages.get_mut(page)) {
                mine.iter_mut().zip(counts).for_each(|(a, b)| *a = a.wrapping_add(*b));
            }
        }
        for (bucket, count) in &other.large {
            self.add(*bucket, *count);
        }
    }

    /// Moves what belongs into a new page there.
    fn fill_page(&mut self, page: i32) {
        let belongs = |e: &Entry| page_of(e.bucket()) == page;
        let from = self.list.partition_point(|e| page_of(e.bucket()) < page);
        let n = self.list[from..].iter().take_while(|e| belongs(e)).count();
        let Some(dense) = &mut self.dense else { return };
        for entry in self.list.drain(from..from + n) {
            if let Some(count) = dense.pages.slot(entry.bucket()) {
                *count = count.wrapping_add(entry.count());
            }
        }
        let Dense { pages, large, .. } = &mut **dense;
        large.retain(|(bucket, n)| {
            let slot = pages.slot(*bucket);
            let stays = slot.is_none();
            if let Some(count) = slot {
                *count = count.wrapping_add(*n);
            }
            stays
        });
    }

    /// Histograms of one key mostly have the same buckets, so counts are added in place where they are found.
    fn add_list(&mut self, other: &[Entry]) {
        // A few are put into their places; many are worth a pass over both lists.
        if self.dense.is_some() || other.len() * 8 < self.list.len() {
            return other.iter().for_each(|e| self.add(e.bucket(), e.count()));
        }
        let mut merged = Vec::with_capacity(self.list.len() + other.len());
        let mut too_large = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.list.get(i), other.get(j)) {
            let (x, y) = (a.bucket(), b.bucket());
            if x == y {
                let sum = a.count() + b.count();
                match Entry::new(x, sum) {
                    Some(_) if sum == 0 => {}
                    Some(entry) => merged.push(entry),
                    None => too_large.push((x, sum)),
                }
            } else {
                merged.push(if x < y { *a } else { *b });
            }
            i += usize::from(x <= y);
            j += usize::from(y <= x);
        }
        merged.extend_from_slice(&self.list[i..]);
        merged.extend_from_slice(&other[j..]);
        self.list = merged;
        for (bucket, count) in too_large {
            self.add_large(bucket, count);
        }
    }

    /// Changes every count.
    fn map(mut self, f: impl Fn(i64) -> i64) -> Self {
        let mut too_large = Vec::new();
        self.list.retain_mut(|e| {
            let (bucket, count) = (e.bucket(), f(e.count()));
            match Entry::new(bucket, count) {
                Some(_) if count == 0 => false,
                Some(entry) => {
                    *e = entry;
                    true
                }
                None => {
                    too_large.push((bucket, count));
                    false
                }
            }
        });
        if let Some(dense) = &mut self.dense {
            dense.pages.for_each_count(|n| *n = f(*n));
            too_large.extend(std::mem::take(&mut dense.large).into_iter().map(|(b, n)| (b, f(n))));
        }
        for (bucket, count) in too_large {
            self.add(bucket, count);
        }
        self
    }
}

impl Monoid for Quantiles {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.buckets().next().is_none()
    }
}

impl Group for Quantiles {
    fn negate(&mut self) {
        *self = std::mem::take(self).map(i64::wrapping_neg);
    }
}

impl Commutative for Quantiles {}
impl Tiered for Quantiles {
    type Tier = Exact;
}

//! Sums of histograms.

use std::num::NonZeroU64;

use super::Quantiles;
use crate::semigroup::{Commutative, Group, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// The sum of the counts, bucket by bucket.
impl Semigroup for Quantiles {
    /// Histograms of one key mostly have the same buckets, so counts are added in place, and only if buckets are missing
    /// are they moved apart.
    fn combine(&mut self, other: &Self) {
        let (mut at, mut missing, mut zeros) = (0, 0, false);
        for &(bucket, count) in &other.buckets {
            at += self.buckets[at..].iter().take_while(|(b, _)| *b < bucket).count();
            match self.buckets.get_mut(at) {
                Some((b, n)) if *b == bucket => {
                    *n = n.wrapping_add(count);
                    zeros |= *n == 0;
                }
                _ => missing += 1,
            }
        }
        if missing > 0 {
            self.add_missing(other, missing);
        }
        if zeros {
            self.buckets.retain(|(_, n)| *n != 0);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<(super::Bucket, i64)>()
    }

    fn times(mut self, n: NonZeroU64) -> Self {
        // Multiplication modulo 2^64 needs only the bits of n, whatever its sign. It may lead to zero.
        self.buckets
            .iter_mut()
            .for_each(|(_, count)| *count = count.wrapping_mul(n.get() as i64));
        self.buckets.retain(|(_, count)| *count != 0);
        self
    }
}

impl Quantiles {
    /// Takes over the `missing` buckets that only `other` has; from the back, so that each one moves once.
    fn add_missing(&mut self, other: &Self, missing: usize) {
        let (mut i, mut j) = (self.buckets.len(), other.buckets.len());
        let mut free = i + missing;
        self.buckets.extend_from_slice(&other.buckets[j - missing..]);
        // `free == i` once all missing buckets have found their places: what is below stays where it is.
        while free > i {
            let theirs = other.buckets[j - 1];
            match self.buckets[..i].last() {
                Some(&mine) if mine.0 >= theirs.0 => {
                    free -= 1;
                    i -= 1;
                    self.buckets[free] = mine;
                    j -= usize::from(mine.0 == theirs.0);
                }
                _ => {
                    free -= 1;
                    j -= 1;
                    self.buckets[free] = theirs;
                }
            }
        }
    }
}

impl Monoid for Quantiles {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.buckets.is_empty()
    }
}

impl Group for Quantiles {
    fn negate(&mut self) {
        self.buckets.iter_mut().for_each(|(_, n)| *n = n.wrapping_neg());
    }
}

impl Commutative for Quantiles {}
impl Tiered for Quantiles {
    type Tier = Exact;
}

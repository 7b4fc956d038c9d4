//! Sums of exact sums.

use std::num::NonZeroU64;

use super::{DIGIT, DIGITS, ExactSum, FULL};
use crate::semigroup::{Commutative, Group, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

impl Semigroup for ExactSum {
    const BY_PARTS: bool = true;
    fn combine(&mut self, other: &Self) {
        if let Some(theirs) = &other.odd {
            self.add_odd(**theirs);
        }
        if other.words.is_empty() {
            return;
        }
        if self.pending + other.pending >= FULL {
            self.carry();
        }
        if self.pending + other.pending >= FULL {
            let mut carried = other.clone();
            carried.carry();
            return self.add_words(&carried);
        }
        self.add_words(other);
    }
    fn times(mut self, n: NonZeroU64) -> Self {
        self.carry();
        // Digits of 33 bits times 64 bits: far from the 127 of a carry.
        self.carry_from(|word| word * i128::from(n.get()));
        if let Some(odd) = self.odd.take() {
            self.add_odd(odd.map(|count| count.wrapping_mul(n.get() as i64)));
        }
        self
    }
}
impl ExactSum {
    fn add_words(&mut self, other: &Self) {
        self.reach(other.first, other.first + other.words.len());
        let at = other.first - self.first;
        for (mine, theirs) in self.words[at..].iter_mut().zip(&other.words) {
            *mine += theirs;
        }
        self.pending += other.pending + 1;
    }
}

impl Monoid for ExactSum {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        if self.odd.is_some() {
            return false;
        }
        let mut carry = 0;
        for word in &self.words {
            let sum = i128::from(*word) + carry;
            if sum as i64 & DIGIT != 0 {
                return false;
            }
            carry = sum >> 32;
        }
        // What is carried beyond the highest digit of all is gone.
        carry == 0 || self.first + self.words.len() >= DIGITS
    }
}
impl Group for ExactSum {
    fn negate(&mut self) {
        self.words.iter_mut().for_each(|w| *w = -*w);
        // The least number of all is its own inverse, and carries take it back into range.
        if let Some(odd) = &mut self.odd {
            **odd = odd.map(i64::wrapping_neg);
        }
    }
}
impl Commutative for ExactSum {}
impl Tiered for ExactSum {
    type Tier = Exact;
}

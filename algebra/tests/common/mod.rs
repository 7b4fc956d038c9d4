//! What the test files share.
#![allow(dead_code, reason = "each test file uses a part")]

use rufous_algebra::{Hll, Quantiles};

/// SplitMix64 (S. Vigna, public domain): seeded, so that every failure repeats.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From 0 to `n - 1`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// Of very different sizes and both signs, as real measurements are.
    pub(crate) fn wide(&mut self) -> i64 {
        let bits = self.below(64) as u32;
        (self.next() as i64).wrapping_shr(bits)
    }
}

/// Sparse sketches have at most this many tokens.
pub(crate) const fn max_tokens(p: u8) -> u64 {
    (1 << p) * 3 / 16
}

pub(crate) fn hll<const P: u8>(items: impl IntoIterator<Item = u64>) -> Hll<P> {
    let mut sketch = Hll::default();
    items.into_iter().for_each(|x| sketch.insert(&x));
    sketch
}

pub(crate) fn quantiles(items: impl IntoIterator<Item = i64>) -> Quantiles {
    let mut histogram = Quantiles::default();
    items.into_iter().for_each(|x| histogram.insert(x));
    histogram
}

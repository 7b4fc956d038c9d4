//! What the test files share.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod bytes;

pub(crate) use rufous_algebra::laws::Rng;
use rufous_algebra::{Absorb, Hll, Quantiles};

/// A number of very different size and either sign, as real measurements are.
pub(crate) fn wide(rng: &mut Rng) -> i64 {
    let bits = rng.below(64) as u32;
    (rng.next() as i64).wrapping_shr(bits)
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

/// The state that these items lead to.
pub(crate) fn absorbed<T, S: Absorb<T>>(items: &[T]) -> S {
    items.iter().fold(S::zero(), |mut state, item| {
        state.absorb(item);
        state
    })
}

//! Vectors of any length, element by element.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::Tiered;

/// A vector that adds element by element; a shorter one counts as filled up with zeros. (A `Vec` itself is concatenated.)
/// It has every law that its elements have.
///
/// **Zeros.** The last element is never zero: `[3, 0]` and `[3]` are the same value, and both are `[3]`. Zeros before it stay.
/// So equal sums have equal bytes, and a group's inverse leaves nothing behind.
///
/// **Cost.** As long as its last element that is not zero. If only a few of many are not zero, use a map.
///
/// **Not for** long vectors that are mostly zeros.
///
/// ```
/// use rufous_algebra::{Elementwise, Semigroup};
/// let mut by_day = Elementwise::new(vec![3i64, 1]);
/// by_day.combine(&Elementwise::new(vec![1, -1, 0, 5]));
/// assert_eq!(by_day.as_slice(), [4, 0, 0, 5]);
/// by_day.combine(&Elementwise::new(vec![0, 0, 0, -5]));
/// assert_eq!(by_day.as_slice(), [4]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elementwise<T>(Vec<T>);

impl<T: Monoid> Elementwise<T> {
    /// These elements, without the zeros at the end.
    pub fn new(elements: Vec<T>) -> Self {
        let mut value = Self(elements);
        value.trim();
        value
    }
    /// The elements up to the last that is not zero.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
    /// The element at an index: zero beyond the last.
    pub fn get(&self, index: usize) -> T {
        self.0.get(index).cloned().unwrap_or_else(T::zero)
    }
    fn trim(&mut self) {
        while self.0.last().is_some_and(T::is_zero) {
            self.0.pop();
        }
    }
    fn add(&mut self, other: &[T]) {
        let both = self.0.len().min(other.len());
        self.0.iter_mut().zip(other).for_each(|(a, b)| a.combine(b));
        self.0.extend_from_slice(&other[both..]);
        self.trim();
    }
}
impl<T> Default for Elementwise<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
impl<T: Monoid> Semigroup for Elementwise<T> {
    const BY_PARTS: bool = true;
    fn combine(&mut self, other: &Self) {
        self.add(&other.0);
    }
    fn times(self, n: NonZeroU64) -> Self {
        Self::new(self.0.into_iter().map(|v| v.times(n)).collect())
    }
}
impl<T: Monoid> Monoid for Elementwise<T> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}
impl<T: Group> Group for Elementwise<T> {
    fn negate(&mut self) {
        self.0.iter_mut().for_each(T::negate);
    }
}
impl<T: Monoid + Commutative> Commutative for Elementwise<T> {}
impl<T: Monoid + Idempotent> Idempotent for Elementwise<T> {}
impl<T: Monoid + Tiered> Tiered for Elementwise<T> {
    type Tier = T::Tier;
}
/// Adds the elements of a slice.
impl<T: Monoid> Absorb<[T]> for Elementwise<T> {
    fn absorb(&mut self, item: &[T]) {
        self.add(item);
    }
}
impl<T: Monoid> Absorb<Vec<T>> for Elementwise<T> {
    fn absorb(&mut self, item: &Vec<T>) {
        self.add(item);
    }
}

/// The elements as parts, up to the last that is not zero.
impl<T: Codec + Monoid> Codec for Elementwise<T> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let elements: Vec<T> = Codec::decode(bytes)?;
        if elements.last().is_some_and(T::is_zero) {
            return Err(DecodeError::new("elementwise vector that ends with zero"));
        }
        Ok(Self(elements))
    }
    fn schema() -> String {
        format!("elementwise<{}>", T::schema())
    }
    fn json(&self) -> Value {
        self.0.json()
    }
    fn magnitude(&self) -> f64 {
        self.0.first().map_or(0.0, T::magnitude)
    }
    fn agrees(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.agrees(b))
    }
}

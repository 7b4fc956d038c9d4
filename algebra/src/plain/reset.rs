//! Sums that can be reset.

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Monoid, Semigroup};

/// Values that add up until a reset clears what came before it. **Not commutative**, even where the values are: it has no tier,
/// and what sums in any order does not take it. It turns any semigroup into one with resets.
///
/// Bytes: 1 if there was a reset, 0 if not, then those of the sum since.
///
/// **Not for** platforms that do not keep the order of a key.
///
/// ```
/// use rufous_algebra::{Reset, Semigroup};
/// let mut level = Reset::plus(5u64);
/// level.combine(&Reset::to(0));
/// level.combine(&Reset::plus(2));
/// assert_eq!((level.get(), level.was_reset()), (&2, true));
/// ```
///
/// ```compile_fail
/// fn in_any_order<T: rufous_algebra::Commutative>() {}
/// in_any_order::<rufous_algebra::Reset<u64>>();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reset<T> {
    reset: bool,
    value: T,
}

impl<T> Reset<T> {
    /// Adds a value.
    pub const fn plus(value: T) -> Self {
        Self { reset: false, value }
    }
    /// Clears what came before, and starts again with a value.
    pub const fn to(value: T) -> Self {
        Self { reset: true, value }
    }
    /// The sum since the last reset.
    pub const fn get(&self) -> &T {
        &self.value
    }
    /// Whether there was a reset at all.
    pub const fn was_reset(&self) -> bool {
        self.reset
    }
}

impl<T: Semigroup> Semigroup for Reset<T> {
    const BY_PARTS: bool = T::BY_PARTS;
    fn combine(&mut self, other: &Self) {
        if other.reset {
            self.clone_from(other);
        } else {
            self.value.combine(&other.value);
        }
    }
    fn combine_owned(&mut self, other: Self) {
        if other.reset {
            *self = other;
        } else {
            self.value.combine_owned(other.value);
        }
    }
}
impl<T: Monoid> Monoid for Reset<T> {
    fn zero() -> Self {
        Self::plus(T::zero())
    }
    fn is_zero(&self) -> bool {
        !self.reset && self.value.is_zero()
    }
}
/// Adds the item.
impl<I: ?Sized, T: Absorb<I>> Absorb<I> for Reset<T> {
    fn absorb(&mut self, item: &I) {
        self.value.absorb(item);
    }
}
impl<T: Codec + Semigroup> Codec for Reset<T> {
    const WIDTH: Option<usize> = match T::WIDTH {
        Some(width) => Some(width + 1),
        None => None,
    };
    // What a reset clears must be a value, too: so both are looked at.
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        self.reset.encode(out);
        self.value.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((reset, value)) = bytes.split_first() else {
            return Err(DecodeError::new("reset of no bytes"));
        };
        Ok(Self {
            reset: bool::decode(&[*reset])?,
            value: T::decode(value)?,
        })
    }
    fn schema() -> String {
        format!("reset<{}>", T::schema())
    }
    fn json(&self) -> Value {
        self.value.json()
    }
    fn magnitude(&self) -> f64 {
        self.value.magnitude()
    }
}

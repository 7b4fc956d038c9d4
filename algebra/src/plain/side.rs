//! The leftmost or the rightmost of what is combined.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Monoid, Semigroup};

macro_rules! sides {
    ($(#[$doc:meta])* $name:ident, $schema:literal, |$mine:ident, $theirs:ident| $replaced:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<T>(Option<T>);

        impl<T> $name<T> {
            /// Of one value.
            pub fn of(value: T) -> Self {
                Self(Some(value))
            }
            /// The value; `None` of nothing.
            pub fn get(&self) -> Option<&T> {
                self.0.as_ref()
            }
        }
        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(None)
            }
        }
        impl<T: Clone + Send + Sync + 'static> Semigroup for $name<T> {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                let ($mine, $theirs) = (&self.0, &other.0);
                if $replaced {
                    self.0.clone_from(&other.0);
                }
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                let ($mine, $theirs) = (&self.0, &other.0);
                if $replaced {
                    *self = other;
                }
            }
            fn times(self, _: NonZeroU64) -> Self {
                self
            }
        }
        impl<T: Clone + Send + Sync + 'static> Monoid for $name<T> {
            fn zero() -> Self {
                Self(None)
            }
            fn is_zero(&self) -> bool {
                self.0.is_none()
            }
        }
        impl<T: Clone + Send + Sync + 'static> Absorb<T> for $name<T> {
            #[inline]
            fn absorb(&mut self, item: &T) {
                let ($mine, $theirs) = (&self.0, Some(item));
                if $replaced {
                    self.0 = Some(item.clone());
                }
            }
        }
        impl<T: Codec + Clone + Send + Sync + 'static> Codec for $name<T> {
            const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Option::decode(bytes).map(Self)
            }
            fn schema() -> String {
                format!(concat!($schema, "<{}>"), T::schema())
            }
            fn json(&self) -> Value {
                self.0.json()
            }
            fn magnitude(&self) -> f64 {
                self.0.magnitude()
            }
        }
    };
}

sides!(
    /// Keeps the leftmost of the values combined. **Not commutative**: the answer is that of the order of summing, so it is
    /// worth something only where a key's order is kept. Prefer [`First`](super::First), which has an order of its own.
    ///
    /// `a + a == a`, but it is not marked as [`Idempotent`](crate::Idempotent): a value that comes again later is harmless only
    /// to sums in which order does not matter.
    ///
    /// **Not for** logs of several partitions, between which there is no order.
    ///
    /// ```
    /// use rufous_algebra::{Leftmost, Semigroup};
    /// let mut kept = Leftmost::of("a");
    /// kept.combine(&Leftmost::of("b"));
    /// assert_eq!(kept.get(), Some(&"a"));
    /// ```
    Leftmost, "leftmost", |mine, _theirs| mine.is_none()
);
sides!(
    /// Keeps the rightmost of the values combined. **Not commutative**: the answer is that of the order of summing, so it is
    /// worth something only where a key's order is kept. Prefer [`Last`](super::Last), which has an order of its own.
    ///
    /// `a + a == a`, but it is not marked as [`Idempotent`](crate::Idempotent): `a + b + a` is not `a + b`, so a value that
    /// comes again later does harm.
    ///
    /// **Not for** logs of several partitions, between which there is no order.
    ///
    /// ```
    /// use rufous_algebra::{Rightmost, Semigroup};
    /// let mut kept = Rightmost::of("a");
    /// kept.combine(&Rightmost::of("b"));
    /// assert_eq!(kept.get(), Some(&"b"));
    /// ```
    Rightmost, "rightmost", |_mine, theirs| theirs.is_some()
);

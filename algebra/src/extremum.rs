//! The greatest and the least.
//!
//! | type | zero | commutative | idempotent | inverse |
//! |---|---|---|---|---|
//! | [`Max<T>`], [`Min<T>`] | none yet | yes | yes | no |
//!
//! Exact laws, for any total order `T: Ord` in which equal values are the same value. Floats have no such order: round
//! them to integers first.

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

macro_rules! extremum {
    ($(#[$doc:meta])* $name:ident, $wins:tt, $schema:literal) => {
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
        impl<T: Ord + Clone + Send + Sync + 'static> Semigroup for $name<T> {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                if let Some(theirs) = &other.0 {
                    self.absorb(theirs);
                }
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                if let Some(theirs) = other.0 && self.0.as_ref().is_none_or(|mine| theirs $wins *mine) {
                    self.0 = Some(theirs);
                }
            }
            /// Itself: idempotent.
            fn times(self, _: std::num::NonZeroU64) -> Self {
                self
            }
        }
        impl<T: Ord + Clone + Send + Sync + 'static> Monoid for $name<T> {
            fn zero() -> Self {
                Self(None)
            }
            fn is_zero(&self) -> bool {
                self.0.is_none()
            }
        }
        impl<T: Ord + Clone + Send + Sync + 'static> Commutative for $name<T> {}
        impl<T: Ord + Clone + Send + Sync + 'static> Idempotent for $name<T> {}
        impl<T: Ord + Clone + Send + Sync + 'static> Tiered for $name<T> {
            type Tier = Exact;
        }
        impl<T: Ord + Clone + Send + Sync + 'static> Absorb<T> for $name<T> {
            #[inline]
            fn absorb(&mut self, item: &T) {
                if self.0.as_ref().is_none_or(|mine| item $wins mine) {
                    self.0 = Some(item.clone());
                }
            }
            fn absorb_times(&mut self, item: &T, _: std::num::NonZeroU64) {
                self.absorb(item);
            }
        }
        impl<T: Codec + Ord + Clone + Send + Sync + 'static> Codec for $name<T> {
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

extremum!(
    /// The greatest of the values; the zero is "none yet". Commutative and idempotent.
    ///
    /// **Not for** floats, which have no total order: [`Score`](crate::Score) gives them one. It cannot be taken back.
    ///
    /// ```
    /// use rufous_algebra::{Absorb, Max, Monoid};
    /// let mut slowest = Max::zero();
    /// assert_eq!(slowest.get(), None);
    /// [20u32, 90, 30].iter().for_each(|ms| slowest.absorb(ms));
    /// assert_eq!(slowest.get(), Some(&90));
    /// ```
    Max, >, "max"
);
extremum!(
    /// The least of the values; the zero is "none yet". Commutative and idempotent.
    ///
    /// **Not for** "none yet" as a number: a field with `ways::Min` has no such case.
    ///
    /// ```
    /// use rufous_algebra::{Min, Semigroup};
    /// let mut first = Min::of("b".to_string());
    /// first.combine(&Min::of("a".to_string()));
    /// assert_eq!(first.get().map(String::as_str), Some("a"));
    /// ```
    Min, <, "min"
);

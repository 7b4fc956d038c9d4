//! The value that came first or last, by a given order.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::extremum::{Max, Min};
use crate::semigroup::{Absorb, Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

macro_rules! ordered {
    ($(#[$doc:meta])* $name:ident, $extremum:ident, $schema:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<O, V>($extremum<(O, V)>);

        impl<O, V> $name<O, V> {
            /// Of one value, which has its place in the order.
            pub fn of(order: O, value: V) -> Self {
                Self($extremum::of((order, value)))
            }
            /// The value; `None` of nothing.
            pub fn get(&self) -> Option<&V> {
                self.0.get().map(|(_, value)| value)
            }
            /// Its place in the order.
            pub fn order(&self) -> Option<&O> {
                self.0.get().map(|(order, _)| order)
            }
        }
        impl<O, V> Default for $name<O, V> {
            fn default() -> Self {
                Self($extremum::default())
            }
        }
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Semigroup for $name<O, V> {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                self.0.combine(&other.0);
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                self.0.combine_owned(other.0);
            }
            /// Itself: idempotent.
            fn times(self, _: NonZeroU64) -> Self {
                self
            }
        }
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Monoid for $name<O, V> {
            fn zero() -> Self {
                Self::default()
            }
            fn is_zero(&self) -> bool {
                self.0.is_zero()
            }
        }
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Commutative for $name<O, V> {}
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Idempotent for $name<O, V> {}
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Tiered for $name<O, V> {
            type Tier = Exact;
        }
        impl<O: Ord + Clone + Send + Sync + 'static, V: Ord + Clone + Send + Sync + 'static> Absorb<(O, V)> for $name<O, V> {
            #[inline]
            fn absorb(&mut self, item: &(O, V)) {
                self.0.absorb(item);
            }
            fn absorb_times(&mut self, item: &(O, V), _: NonZeroU64) {
                self.0.absorb(item);
            }
        }
        /// No bytes for nothing; otherwise those of the order and the value as a pair.
        impl<O, V> Codec for $name<O, V>
        where
            O: Codec + Ord + Clone + Send + Sync + 'static,
            V: Codec + Ord + Clone + Send + Sync + 'static,
        {
            const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Codec::decode(bytes).map(Self)
            }
            fn schema() -> String {
                format!(concat!($schema, "<{},{}>"), O::schema(), V::schema())
            }
            fn json(&self) -> Value {
                self.0.json()
            }
            fn magnitude(&self) -> f64 {
                self.get().map_or(f64::NEG_INFINITY, V::magnitude)
            }
        }
    };
}

ordered!(
    /// The value that is first by an order of its own, such as the time of its event: not the one that arrived first. Of values
    /// in the same place of the order, the least. So it is commutative, idempotent and exact, and replays do no harm.
    /// Only values that are first now are kept: 1 value.
    ///
    /// **Not for** several of the first: [`TopK`](crate::TopK), [`Latest`](crate::Latest).
    ///
    /// ```
    /// use rufous_algebra::{Absorb, First, Monoid};
    /// let mut landing = First::zero();
    /// [(20u32, "home"), (5, "search"), (9, "cart")].iter().for_each(|visit| landing.absorb(visit));
    /// assert_eq!(landing.get(), Some(&"search"));
    /// ```
    First, Min, "first"
);
ordered!(
    /// The value that is last by an order of its own, such as the time of its event: not the one that arrived last. Of values in
    /// the same place of the order, the greatest. So it is commutative, idempotent and exact, and replays do no harm.
    ///
    /// **Not for** several of the last: [`Latest`](crate::Latest).
    ///
    /// ```
    /// use rufous_algebra::{Last, Semigroup};
    /// let mut status = Last::of(9u64, "sent");
    /// status.combine(&Last::of(3, "packed"));
    /// assert_eq!((status.order(), status.get()), (Some(&9), Some(&"sent")));
    /// ```
    Last, Max, "last"
);

//! What a sum emits, on its way to a second sum.

use std::sync::Arc;

use rufous_algebra::{Codec, Commutative, Homomorphism, Semigroup};

use super::{KeyedProducer, Summed};
use crate::erased::KeysOut;
use crate::key::{AsKey, Key};
use crate::port::Store;

/// Pairs whose values may be added up already, in groups that nobody specifies. The second sum is a function of the input
/// exactly if the steps between commute with addition, `g(a + b) = g(a) + g(b)`; so only those are here (O16): key steps,
/// `merge`, `named`, and `map_values_by` with a declared homomorphism. A look at single values, such as a filter of them,
/// would see the size of a chunk: put it before the first sum.
#[must_use = "deltas do nothing until they end in a store and a job is made of it"]
pub struct DeltaProducer<K, V> {
    pairs: KeyedProducer<K, V>,
}

impl<K, V> Clone for DeltaProducer<K, V> {
    fn clone(&self) -> Self {
        Self::of(self.pairs.clone())
    }
}

impl<K, V> DeltaProducer<K, V> {
    pub(super) fn of(pairs: KeyedProducer<K, V>) -> Self {
        Self { pairs }
    }
    /// Everything of both.
    #[track_caller]
    pub fn merge(self, other: Self) -> Self {
        Self::of(self.pairs.merge(other.pairs))
    }
    /// Gives the step before it a stable name.
    #[track_caller]
    pub fn named(self, name: &str) -> Self {
        Self::of(self.pairs.named(name))
    }
}

/// Nobody has it: a bound that says why a method is missing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "deltas show no single values: they are added up already, in groups that nobody specifies",
    label = "what this saw would depend on the size of a chunk",
    note = "call it before the first sum, or use `map_values_by` with a function that commutes with addition"
)]
pub trait SingleValues {}

impl<K, V> DeltaProducer<K, V> {
    #[doc(hidden)]
    pub fn filter_values(self, _: impl Fn(&V) -> bool) -> Self
    where
        Self: SingleValues,
    {
        self
    }
    #[doc(hidden)]
    pub fn map_values<U>(self, _: impl Fn(&V) -> U) -> DeltaProducer<K, U>
    where
        Self: SingleValues,
    {
        DeltaProducer::of(KeyedProducer::of(self.pairs.node))
    }
}

impl<K: Key, V: Semigroup> DeltaProducer<K, V> {
    /// As [`KeyedProducer::map_keys`].
    #[track_caller]
    pub fn map_keys<Q: AsKey + 'static>(self, f: impl Fn(&K) -> Q + Send + Sync + 'static) -> DeltaProducer<Q::Key, V> {
        DeltaProducer::of(self.pairs.map_keys(f))
    }
    /// As [`KeyedProducer::filter_keys`].
    #[track_caller]
    pub fn filter_keys(self, f: impl Fn(&K) -> bool + Send + Sync + 'static) -> Self {
        Self::of(self.pairs.filter_keys(f))
    }
    /// As [`KeyedProducer::flat_map_keys`].
    #[track_caller]
    pub fn flat_map_keys<K2: 'static>(
        self,
        f: impl Fn(&K, &mut KeysOut<'_, K2>) + Send + Sync + 'static,
    ) -> DeltaProducer<K2, V> {
        DeltaProducer::of(self.pairs.flat_map_keys(f))
    }
    /// Other values, by a function that commutes with addition.
    #[track_caller]
    pub fn map_values_by<H: Homomorphism<V>>(self, f: H) -> DeltaProducer<K, H::Output> {
        let f = Arc::new(f);
        DeltaProducer::of(self.pairs.map_values(move |value| f.apply(value)))
    }
    /// Totals per key in a second store.
    #[track_caller]
    pub fn sum_by_key(self, store: Store<K, V>) -> Summed<K, V>
    where
        V: Commutative + Codec,
    {
        self.pairs.sum_by_key(store)
    }
}

//! Other keys: each is turned into a key of the store.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ask::ask_what_is;
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// A store asked by `L`, where the store below has keys of type `K`. A key that cannot be converted is that key's error, and the
/// store is not asked for it. Keys that become the same are the same: they share one value, and of several in one call each is
/// counted.
pub struct ConvertedKeys<S, L, K, F> {
    store: S,
    convert: F,
    _lk: PhantomData<fn(&L) -> K>,
}

impl<S, L, K, F: Fn(&L) -> Result<K> + Send + Sync> ConvertedKeys<S, L, K, F> {
    /// Over a store.
    pub fn new(store: S, convert: F) -> Self {
        Self {
            store,
            convert,
            _lk: PhantomData,
        }
    }
}

impl<L, K, V, S, F> ReadableStore<L, V> for ConvertedKeys<S, L, K, F>
where
    S: ReadableStore<K, V>,
    F: Fn(&L) -> Result<K> + Send + Sync,
{
    fn multi_get(&self, keys: &[L]) -> Vec<Result<Option<V>>> {
        ask_what_is(keys.iter().map(&self.convert), |keys| self.store.multi_get(&keys))
    }
}

impl<L, K, V, S, F> WritableStore<L, V> for ConvertedKeys<S, L, K, F>
where
    S: WritableStore<K, V>,
    F: Fn(&L) -> Result<K> + Send + Sync,
{
    fn multi_put(&self, pairs: Vec<(L, Option<V>)>) -> Vec<Result<()>> {
        let pairs = pairs.into_iter().map(|(key, value)| Ok(((self.convert)(&key)?, value)));
        ask_what_is(pairs, |pairs| self.store.multi_put(pairs))
    }
}

impl<L, K, V, S, F> MergeableStore<L, V> for ConvertedKeys<S, L, K, F>
where
    S: MergeableStore<K, V>,
    F: Fn(&L) -> Result<K> + Send + Sync,
{
    fn multi_merge(&self, pairs: Vec<(L, V)>) -> Vec<Result<Option<V>>> {
        let pairs = pairs.into_iter().map(|(key, value)| Ok(((self.convert)(&key)?, value)));
        ask_what_is(pairs, |pairs| self.store.multi_merge(pairs))
    }
}

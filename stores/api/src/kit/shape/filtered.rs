//! Only the values that pass.

use rufous_core::Result;

use crate::kit::ReadableStore;

/// Holds what the store holds and `pass` lets through; the rest is absent. To be read only: what was put might not be there.
pub struct Filtered<S, F> {
    store: S,
    pass: F,
}

impl<S, F> Filtered<S, F> {
    /// Over a store.
    pub fn new<K, V>(store: S, pass: F) -> Self
    where
        F: Fn(&K, &V) -> bool + Send + Sync,
    {
        Self { store, pass }
    }
}

impl<K, V, S, F> ReadableStore<K, V> for Filtered<S, F>
where
    S: ReadableStore<K, V>,
    F: Fn(&K, &V) -> bool + Send + Sync,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let pass = |(found, key): (Result<Option<V>>, &K)| Ok(found?.filter(|value| (self.pass)(key, value)));
        self.store.multi_get(keys).into_iter().zip(keys).map(pass).collect()
    }
}

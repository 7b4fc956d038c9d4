//! Values as a function makes them of what the store holds.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ReadableStore;

/// Answers `f(key, value)` where the store holds a value; `Ok(None)` of the function is absence, an error is that key's. To be read
/// only: there is no way back.
pub struct Mapped<S, V, F> {
    store: S,
    f: F,
    _v: PhantomData<fn(V)>,
}

impl<S, V, F> Mapped<S, V, F> {
    /// Over a store.
    pub fn new<K, W>(store: S, f: F) -> Self
    where
        F: Fn(&K, V) -> Result<Option<W>> + Send + Sync,
    {
        Self {
            store,
            f,
            _v: PhantomData,
        }
    }
}

impl<K, V, W, S, F> ReadableStore<K, W> for Mapped<S, V, F>
where
    S: ReadableStore<K, V>,
    F: Fn(&K, V) -> Result<Option<W>> + Send + Sync,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<W>>> {
        let map = |(found, key): (Result<Option<V>>, &K)| match found? {
            Some(value) => (self.f)(key, value),
            None => Ok(None),
        };
        self.store.multi_get(keys).into_iter().zip(keys).map(map).collect()
    }
}

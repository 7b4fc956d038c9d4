//! A store in which every key has the same value.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ReadableStore;

/// Holds one value for all keys.
pub struct Constant<K, V> {
    value: V,
    _k: PhantomData<fn(&K)>,
}

/// A store that holds this value for every key.
pub fn constant<K, V>(value: V) -> Constant<K, V> {
    Constant { value, _k: PhantomData }
}

impl<K, V: Clone + Send + Sync> ReadableStore<K, V> for Constant<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        keys.iter().map(|_| Ok(Some(self.value.clone()))).collect()
    }
}

//! A store in which every key is surely absent.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ReadableStore;

/// Holds nothing.
pub struct Empty<K, V>(PhantomData<fn(&K) -> V>);

/// A store that holds nothing.
pub fn empty<K, V>() -> Empty<K, V> {
    Empty(PhantomData)
}

impl<K, V> ReadableStore<K, V> for Empty<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        keys.iter().map(|_| Ok(None)).collect()
    }
}

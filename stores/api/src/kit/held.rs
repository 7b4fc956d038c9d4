//! A store by reference, shared, or boxed is a store.

use std::sync::Arc;

use rufous_core::Result;

use super::{AddingStore, MergeableStore, ReadableStore, WritableStore};

macro_rules! through {
    ($($held:ty),*) => {$(
        impl<K, V, S: ReadableStore<K, V> + ?Sized> ReadableStore<K, V> for $held {
            fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
                (**self).multi_get(keys)
            }
            fn get(&self, key: &K) -> Result<Option<V>> {
                (**self).get(key)
            }
        }
        impl<K, V, S: WritableStore<K, V> + ?Sized> WritableStore<K, V> for $held {
            fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
                (**self).multi_put(pairs)
            }
            fn put(&self, key: K, value: Option<V>) -> Result<()> {
                (**self).put(key, value)
            }
        }
        impl<K, V, S: MergeableStore<K, V> + ?Sized> MergeableStore<K, V> for $held {
            fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
                (**self).multi_merge(pairs)
            }
            fn merge(&self, key: K, value: V) -> Result<Option<V>> {
                (**self).merge(key, value)
            }
        }
        impl<K, V, S: AddingStore<K, V> + ?Sized> AddingStore<K, V> for $held {
            fn multi_add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>> {
                (**self).multi_add(pairs)
            }
            fn add(&self, key: K, value: V) -> Result<()> {
                (**self).add(key, value)
            }
        }
    )*};
}

through!(&S, Box<S>, Arc<S>);

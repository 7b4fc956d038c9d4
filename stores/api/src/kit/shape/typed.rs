//! Types over bytes: the canonical bytes that all of Rufous keeps.

use std::marker::PhantomData;

use rufous_algebra::Codec;
use rufous_core::key::{to_bytes, to_text};
use rufous_core::{Error, Key, Result};

use crate::kit::{ReadableStore, WritableStore};

/// A store of `K` and `V` over a store of bytes, in their canonical encodings. It is not mergeable: the store below would have to
/// know what the bytes mean, so add above it ([`MergedByPut`](crate::kit::MergedByPut)).
pub struct Typed<S, K, V> {
    store: S,
    _kv: PhantomData<fn(&K) -> V>,
}

impl<S, K: Key, V: Codec> Typed<S, K, V> {
    /// Over a store of bytes.
    pub fn new(store: S) -> Self {
        Self {
            store,
            _kv: PhantomData,
        }
    }
}

impl<K: Key, V: Codec, S: ReadableStore<Vec<u8>, Vec<u8>>> ReadableStore<K, V> for Typed<S, K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let bytes: Vec<Vec<u8>> = keys.iter().map(to_bytes).collect();
        let value = |(found, key): (Result<Option<Vec<u8>>>, &K)| {
            let Some(bytes) = found? else { return Ok(None) };
            V::decode(&bytes).map(Some).map_err(|e| {
                Error::corrupt(format!(
                    "the value of key `{}` cannot be read as {}: {e}",
                    to_text(key),
                    V::schema()
                ))
                .caused_by(e)
            })
        };
        self.store.multi_get(&bytes).into_iter().zip(keys).map(value).collect()
    }
}

impl<K: Key, V: Codec, S: WritableStore<Vec<u8>, Vec<u8>>> WritableStore<K, V> for Typed<S, K, V> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let bytes = |(key, value): (K, Option<V>)| (to_bytes(&key), value.map(|value| value.to_bytes()));
        self.store.multi_put(pairs.into_iter().map(bytes).collect())
    }
}

//! Additions without an answer of before.

use rufous_core::Result;

use crate::kit::{AddingStore, MergeableStore, ReadableStore};

/// A [`MergeableStore`] whose answers of before are thrown away. It is read as it was.
pub struct Adds<S>(pub S);

impl<K, V, S: MergeableStore<K, V>> AddingStore<K, V> for Adds<S> {
    fn multi_add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>> {
        self.0
            .multi_merge(pairs)
            .into_iter()
            .map(|before| before.map(drop))
            .collect()
    }
}

impl<K, V, S: ReadableStore<K, V>> ReadableStore<K, V> for Adds<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.0.multi_get(keys)
    }
}

//! A map in memory: the model that other stores are compared with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rufous_algebra::Semigroup;
use rufous_core::Result;

use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// An ordered map, for any number of threads. Clones share it. A call of many keys is one step: nobody sees a part of it.
pub struct MapStore<K, V>(Arc<RwLock<BTreeMap<K, V>>>);

impl<K, V> Default for MapStore<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Clone for MapStore<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for MapStore<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(RwLock::new(pairs.into_iter().collect())))
    }
}

impl<K, V> MapStore<K, V> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(BTreeMap::new())))
    }
    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.read().len()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }
    /// What it holds now, ascending by key.
    pub fn entries(&self) -> Vec<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.read().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Values are replaced by ones that are whole, so a poisoned lock guards whole values.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<K, V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<K, V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Send + Sync, V: Clone + Send + Sync> ReadableStore<K, V> for MapStore<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let map = self.read();
        keys.iter().map(|key| Ok(map.get(key).cloned())).collect()
    }
}

impl<K: Ord + Send + Sync, V: Send + Sync> WritableStore<K, V> for MapStore<K, V> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let mut map = self.write();
        let put = |(key, value)| {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            Ok(())
        };
        pairs.into_iter().map(put).collect()
    }
}

impl<K: Ord + Send + Sync, V: Semigroup> MergeableStore<K, V> for MapStore<K, V> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        let mut map = self.write();
        let merge = |(key, value)| {
            Ok(match map.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                    None
                }
                Entry::Occupied(mut found) => {
                    // A sum that panics leaves what was there.
                    let mut sum = found.get().clone();
                    sum.combine_owned(value);
                    Some(found.insert(sum))
                }
            })
        };
        pairs.into_iter().map(merge).collect()
    }
}

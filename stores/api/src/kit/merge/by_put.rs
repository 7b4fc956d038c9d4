//! Additions to a store that can only be read and written.

use std::collections::BTreeMap;
use std::hash::Hash;

use rufous_algebra::Semigroup;
use rufous_core::Result;

use crate::kit::ask::{again, ask_what_is, distinct, exactly, missing};
use crate::kit::stripes::Stripes;
use crate::kit::{MergeableStore, ReadWriteStore, ReadableStore, WritableStore};

/// Adds by reading, summing and writing, with a lock on the key from the first to the last. The lock is this store's: all threads share
/// one, and nobody else writes the store, in this process or another. A key that cannot be read is not written.
pub struct MergedByPut<S> {
    store: S,
    stripes: Stripes,
}

impl<S> MergedByPut<S> {
    /// Over a store that nobody else writes.
    pub fn new(store: S) -> Self {
        Self {
            store,
            stripes: Stripes::default(),
        }
    }
}

impl<K, V, S: ReadableStore<K, V>> ReadableStore<K, V> for MergedByPut<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.store.multi_get(keys)
    }
}

impl<K: Hash, V, S: WritableStore<K, V>> WritableStore<K, V> for MergedByPut<S> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let _writing = self.stripes.write(pairs.iter().map(|(key, _)| key));
        self.store.multi_put(pairs)
    }
}

impl<K: Ord + Hash + Clone, V: Semigroup, S: ReadWriteStore<K, V>> MergeableStore<K, V> for MergedByPut<S> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        let (keys, of) = distinct(pairs.iter().map(|(key, _)| key));
        let _writing = self.stripes.write(keys.iter());
        let mut now = exactly(keys.len(), self.store.multi_get(&keys));
        let add = |((_, value), place): ((K, V), &usize)| match now.get_mut(*place) {
            Some(Ok(now)) => {
                let before = now.clone();
                match now {
                    Some(sum) => sum.combine_owned(value),
                    None => *now = Some(value),
                }
                Ok(before)
            }
            Some(Err(e)) => Err(again(e)),
            None => Err(missing()),
        };
        let before: Vec<Result<Option<V>>> = pairs.into_iter().zip(&of).map(add).collect();
        let written = ask_what_is(keys.into_iter().zip(now).map(|(key, sum)| Ok((key, sum?))), |pairs| {
            self.store.multi_put(pairs)
        });
        let failed: BTreeMap<usize, _> = written.into_iter().map(Result::err).enumerate().collect();
        let answer = |(before, place): (Result<Option<V>>, usize)| match failed.get(&place) {
            Some(Some(e)) => Err(again(e)),
            _ => before,
        };
        before.into_iter().zip(of).map(answer).collect()
    }
}

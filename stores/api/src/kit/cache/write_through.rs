//! Writes go to the store, and the cache does not answer what was there before.

use std::collections::BTreeMap;
use std::hash::Hash;

use rufous_core::{Error, Result};

use super::ReadThrough;
use crate::kit::ask::{again, ask_what_is, distinct, exactly};
use crate::kit::{MergeableStore, ReadWriteStore, ReadableStore, WritableStore};

/// A cache in front of a store that is read and written through it, by any number of threads. A write makes the cache forget the
/// key, and then goes to the store; a cache that cannot forget is an error, and nothing was written. What the store took is
/// in the cache only when that was [asked for](Self::keep_written), and only after the store took it.
///
/// Who reads while somebody writes gets the old value or the new one, and puts neither into the cache. Other processes are not known
/// to this: what they write is seen when the cache forgets the key, so give it a time to live.
pub struct WriteThrough<C, S> {
    read: ReadThrough<C, S>,
    keep_written: bool,
}

impl<C, S> WriteThrough<C, S> {
    /// `cache` in front of `store`.
    pub fn new(cache: C, store: S) -> Self {
        Self {
            read: ReadThrough::new(cache, store),
            keep_written: false,
        }
    }
    /// As [`ReadThrough::remember_absence`].
    #[must_use]
    pub fn remember_absence(mut self) -> Self {
        self.read = self.read.remember_absence();
        self
    }
    /// What was put is in the cache afterwards: for values that are read soon. (What was merged is not: only the store knows the sum.)
    #[must_use]
    pub fn keep_written(mut self) -> Self {
        self.keep_written = true;
        self
    }

    /// Makes the cache forget keys, and says which it did not.
    fn forget<K: Ord + Clone, V>(&self, keys: &[K]) -> BTreeMap<K, Error>
    where
        C: WritableStore<K, Option<V>>,
    {
        let pairs = keys.iter().map(|key| (key.clone(), None)).collect();
        let forgotten = exactly(keys.len(), self.read.cache.multi_put(pairs));
        let failed = keys.iter().zip(forgotten).filter_map(|(key, done)| {
            let e = done
                .err()?
                .at("nothing was written, for the cache in front of the store cannot forget what it has");
            Some((key.clone(), e))
        });
        failed.collect()
    }
}

/// A pair, unless the cache still has its key.
fn unless<K: Ord, P>(failed: &BTreeMap<K, Error>, pair: (K, P)) -> Result<(K, P)> {
    match failed.get(&pair.0) {
        Some(e) => Err(again(e)),
        None => Ok(pair),
    }
}

impl<K, V, C, S> ReadableStore<K, V> for WriteThrough<C, S>
where
    K: Ord + Hash + Clone,
    V: Clone,
    C: ReadWriteStore<K, Option<V>>,
    S: ReadableStore<K, V>,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.read.multi_get(keys)
    }
}

impl<K, V, C, S> WritableStore<K, V> for WriteThrough<C, S>
where
    K: Ord + Hash + Clone,
    V: Clone,
    C: WritableStore<K, Option<V>>,
    S: WritableStore<K, V>,
{
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let (keys, of) = distinct(pairs.iter().map(|(key, _)| key));
        let _writing = self.read.stripes.write(keys.iter());
        let failed = self.forget(&keys);
        // The last value of each key.
        let mut kept: Vec<Option<Option<V>>> = keys.iter().map(|_| None).collect();
        if self.keep_written {
            for ((_, value), place) in pairs.iter().zip(&of) {
                if let Some(kept) = kept.get_mut(*place) {
                    *kept = Some(value.clone());
                }
            }
        }
        let done = ask_what_is(pairs.into_iter().map(|pair| unless(&failed, pair)), |pairs| {
            self.read.store.multi_put(pairs)
        });
        // Of a key with any failure it is not known what the store has.
        for (done, place) in done.iter().zip(&of) {
            if let (Err(_), Some(kept)) = (done, kept.get_mut(*place)) {
                *kept = None;
            }
        }
        let kept = keys.into_iter().zip(kept).filter_map(|(key, value)| {
            let value = value.filter(|value| value.is_some() || self.read.absence)?;
            Some((key, Some(value)))
        });
        let kept: Vec<_> = kept.collect();
        if !kept.is_empty() {
            // Where this fails the cache has nothing of the key, or what the store took.
            drop(self.read.cache.multi_put(kept));
        }
        done
    }
}

impl<K, V, C, S> MergeableStore<K, V> for WriteThrough<C, S>
where
    K: Ord + Hash + Clone,
    C: WritableStore<K, Option<V>>,
    S: MergeableStore<K, V>,
{
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        let (keys, _) = distinct(pairs.iter().map(|(key, _)| key));
        let _writing = self.read.stripes.write(keys.iter());
        let failed = self.forget(&keys);
        ask_what_is(pairs.into_iter().map(|pair| unless(&failed, pair)), |pairs| {
            self.read.store.multi_merge(pairs)
        })
    }
}

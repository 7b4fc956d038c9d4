//! Reads ask the cache, and the store for what it does not know.

use std::hash::Hash;

use rufous_core::Result;

use crate::kit::ask::{distinct, exactly, missing, same};
use crate::kit::stripes::Stripes;
use crate::kit::{ReadWriteStore, ReadableStore, WritableStore};

/// A cache in front of a store that is read, and written by nobody or by others. What the store answered is written into the cache: values, and
/// absence only when that was [asked for](Self::remember_absence); a failure never. A cache that fails costs time and no answer: the
/// store is asked. What others write to the store is not seen until the cache forgets the key.
pub struct ReadThrough<C, S> {
    pub(super) cache: C,
    pub(super) store: S,
    pub(super) stripes: Stripes,
    pub(super) absence: bool,
}

impl<C, S> ReadThrough<C, S> {
    /// `cache` in front of `store`.
    pub fn new(cache: C, store: S) -> Self {
        Self {
            cache,
            store,
            stripes: Stripes::default(),
            absence: false,
        }
    }
    /// Keys that are surely absent are kept as well: they answer so until the cache forgets them.
    #[must_use]
    pub fn remember_absence(mut self) -> Self {
        self.absence = true;
        self
    }
}

impl<K, V, C, S> ReadableStore<K, V> for ReadThrough<C, S>
where
    K: Ord + Hash + Clone,
    V: Clone,
    C: ReadWriteStore<K, Option<V>>,
    S: ReadableStore<K, V>,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let known: Vec<Option<Option<V>>> = exactly(keys.len(), self.cache.multi_get(keys))
            .into_iter()
            .map(|known| known.ok().flatten())
            .collect();
        let unknown = keys.iter().zip(&known).filter(|(_, known)| known.is_none());
        let (asked, of) = distinct(unknown.map(|(key, _)| key));
        let mut of = of.into_iter();
        let found = if asked.is_empty() {
            Vec::new()
        } else {
            // Before the store is asked: what was written since then may not be what it answers.
            let changes: Vec<u64> = asked.iter().map(|key| self.stripes.changes(key)).collect();
            let found = exactly(asked.len(), self.store.multi_get(&asked));
            self.keep(&asked, &changes, &found);
            found
        };
        let answer = |known: Option<Option<V>>| match known {
            Some(value) => Ok(value),
            None => of
                .next()
                .and_then(|place| found.get(place))
                .map_or_else(|| Err(missing()), same),
        };
        known.into_iter().map(answer).collect()
    }
}

impl<C, S> ReadThrough<C, S> {
    /// Writes what the store answered into the cache, where nobody has written the key since it was asked. Where that fails the
    /// cache does not know the key, as before.
    fn keep<K: Hash + Clone, V: Clone>(&self, keys: &[K], changes: &[u64], found: &[Result<Option<V>>])
    where
        C: WritableStore<K, Option<V>>,
    {
        for ((key, changes), found) in keys.iter().zip(changes).zip(found) {
            let Ok(value) = found else { continue };
            if value.is_some() || self.absence {
                self.stripes.if_unchanged(key, *changes, || {
                    let _ = self.cache.put(key.clone(), Some(value.clone()));
                });
            }
        }
    }
}

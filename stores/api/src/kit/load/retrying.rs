//! What may succeed later is tried again.

use std::collections::BTreeSet;

use rufous_algebra::{Commutative, Idempotent};
use rufous_core::Result;

use super::Backoff;
use super::backoff::may_pass;
use crate::kit::ask::exactly;
use crate::kit::{AddingStore, MergeableStore, ReadableStore, WritableStore};

/// Reads and puts of keys that failed with `TryAgain` are sent again, after pauses; other errors are answers. A put that is sent again takes
/// the later puts of its key with it, so the last one of a call still counts. **A merge is sent once**: after an error it may have been added.
/// Where that does no harm use [`RetryingAdds`].
pub struct Retrying<S> {
    store: S,
    backoff: Backoff,
}

impl<S> Retrying<S> {
    /// Over a store.
    pub fn new(store: S, backoff: Backoff) -> Self {
        Self { store, backoff }
    }
}

impl<K: Clone, V, S: ReadableStore<K, V>> ReadableStore<K, V> for Retrying<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        read(&self.store, &self.backoff, keys)
    }
}

/// Reads, and reads again what failed and may pass.
fn read<K: Clone, V>(store: &impl ReadableStore<K, V>, backoff: &Backoff, keys: &[K]) -> Vec<Result<Option<V>>> {
    let mut answers = exactly(keys.len(), store.multi_get(keys));
    let failed = |answers: &[Result<Option<V>>]| places(answers.iter().map(may_pass));
    backoff.again(&mut answers, failed, |places| {
        let asked: Vec<K> = at(keys, places).cloned().collect();
        exactly(asked.len(), store.multi_get(&asked))
    });
    answers
}

impl<K: Ord + Clone, V: Clone, S: WritableStore<K, V>> WritableStore<K, V> for Retrying<S> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let mut answers = exactly(pairs.len(), self.store.multi_put(pairs.clone()));
        let open = |answers: &[Result<()>]| {
            let mut failed = BTreeSet::new();
            places(answers.iter().zip(&pairs).map(|(answer, (key, _))| {
                if may_pass(answer) {
                    failed.insert(key);
                }
                failed.contains(key)
            }))
        };
        self.backoff.again(&mut answers, open, |places| {
            let asked: Vec<(K, Option<V>)> = at(&pairs, places).cloned().collect();
            exactly(asked.len(), self.store.multi_put(asked))
        });
        answers
    }
}

impl<K, V, S: MergeableStore<K, V>> MergeableStore<K, V> for Retrying<S> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.store.multi_merge(pairs)
    }
}

/// Additions that failed with `TryAgain` are sent again: only of values to which being added twice, and later than others, makes no
/// difference. What was there before is not answered, for after a second try it may have the value already.
pub struct RetryingAdds<S> {
    store: S,
    backoff: Backoff,
}

impl<S> RetryingAdds<S> {
    /// Over a store.
    pub fn new(store: S, backoff: Backoff) -> Self {
        Self { store, backoff }
    }
}

impl<K: Clone, V, S: ReadableStore<K, V>> ReadableStore<K, V> for RetryingAdds<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        read(&self.store, &self.backoff, keys)
    }
}

impl<K: Clone, V: Idempotent + Commutative, S: AddingStore<K, V>> AddingStore<K, V> for RetryingAdds<S> {
    fn multi_add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>> {
        let mut answers = exactly(pairs.len(), self.store.multi_add(pairs.clone()));
        let failed = |answers: &[Result<()>]| places(answers.iter().map(may_pass));
        self.backoff.again(&mut answers, failed, |places| {
            let asked: Vec<(K, V)> = at(&pairs, places).cloned().collect();
            exactly(asked.len(), self.store.multi_add(asked))
        });
        answers
    }
}

/// Where it is so.
fn places(so: impl Iterator<Item = bool>) -> Vec<usize> {
    so.enumerate().filter_map(|(place, so)| so.then_some(place)).collect()
}

fn at<'a, T>(items: &'a [T], places: &'a [usize]) -> impl Iterator<Item = &'a T> {
    places.iter().filter_map(|place| items.get(*place))
}

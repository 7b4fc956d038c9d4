//! Calls of many keys in pieces.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rufous_core::Result;

use crate::kit::ask::{exactly, side_by_side};
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// No call of the store has more than so many keys, and so many calls go on side by side at most. Pairs with the same key go to the store in
/// their order, also when they are in different pieces.
pub struct Batched<S> {
    store: S,
    keys: NonZeroUsize,
    calls: NonZeroUsize,
}

impl<S> Batched<S> {
    /// At most `keys` a call, one call at a time.
    pub fn new(store: S, keys: NonZeroUsize) -> Self {
        Self {
            store,
            keys,
            calls: NonZeroUsize::MIN,
        }
    }
    /// So many calls side by side.
    #[must_use]
    pub fn side_by_side(mut self, calls: NonZeroUsize) -> Self {
        self.calls = calls;
        self
    }

    /// Sends pairs in pieces. Pieces that go on side by side share no key: where a key comes again, what is on its way is waited
    /// for.
    fn send<K: Ord + Clone + Send, P: Send, A: Send>(
        &self,
        pairs: Vec<(K, P)>,
        send: impl Fn(Vec<(K, P)>) -> Vec<Result<A>> + Sync,
    ) -> Vec<Result<A>> {
        let mut answers = Vec::with_capacity(pairs.len());
        // The pieces that will go on side by side, and in which of them a key is.
        let mut pieces: Vec<Vec<(K, P)>> = Vec::new();
        let mut of: BTreeMap<K, usize> = BTreeMap::new();
        let mut flush = |pieces: &mut Vec<Vec<(K, P)>>, of: &mut BTreeMap<K, usize>| {
            let done = side_by_side(std::mem::take(pieces), self.calls, |piece| {
                exactly(piece.len(), send(piece))
            });
            answers.extend(done.into_iter().flatten());
            of.clear();
        };
        let one_at_a_time = self.calls == NonZeroUsize::MIN;
        for pair in pairs {
            if pieces.last().is_none_or(|last| last.len() >= self.keys.get()) {
                if pieces.len() >= self.calls.get() {
                    flush(&mut pieces, &mut of);
                }
                pieces.push(Vec::new());
            }
            if !one_at_a_time {
                let place = pieces.len() - 1;
                if of.get(&pair.0).is_some_and(|other| *other != place) {
                    flush(&mut pieces, &mut of);
                    pieces.push(Vec::new());
                }
                of.insert(pair.0.clone(), pieces.len() - 1);
            }
            if let Some(last) = pieces.last_mut() {
                last.push(pair);
            }
        }
        flush(&mut pieces, &mut of);
        answers
    }
}

impl<K: Sync, V: Send, S: ReadableStore<K, V>> ReadableStore<K, V> for Batched<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let pieces = keys.chunks(self.keys.get()).collect();
        let ask = |piece: &[K]| exactly(piece.len(), self.store.multi_get(piece));
        side_by_side(pieces, self.calls, ask).into_iter().flatten().collect()
    }
}

impl<K: Ord + Clone + Send, V: Send, S: WritableStore<K, V>> WritableStore<K, V> for Batched<S> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        self.send(pairs, |piece| self.store.multi_put(piece))
    }
}

impl<K: Ord + Clone + Send, V: Send, S: MergeableStore<K, V>> MergeableStore<K, V> for Batched<S> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.send(pairs, |piece| self.store.multi_merge(piece))
    }
}

//! Keys dealt out to stores by a fixed hash.

use std::num::NonZeroU32;

use rufous_core::key::{to_bytes, to_text};
use rufous_core::{Error, Key, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::kit::ask::{exactly, missing, side_by_side};
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// Which of `shards` has a key, by rule 1, which never changes: XXH3-64 of the canonical bytes, times the number of shards, divided
/// by 2^64.
pub fn shard_of<K: Key>(key: &K, shards: NonZeroU32) -> u32 {
    let scaled = u128::from(xxh3_64(&to_bytes(key))) * u128::from(shards.get());
    (scaled >> 64) as u32
}

/// Stores that have the keys of one store between them: each key is in the one that [`shard_of`] names. A shard that is not there is an
/// error of its keys, whether they are read or written. Shards are asked side by side, so a call takes as long as its slowest shard.
///
/// Another number of shards puts keys elsewhere: what is in them has to be moved first.
pub struct Sharded<S> {
    shards: Vec<Option<S>>,
    of: NonZeroU32,
}

impl<S> Sharded<S> {
    /// Of shards by number; `None` is not there.
    ///
    /// # Errors
    /// `InvalidRequest` without any, or when they are more than a `u32` counts.
    pub fn new(shards: Vec<Option<S>>) -> Result<Self> {
        let of = u32::try_from(shards.len()).ok().and_then(NonZeroU32::new);
        let of =
            of.ok_or_else(|| Error::invalid(format!("a store of {} shards: give it one at least", shards.len())))?;
        Ok(Self { shards, of })
    }

    /// Deals questions out to the shards of their keys, and puts the answers back in order.
    fn ask<K: Key, Q: Send, A: Send>(
        &self,
        questions: Vec<Q>,
        key: impl Fn(&Q) -> &K,
        ask: impl Fn(&S, Vec<Q>) -> Vec<Result<A>> + Sync,
    ) -> Vec<Result<A>>
    where
        S: Sync,
    {
        let mut answers: Vec<Result<A>> = questions.iter().map(|_| Err(missing())).collect();
        let mut dealt: Vec<(Vec<Q>, Vec<usize>)> = self.shards.iter().map(|_| (Vec::new(), Vec::new())).collect();
        for (place, question) in questions.into_iter().enumerate() {
            let number = shard_of(key(&question), self.of) as usize;
            match (self.shards.get(number), dealt.get_mut(number)) {
                (Some(Some(_)), Some((questions, places))) => {
                    questions.push(question);
                    places.push(place);
                }
                _ => {
                    let e = Error::try_again(format!(
                        "key `{}` is in shard {number} of {}, which is not there",
                        to_text(key(&question)),
                        self.of
                    ));
                    put(&mut answers, place, Err(e));
                }
            }
        }
        let shards = self
            .shards
            .iter()
            .zip(dealt)
            .filter_map(|(shard, (questions, places))| {
                let shard = shard.as_ref().filter(|_| !questions.is_empty())?;
                Some((shard, questions, places))
            });
        let shards: Vec<_> = shards.collect();
        let threads = self.of.try_into().unwrap_or(std::num::NonZeroUsize::MAX);
        let done = side_by_side(shards, threads, |(shard, questions, places)| {
            (exactly(questions.len(), ask(shard, questions)), places)
        });
        for (found, places) in done {
            for (place, answer) in places.into_iter().zip(found) {
                put(&mut answers, place, answer);
            }
        }
        answers
    }
}

fn put<A>(answers: &mut [A], place: usize, answer: A) {
    if let Some(at) = answers.get_mut(place) {
        *at = answer;
    }
}

impl<K: Key, V: Send, S: ReadableStore<K, V>> ReadableStore<K, V> for Sharded<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.ask(keys.to_vec(), |key| key, |shard, keys| shard.multi_get(&keys))
    }
}

impl<K: Key, V: Send, S: WritableStore<K, V>> WritableStore<K, V> for Sharded<S> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        self.ask(pairs, |(key, _)| key, |shard, pairs| shard.multi_put(pairs))
    }
}

impl<K: Key, V: Send, S: MergeableStore<K, V>> MergeableStore<K, V> for Sharded<S> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.ask(pairs, |(key, _)| key, |shard, pairs| shard.multi_merge(pairs))
    }
}

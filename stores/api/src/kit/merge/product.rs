//! Two stores as one whose values are pairs.

use std::collections::BTreeMap;

use rufous_algebra::Semigroup;
use rufous_core::Result;

use crate::kit::ask::{exactly, missing, same};
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// What both stores hold under a key. Either side of a pair may be absent; a pair of nothing is absence, to read, put and merge. A
/// failure of either store is the key's, and says of which; the other one may be written then.
pub struct Product<A, B> {
    first: A,
    second: B,
}

type Both<V, W> = (Option<V>, Option<W>);

impl<A, B> Product<A, B> {
    /// `first` and `second`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

/// A pair, unless it is one of nothing.
fn both<V, W>((first, second): (Result<Option<V>>, Result<Option<W>>)) -> Result<Option<Both<V, W>>> {
    let first = first.map_err(|e| e.at("the first of two stores"))?;
    let second = second.map_err(|e| e.at("the second of two stores"))?;
    Ok((first.is_some() || second.is_some()).then_some((first, second)))
}

impl<K, V, W, A: ReadableStore<K, V>, B: ReadableStore<K, W>> ReadableStore<K, Both<V, W>> for Product<A, B> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<Both<V, W>>>> {
        let first = exactly(keys.len(), self.first.multi_get(keys));
        let second = exactly(keys.len(), self.second.multi_get(keys));
        first.into_iter().zip(second).map(both).collect()
    }
}

impl<K: Clone, V, W, A: WritableStore<K, V>, B: WritableStore<K, W>> WritableStore<K, Both<V, W>> for Product<A, B> {
    fn multi_put(&self, pairs: Vec<(K, Option<Both<V, W>>)>) -> Vec<Result<()>> {
        let n = pairs.len();
        let (first, second) = pairs
            .into_iter()
            .map(|(key, pair)| {
                let (v, w) = pair.unwrap_or((None, None));
                ((key.clone(), v), (key, w))
            })
            .unzip();
        let first = exactly(n, self.first.multi_put(first));
        let second = exactly(n, self.second.multi_put(second));
        let done = |(a, b): (Result<()>, Result<()>)| both((a.map(Some), b.map(Some))).map(drop);
        first.into_iter().zip(second).map(done).collect()
    }
}

/// What each side had just before. Two threads that merge one key may see them in different orders: each side is exact, the pair is
/// no snapshot. A side that nothing is added to is read.
impl<K, V, W, A, B> MergeableStore<K, Both<V, W>> for Product<A, B>
where
    K: Ord + Clone,
    V: Semigroup,
    W: Semigroup,
    A: ReadableStore<K, V> + MergeableStore<K, V>,
    B: ReadableStore<K, W> + MergeableStore<K, W>,
{
    fn multi_merge(&self, pairs: Vec<(K, Both<V, W>)>) -> Vec<Result<Option<Both<V, W>>>> {
        let (first, second) = pairs
            .into_iter()
            .map(|(key, (v, w))| ((key.clone(), v), (key, w)))
            .unzip();
        let first = merge_side(&self.first, first);
        let second = merge_side(&self.second, second);
        first.into_iter().zip(second).map(both).collect()
    }
}

/// Merges what there is to merge; where there is nothing the answer is what the key has after the pairs before it.
fn merge_side<K, V, S>(store: &S, pairs: Vec<(K, Option<V>)>) -> Vec<Result<Option<V>>>
where
    K: Ord + Clone,
    V: Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    let idle = pairs.iter().filter(|(_, value)| value.is_none());
    let idle: Vec<K> = idle.map(|(key, _)| key.clone()).collect();
    let mut now: BTreeMap<K, Result<Option<V>>> = BTreeMap::new();
    if !idle.is_empty() {
        let found = exactly(idle.len(), store.multi_get(&idle));
        now.extend(idle.into_iter().zip(found));
    }
    let added = pairs
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let added: Vec<(K, V)> = added.collect();
    let n = added.len();
    let before = if n == 0 {
        Vec::new()
    } else {
        exactly(n, store.multi_merge(added))
    };
    let mut before = before.into_iter();
    let answer = |(key, value): (K, Option<V>)| {
        let Some(value) = value else {
            return now.get(&key).map_or_else(|| Err(missing()), same);
        };
        let before = before.next().unwrap_or_else(|| Err(missing()));
        if let Some(now) = now.get_mut(&key) {
            *now = same(&before).map(|mut sum| {
                sum.combine_owned(Some(value));
                sum
            });
        }
        before
    };
    pairs.into_iter().map(answer).collect()
}

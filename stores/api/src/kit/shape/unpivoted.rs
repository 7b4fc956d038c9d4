//! Rows taken apart: a store of `K -> {I: V}` asked by `(K, I)`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock};

use rufous_algebra::Monoid;
use rufous_core::Result;

use crate::kit::ask::{again, ask_what_is, distinct, exactly, missing, same};
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// A row as the store below has it.
pub type Row<I, V> = BTreeMap<I, V>;

/// A store asked by `(K, I)`, where the store below holds a row of many `I` for a `K`. As in sums of maps, an entry that is zero is
/// absent, and a row without entries too.
///
/// A put reads the row and writes it again, under a lock that keeps every other write of this store away until the row is
/// written. So a row has one such store over it, which all threads share; a second one, here or in another process, would overwrite what this one puts.
/// Merges add to the row where it is, and go on side by side.
pub struct Unpivoted<S, K, I, V> {
    store: S,
    /// Merges share it, a put has it alone: a merge between the reading and the writing of a row would be lost.
    rows: RwLock<()>,
    _kiv: PhantomData<fn(K, I) -> V>,
}

impl<S, K, I, V> Unpivoted<S, K, I, V> {
    /// Over a store of rows.
    pub fn new(store: S) -> Self {
        Self {
            store,
            rows: RwLock::new(()),
            _kiv: PhantomData,
        }
    }
}

impl<K, I, V, S> ReadableStore<(K, I), V> for Unpivoted<S, K, I, V>
where
    K: Ord + Clone,
    I: Ord,
    V: Clone,
    S: ReadableStore<K, Row<I, V>>,
{
    fn multi_get(&self, keys: &[(K, I)]) -> Vec<Result<Option<V>>> {
        let (different, of) = distinct(keys.iter().map(|(key, _)| key));
        let rows = exactly(different.len(), self.store.multi_get(&different));
        let entry = |((_, inner), place): (&(K, I), usize)| match rows.get(place) {
            Some(Ok(row)) => Ok(row.as_ref().and_then(|row| row.get(inner)).cloned()),
            Some(Err(e)) => Err(again(e)),
            None => Err(missing()),
        };
        keys.iter().zip(of).map(entry).collect()
    }
}

impl<K, I, V, S> WritableStore<(K, I), V> for Unpivoted<S, K, I, V>
where
    K: Ord + Clone,
    I: Ord,
    V: Monoid,
    S: ReadableStore<K, Row<I, V>> + WritableStore<K, Row<I, V>>,
{
    fn multi_put(&self, pairs: Vec<((K, I), Option<V>)>) -> Vec<Result<()>> {
        let _alone = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let (different, of) = distinct(pairs.iter().map(|((key, _), _)| key));
        let mut rows = exactly(different.len(), self.store.multi_get(&different));
        for (((_, inner), value), place) in pairs.into_iter().zip(&of) {
            let Some(Ok(row)) = rows.get_mut(*place) else { continue };
            match value.filter(|value| !value.is_zero()) {
                Some(value) => {
                    row.get_or_insert_default().insert(inner, value);
                }
                None => {
                    row.as_mut().and_then(|row| row.remove(&inner));
                }
            }
        }
        let changed = different.into_iter().zip(rows).map(|(key, row)| {
            let row = row?.filter(|row| !row.is_empty());
            Ok((key, row))
        });
        let written = ask_what_is(changed, |rows| self.store.multi_put(rows));
        of.into_iter()
            .map(|place| written.get(place).map_or_else(|| Err(missing()), same))
            .collect()
    }
}

impl<K, I, V, S> MergeableStore<(K, I), V> for Unpivoted<S, K, I, V>
where
    I: Ord + Clone,
    S: MergeableStore<K, Row<I, V>>,
{
    fn multi_merge(&self, pairs: Vec<((K, I), V)>) -> Vec<Result<Option<V>>> {
        let _no_put = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let (inner, rows): (Vec<I>, Vec<_>) = pairs
            .into_iter()
            .map(|((key, inner), value)| (inner.clone(), (key, BTreeMap::from([(inner, value)]))))
            .unzip();
        let before = exactly(rows.len(), self.store.multi_merge(rows));
        let entry = |(row, inner): (Result<Option<Row<I, V>>>, I)| Ok(row?.and_then(|mut row| row.remove(&inner)));
        before.into_iter().zip(inner).map(entry).collect()
    }
}

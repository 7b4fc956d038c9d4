//! Rows put together: a store of `(K, I) -> V` asked by `K`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock};

use rufous_algebra::{Monoid, Semigroup};
use rufous_core::{Error, Result};

use super::unpivoted::Row;
use crate::kit::ask::{again, exactly, missing};
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// A store of rows: the row of `K` has an entry for each `I` that the store below holds under `(K, I)`, of those that `inner` names:
/// the hours of a day, the columns of a table. As in sums of maps, an entry that is zero is absent, and a row without entries too.
///
/// A row is many keys below. So that nobody who reads through this store sees half a row, whoever writes one keeps the others away,
/// readers too. What failed in one entry is the error of the row; of its other entries some may be written then. An entry that `inner` does
/// not name could not be read again: it is refused before anything is written.
pub struct Pivoted<S, K, I, V, F> {
    store: S,
    inner: F,
    rows: RwLock<()>,
    _kiv: PhantomData<fn(K, I) -> V>,
}

impl<S, K, I, V, F: Fn(&K) -> Vec<I> + Send + Sync> Pivoted<S, K, I, V, F> {
    /// Over a store of entries.
    pub fn new(store: S, inner: F) -> Self {
        Self {
            store,
            inner,
            rows: RwLock::new(()),
            _kiv: PhantomData,
        }
    }
}

/// Puts the answers of entries together by row. `sizes` says how many each row has.
fn by_row<A>(sizes: Vec<usize>, answers: Vec<Result<A>>) -> impl Iterator<Item = Result<Vec<A>>> {
    let mut answers = exactly(sizes.iter().sum(), answers).into_iter();
    sizes.into_iter().map(move |size| {
        // All of a row are taken, whatever the first of them is.
        let row: Vec<Result<A>> = answers.by_ref().take(size).collect();
        row.into_iter().collect()
    })
}

impl<S, K: Clone, I: Ord + Clone, V: Monoid, F: Fn(&K) -> Vec<I> + Send + Sync> Pivoted<S, K, I, V, F> {
    fn names(&self, key: &K) -> Vec<I> {
        let mut names = (self.inner)(key);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn read(&self, keys: &[K]) -> Vec<Result<Option<Row<I, V>>>>
    where
        S: ReadableStore<(K, I), V>,
    {
        let names: Vec<Vec<I>> = keys.iter().map(|key| self.names(key)).collect();
        let each = keys.iter().zip(&names);
        let asked: Vec<(K, I)> = each
            .flat_map(|(key, names)| names.iter().map(|i| (key.clone(), i.clone())))
            .collect();
        let sizes = names.iter().map(Vec::len).collect();
        let rows = by_row(sizes, self.store.multi_get(&asked)).zip(names);
        let row = |(found, names): (Result<Vec<Option<V>>>, Vec<I>)| {
            let entries = names.into_iter().zip(found?);
            let row: Row<I, V> = entries
                .filter_map(|(i, v)| Some((i, v.filter(|v| !v.is_zero())?)))
                .collect();
            Ok((!row.is_empty()).then_some(row))
        };
        rows.map(row).collect()
    }
}

/// Refuses entries that could not be read again.
fn check<K: Debug, I: Ord + Debug, V>(key: &K, row: &Row<I, V>, names: &[I]) -> Result<()> {
    match row.keys().find(|i| names.binary_search(i).is_err()) {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "the row of key {key:?} has an entry {other:?}, which is none of those that this store reads: name it where the store is pivoted"
        ))),
    }
}

impl<K, I, V, S, F> ReadableStore<K, Row<I, V>> for Pivoted<S, K, I, V, F>
where
    K: Clone,
    I: Ord + Clone,
    V: Monoid,
    S: ReadableStore<(K, I), V>,
    F: Fn(&K) -> Vec<I> + Send + Sync,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<Row<I, V>>>> {
        let _no_write = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        self.read(keys)
    }
}

impl<K, I, V, S, F> WritableStore<K, Row<I, V>> for Pivoted<S, K, I, V, F>
where
    K: Clone + Debug,
    I: Ord + Clone + Debug,
    V: Monoid,
    S: WritableStore<(K, I), V>,
    F: Fn(&K) -> Vec<I> + Send + Sync,
{
    fn multi_put(&self, pairs: Vec<(K, Option<Row<I, V>>)>) -> Vec<Result<()>> {
        let _alone = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::new();
        let mut refused = Vec::new();
        let mut sizes = Vec::new();
        for (key, row) in pairs {
            let names = self.names(&key);
            let mut row = row.unwrap_or_default();
            let checked = check(&key, &row, &names);
            sizes.push(if checked.is_ok() { names.len() } else { 0 });
            if checked.is_ok() {
                for i in names {
                    let value = row.remove(&i).filter(|v| !v.is_zero());
                    entries.push(((key.clone(), i), value));
                }
            }
            refused.push(checked);
        }
        let done = by_row(sizes, self.store.multi_put(entries));
        refused
            .into_iter()
            .zip(done)
            .map(|(checked, done)| checked.and(done.map(drop)))
            .collect()
    }
}

impl<K, I, V, S, F> MergeableStore<K, Row<I, V>> for Pivoted<S, K, I, V, F>
where
    K: Ord + Clone + Debug,
    I: Ord + Clone + Debug + Send + Sync + 'static,
    V: Monoid,
    S: ReadableStore<(K, I), V> + MergeableStore<(K, I), V>,
    F: Fn(&K) -> Vec<I> + Send + Sync,
{
    /// The row before is whole, with the entries that nothing is added to: so the rows are read first.
    fn multi_merge(&self, pairs: Vec<(K, Row<I, V>)>) -> Vec<Result<Option<Row<I, V>>>> {
        let _alone = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<K> = pairs.iter().map(|(key, _)| key.clone()).collect();
        // What each key's row is before the next of its pairs. After an error it is not known any more.
        let mut rows: BTreeMap<K, Result<Option<Row<I, V>>>> = keys.iter().cloned().zip(self.read(&keys)).collect();
        let mut answers = Vec::with_capacity(pairs.len());
        let mut entries = Vec::new();
        let mut sizes = Vec::new();
        for (key, row) in pairs {
            let before = match (check(&key, &row, &self.names(&key)), rows.get_mut(&key)) {
                (Err(e), _) => Err(e),
                (Ok(()), Some(Ok(now))) => {
                    let before = now.clone();
                    let mut sum = now.take().unwrap_or_default();
                    sum.combine(&row);
                    *now = (!sum.is_empty()).then_some(sum);
                    Ok(before)
                }
                (Ok(()), Some(Err(e))) => Err(again(e)),
                (Ok(()), None) => Err(missing()),
            };
            let mut added = 0;
            if before.is_ok() {
                for (i, value) in row.into_iter().filter(|(_, v)| !v.is_zero()) {
                    entries.push(((key.clone(), i), value));
                    added += 1;
                }
            }
            sizes.push(added);
            answers.push(before);
        }
        let done = by_row(sizes, self.store.multi_merge(entries));
        // Behind a pair that failed nobody knows what the row was.
        let mut lost: BTreeMap<K, Error> = BTreeMap::new();
        let answer = |((before, done), key): ((Result<Option<Row<I, V>>>, Result<Vec<Option<V>>>), K)| {
            if let Some(e) = lost.get(&key) {
                return Err(again(e));
            }
            if let Err(e) = &done {
                lost.insert(key, again(e));
            }
            done.and(before)
        };
        answers.into_iter().zip(done).zip(keys).map(answer).collect()
    }
}

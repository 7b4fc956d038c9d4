//! Key-value stores as users compose them: three small blocking traits that take many keys at once. These stores know nothing of
//! partitions, batches or progress: a job's state is a [`RealtimeStore`](crate::RealtimeStore) instead.
//!
//! Every answer has three forms, and none stands for another: `Ok(Some(value))` is there, `Ok(None)` is surely absent, `Err` is not
//! known. There is one answer a key asked, in the order asked, also to keys that are asked twice; a key that fails takes no other
//! with it.

use rufous_core::{Error, Result};

/// A store that can be read.
pub trait ReadableStore<K, V>: Send + Sync {
    /// One answer a key, in order.
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>>;
    /// The value of one key.
    ///
    /// # Errors
    /// The store's own.
    fn get(&self, key: &K) -> Result<Option<V>> {
        one(self.multi_get(std::slice::from_ref(key)))
    }
}

/// A store that can be written.
pub trait WritableStore<K, V>: Send + Sync {
    /// Sets values; `None` deletes. One answer a pair, in order; of pairs with the same key the last one counts. After an error it is
    /// not known whether that pair was written.
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>>;
    /// Sets or deletes the value of one key.
    ///
    /// # Errors
    /// The store's own.
    fn put(&self, key: K, value: Option<V>) -> Result<()> {
        one(self.multi_put(vec![(key, value)]))
    }
}

/// A store that adds to what it holds.
pub trait MergeableStore<K, V>: Send + Sync {
    /// Adds values, and answers what each key had just before: pairs with the same key are added in the order given, so each sees
    /// the ones before it. After an error it is not known whether that pair was added.
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>>;
    /// Adds to the value of one key, and answers what it had just before.
    ///
    /// # Errors
    /// The store's own.
    fn merge(&self, key: K, value: V) -> Result<Option<V>> {
        one(self.multi_merge(vec![(key, value)]))
    }
}

/// The answer to the only question.
fn one<T>(mut answers: Vec<Result<T>>) -> Result<T> {
    match (answers.pop(), answers.is_empty()) {
        (Some(answer), true) => answer,
        _ => Err(Error::bug("a store did not give one answer to one question")),
    }
}

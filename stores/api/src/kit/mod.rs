//! Key-value stores as users compose them: three small blocking traits that take many keys at once. These stores know nothing of
//! partitions, batches or progress: a job's state is a [`RealtimeStore`](crate::RealtimeStore) instead.
//!
//! Every answer has three forms, and none stands for another: `Ok(Some(value))` is there, `Ok(None)` is surely absent, `Err` is not
//! known. There is one answer a key asked, in the order asked, also to keys that are asked twice; a key that fails takes no other
//! with it.
//!
//! A store of your own implements [`ReadableStore`], and [`WritableStore`] and [`MergeableStore`] as far as it can; the
//! [guide](crate::guide) shows how, and [`conformance::kit`](mod@crate::conformance::kit) checks it. [`StoreExt`] then gives it a
//! method a combinator; each is a type of its own, and can do what the stores can that it is made of:
//!
//! ```
//! use rufous_store_api::kit::{Counts, MapStore, MemoryCache, MergeableStore, Operation, ReadableStore, StoreExt};
//! # use std::sync::Arc;
//! let counts = Arc::new(Counts::default());
//! let store = MapStore::<String, u64>::new().observed(counts.clone()).cached(MemoryCache::of_entries(1_000));
//! assert_eq!(store.merge("a".into(), 2)?, None);
//! assert_eq!(store.merge("a".into(), 3)?, Some(2));
//! assert_eq!((store.get(&"a".into())?, store.get(&"a".into())?), (Some(5), Some(5)));
//! assert_eq!(counts.of(Operation::Get).calls, 1);
//! # Ok::<(), rufous_core::Error>(())
//! ```
//!
//! | family | combinators |
//! |---|---|
//! | without a server ([`plain`]) | [`MapStore`], [`empty`], [`constant`], [`function`] |
//! | other keys and values ([`shape`]) | [`ConvertedKeys`], [`ConvertedValues`], [`Typed`] over bytes, [`Mapped`], [`Filtered`], [`Composed`], [`Pivoted`], [`Unpivoted`] |
//! | caches ([`cache`]) | [`MemoryCache`], [`ReadThrough`], [`WriteThrough`] |
//! | several stores ([`copies`]) | [`Replicated`], [`Sharded`], [`Searching`] |
//! | load ([`load`]) | [`Batched`], [`Retrying`], [`RetryingAdds`], [`WriteBehind`], [`Observed`] |
//! | sums ([`merge`]) | [`MergedByPut`], [`SumOfBoth`], [`Product`] |
//!
//! A combinator holds no lock while it asks a store for reading only. Those that must keep writes of one key apart hold one while
//! the store is asked (each says so), so a store may not call back into the combinator that asks it.

mod ask;
mod boxed;
pub mod cache;
pub mod copies;
mod ext;
mod held;
pub mod load;
pub mod merge;
pub mod plain;
pub mod shape;
mod stripes;

use rufous_core::{Error, Result};

pub use boxed::{BoxMergeable, BoxReadWrite, BoxReadable, BoxStore, BoxWritable, FullStore, ReadWriteStore};
pub use cache::{MemoryCache, ReadThrough, WriteThrough};
pub use copies::{Quorum, Replicated, Searching, Sharded};
pub use ext::{BytesExt, EntriesExt, RowsExt, StoreExt};
pub use load::{
    Adds, Backoff, Batched, Behind, Call, Counts, Observed, Observer, Operation, Retrying, RetryingAdds, Unclear,
    WriteBehind, Writes,
};
pub use merge::{MergedByPut, Product, SumOfBoth};
pub use plain::{MapStore, constant, empty, function};
pub use shape::{
    Composed, Conversion, ConvertedKeys, ConvertedValues, Filtered, Injection, KeepsSums, Mapped, Pivoted,
    PreservesSums, Typed, Unpivoted,
};

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

/// A store that adds, and does not say what was there before: that is all that can be promised where additions are collected, or
/// sent a second time. [`Adds`] makes one of a [`MergeableStore`].
pub trait AddingStore<K, V>: Send + Sync {
    /// Adds values; pairs with the same key in the order given. After an error it is not known whether that pair was added.
    fn multi_add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>>;
    /// Adds to the value of one key.
    ///
    /// # Errors
    /// The store's own.
    fn add(&self, key: K, value: V) -> Result<()> {
        one(self.multi_add(vec![(key, value)]))
    }
}

/// The answer to the only question.
fn one<T>(mut answers: Vec<Result<T>>) -> Result<T> {
    match (answers.pop(), answers.is_empty()) {
        (Some(answer), true) => answer,
        _ => Err(Error::bug("a store did not give one answer to one question")),
    }
}

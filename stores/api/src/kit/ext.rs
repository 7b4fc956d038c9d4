//! A method a combinator.

use std::fmt::Debug;
use std::hash::Hash;
use std::num::NonZeroUsize;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::service::{Now, now};
use rufous_core::{Key, Result};

use super::load::Adds;
use super::{
    Backoff, Batched, Behind, BoxReadable, BoxStore, Composed, ConvertedKeys, ConvertedValues, Filtered, FullStore,
    Injection, Mapped, MergeableStore, MergedByPut, Observed, Observer, Pivoted, Product, ReadThrough, ReadableStore,
    Retrying, SumOfBoth, Typed, Unpivoted, WriteBehind, WriteThrough,
};
use crate::kit::shape::Row;

/// Combinators as methods, of every store that can be read. What comes out can do what the store can: a cached store that can be
/// written is written through the cache. A store that can only be written or merged uses the constructors.
pub trait StoreExt<K, V>: ReadableStore<K, V> + Sized {
    /// Asked by other keys: [`ConvertedKeys`].
    fn keyed_by<L, F>(self, convert: F) -> ConvertedKeys<Self, L, K, F>
    where
        F: Fn(&L) -> Result<K> + Send + Sync,
    {
        ConvertedKeys::new(self, convert)
    }
    /// With other values: [`ConvertedValues`].
    fn converted<A, I: Injection<A, V>>(self, by: I) -> ConvertedValues<Self, A, V, I> {
        ConvertedValues::new(self, by)
    }
    /// Values made by a function, to be read only.
    fn map_values<W>(self, f: impl Fn(V) -> W + Send + Sync) -> impl ReadableStore<K, W> {
        Mapped::new(self, move |_: &K, value| Ok(Some(f(value))))
    }
    /// Values made by a function that may fail, or say that there is none: [`Mapped`].
    fn try_map_values<W, F>(self, f: F) -> Mapped<Self, V, F>
    where
        F: Fn(&K, V) -> Result<Option<W>> + Send + Sync,
    {
        Mapped::new(self, f)
    }
    /// Only values that pass: [`Filtered`].
    fn filtered<F: Fn(&K, &V) -> bool + Send + Sync>(self, pass: F) -> Filtered<Self, F> {
        Filtered::new(self, pass)
    }
    /// The value that another store has under the value of this one: [`Composed`].
    fn and_then<W, B: ReadableStore<V, W>>(self, second: B) -> Composed<Self, B, V> {
        Composed::new(self, second)
    }
    /// A cache in front: [`WriteThrough`], which is a [`ReadThrough`] for stores that can only be read.
    fn cached<C: ReadableStore<K, Option<V>>>(self, cache: C) -> WriteThrough<C, Self> {
        WriteThrough::new(cache, self)
    }
    /// A cache in front of what others write: [`ReadThrough`].
    fn read_through<C: ReadableStore<K, Option<V>>>(self, cache: C) -> ReadThrough<C, Self> {
        ReadThrough::new(cache, self)
    }
    /// At most so many keys a call: [`Batched`].
    fn batched(self, keys: NonZeroUsize) -> Batched<Self> {
        Batched::new(self, keys)
    }
    /// What may pass is tried again: [`Retrying`].
    fn retrying(self, backoff: Backoff) -> Retrying<Self> {
        Retrying::new(self, backoff)
    }
    /// Calls are told: [`Observed`].
    fn observed<O: Observer>(self, observer: O) -> Observed<Self, O> {
        Observed::new(self, observer)
    }
    /// Read as the sum with another store: [`SumOfBoth`].
    fn summed_with<B: ReadableStore<K, V>>(self, other: B) -> SumOfBoth<Self, B>
    where
        V: Semigroup,
    {
        SumOfBoth::new(self, other)
    }
    /// As one store with another one: [`Product`].
    fn with<W, B: ReadableStore<K, W>>(self, other: B) -> Product<Self, B> {
        Product::new(self, other)
    }
    /// Merges by reading and writing: [`MergedByPut`].
    fn merged_by_put(self) -> MergedByPut<Self> {
        MergedByPut::new(self)
    }
    /// Sums additions before they are written: [`WriteBehind`].
    ///
    /// # Errors
    /// As [`WriteBehind::new`].
    fn write_behind(self, limit: Behind) -> Result<WriteBehind<K, V, Adds<Self>>>
    where
        K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
        V: Semigroup,
        Self: MergeableStore<K, V> + 'static,
    {
        WriteBehind::new(Adds(self), limit)
    }
    /// A service that a job looks things up in, as of the time of the question.
    fn into_service(self) -> Now<K, V, impl Fn(&[K]) -> Result<Vec<Option<V>>> + Send + Sync>
    where
        K: Key,
    {
        now(move |keys: &[K]| self.multi_get(keys).into_iter().collect())
    }
    /// For those who must not name a type.
    fn boxed(self) -> BoxStore<K, V>
    where
        Self: FullStore<K, V> + 'static,
    {
        Box::new(self)
    }
    /// The same of a store that is only read.
    fn boxed_readable(self) -> BoxReadable<K, V>
    where
        Self: 'static,
    {
        Box::new(self)
    }
}

impl<K, V, S: ReadableStore<K, V>> StoreExt<K, V> for S {}

/// What can be made of a store of bytes.
pub trait BytesExt: ReadableStore<Vec<u8>, Vec<u8>> + Sized {
    /// Keys and values in their canonical bytes: [`Typed`].
    fn typed<K: Key, V: Codec>(self) -> Typed<Self, K, V> {
        Typed::new(self)
    }
}

impl<S: ReadableStore<Vec<u8>, Vec<u8>>> BytesExt for S {}

/// What can be made of a store whose keys are pairs.
pub trait EntriesExt<K, I, V>: ReadableStore<(K, I), V> + Sized {
    /// Rows of the entries that `inner` names: [`Pivoted`].
    fn pivoted<F: Fn(&K) -> Vec<I> + Send + Sync>(self, inner: F) -> Pivoted<Self, K, I, V, F> {
        Pivoted::new(self, inner)
    }
}

impl<K, I, V, S: ReadableStore<(K, I), V>> EntriesExt<K, I, V> for S {}

/// What can be made of a store whose values are maps.
pub trait RowsExt<K, I, V>: ReadableStore<K, Row<I, V>> + Sized {
    /// Entries of the rows: [`Unpivoted`].
    fn unpivoted(self) -> Unpivoted<Self, K, I, V> {
        Unpivoted::new(self)
    }
}

impl<K, I, V, S: ReadableStore<K, Row<I, V>>> RowsExt<K, I, V> for S {}

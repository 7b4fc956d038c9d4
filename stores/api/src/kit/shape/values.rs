//! Other values: each is turned into a value of the store and back.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ask::ask_what_is;
use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// How values of a user become values of a store, and back. Either way may fail: not every value has a form, and not every
/// stored one is the form of something.
///
/// **Law:** `back(there(a)) == a`.
pub trait Injection<A, B>: Send + Sync {
    /// The form that is stored.
    ///
    /// # Errors
    /// `InvalidRequest` when the value has none.
    fn there(&self, value: &A) -> Result<B>;
    /// The value whose form this is.
    ///
    /// # Errors
    /// `CorruptData` when it is the form of none.
    fn back(&self, stored: B) -> Result<A>;
}

/// **Law:** `there(a + b) == there(a) + there(b)`. Only then may the store below add the forms: bytes, for one, are appended to each
/// other where the values would be summed.
#[diagnostic::on_unimplemented(
    message = "nobody has declared that the sum of two stored forms is the form of the sum",
    note = "where the law holds, say so: `KeepsSums(Conversion::new(..))`",
    note = "where it does not hold, merge above the conversion: `.converted(..).merged_by_put()`"
)]
pub trait PreservesSums<A, B>: Injection<A, B> {}

/// An [`Injection`] of two functions.
pub struct Conversion<F, G> {
    there: F,
    back: G,
}

impl<F, G> Conversion<F, G> {
    /// Of the way there and the way back.
    pub fn new<A, B>(there: F, back: G) -> Self
    where
        F: Fn(&A) -> Result<B> + Send + Sync,
        G: Fn(B) -> Result<A> + Send + Sync,
    {
        Self { there, back }
    }
}

impl<A, B, F, G> Injection<A, B> for Conversion<F, G>
where
    F: Fn(&A) -> Result<B> + Send + Sync,
    G: Fn(B) -> Result<A> + Send + Sync,
{
    fn there(&self, value: &A) -> Result<B> {
        (self.there)(value)
    }
    fn back(&self, stored: B) -> Result<A> {
        (self.back)(stored)
    }
}

/// An injection that is declared to be one that [`PreservesSums`].
pub struct KeepsSums<I>(pub I);

impl<A, B, I: Injection<A, B>> Injection<A, B> for KeepsSums<I> {
    fn there(&self, value: &A) -> Result<B> {
        self.0.there(value)
    }
    fn back(&self, stored: B) -> Result<A> {
        self.0.back(stored)
    }
}

impl<A, B, I: Injection<A, B>> PreservesSums<A, B> for KeepsSums<I> {}

/// A store of `A`, where the store below has values of type `B`. A value that cannot be converted is its key's error.
pub struct ConvertedValues<S, A, B, I> {
    store: S,
    by: I,
    _ab: PhantomData<fn(A) -> B>,
}

impl<S, A, B, I: Injection<A, B>> ConvertedValues<S, A, B, I> {
    /// Over a store.
    pub fn new(store: S, by: I) -> Self {
        Self {
            store,
            by,
            _ab: PhantomData,
        }
    }
    fn back(&self, found: Result<Option<B>>) -> Result<Option<A>> {
        found?.map(|stored| self.by.back(stored)).transpose()
    }
}

impl<K, A, B, S: ReadableStore<K, B>, I: Injection<A, B>> ReadableStore<K, A> for ConvertedValues<S, A, B, I> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<A>>> {
        let found = self.store.multi_get(keys);
        found.into_iter().map(|found| self.back(found)).collect()
    }
}

impl<K, A, B, S: WritableStore<K, B>, I: Injection<A, B>> WritableStore<K, A> for ConvertedValues<S, A, B, I> {
    fn multi_put(&self, pairs: Vec<(K, Option<A>)>) -> Vec<Result<()>> {
        let there = |value: Option<A>| value.map(|value| self.by.there(&value)).transpose();
        let pairs = pairs.into_iter().map(|(key, value)| Ok((key, there(value)?)));
        ask_what_is(pairs, |pairs| self.store.multi_put(pairs))
    }
}

impl<K, A, B, S: MergeableStore<K, B>, I: PreservesSums<A, B>> MergeableStore<K, A> for ConvertedValues<S, A, B, I> {
    fn multi_merge(&self, pairs: Vec<(K, A)>) -> Vec<Result<Option<A>>> {
        let pairs = pairs.into_iter().map(|(key, value)| Ok((key, self.by.there(&value)?)));
        let before = ask_what_is(pairs, |pairs| self.store.multi_merge(pairs));
        before.into_iter().map(|found| self.back(found)).collect()
    }
}

//! The typed face of a store: the port's key and value types over [`RawStoreClient`].

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Instant;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::key::{decode_all, to_bytes};
use rufous_core::{AsKey, Error, Key, KeyOf, PrefixOf, Result, SourcePartition};

use crate::answer::{Answer, Partial, undecodable};
use crate::explain::RawExplained;
use crate::raw::{RawRows, RawStoreClient};

/// Asks one store by its port: literals take their type from the store's key, `get((7, hour))`.
///
/// No read here returns a sum that lacks something, except [`get_partial`](Self::get_partial), whose type says so. Errors are
/// those of [`RawStoreClient`].
pub struct StoreClient<K, V> {
    raw: RawStoreClient,
    _of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for StoreClient<K, V> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            _of: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for StoreClient<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClient")
            .field("store", &self.raw.face().name)
            .finish_non_exhaustive()
    }
}

impl<K: Key, V: Semigroup + Codec> StoreClient<K, V> {
    pub(crate) fn over(raw: RawStoreClient) -> Self {
        Self { raw, _of: PhantomData }
    }

    /// The same store as bytes.
    pub fn raw(&self) -> &RawStoreClient {
        &self.raw
    }

    /// Answers without ranges that were lost (P31); [`Coverage::holes`](crate::Coverage::holes) lists them.
    #[must_use]
    pub fn accept_holes(self) -> Self {
        Self::over(self.raw.accept_holes())
    }

    /// Answers only what holds everything below these offsets: [`RawStoreClient::at_least`].
    #[must_use]
    pub fn at_least(self, offsets: &BTreeMap<SourcePartition, u64>) -> Self {
        Self::over(self.raw.at_least(offsets))
    }

    /// A read that is not done by then is `TryAgain`: [`RawStoreClient::until`].
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self::over(self.raw.until(deadline))
    }

    fn value(&self, key: &[u8], bytes: &[u8]) -> Result<V> {
        let face = self.raw.face();
        V::decode(bytes).map_err(|e| {
            undecodable(face, key, &e)
                .at(format_args!("store `{}`", face.name))
                .caused_by(e)
        })
    }

    fn rows(&self, (rows, basis): RawRows) -> Result<Vec<(K, Answer<V>)>> {
        let name = self.raw.face().name;
        let typed = rows.into_iter().map(|(key, value)| {
            let k = decode_all::<K>(&key)
                .map_err(|e| Error::corrupt(format!("store `{name}`: a key cannot be read: {e}")).caused_by(e))?;
            Ok((k, basis.answer(Some(self.value(&key, &value)?))))
        });
        typed.collect()
    }

    /// The whole answer for one key.
    ///
    /// # Errors
    /// When it would not be whole, and as said at [`RawStoreClient`].
    pub fn get<Q: AsKey>(&self, key: Q) -> Result<Answer<V>>
    where
        K: KeyOf<Q>,
    {
        let key = to_bytes(&key);
        self.raw.get(&key)?.try_map(|v| self.value(&key, &v))
    }

    /// For each key, in order, its whole answer; all of one snapshot and one manifest.
    pub fn multi_get<Q: AsKey>(&self, keys: &[Q]) -> Vec<Result<Answer<V>>>
    where
        K: KeyOf<Q>,
    {
        let keys: Vec<Vec<u8>> = keys.iter().map(to_bytes).collect();
        self.answers(&keys)
    }

    pub(crate) fn answers(&self, keys: &[Vec<u8>]) -> Vec<Result<Answer<V>>> {
        let found = self.raw.multi_get(keys);
        found
            .into_iter()
            .zip(keys)
            .map(|(a, key)| a?.try_map(|v| self.value(key, &v)))
            .collect()
    }

    /// What is known of one key, and what is missing.
    ///
    /// # Errors
    /// As [`RawStoreClient::get_partial`].
    pub fn get_partial<Q: AsKey>(&self, key: Q) -> Result<Partial<V>>
    where
        K: KeyOf<Q>,
    {
        let key = to_bytes(&key);
        self.raw.get_partial(&key)?.try_map(|v| self.value(&key, &v))
    }

    /// What the answer for a key was made of: [`RawStoreClient::explain_answer`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn explain_answer<Q: AsKey>(&self, key: Q) -> Result<RawExplained>
    where
        K: KeyOf<Q>,
    {
        self.raw.explain_answer(&to_bytes(&key))
    }

    /// The sum of all values under a prefix: `(7,)` for keys `(u32, TimeBucket)`, `()` for the whole store.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn sum_under<Q>(&self, prefix: Q) -> Result<Answer<V>>
    where
        K: PrefixOf<Q>,
    {
        let prefix = prefix_bytes::<K, Q>(&prefix);
        self.raw.sum_under(&prefix)?.try_map(|v| self.value(&prefix, &v))
    }

    /// The sum of all values with `keys.start <= key < keys.end`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn sum_range<Q: AsKey>(&self, keys: Range<Q>) -> Result<Answer<V>>
    where
        K: KeyOf<Q>,
    {
        let (from, to) = (to_bytes(&keys.start), to_bytes(&keys.end));
        self.raw.sum_range(&from, &to)?.try_map(|v| self.value(&from, &v))
    }

    /// Every key under a prefix with its whole answer, ascending by key; all of one snapshot and one manifest.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn under<Q>(&self, prefix: Q) -> Result<Vec<(K, Answer<V>)>>
    where
        K: PrefixOf<Q>,
    {
        self.rows(self.raw.under(&prefix_bytes::<K, Q>(&prefix))?)
    }

    /// The `n` keys with the largest values, largest first; equal ones ascend by key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn top(&self, n: usize) -> Result<Vec<(K, Answer<V>)>> {
        self.rows(self.raw.top(n)?)
    }
}

fn prefix_bytes<K: PrefixOf<Q>, Q>(prefix: &Q) -> Vec<u8> {
    let mut out = Vec::new();
    K::encode_prefix_of(prefix, &mut out);
    out
}

//! The typed face of a windowed store.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use rufous_algebra::{Codec, Semigroup};
use rufous_core::key::to_bytes;
use rufous_core::{AsKey, Grid, Hop, HopSize, Key, KeyOf, Result, SourcePartition};

use super::{RawWindowAnswer, RawWindowClient, RawWindowExplained, Window, WindowAnswer};
use crate::answer::undecodable;
use crate::typed::StoreClient;

/// Asks a windowed store by its port. Every answer is whole, and says which interval it covers. Errors are those of
/// [`RawWindowClient`].
pub struct WindowClient<K, V> {
    raw: RawWindowClient,
    _of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for WindowClient<K, V> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            _of: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for WindowClient<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowClient")
            .field("store", &self.raw.raw().face().name)
            .finish_non_exhaustive()
    }
}

impl<K: Key, V: Semigroup + Codec> WindowClient<K, V> {
    pub(crate) fn over(raw: RawWindowClient) -> Self {
        Self { raw, _of: PhantomData }
    }
    /// The same store as bytes.
    pub fn raw(&self) -> &RawWindowClient {
        &self.raw
    }
    /// The values of single hops: `views.hops().get(("/a", TimeBucket::hour(at)))`.
    pub fn hops(&self) -> StoreClient<(K, Hop), V> {
        StoreClient::over(self.raw.raw().clone())
    }
    /// Its hops.
    pub fn grid(&self) -> &Grid {
        self.raw.grid()
    }
    /// Answers without ranges that were lost (P31); [`Coverage::holes`](crate::Coverage::holes) lists them.
    #[must_use]
    pub fn accept_holes(self) -> Self {
        Self::over(self.raw.accept_holes())
    }

    /// Answers only what holds everything below these offsets: [`RawStoreClient::at_least`](crate::RawStoreClient::at_least).
    #[must_use]
    pub fn at_least(self, offsets: &BTreeMap<SourcePartition, u64>) -> Self {
        Self::over(self.raw.at_least(offsets))
    }
    /// A read that is not done by then is `TryAgain`: [`RawStoreClient::until`](crate::RawStoreClient::until).
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self::over(self.raw.until(deadline))
    }

    fn typed(&self, key: &[u8], answer: Result<RawWindowAnswer>) -> Result<WindowAnswer<V>> {
        let face = self.raw.raw().face();
        answer?.try_map(|bytes| {
            V::decode(&bytes).map_err(|e| {
                undecodable(face, key, &e)
                    .at(format_args!("store `{}`", face.name))
                    .caused_by(e)
            })
        })
    }

    /// The whole sum of a key over a window.
    ///
    /// # Errors
    /// When it would not be whole, the window cannot be covered, and as said at [`RawWindowClient`].
    pub fn get<Q: AsKey>(&self, key: Q, window: Window) -> Result<WindowAnswer<V>>
    where
        K: KeyOf<Q>,
    {
        let mut found = self.multi_get(std::slice::from_ref(&key), window)?;
        match found.pop() {
            Some(answer) => answer,
            None => Err(rufous_core::Error::bug("one key was asked, none was answered")),
        }
    }
    /// Of which hops the sum of a key over a window was made, and each of them of what.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn explain_answer<Q: AsKey>(&self, key: Q, window: Window) -> Result<RawWindowExplained>
    where
        K: KeyOf<Q>,
    {
        self.raw.explain_answer(&to_bytes(&key), &window)
    }
    /// For each key, in order, its sum over the same window; all of one snapshot and one manifest.
    ///
    /// # Errors
    /// As [`get`](Self::get); a key whose bytes are damaged is an error of its own.
    pub fn multi_get<Q: AsKey>(&self, keys: &[Q], window: Window) -> Result<Vec<Result<WindowAnswer<V>>>>
    where
        K: KeyOf<Q>,
    {
        let keys: Vec<Vec<u8>> = keys.iter().map(to_bytes).collect();
        let found = self.raw.read(&keys, &[window])?;
        let one = |(key, answers): (&Vec<u8>, Vec<Result<RawWindowAnswer>>)| {
            let answer = answers.into_iter().next();
            let none = || Err(rufous_core::Error::bug("one window was asked, none was answered"));
            self.typed(key, answer.unwrap_or_else(none))
        };
        Ok(keys.iter().zip(found).map(one).collect())
    }
    /// The sums of a key over several windows; all of one snapshot and one manifest.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn windows<Q: AsKey>(&self, key: Q, windows: &[Window]) -> Result<Vec<WindowAnswer<V>>>
    where
        K: KeyOf<Q>,
    {
        let key = to_bytes(&key);
        let found = self.raw.read(std::slice::from_ref(&key), windows)?;
        found
            .into_iter()
            .flatten()
            .map(|answer| self.typed(&key, answer))
            .collect()
    }
    /// One window after the other: the hops of size `every` (kept by the store or not, of the calendar or not) that have a part in
    /// `within`; the first and the last are cut to it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn tumbling<Q: AsKey>(&self, key: Q, within: Window, every: HopSize) -> Result<Vec<WindowAnswer<V>>>
    where
        K: KeyOf<Q>,
    {
        let key = to_bytes(&key);
        let found = self.raw.tumbling(std::slice::from_ref(&key), &within, every)?;
        found
            .into_iter()
            .flatten()
            .map(|answer| self.typed(&key, answer))
            .collect()
    }
    /// Windows of one length, of which one ends at every step within `within`, counted from its start. Ends move by whole hops: the
    /// sum over a sliding window is a sawtooth, exact where hops end, and each answer says what it covers.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn sliding<Q: AsKey>(
        &self,
        key: Q,
        within: Window,
        length: Duration,
        every: Duration,
    ) -> Result<Vec<WindowAnswer<V>>>
    where
        K: KeyOf<Q>,
    {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let key = to_bytes(&key);
        let found = self
            .raw
            .sliding(std::slice::from_ref(&key), &within, ms(length), ms(every))?;
        found
            .into_iter()
            .flatten()
            .map(|answer| self.typed(&key, answer))
            .collect()
    }
}

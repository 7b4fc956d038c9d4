//! A table of versions that is kept elsewhere: asked for many keys at once, and answers are kept, for they never change.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::asked::distinct;
use super::table::timeless;
use super::{Asked, Kind, Lookup, Serves};
use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::time::Timestamp;

/// Keys whose versions are kept, unless said otherwise.
const KEPT: usize = 1 << 16;

/// The versions of a key: (from, value), ascending; no value is a delete.
pub type History<V> = Vec<(Timestamp, Option<V>)>;

/// Reads versions from where they are kept.
pub trait Fetch<K, V>: Send + Sync {
    /// The first instant for which not all versions are there yet. Below it nothing changes any more.
    ///
    /// # Errors
    /// `TryAgain` when the service does not answer.
    fn complete_until(&self) -> Result<Timestamp>;
    /// All versions of each key, in the order of the keys, which differ.
    ///
    /// # Errors
    /// `TryAgain` when the service does not answer.
    fn fetch(&self, keys: &[K]) -> Result<Vec<History<V>>>;
}

/// What is known of a key, below an instant.
struct Known<V> {
    below: Timestamp,
    versions: Arc<History<V>>,
}

/// The binding of a table of versions that is kept elsewhere. Its law is that of [`Versions`](super::Versions).
pub struct Remote<K, V, F> {
    fetch: F,
    kept: usize,
    known: Mutex<HashMap<Box<[u8]>, Known<V>>>,
    _k: PhantomData<fn(K)>,
}

/// Binds a table of versions that is kept elsewhere.
pub fn remote<K: Key, V, F: Fetch<K, V>>(fetch: F) -> Remote<K, V, F> {
    Remote {
        fetch,
        kept: KEPT,
        known: Mutex::new(HashMap::new()),
        _k: PhantomData,
    }
}

impl<K, V, F> Remote<K, V, F> {
    /// For how many keys the versions are kept: 65,536 unless said.
    #[must_use]
    pub fn keep(mut self, keys: usize) -> Self {
        self.kept = keys;
        self
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static, F: Fetch<K, V> + 'static> Serves<K, V> for Remote<K, V, F> {
    fn kind(&self) -> Kind {
        Kind::Versions
    }
    fn lookup(self) -> Arc<dyn Lookup<V>> {
        Arc::new(self)
    }
}

impl<K: Key, V: Clone + Send + Sync, F: Fetch<K, V>> Remote<K, V, F> {
    /// What is kept of these keys, and which of them have to be asked for.
    fn recall(&self, keys: &[&[u8]], until: &[Timestamp]) -> (Vec<Option<Arc<History<V>>>>, Vec<usize>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(key, until): (&&[u8], &Timestamp)| {
            let known = known.get(*key).filter(|k| *until < k.below)?;
            Some(known.versions.clone())
        };
        let found: Vec<_> = keys.iter().zip(until).map(one).collect();
        let missing = (0..keys.len())
            .filter(|i| found.get(*i).is_some_and(Option::is_none))
            .collect();
        (found, missing)
    }
}

impl<K: Key, V: Clone + Send + Sync, F: Fetch<K, V>> Lookup<V> for Remote<K, V, F> {
    fn look_up(&self, asked: &Asked<'_>, out: &mut Vec<Option<V>>) -> Result<()> {
        let (keys, which) = distinct(asked.iter().map(|(key, _)| key));
        let mut until = vec![Timestamp(i64::MIN); keys.len()];
        for (&key, (_, at)) in which.iter().zip(asked.iter()) {
            until[key] = until[key].max(at.ok_or_else(timeless)?);
        }
        let (mut found, missing) = self.recall(&keys, &until);
        if !missing.is_empty() {
            // Asked before the versions are: what is read then is complete at least so far.
            let below = self.fetch.complete_until()?;
            let typed: Vec<K> = missing
                .iter()
                .map(|&i| key::decode_all(keys[i]).map_err(|e| Error::bug(format!("a key to look up: {e}"))))
                .collect::<Result<_>>()?;
            let fetched = self.fetch.fetch(&typed)?;
            if fetched.len() != typed.len() {
                return Err(Error::invalid(format!(
                    "the service gave the versions of {} keys for {}: those of each, in their order",
                    fetched.len(),
                    typed.len()
                )));
            }
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len().saturating_add(missing.len()) > self.kept {
                known.clear();
            }
            for (i, mut versions) in missing.into_iter().zip(fetched) {
                // Of rows of one instant the last given counts, so the sort is stable.
                if !versions.is_sorted_by_key(|(from, _)| *from) {
                    versions.sort_by_key(|(from, _)| *from);
                }
                let versions = Arc::new(versions);
                found[i] = Some(versions.clone());
                if self.kept > 0 {
                    known.insert(keys[i].into(), Known { below, versions });
                }
            }
        }
        for (key, (_, at)) in which.into_iter().zip(asked.iter()) {
            let versions = found.get(key).and_then(Option::as_deref).map_or(&[][..], Vec::as_slice);
            let after = versions.partition_point(|(from, _)| Some(*from) <= at);
            let last = after.checked_sub(1).and_then(|i| versions.get(i));
            out.push(last.and_then(|(_, value)| value.clone()));
        }
        Ok(())
    }
    fn complete_until(&self) -> Result<Option<Timestamp>> {
        self.fetch.complete_until().map(Some)
    }
}

//! Tables that are replaced as a whole: one snapshot is pinned per batch, so every layer and every process looks its records up
//! in the same one (O19).

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::asked::ask_each;
use super::{Asked, Kind, Lookup, Serves};
use crate::batch::BatchId;
use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::time::Timestamp;

/// Where pins are kept: who needs a batch first creates its pin, and all read it back, the loser too. Of one job.
pub trait Pins: Send + Sync {
    /// The snapshot that is pinned.
    ///
    /// # Errors
    /// When it cannot be read.
    fn pinned(&self, service: &str, batch: BatchId) -> Result<Option<String>>;
    /// Pins a snapshot unless one is pinned already, and returns the one that is pinned then.
    ///
    /// # Errors
    /// When it cannot be written.
    fn pin(&self, service: &str, batch: BatchId, snapshot: &str) -> Result<String>;
}

/// Pins in memory: for runs that are one process.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<BTreeMap<(String, i64), String>>);

impl Pins for MemoryPins {
    fn pinned(&self, service: &str, batch: BatchId) -> Result<Option<String>> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pins.get(&(service.to_string(), batch.0)).cloned())
    }
    fn pin(&self, service: &str, batch: BatchId, snapshot: &str) -> Result<String> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pin = pins.entry((service.to_string(), batch.0));
        Ok(pin.or_insert_with(|| snapshot.to_string()).clone())
    }
}

/// A table of which there are snapshots, which never change.
pub trait Snapshots<K, V>: Send + Sync {
    /// The name of the newest one that was complete at an instant; `None`: there was none.
    ///
    /// # Errors
    /// `TryAgain` when the table does not answer.
    fn newest(&self, at: Timestamp) -> Result<Option<String>>;
    /// One answer for each key, in their order; the keys of a call differ. `None`: there is no such snapshot any more.
    ///
    /// # Errors
    /// `TryAgain` when the table does not answer.
    fn ask(&self, snapshot: &str, keys: &[K]) -> Result<Option<Vec<Option<V>>>>;
}

/// The binding of a table that is replaced as a whole, made by [`snapshot_per_batch`].
///
/// **Law.** All records of a batch, late ones too, are looked up in one snapshot: that which was the newest at the end of the
/// batch, or when the batch was first needed if that was before. It is pinned then, so the answer is a function of the logs and
/// the pins. Records of an input without batches are looked up in one snapshot, too.
pub struct PerBatch<K, V, S> {
    snapshots: S,
    pins: OnceLock<(&'static str, Arc<dyn Pins>)>,
    /// Pins that were read.
    known: Mutex<HashMap<BatchId, Arc<str>>>,
    _t: PhantomData<fn(K) -> V>,
}

/// Binds a table that is replaced as a whole: one snapshot is pinned per batch.
pub fn snapshot_per_batch<K: Key, V, S: Snapshots<K, V>>(snapshots: S) -> PerBatch<K, V, S> {
    PerBatch {
        snapshots,
        pins: OnceLock::new(),
        known: Mutex::new(HashMap::new()),
        _t: PhantomData,
    }
}

impl<K: Key, V: Clone + Send + 'static, S: Snapshots<K, V> + 'static> Serves<K, V> for PerBatch<K, V, S> {
    fn kind(&self) -> Kind {
        Kind::PerBatch
    }
    fn lookup(self) -> Arc<dyn Lookup<V>> {
        Arc::new(self)
    }
}

impl<K: Key, V, S: Snapshots<K, V>> PerBatch<K, V, S> {
    fn pins(&self) -> Result<&(&'static str, Arc<dyn Pins>)> {
        self.pins
            .get()
            .ok_or_else(|| Error::invalid("its snapshots are pinned per batch, and nobody said where pins are kept"))
    }

    /// The snapshot of a batch, pinned.
    fn snapshot(&self, batch: BatchId, last: Timestamp) -> Result<Arc<str>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = known().get(&batch) {
            return Ok(snapshot.clone());
        }
        let (service, pins) = self.pins()?;
        let pinned = match pins.pinned(service, batch)? {
            Some(pinned) => pinned,
            None => {
                let newest = self.snapshots.newest(last)?.ok_or_else(|| {
                    Error::try_again(format!(
                        "there is no complete snapshot as of {last} for batch {}: run again when there is one",
                        batch.0
                    ))
                })?;
                // Another process may have been first: what it chose counts.
                pins.pin(service, batch, &newest)?
            }
        };
        let pinned: Arc<str> = pinned.into();
        let mut known = known();
        // Few batches are under way at once.
        if known.len() > 4_096 {
            known.clear();
        }
        known.insert(batch, pinned.clone());
        Ok(pinned)
    }
}

impl<K: Key, V: Clone + Send + 'static, S: Snapshots<K, V>> Lookup<V> for PerBatch<K, V, S> {
    fn look_up(&self, asked: &Asked<'_>, out: &mut Vec<Option<V>>) -> Result<()> {
        let snapshot = self.snapshot(asked.batch(), asked.last())?;
        ask_each(asked, out, |keys| {
            self.snapshots.ask(&snapshot, keys)?.ok_or_else(|| {
                Error::invalid(format!(
                    "snapshot `{snapshot}` is pinned for the batch that ends at {} and is gone: restore it, or begin anew with \
                     another --instance",
                    asked.last()
                ))
            })
        })
    }
    fn keep_pins(&self, service: &'static str, pins: &Arc<dyn Pins>) {
        // Whoever was first has the pins of this process.
        let _ = self.pins.set((service, pins.clone()));
    }
}

/// Snapshots in memory, by name, each with the instant from which on it was complete. A clone is the same table: it may get more
/// while the job runs.
pub struct Tables<K, V> {
    all: Arc<Mutex<BTreeMap<(i64, String), Table<V>>>>,
    _k: PhantomData<fn(K)>,
}

/// Values by the bytes of their keys.
type Table<V> = Arc<HashMap<Vec<u8>, V>>;

impl<K, V> Clone for Tables<K, V> {
    fn clone(&self) -> Self {
        Self {
            all: self.all.clone(),
            _k: PhantomData,
        }
    }
}

impl<K, V> Default for Tables<K, V> {
    fn default() -> Self {
        Self {
            all: Arc::default(),
            _k: PhantomData,
        }
    }
}

impl<K: Key, V> Tables<K, V> {
    /// One more snapshot.
    pub fn add(&self, name: &str, complete: Timestamp, rows: impl IntoIterator<Item = (K, V)>) {
        let rows = rows.into_iter().map(|(k, v)| (key::to_bytes(&k), v)).collect();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((complete.0, name.to_string()), Arc::new(rows));
    }
    /// Takes a snapshot away.
    pub fn remove(&self, name: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, known), _| known != name);
    }
}

impl<K: Key, V: Clone + Send + Sync> Snapshots<K, V> for Tables<K, V> {
    fn newest(&self, at: Timestamp) -> Result<Option<String>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = all.keys().rev().find(|(complete, _)| *complete <= at.0);
        Ok(newest.map(|(_, name)| name.clone()))
    }
    fn ask(&self, snapshot: &str, keys: &[K]) -> Result<Option<Vec<Option<V>>>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let table = all.iter().find(|((_, name), _)| name == snapshot);
        let table = table.map(|(_, table)| table.clone());
        drop(all);
        Ok(table.map(|table| keys.iter().map(|k| table.get(&key::to_bytes(k)).cloned()).collect()))
    }
}

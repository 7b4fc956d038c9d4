//! The realtime half of a read: one snapshot, and the progress rows of a store in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rufous_core::{ErrorKind, Result};
use rufous_store_api::{First, ProgressRows, Snapshot};

use crate::client::Client;
use crate::terms::Clock;

/// Between two looks whether another read of the same snapshot is done.
const PAUSE: Duration = Duration::from_micros(200);

/// A snapshot that several reads may ask, one after the other. It ends with the last of them.
#[derive(Clone)]
pub(crate) struct Held(Arc<Mutex<Box<dyn Snapshot>>>);

impl Held {
    pub(crate) fn new(snapshot: Box<dyn Snapshot>) -> Self {
        Self(Arc::new(Mutex::new(snapshot)))
    }

    /// Asks it, within the time of a read.
    ///
    /// # Errors
    /// Those of `f`; `TryAgain` when another read asks for too long.
    pub(crate) fn ask<T>(&self, clock: &Clock, f: impl FnOnce(&dyn Snapshot) -> Result<T>) -> Result<T> {
        let mut snapshot = self.lock(clock)?;
        snapshot.set_until(clock.until());
        f(&**snapshot)
    }

    fn lock(&self, clock: &Clock) -> Result<MutexGuard<'_, Box<dyn Snapshot>>> {
        // What a panic of a caller's function leaves behind is whole.
        if !clock.is_looked_at() {
            return Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner));
        }
        loop {
            match self.0.try_lock() {
                Ok(snapshot) => return Ok(snapshot),
                Err(TryLockError::Poisoned(e)) => return Ok(e.into_inner()),
                Err(TryLockError::WouldBlock) => clock.pause(PAUSE, "another read of the same snapshot")?,
            }
        }
    }
}

/// What a read has of the realtime layer: taken first, before the manifest that it is read with.
pub(crate) struct Taken {
    pub(crate) namespace: Option<String>,
    pub(crate) snapshot: Option<Held>,
    /// A cell names its partition by its place in here.
    pub(crate) rows: ProgressRows,
    /// Why the owner does not answer, if it does not.
    pub(crate) silent: Option<String>,
}

impl Taken {
    fn none(namespace: Option<&str>) -> Self {
        Self {
            namespace: namespace.map(Into::into),
            snapshot: None,
            rows: ProgressRows::default(),
            silent: None,
        }
    }

    /// A snapshot of a namespace, and the rows of a store in it, if one is named: for a read that asks `first` of it, where that is known.
    ///
    /// # Errors
    /// What the state returns, but not that its owner is silent: that is part of what was taken.
    pub(crate) fn take(
        client: &Client,
        store: Option<&str>,
        first: Option<&First<'_>>,
        namespace: Option<&str>,
        clock: &Clock,
    ) -> Result<Self> {
        let mut taken = Self::none(namespace);
        let Some(namespace) = namespace else { return Ok(taken) };
        let read = || -> Result<Option<(Box<dyn Snapshot>, ProgressRows)>> {
            let Some(snapshot) = client.realtime(namespace, first, clock.until())? else {
                return Ok(None);
            };
            let rows = store.map_or_else(|| Ok(ProgressRows::default()), |store| snapshot.partitions(store))?;
            Ok(Some((snapshot, rows)))
        };
        match read() {
            Ok(None) => {}
            Ok(Some((snapshot, rows))) => {
                taken.namespace = Some(snapshot.namespace().into());
                (taken.snapshot, taken.rows) = (Some(Held::new(snapshot)), rows);
            }
            Err(e) if e.kind() == ErrorKind::TryAgain => {
                if clock.is_over() {
                    return Err(clock.over(e));
                }
                taken.silent = Some(e.to_string());
            }
            Err(e) => return Err(e),
        }
        Ok(taken)
    }

    /// The same snapshot for another store.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn of(&self, store: &str, clock: &Clock) -> Result<Self> {
        let mut taken = Self {
            namespace: self.namespace.clone(),
            snapshot: self.snapshot.clone(),
            rows: ProgressRows::default(),
            silent: self.silent.clone(),
        };
        let Some(snapshot) = &self.snapshot else {
            return Ok(taken);
        };
        match snapshot.ask(clock, |s| s.partitions(store)) {
            Ok(rows) => taken.rows = rows,
            Err(e) if e.kind() == ErrorKind::TryAgain => {
                if clock.is_over() {
                    return Err(if clock.was_told() { e } else { clock.over(e) });
                }
                (taken.snapshot, taken.silent) = (None, Some(e.to_string()));
            }
            Err(e) => return Err(e),
        }
        Ok(taken)
    }
}

//! The client of one job: where its stores are, and the manifest that was read last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rufous_algebra::{Codec, Semigroup};
use rufous_core::{Error, Key, Result, Store, StoreFace, WindowedStore};
use rufous_store_api::{First, GenerationStore, Manifest, ManifestLog, RealtimeReader, Snapshot, Until};

use crate::cache::OfflineCache;
use crate::held::ClientSnapshot;
use crate::raw::RawStoreClient;
use crate::readers::Readers;
use crate::typed::StoreClient;
use crate::window::{RawWindowClient, WindowClient};

/// Opens the realtime state of a namespace for reading, by then. `None`: no shard exists, nothing was ever read into it. `TryAgain`
/// when it exists but its owner does not answer by then; that may be told by the first snapshot as well. What is opened is kept for some
/// seconds and asked for a snapshot at every read, so it must see what is there by then; it says `Closed` when its namespace was
/// deleted.
pub type OpenRealtime = Arc<dyn Fn(&str, &Until) -> Result<Option<Arc<dyn RealtimeReader>>> + Send + Sync>;

/// Where a job's state is, as traits: the client knows no concrete store.
#[derive(Clone)]
pub struct ClientParts {
    /// The job's name, for messages.
    pub job: String,
    /// Its manifests.
    pub manifests: Arc<dyn ManifestLog>,
    /// The files of its generations.
    pub generations: Arc<dyn GenerationStore>,
    /// Its realtime state.
    pub realtime: OpenRealtime,
}

/// Asks the stores of one job. Blocking, without a runtime or threads of its own; cheap to clone, and clones share the
/// cached manifest and the readers of realtime state.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    refresh_after: Duration,
    cache: Arc<OfflineCache>,
    live_bytes: usize,
}

/// What is kept of offline values, unless it is said.
const CACHE: usize = 16 << 20;

struct Shared {
    parts: ClientParts,
    cached: Mutex<Option<(Arc<Manifest>, Instant)>>,
    readers: Readers,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("job", &self.shared.parts.job)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client over these parts. Nothing is read yet.
    pub fn new(parts: ClientParts) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                cached: Mutex::new(None),
                readers: Readers::default(),
            }),
            refresh_after: Duration::from_secs(1),
            cache: Arc::new(OfflineCache::new(CACHE)),
            live_bytes: usize::MAX,
        }
    }

    /// How many bytes of offline values that were asked for by key are kept in memory (16 MiB); 0: none. They are kept by generation,
    /// and a generation never changes, so no answer is older for it. Clones that are made afterwards share them.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache = Arc::new(OfflineCache::new(bytes));
        self
    }

    /// How many bytes of realtime state a list, a sum or a window may hold (no limit). A list or a sum of more is read in slices of so many, each
    /// of which passes the realtime state behind the one before; all are of one snapshot. Windows that need more, and a key that has more by itself,
    /// are `InvalidRequest`, which says what to ask for in their place.
    #[must_use]
    pub fn live_bytes(mut self, bytes: usize) -> Self {
        self.live_bytes = bytes;
        self
    }

    pub(crate) fn live_bytes_of_a_list(&self) -> usize {
        self.live_bytes
    }

    /// How long a cached manifest is used without a look for a newer one (1 s). Answers are exact in any case: this is how
    /// soon a new generation, or a switch to another version of the job, is noticed while the old one still answers.
    #[must_use]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = age;
        self
    }

    /// The store behind a port. A job that has never run yet is no error here but at the first read.
    ///
    /// # Errors
    /// `InvalidRequest` with both texts when the store holds other types than the port; what the manifest log returns.
    pub fn store<K: Key, V: Semigroup + Codec>(&self, port: Store<K, V>) -> Result<StoreClient<K, V>> {
        let raw = self.raw(StoreFace::of(port));
        if let Some(manifest) = self.newest_if_any(0)? {
            raw.check_schema(&manifest)?;
        }
        Ok(StoreClient::over(raw))
    }

    /// The windowed store behind a port.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn windows<K: Key, V: Semigroup + Codec>(&self, port: WindowedStore<K, V>) -> Result<WindowClient<K, V>> {
        let raw = self.raw(StoreFace::windowed(port));
        if let Some(manifest) = self.newest_if_any(0)? {
            raw.check_schema(&manifest)?;
        }
        Ok(WindowClient::over(RawWindowClient::new(raw)?))
    }

    /// A windowed store as bytes.
    ///
    /// # Errors
    /// `InvalidRequest` when the store has no windows.
    pub fn raw_windows(&self, face: StoreFace) -> Result<RawWindowClient> {
        RawWindowClient::new(self.raw(face))
    }

    /// A store as bytes. Its schema is compared at every read.
    pub fn raw(&self, face: StoreFace) -> RawStoreClient {
        RawStoreClient::new(self.clone(), face)
    }

    /// One realtime snapshot and one manifest, for reads of several stores that belong together.
    ///
    /// # Errors
    /// `InvalidRequest` when the job has never run; `TryAgain` when a switch is under way; what the stores return. That the owner
    /// of the realtime state is silent is told by the reads: partial ones answer without it.
    pub fn snapshot(&self) -> Result<ClientSnapshot> {
        ClientSnapshot::take(self, Until::default())
    }

    /// [`snapshot`](Self::snapshot), taken by an instant, or while somebody waits for it, or not at all.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), and `TryAgain` when it is not taken by then.
    pub fn snapshot_until(&self, until: impl Into<Until>) -> Result<ClientSnapshot> {
        ClientSnapshot::take(self, until.into())
    }

    pub(crate) fn parts(&self) -> &ClientParts {
        &self.shared.parts
    }

    pub(crate) fn cache(&self) -> &OfflineCache {
        &self.cache
    }

    /// A snapshot of a namespace, for a read that asks `first` of it; `None`: no shard exists.
    ///
    /// # Errors
    /// Those of the realtime state.
    pub(crate) fn realtime(
        &self,
        namespace: &str,
        first: Option<&First<'_>>,
        until: &Until,
    ) -> Result<Option<Box<dyn Snapshot>>> {
        let shared = &self.shared;
        shared.readers.snapshot(namespace, &shared.parts.realtime, first, until)
    }

    /// The cached manifest while it is young; else the newest. A bounded input has no realtime part that would move, so
    /// there the newest is always asked for.
    pub(crate) fn manifest(&self) -> Result<Arc<Manifest>> {
        let known = match self.cached() {
            Some((m, read)) if m.realtime_namespace.is_some() && read.elapsed() < self.refresh_after => return Ok(m),
            Some((m, _)) => m.number,
            None => 0,
        };
        self.newest(known)
    }

    /// The newest manifest, read now.
    pub(crate) fn newest(&self, at_least: u64) -> Result<Arc<Manifest>> {
        self.newest_if_any(at_least)?.ok_or_else(|| {
            let job = &self.shared.parts.job;
            Error::invalid(format!(
                "job `{job}` has never run with this data directory: start `stream` or `batch`"
            ))
        })
    }

    fn newest_if_any(&self, at_least: u64) -> Result<Option<Arc<Manifest>>> {
        let known = self.cached().map_or(at_least, |(m, _)| m.number.max(at_least));
        let found = self.shared.parts.manifests.newest(known)?.map(Arc::new);
        let mut cached = self.shared.cached.lock().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(m) if cached.as_ref().is_none_or(|(old, _)| old.number <= m.number) => {
                *cached = Some((Arc::clone(m), Instant::now()));
            }
            Some(_) => {}
            None if known == 0 => {}
            None => {
                *cached = None; // So that the next read starts from the beginning, as a new client would.
                let job = &self.shared.parts.job;
                return Err(Error::corrupt(format!(
                    "job `{job}`: manifest {known} was there and is gone"
                )));
            }
        }
        Ok(found)
    }

    fn cached(&self) -> Option<(Arc<Manifest>, Instant)> {
        self.shared
            .cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

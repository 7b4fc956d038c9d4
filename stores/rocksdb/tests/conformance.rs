//! RocksDB passes what every store must pass; so does reading through its socket, and reading its files without an owner.

use std::sync::{Arc, Mutex};

use rufous_core::{BatchId, Result, SourcePartition, StoreFace};
use rufous_store_api::conformance;
use rufous_store_api::{Commit, Committed, First, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, Until};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};
use tempfile::TempDir;

/// Writes as the owner, reads as another process would.
struct Outside {
    /// `None` from a read to the next write, when readers are to find no owner.
    owner: Mutex<Option<RocksStore>>,
    keep_owner: bool,
    namespace: String,
    stores: Vec<StoreFace>,
    dir: TempDir,
}

impl Outside {
    fn new(namespace: &str, stores: &[StoreFace], keep_owner: bool) -> Self {
        let this = Self {
            owner: Mutex::new(None),
            keep_owner,
            namespace: namespace.into(),
            stores: stores.to_vec(),
            dir: tempfile::tempdir().unwrap(),
        };
        this.with(|_| Ok(())).unwrap();
        this
    }
    fn with<T>(&self, f: impl FnOnce(&RocksStore) -> Result<T>) -> Result<T> {
        let mut owner = self.owner.lock().unwrap_or_else(|e| e.into_inner());
        if owner.is_none() {
            let store = RocksStore::open(self.dir.path(), &self.namespace, &self.stores, RocksOptions::default())?;
            store.serve()?;
            *owner = Some(store);
        }
        f(owner.as_ref().unwrap())
    }
}

impl RealtimeReader for Outside {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        if !self.keep_owner {
            *self.owner.lock().unwrap_or_else(|e| e.into_inner()) = None;
        }
        RocksReader::open(self.dir.path(), &self.namespace, &self.stores)?
            .unwrap()
            .snapshot()
    }
    fn snapshot_first(&self, first: &First<'_>, until: &Until) -> Result<Box<dyn Snapshot>> {
        RocksReader::open(self.dir.path(), &self.namespace, &self.stores)?
            .unwrap()
            .snapshot_first(first, until)
    }
}

impl RealtimeStore for Outside {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        self.with(|s| s.acquire(store, p, repair))
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.with(|s| s.commit(commit))
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.with(|s| s.drop_below(p, batch))
    }
}

struct Inside(RocksStore, #[allow(dead_code)] TempDir);

impl RealtimeReader for Inside {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.0.snapshot()
    }
}

impl RealtimeStore for Inside {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        self.0.acquire(store, p, repair)
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.0.commit(commit)
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.0.drop_below(p, batch)
    }
}

#[test]
fn the_owner_conforms() {
    conformance::realtime(&|namespace, stores| {
        let dir = tempfile::tempdir().unwrap();
        Arc::new(Inside(
            RocksStore::open(dir.path(), namespace, stores, RocksOptions::default()).unwrap(),
            dir,
        ))
    });
}

#[test]
fn reading_through_the_socket_conforms() {
    conformance::realtime(&|namespace, stores| Arc::new(Outside::new(namespace, stores, true)));
}

#[test]
fn reading_files_without_an_owner_conforms() {
    conformance::realtime(&|namespace, stores| Arc::new(Outside::new(namespace, stores, false)));
}

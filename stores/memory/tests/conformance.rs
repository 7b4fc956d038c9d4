//! The model passes what every store must pass; and the model passes it through a socket, too.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rufous_core::{BatchId, Result, SourcePartition};
use rufous_store_api::conformance;
use rufous_store_api::wire::{RemoteReader, serve_connection};
use rufous_store_api::{Commit, Committed, First, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, Until};
use rufous_store_memory::MemoryRealtime;

#[test]
fn the_model_conforms() {
    conformance::realtime(&|namespace, stores| Arc::new(MemoryRealtime::new(namespace, stores)));
}

/// Writes directly, reads through a connection.
struct ThroughSocket(MemoryRealtime, RemoteReader);

impl ThroughSocket {
    fn new(store: MemoryRealtime, namespace: &str) -> Self {
        let owner = store.clone();
        let remote = RemoteReader::connect(namespace, "the test", move |_| {
            let (here, there) = UnixStream::pair().unwrap();
            let owner = owner.clone();
            std::thread::spawn(move || serve_connection(there, &owner));
            Ok(Box::new(here))
        });
        Self(store, remote.unwrap())
    }
}

impl RealtimeReader for ThroughSocket {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.1.snapshot()
    }
    fn snapshot_first(&self, first: &First<'_>, until: &Until) -> Result<Box<dyn Snapshot>> {
        self.1.snapshot_first(first, until)
    }
}

impl RealtimeStore for ThroughSocket {
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
fn the_wire_conforms() {
    conformance::realtime(&|namespace, stores| {
        Arc::new(ThroughSocket::new(MemoryRealtime::new(namespace, stores), namespace))
    });
}

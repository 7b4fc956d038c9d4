//! Redis passes what every store must pass; so does reading it as another process would.

mod bed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rufous_core::{BatchId, Result, SourcePartition};
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_api::{NamespaceOf, Until, conformance};
use rufous_store_redis::{RedisOptions, RedisReader, RedisRealtime};
use rufous_test_servers::redis::RedisSetup;

fn fresh() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("i{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn redis_conforms() {
    let server = RedisSetup::durable("everysec").start().unwrap();
    conformance::realtime(&|namespace, stores| {
        let options = RedisOptions::default();
        Arc::new(
            RedisRealtime::open(
                &server.url(),
                &options,
                NamespaceOf::new("conformance", &fresh(), namespace),
                stores,
            )
            .unwrap(),
        )
    });
}

/// Every call through another handle: the one that writes knows nothing of what was written before.
struct Strangers {
    handles: [RedisRealtime; 3],
    reader: RedisReader,
    turn: AtomicU32,
}

impl Strangers {
    fn next(&self) -> &RedisRealtime {
        &self.handles[self.turn.fetch_add(1, Ordering::Relaxed) as usize % 3]
    }
}

impl RealtimeReader for Strangers {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.reader.snapshot()
    }
}

impl RealtimeStore for Strangers {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        self.next().acquire(store, p, repair)
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.next().commit(commit)
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.next().drop_below(p, batch)
    }
}

#[test]
fn several_handles_conform_as_one() {
    let server = RedisSetup::durable("no").start().unwrap();
    conformance::realtime(&|namespace, stores| {
        let (url, options, instance) = (server.url(), RedisOptions::default(), fresh());
        let of = NamespaceOf::new("conformance", &instance, namespace);
        let open = || RedisRealtime::open(&url, &options, of, stores).unwrap();
        let handles = [open(), open(), open()];
        let reader = RedisRealtime::reader(&url, &options, of, stores, &Until::default());
        Arc::new(Strangers {
            handles,
            reader: reader.unwrap().expect("it was made"),
            turn: AtomicU32::new(0),
        })
    });
}

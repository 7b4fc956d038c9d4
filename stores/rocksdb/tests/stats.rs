//! The figures that a store shows of itself follow what is done with it.

mod bed;

use bed::*;
use rufous_core::BatchId;
use rufous_store_api::{RealtimeReader, RealtimeStore};

#[test]
fn figures_follow_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    acquire(&store, &part(0));
    let before = store.stats().unwrap().unwrap();
    assert_eq!((before.snapshots, before.stopped), (0, false));
    for _ in 0..10 {
        add(&store, &part(0), 3, &["x", "y"]);
    }
    let snapshot = store.snapshot().unwrap();
    let written = store.stats().unwrap().unwrap();
    assert!(
        written.disk_bytes > before.disk_bytes && written.keys > before.keys,
        "{written:?}"
    );
    assert!(
        written.memtable_bytes > 0 && written.cache_bytes <= written.cache_capacity,
        "{written:?}"
    );
    assert_eq!(written.snapshots, 1);
    // Ten operands wait for whoever reads `x`.
    assert_eq!(total(&*snapshot, "x"), 10);
    let read = store.stats().unwrap().unwrap();
    assert!(read.operand_depth(&written).unwrap() >= 9.0, "{written:?} {read:?}");
    assert_eq!(read.operand_depth(&read), None);
    drop(snapshot);
    store.drop_below(&part(0), BatchId(4)).unwrap();
    drop(store);
    let store = open(dir.path());
    let reopened = store.stats().unwrap().unwrap();
    assert!(reopened.table_bytes > 0 && reopened.snapshots == 0, "{reopened:?}");
}

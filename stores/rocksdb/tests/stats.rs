//! The figures that a store shows of itself follow what is done with it.

mod bed;

use std::os::unix::fs::FileExt;

use bed::*;
use rufous_core::{BatchId, ErrorKind, Frontier};
use rufous_store_api::{RealtimeReader, RealtimeStore};
use rufous_store_rocksdb::RocksReader;

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

/// Row 11 of the fault table, while nothing is written: a reader meets damage, and from then on readers of other processes are
/// refused. The figures say so at once, not at the next commit.
#[test]
fn damage_that_a_reader_met_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let words: Vec<String> = (0..20_000).map(|i| format!("word-{i:05}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let store = open(dir.path());
    acquire(&store, &part(0));
    add(&store, &part(0), 3, &words);
    drop(store);
    // The log becomes a table. Its rows and its count of writes are read now, the cells are not.
    let store = open(dir.path());
    assert!(!store.stats().unwrap().unwrap().damaged);
    let tables = std::fs::read_dir(dir.path().join("db"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let table = tables
        .filter(|p| p.extension().is_some_and(|e| e == "sst"))
        .max_by_key(|p| p.metadata().unwrap().len())
        .unwrap();
    let middle = table.metadata().unwrap().len() / 2;
    let file = std::fs::File::options().write(true).open(&table).unwrap();
    file.write_all_at(&[0x5a; 64], middle).unwrap();
    let read = store
        .snapshot()
        .unwrap()
        .scan("counts", &[], &Frontier::default(), &mut |_, _| Ok(()));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::CorruptData);
    let refused = RocksReader::open(dir.path(), "n1", &faces()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::CorruptData, "{refused}");
    assert!(store.stats().unwrap().unwrap().damaged);
}

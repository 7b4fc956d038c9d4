//! Row 23 of the fault table: directories of earlier formats are read and written on; of a later one they are refused by number.
//! And the settings of a database are the same at every opening.

mod bed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bed::*;
use rufous_algebra::Codec;
use rufous_core::{BatchId, ErrorKind, Frontier, StoreFace};
use rufous_store_api::{RealtimeReader, RealtimeStore};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};

/// Of a word count over three lines, written by two runs: tables, and a log behind them.
const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/format-1");
const NAMESPACE: &str = "4db6d18ab740d62e";

fn copied(golden: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("db")).unwrap();
    for entry in fs::read_dir(Path::new(golden).join("db")).unwrap().map(|e| e.unwrap()) {
        fs::copy(entry.path(), dir.path().join("db").join(entry.file_name())).unwrap();
    }
    fs::write(dir.path().join("owner"), "").unwrap();
    dir
}

fn counts(reader: &dyn RealtimeReader) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let snapshot = reader.snapshot().unwrap();
    let scanned = snapshot.scan("counts", b"", &Frontier::default(), &mut |key, cell| {
        let word = String::from_utf8_lossy(&key[..key.len() - 1]).into_owned();
        *found.entry(word).or_default() += u64::decode(&cell.value).unwrap();
        Ok(())
    });
    scanned.unwrap();
    found
}

fn open_golden(dir: &Path) -> rufous_core::Result<RocksStore> {
    RocksStore::open(dir, NAMESPACE, &faces(), RocksOptions::default())
}

#[test]
fn format_1_is_read_and_written_on() {
    let dir = copied(FORMAT_1);
    let of =
        |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> { pairs.iter().map(|(w, n)| (w.to_string(), *n)).collect() };
    let mut expected = of(&[("and", 1), ("barks", 1), ("cat", 1), ("dog", 2), ("end", 1), ("the", 4)]);
    let reader = RocksReader::open(dir.path(), NAMESPACE, &faces()).unwrap().unwrap();
    assert_eq!(counts(&*reader), expected, "from the files");
    drop(reader);
    let store = open_golden(dir.path()).unwrap();
    assert_eq!(counts(&store), expected);
    let row = row(&store, &part(0));
    assert_eq!((row.next, row.epoch), (42, 2), "42 bytes of text");
    acquire(&store, &part(0));
    add(&store, &part(0), row.batch.0, &["cat"]);
    store.drop_below(&part(0), BatchId(i64::MIN)).unwrap();
    drop(store);
    *expected.get_mut("cat").unwrap() += 1;
    for _ in 0..2 {
        assert_eq!(
            counts(&open_golden(dir.path()).unwrap()),
            expected,
            "reopened as format 2"
        );
    }
}

/// A directory of a later build is refused by its number, before anything is written, by owners and readers.
#[test]
fn a_later_format_is_refused_by_number() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let meta = dir.path().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"format":2,"namespace":"n1","stores":{{"counts":"{}"}}}}"#,
            StoreFace::of(COUNTS).schema()
        ),
        "golden"
    );
    fs::write(&meta, r#"{"format":3,"stores":"said in another way"}"#).unwrap();
    let e = RocksStore::open(dir.path(), "n1", &faces(), RocksOptions::default())
        .err()
        .unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("has format 3, this build reads 1 to 2"), "{e}");
    fs::write(&meta, text).unwrap();
    open(dir.path());
}

/// The settings that RocksDB says it runs with, section by section, without what names the run.
fn settings(dir: &Path) -> Vec<String> {
    let newest = fs::read_dir(dir.join("db"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("OPTIONS-"))
        .max()
        .unwrap();
    fs::read_to_string(newest)
        .unwrap()
        .lines()
        .map(|l| l.trim().to_string())
        .collect()
}

/// What bounds memory and finds damage is set at the first opening and at every other one (options that are not said again are
/// lost silently).
#[test]
fn options_survive_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = RocksOptions {
            memory: 32 << 20,
            ..RocksOptions::default()
        };
        drop(RocksStore::open(dir.path(), "n1", &faces(), options).unwrap());
        settings(dir.path())
    };
    let first = open();
    for wanted in [
        "paranoid_checks=true",
        "wal_recovery_mode=kPointInTimeRecovery",
        "max_total_wal_size=67108864",
        "compaction_readahead_size=524288",
        "max_open_files=-1",
        "write_buffer_size=8388608",
        "max_write_buffer_number=2",
        "target_file_size_base=4194304",
        "cache_index_and_filter_blocks=true",
        "pin_l0_filter_and_index_blocks_in_cache=true",
        "filter_policy=bloomfilter",
    ] {
        assert!(
            first.iter().any(|l| l.replace(' ', "") == wanted),
            "{wanted} in {first:#?}"
        );
    }
    for _ in 0..2 {
        assert_eq!(open(), first);
    }
}

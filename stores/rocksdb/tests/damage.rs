//! Rows 10 and 11 of the fault table: files of a closed store are cut, flipped and deleted, one place at a time. What opens afterwards
//! is the fold of the log up to its own row, or it is refused as damaged; a smaller or larger sum never comes out.

mod bed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bed::*;
use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::{RealtimeReader, RealtimeStore};
use rufous_store_rocksdb::damage::{set_aside, suspect};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};
use tempfile::TempDir;

/// Places in each file: flips and cuts at each.
const PLACES: usize = 16;
const WORDS: [&str; 5] = ["ant", "bee", "cat", "dog", "elk"];

/// Which word lies at an offset.
fn word(offset: u64) -> &'static str {
    WORDS[(offset * offset % 7 % 5) as usize]
}

/// The fold of `[0, next)`.
fn fold(next: u64) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = WORDS.iter().map(|w| (*w, 0)).collect();
    for offset in 0..next {
        *counts.entry(word(offset)).or_default() += 1;
    }
    counts
}

fn commits(store: &RocksStore, n: u64) {
    for _ in 0..n {
        let next = row(store, &part(0)).next;
        let words: Vec<_> = (next..next + 3).map(word).collect();
        add(store, &part(0), (next / 30) as i64, &words);
    }
}

/// A store with several tables, a log that was written after them, and one that ends in whole commits.
fn world() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let store = open(dir.path());
        if round == 0 {
            acquire(&store, &part(0));
        }
        commits(&store, 5);
    }
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("db"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| {
            let name = p.file_name().unwrap().to_str().unwrap();
            name.starts_with("MANIFEST") || name == "CURRENT" || name.ends_with(".sst") || name.ends_with(".log")
        })
        .collect();
    files.sort();
    files
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join("db")).unwrap();
    for path in [from.to_path_buf(), from.join("db")] {
        for entry in fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_file() && !entry.ends_with("LOCK") && !entry.ends_with("LOG") {
                fs::copy(&entry, to.path().join(entry.strip_prefix(from).unwrap())).unwrap();
            }
        }
    }
    to
}

/// What the store says: its row's `next` and all counts.
fn says(reader: &dyn RealtimeReader) -> Result<(u64, BTreeMap<&'static str, u64>)> {
    let snapshot = reader.snapshot()?;
    let next = snapshot.partitions("counts")?.first().map_or(0, |(_, row)| row.next);
    let mut counts: BTreeMap<_, _> = WORDS.iter().map(|w| (*w, 0)).collect();
    for word in WORDS {
        let cells = snapshot.cells("counts", &[rufous_core::key::to_bytes(word)], &Default::default())?;
        for cell in &cells[0] {
            *counts.get_mut(word).unwrap() += <u64 as rufous_algebra::Codec>::decode(&cell.value).unwrap();
        }
    }
    Ok((next, counts))
}

fn is_loud(e: &Error, dir: &Path, what: &str) {
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{what}: {e}");
    assert!(e.to_string().contains("`rebuild`"), "{what}: {e}");
    assert!(suspect(dir).unwrap().is_some(), "{what}: marked");
    // From now on it stays closed, whatever else happens to its files, and says why.
    let again = RocksStore::open(dir, "n1", &faces(), RocksOptions::default())
        .err()
        .unwrap();
    assert_eq!(again.kind(), ErrorKind::CorruptData, "{what}: {again}");
    let read = RocksReader::open(dir, "n1", &faces()).err().unwrap();
    assert_eq!(read.kind(), ErrorKind::CorruptData, "{what}: {read}");
}

#[derive(Debug, Default)]
struct Seen {
    refused: u32,
    whole: u32,
    older: u32,
}

/// `reads`: from outside, without an owner, before anybody opens it to write.
fn check(dir: &Path, all: u64, reads: bool, what: &str, seen: &mut Seen) {
    let said = if reads {
        RocksReader::open(dir, "n1", &faces()).and_then(|r| says(&*r.expect("it is there")))
    } else {
        RocksStore::open(dir, "n1", &faces(), RocksOptions::default()).and_then(|s| says(&s))
    };
    match said {
        Ok((next, counts)) => {
            assert_eq!(counts, fold(next), "{what}: the row stands at {next}");
            if next == all {
                seen.whole += 1;
            } else {
                seen.older += 1;
            }
        }
        Err(e) => {
            is_loud(&e, dir, what);
            seen.refused += 1;
        }
    }
}

/// Row 10, 11: each kind of file, flipped at places all over, and cut at as many.
#[test]
fn flipped_and_cut_files_never_give_another_sum() {
    let world = world();
    let all = 60;
    let mut by_kind: BTreeMap<String, Seen> = BTreeMap::new();
    for path in files(world.path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let kind = name.rsplit('.').next().unwrap().split('-').next().unwrap().to_string();
        let size = fs::metadata(&path).unwrap().len() as usize;
        for (place, at) in (0..size).step_by((size / PLACES).max(1)).enumerate() {
            for cut in [false, true] {
                let dir = copy(world.path());
                let file = dir.path().join("db").join(&name);
                let mut bytes = fs::read(&file).unwrap();
                if cut {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 1 << (place % 8);
                }
                fs::write(&file, bytes).unwrap();
                let what = format!("{name}, {size} bytes, {} at {at}", if cut { "cut" } else { "flipped" });
                check(
                    dir.path(),
                    all,
                    place % 3 == 2,
                    &what,
                    by_kind.entry(kind.clone()).or_default(),
                );
            }
        }
    }
    println!("{by_kind:?}");
    for kind in ["sst", "MANIFEST"] {
        assert!(by_kind[kind].refused > 0, "{kind}: {by_kind:?}");
    }
    // The log's damage is repaired by reading the job's log again.
    assert!(by_kind["log"].older > 0, "{by_kind:?}");
}

/// Row 10: any one file missing.
#[test]
fn a_missing_file_is_noticed() {
    let world = world();
    let all = 60;
    for path in files(world.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        for reads in [false, true] {
            let dir = copy(world.path());
            fs::remove_file(dir.path().join("db").join(name)).unwrap();
            if reads && name == "CURRENT" {
                continue;
            }
            let mut seen = Seen::default();
            check(dir.path(), all, reads, &format!("without {name}"), &mut seen);
            assert!(seen.refused == 1 || name.ends_with(".log"), "{name}: {seen:?}");
        }
    }
}

/// Rebuilding moves what was there away and deletes nothing; the place is free for an empty namespace.
#[test]
fn a_damaged_namespace_is_set_aside() {
    let world = world();
    for path in files(world.path())
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "sst"))
    {
        fs::remove_file(path).unwrap();
    }
    let open_it = || RocksStore::open(world.path(), "n1", &faces(), RocksOptions::default());
    let e = open_it().err().unwrap();
    is_loud(&e, world.path(), "no tables");
    assert!(e.to_string().contains(".sst"), "names the file: {e}");
    let aside = set_aside(world.path()).unwrap().unwrap();
    assert!(aside.join("db").join("CURRENT").exists() && aside.join("suspect").exists());
    assert!(!world.path().exists());
    let store = open_it().unwrap();
    assert!(store.snapshot().unwrap().partitions("counts").unwrap().is_empty());
    // Nobody's namespace is moved from under its owner.
    assert_eq!(set_aside(world.path()).unwrap_err().kind(), ErrorKind::Closed);
    drop(store);
    fs::remove_dir_all(aside).unwrap();
}

/// Row 11: damage that a read of a running owner meets. The read fails, the next commit is refused, and nobody opens it again.
#[test]
fn damage_under_an_owner_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    acquire(&store, &part(0));
    let words: Vec<String> = (0..5_000)
        .map(|n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    add(
        &store,
        &part(0),
        1,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    drop(store);
    // Its start makes a table of the log; nothing but the row is read of it.
    let store = open(dir.path());
    for path in files(dir.path())
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "sst"))
    {
        let mut bytes = fs::read(path).unwrap();
        // Blocks of data come first; indexes and filters, which are in memory already, behind them.
        let middle = bytes.len() / 3;
        bytes[middle..middle + 5_000.min(middle)]
            .iter_mut()
            .for_each(|b| *b ^= 0x55);
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
    }
    let scan = |s: &RocksStore| {
        s.snapshot()?
            .scan("counts", b"", &Default::default(), &mut |_, _| Ok(()))
    };
    let e = scan(&store).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
    let snapshot = store.snapshot();
    let e = store.drop_below(&part(0), rufous_core::BatchId(i64::MIN)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
    drop((snapshot, store));
    is_loud(&e, dir.path(), "damage that was read");
}

//! The index: exclusive numbers, entries that tile, and every way in which they may be damaged. Errors name file,
//! source, partition and offsets.

mod support;

use std::fs;

use rufous_core::{BatchId, ErrorKind};
use rufous_store_api::{Archive, IndexEntry};
use rufous_store_archive::ParquetArchive;
use support::entry;
use xxhash_rust::xxh3::xxh3_64;

fn archive() -> (tempfile::TempDir, ParquetArchive) {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(&dir.path().join("archive/clicks"), "clicks").unwrap();
    (dir, archive)
}

/// Writes an entry's text as some other program might.
fn plant(dir: &tempfile::TempDir, number: u64, json: &str) {
    let path = dir.path().join(format!("archive/clicks/index/3/{number}.json"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        path,
        format!("{json}\nxxh3 {:016x}\n", xxh3_64(format!("{json}\n").as_bytes())),
    )
    .unwrap();
}

fn json(e: &IndexEntry) -> String {
    serde_json::to_string(e).unwrap()
}

#[test]
fn an_empty_archive() {
    let (_dir, archive) = archive();
    assert_eq!(archive.source(), "clicks");
    assert!(archive.partitions().unwrap().is_empty());
    assert!(archive.index(0, 0).unwrap().is_empty());
    assert!(archive.index(0, 7).unwrap().is_empty());
}

#[test]
fn entries_come_back_from_any_number_on() {
    let (_dir, archive) = archive();
    let mut all = vec![
        entry(50, 60, 1, vec![]),
        entry(60, 80, 1, vec![]),
        entry(80, 80, 5, vec![]),
        entry(80, 90, 5, vec![]),
    ];
    all[1].cuts = vec![(BatchId(2), 60), (BatchId(5), 79)];
    all[3].hole = Some("deleted".into());
    all[3].topic_id = "another".into();
    all[3].cut_spec = "another".into();
    for (n, e) in (0..).zip(&all) {
        assert!(archive.commit(3, n, e).unwrap());
        assert!(!archive.commit(3, n, e).unwrap());
    }
    assert!(archive.commit(10, 0, &all[0]).unwrap());
    for n in 0..=4 {
        assert_eq!(archive.index(3, n).unwrap(), all[n as usize..]);
    }
    assert!(archive.index(3, 9).unwrap().is_empty());
    assert_eq!(archive.partitions().unwrap(), [3, 10]);
}

/// P18: of many who commit one number, one wins, and its entry is the one that stays.
#[test]
fn one_committer_wins() {
    let (_dir, archive) = archive();
    for number in 0..20 {
        let entries: Vec<_> = (0..4)
            .map(|i| IndexEntry {
                topic_id: format!("{i}"),
                ..entry(number, number + 1, 1, vec![])
            })
            .collect();
        let won: Vec<usize> = std::thread::scope(|s| {
            let race = |i: usize| {
                let (archive, e) = (archive.clone(), &entries[i]);
                s.spawn(move || archive.commit(0, number, e).unwrap())
            };
            let threads: Vec<_> = (0..4).map(race).collect();
            threads
                .into_iter()
                .enumerate()
                .filter_map(|(i, t)| t.join().unwrap().then_some(i))
                .collect()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(archive.index(0, number).unwrap(), [entries[won[0]].clone()]);
    }
}

#[test]
fn a_commit_must_tile() {
    let (_dir, archive) = archive();
    assert!(archive.commit(0, 0, &entry(5, 10, 1, vec![])).unwrap());
    for e in [
        entry(11, 12, 1, vec![]),
        entry(9, 12, 1, vec![]),
        entry(10, 12, 2, vec![]),
        entry(10, 9, 1, vec![]),
    ] {
        assert_eq!(archive.commit(0, 1, &e).unwrap_err().kind(), ErrorKind::Bug);
    }
    assert_eq!(
        archive.commit(0, 2, &entry(10, 12, 1, vec![])).unwrap_err().kind(),
        ErrorKind::Bug,
        "a number is left out"
    );
    assert_eq!(archive.index(0, 0).unwrap().len(), 1);
}

fn corrupt(archive: &ParquetArchive, from: u64, words: &[&str]) {
    let e = archive.index(3, from).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    for word in words.iter().chain(&["`clicks`, partition 3", "index/3/", "restore it"]) {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

#[test]
fn entries_that_do_not_tile() {
    for (second, words) in [
        (entry(61, 70, 1, vec![]), ["begins at offset 61", "ends at 60"]),
        (entry(59, 70, 1, vec![]), ["begins at offset 59", "ends at 60"]),
        (
            entry(60, 70, 2, vec![]),
            ["continues batch 2 at offset 60", "ends in batch 1"],
        ),
    ] {
        let (dir, archive) = archive();
        plant(&dir, 0, &json(&entry(50, 60, 1, vec![])));
        plant(&dir, 1, &json(&second));
        corrupt(&archive, 0, &words);
        corrupt(&archive, 1, &words);
    }
}

#[test]
fn an_entry_that_contradicts_itself() {
    let file = |from, to, batch, rows| rufous_store_api::ArchivedFile {
        path: "files/f.parquet".into(),
        batch: BatchId(batch),
        from,
        to,
        rows,
        bytes: 1_000,
        checksum: "0".repeat(16),
    };
    let cuts = |cuts: &[(i64, u64)]| IndexEntry {
        cuts: cuts.iter().map(|(b, o)| (BatchId(*b), *o)).collect(),
        ..entry(50, 60, 1, vec![])
    };
    let files = |files| IndexEntry {
        files,
        ..cuts(&[(2, 55)])
    };
    for (e, word) in [
        (entry(60, 50, 1, vec![]), "ends at offset 50 before it begins at 60"),
        (cuts(&[(1, 51)]), "batch 1 cannot begin at offset 51"),
        (cuts(&[(3, 51), (2, 52)]), "batch 2 cannot"),
        (cuts(&[(2, 51), (3, 51)]), "batch 3 cannot"),
        (cuts(&[(2, 60)]), "offset 60"),
        (cuts(&[(2, 49)]), "offset 49"),
        (files(vec![file(50, 56, 1, 1)]), "cross a cut"),
        (files(vec![file(50, 55, 2, 1)]), "holds batch 2"),
        (files(vec![file(55, 60, 1, 1)]), "holds batch 1"),
        (files(vec![file(50, 55, 1, 6)]), "6 records in offsets 50..55"),
        (files(vec![file(50, 53, 1, 1), file(52, 55, 1, 1)]), "53..60 are left"),
        (files(vec![file(55, 61, 2, 1)]), "55..61"),
        (files(vec![file(55, 55, 2, 0)]), "55..55"),
    ] {
        let (dir, archive) = archive();
        assert_eq!(archive.commit(3, 0, &e).unwrap_err().kind(), ErrorKind::Bug);
        plant(&dir, 0, &json(&e));
        corrupt(&archive, 0, &[word]);
    }
    let (dir, archive) = archive();
    let good = files(vec![file(50, 52, 1, 2), file(52, 55, 1, 1), file(55, 60, 2, 0)]);
    plant(&dir, 0, &json(&good));
    assert_eq!(archive.index(3, 0).unwrap(), [good]);
}

#[test]
fn formats_and_texts_that_are_not_ours() {
    let (dir, archive) = archive();
    plant(
        &dir,
        0,
        &json(&IndexEntry {
            format: 2,
            ..entry(0, 1, 1, vec![])
        }),
    );
    corrupt(&archive, 0, &["format 2", "reads format 1"]);
    plant(&dir, 0, r#"{"format":2,"of":"the future"}"#);
    corrupt(&archive, 0, &["format 2"]);
    plant(&dir, 0, &json(&entry(0, 1, 1, vec![])).replace("\"hole\"", "\"whole\""));
    corrupt(&archive, 0, &["no index entry"]);
    plant(&dir, 0, "[]");
    corrupt(&archive, 0, &["no index entry"]);
}

/// A byte changed, removed or added anywhere: an error, never another entry.
#[test]
fn damage_anywhere_is_seen() {
    let (dir, archive) = archive();
    assert!(archive.commit(3, 0, &entry(0, 10, 1, vec![])).unwrap());
    let path = dir.path().join("archive/clicks/index/3/0.json");
    let good = fs::read(&path).unwrap();
    for i in 0..good.len() {
        for bad in [
            [&good[..i], &[good[i] ^ 1], &good[i + 1..]].concat(),
            good[..i].to_vec(),
            [&good[..i], b" ", &good[i..]].concat(),
        ] {
            fs::write(&path, bad).unwrap();
            corrupt(&archive, 0, &["0.json"]);
        }
    }
}

#[test]
fn an_entry_that_is_missing() {
    let (dir, archive) = archive();
    for n in 0..4 {
        assert!(archive.commit(3, n, &entry(n, n + 1, 1, vec![])).unwrap());
    }
    fs::remove_file(dir.path().join("archive/clicks/index/3/1.json")).unwrap();
    for from in [0, 1, 2] {
        corrupt(&archive, from, &["1.json", "missing"]);
    }
    assert_eq!(archive.index(3, 3).unwrap().len(), 1);
}

#[test]
fn a_file_is_no_archive() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let e = ParquetArchive::open(file.path(), "clicks").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("source `clicks`"), "{e}");
}

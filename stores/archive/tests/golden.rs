//! Archives of earlier versions: `golden/` is one, checked in, and must be read and written the same for ever. A new
//! format gets a directory of its own beside it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use rufous_core::BatchId;
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};
use rufous_store_archive::ParquetArchive;
use support::{entry, plain, read, sample};

const FILE: &str = "files/4/batch=3/100-120-golden.parquet";

fn golden() -> PathBuf {
    Path::new("tests/golden").to_path_buf()
}

fn entries(files: Vec<ArchivedFile>) -> [IndexEntry; 2] {
    let first = IndexEntry {
        batch_before: BatchId::MIN,
        cuts: vec![(BatchId(3), 100)],
        files,
        leader_epoch: 7,
        ..entry(100, 120, 0, vec![])
    };
    let hole = IndexEntry {
        hole: Some("deleted from the log before it was archived".into()),
        cuts: vec![(BatchId(9), 150)],
        ..entry(120, 200, 3, vec![])
    };
    [first, hole]
}

#[test]
fn the_golden_archive_is_read() {
    let archive = ParquetArchive::open(&golden(), "golden").unwrap();
    assert_eq!(archive.partitions().unwrap(), [4]);
    let index = archive.index(4, 0).unwrap();
    let file = index[0].files[0].clone();
    assert_eq!(
        (file.path.as_str(), file.from, file.to, file.rows, file.batch),
        (FILE, 100, 120, 6, BatchId(3))
    );
    assert_eq!(read(&archive, 4, &file).unwrap(), plain(&sample()));
    assert_eq!(index, entries(vec![file]));
}

#[test]
fn the_golden_index_is_written_to_the_byte() {
    let text = fs::read_to_string(golden().join("index/4/1.json")).unwrap();
    let expected = r#"{"format":1,"from":120,"to":200,"batch_before":3,"files":[],"cuts":[[9,150]],"hole":"deleted from the log before it was archived","topic_id":"topic-1","leader_epoch":-1,"cut_spec":"cut/1 clock=log batch=1 hour max_step=168 isolation=read_committed"}"#;
    assert!(
        text.starts_with(&format!("{expected}\nxxh3 ")) && text.len() == expected.len() + 23,
        "{text}"
    );
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "golden").unwrap();
    let index = ParquetArchive::open(&golden(), "golden").unwrap().index(4, 0).unwrap();
    for (n, e) in (0..).zip(&index) {
        assert!(archive.commit(4, n, e).unwrap());
        let name = format!("index/4/{n}.json");
        assert_eq!(
            fs::read_to_string(dir.path().join(&name)).unwrap(),
            fs::read_to_string(golden().join(&name)).unwrap()
        );
    }
}

/// Makes `golden/`. Never to be run again for format 1.
#[test]
#[ignore = "makes the fixture"]
fn make() {
    assert!(!golden().join("index").exists(), "the fixture exists");
    let archive = ParquetArchive::open(&golden(), "golden").unwrap();
    let file = archive.write(4, BatchId(3), 100..120, &[(&sample(), 0..6)]).unwrap();
    fs::rename(golden().join(&file.path), golden().join(FILE)).unwrap();
    for (n, e) in (0..).zip(&entries(vec![ArchivedFile {
        path: FILE.into(),
        ..file
    }])) {
        assert!(archive.commit(4, n, e).unwrap());
    }
}

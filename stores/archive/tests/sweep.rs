//! P19: a sweep deletes what no index entry names, and nothing else.

mod support;

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rufous_core::{BatchId, ErrorKind};
use rufous_store_api::Archive;
use rufous_store_archive::ParquetArchive;
use support::{entry, many, read};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn orphans_go_named_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    assert_eq!(
        archive.sweep(Duration::ZERO).unwrap(),
        Vec::<rufous_store_archive::Orphan>::new(),
        "nothing is there"
    );
    let records = many(0, 20);
    let write = |partition, from: u64, to: u64| {
        archive
            .write(
                partition,
                BatchId(1),
                from..to,
                &[(&records, from as usize..to as usize)],
            )
            .unwrap()
    };
    let named = [write(0, 0, 10), write(0, 10, 20)];
    let (orphan, young, of_no_index) = (write(0, 0, 10), write(0, 10, 20), write(7, 0, 5));
    for (n, file) in named.iter().enumerate() {
        assert!(
            archive
                .commit(0, n as u64, &entry(file.from, file.to, 1, vec![file.clone()]))
                .unwrap()
        );
    }
    let temporary = [
        dir.path().join("files/0/batch=1/.tmp-1"),
        dir.path().join("index/0/.tmp-2"),
    ];
    let foreign = [dir.path().join("files/README"), dir.path().join("index/0/notes.txt")];
    for path in temporary.iter().chain(&foreign) {
        fs::write(path, "x").unwrap();
    }
    let age = |path: &std::path::Path| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() - 2 * DAY)
            .unwrap()
    };
    for path in named
        .iter()
        .chain([&orphan, &of_no_index])
        .map(|f| dir.path().join(&f.path))
        .chain(temporary.iter().chain(&foreign).cloned())
    {
        age(&path);
    }

    let mut expected: Vec<_> = [&orphan, &of_no_index]
        .map(|f| dir.path().join(&f.path))
        .into_iter()
        .chain(temporary)
        .collect();
    expected.sort();
    let names = |orphans: Vec<rufous_store_archive::Orphan>| {
        let names = orphans.into_iter().map(|o| o.name.into());
        names.collect::<Vec<std::path::PathBuf>>()
    };
    assert_eq!(names(archive.orphans(DAY).unwrap()), expected);
    assert!(expected.iter().all(|p| p.exists()), "only shown");
    assert_eq!(names(archive.sweep(DAY).unwrap()), expected);
    assert!(expected.iter().all(|p| !p.exists()) && foreign.iter().all(|p| p.exists()));
    assert!(
        dir.path().join(&young.path).exists(),
        "an archiver may be about to commit it"
    );
    for file in &named {
        assert_eq!(read(&archive, 0, file).unwrap().len(), 10);
    }
    assert_eq!(archive.index(0, 0).unwrap().len(), 2);
    assert_eq!(
        names(archive.sweep(Duration::ZERO).unwrap()),
        [dir.path().join(&young.path)]
    );
}

/// What a damaged index names is unknown, so nothing is an orphan.
#[test]
fn a_damaged_index_stops_the_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let records = many(0, 10);
    let file = archive.write(0, BatchId(1), 0..10, &[(&records, 0..10)]).unwrap();
    let orphan = archive.write(0, BatchId(1), 0..10, &[(&records, 0..10)]).unwrap();
    assert!(archive.commit(0, 0, &entry(0, 10, 1, vec![file])).unwrap());
    fs::write(dir.path().join("index/0/0.json"), "{}").unwrap();
    assert_eq!(
        archive.sweep(Duration::ZERO).unwrap_err().kind(),
        ErrorKind::CorruptData
    );
    assert!(dir.path().join(&orphan.path).exists());
}

/// P19. A lost entry takes the names of its files with it, the first one of a partition too, and several in a row: whoever lists
/// the directory sees that later ones exist. What the index names is unknown then, and nothing is an orphan.
#[test]
fn lost_entries_stop_the_sweep() {
    for lost in [&[0][..], &[0, 1], &[0, 1, 2], &[2], &[2, 3]] {
        let dir = tempfile::tempdir().unwrap();
        let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
        let records = many(0, 50);
        let mut files = Vec::new();
        for n in 0..5_u64 {
            let (from, to) = (n * 10, n * 10 + 10);
            let file = archive
                .write(0, BatchId(1), from..to, &[(&records, from as usize..to as usize)])
                .unwrap();
            files.push(dir.path().join(&file.path));
            assert!(archive.commit(0, n, &entry(from, to, 1, vec![file])).unwrap());
        }
        for n in lost {
            fs::remove_file(dir.path().join(format!("index/0/{n}.json"))).unwrap();
        }
        for outcome in [archive.orphans(Duration::ZERO), archive.sweep(Duration::ZERO)] {
            let e = outcome.expect_err(&format!("{lost:?} are lost"));
            assert_eq!(e.kind(), ErrorKind::CorruptData, "{lost:?}: {e}");
            assert!(e.to_string().contains("partition 0"), "{e}");
        }
        // The first one tells readers that there is an index at all.
        if *lost == [0] {
            assert_eq!(archive.partitions().unwrap_err().kind(), ErrorKind::CorruptData);
        }
        assert!(files.iter().all(|f| f.exists()), "{lost:?}: what is named is kept");
    }
}

//! A file is what it was when it was seen first: renamed files are followed; truncated, replaced, rewritten and deleted
//! ones are refused, at once when they are open and at the next start.

mod util;

use std::fs;

use rufous_platform_local::{LocalLog, LocalOptions, Place};
use rufous_realtime::{Log, Polled};
use util::{Bed, append, bounded, drain, from_start, lines, outcome, refused};

#[test]
fn rotation_by_rename_is_followed() {
    let bed = Bed::new();
    bed.write("log", "one\n");
    let mut log = from_start(bed.open().unwrap());
    let before = log.partitions().unwrap();
    assert_eq!(drain(&mut log).unwrap()[&0].len(), 1);
    fs::rename(bed.path("log"), bed.path("log.1")).unwrap();
    bed.append("log.1", "two\n");
    bed.write("log", "three\n");
    assert_eq!(drain(&mut log).unwrap()[&0], [(4, b"two".to_vec())]);
    assert_eq!(outcome(&mut log).unwrap(), Polled::PartitionsChanged);
    for log in [&mut log, &mut bed.open().unwrap()] {
        let after = log.partitions().unwrap();
        assert_eq!(
            after.iter().map(|p| (p.partition, p.end)).collect::<Vec<_>>(),
            [(0, 8), (1, 6)]
        );
        assert_eq!(after[0].topic_id, before[0].topic_id);
        assert_ne!(after[0].topic_id, after[1].topic_id);
    }
    log.assign(&[(0, 8), (1, 0)]).unwrap();
    assert_eq!(drain(&mut log).unwrap()[&1], lines(b"three\n", false));
    // A chain, as logrotate makes it.
    fs::rename(bed.path("log.1"), bed.path("log.2")).unwrap();
    fs::rename(bed.path("log"), bed.path("log.1")).unwrap();
    bed.append("log.2", "four\n");
    assert_eq!(drain(&mut log).unwrap()[&0], [(8, b"four".to_vec())]);
    assert_eq!(bed.open().unwrap().partitions().unwrap().len(), 2);
}

#[test]
fn a_truncated_file_is_refused() {
    let bed = Bed::new();
    bed.write("a", "one\ntwo\nthree\n");
    let mut log = from_start(bed.open().unwrap());
    drain(&mut log).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(bed.path("a"))
        .unwrap()
        .set_len(8)
        .unwrap();
    refused(outcome(&mut log), &["logs/a", "truncated", "14", "8", "restore"]);
    refused(log.partitions(), &["logs/a", "truncated", "14"]);
    refused(bed.open(), &["logs/a", "truncated", "14", "8"]);
}

/// Longer than the registered first bytes, shorter than the committed position.
#[test]
fn an_offset_beyond_the_end_is_refused() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    let mut log = bed.open().unwrap();
    refused(log.assign(&[(0, 5)]), &["logs/a", "truncated", "5", "4"]);
    refused(log.assign(&[(1, 0)]), &["no partition 1"]);
    bed.append("a", "two\nthr");
    refused(log.assign(&[(0, 9)]), &["truncated", "9", "8"]);
    refused(log.assign(&[(0, 6)]), &["offset 6 is inside a line"]);
    log.assign(&[(0, 8)]).unwrap();
}

#[test]
fn a_replaced_file_is_refused() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    let mut log = from_start(bed.open().unwrap());
    drain(&mut log).unwrap();
    bed.write("b.tmp", "one\ntwo\n");
    fs::rename(bed.path("b.tmp"), bed.path("a")).unwrap();
    for e in [
        outcome(&mut log).map(drop),
        log.partitions().map(drop),
        bed.open().map(drop),
    ] {
        refused(e, &["logs/a", "another file", "partition 0", "new source"]);
    }
}

/// copytruncate, then as many bytes again: the length says nothing, the first bytes do.
#[test]
fn a_file_rewritten_in_place_is_refused() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    bed.write("empty", "");
    let mut log = from_start(bed.open().unwrap());
    bed.append("empty", "x\ny\n");
    drain(&mut log).unwrap();
    bed.write("a", "two\nthree\n");
    refused(outcome(&mut log), &["logs/a", "replaced", "does not begin"]);
    refused(bed.open(), &["logs/a", "replaced"]);
    bed.write("a", "one\n");
    // Its registered first bytes are none, but this process has read some.
    let mut log = from_start(bed.open().unwrap());
    drain(&mut log).unwrap();
    assert_eq!(outcome(&mut log).unwrap(), Polled::Idle);
    bed.write("empty", "z\nlonger\n");
    refused(outcome(&mut log), &["logs/empty", "replaced", "first 4 bytes"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_then_refused() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    bed.write("b", "b\n");
    let mut log = from_start(bed.open().unwrap());
    fs::remove_file(bed.path("a")).unwrap();
    assert_eq!(outcome(&mut log).unwrap(), Polled::Idle);
    assert_eq!(log.partitions().unwrap()[0].end, 4);
    log.assign(&[(0, 0), (1, 0)]).unwrap();
    assert_eq!(drain(&mut log).unwrap()[&0], lines(b"one\n", false));
    refused(bed.open(), &["logs/a", "partition 0 is gone", "restore"]);
}

#[test]
fn missing_places_are_named() {
    let bed = Bed::new();
    let file = |place| LocalLog::open(place, &bed.registry(), LocalOptions::default());
    refused(
        file(Place::File(bed.path("no.txt"))),
        &["logs/no.txt", "no such file", "make it"],
    );
    refused(
        file(Place::Dir(bed.path("no"))),
        &["logs/no", "no such directory", "make it"],
    );
    refused(file(Place::File(bed.path(""))), &["is a directory", "dir:"]);
    refused(file(Place::File("/dev/null".into())), &["/dev/null", "no regular file"]);
    bed.write("f", "");
    refused(file(Place::Dir(bed.path("f"))), &["logs/f", "file:"]);
    fs::remove_file(bed.path("f")).unwrap();
    refused(bed.open_with(bounded()), &["logs", "holds no files", "put files there"]);
    assert!(!bed.registry().exists(), "nothing was written");
}

#[test]
fn a_single_file_is_one_partition() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    bed.write("b", "other\n");
    let open = || LocalLog::open(Place::File(bed.path("a")), &bed.registry(), LocalOptions::default());
    let mut log = from_start(open().unwrap());
    assert_eq!(log.location(), format!("file:{}", bed.path("a").display()));
    append(&bed.path("a"), b"two\n");
    assert_eq!(drain(&mut log).unwrap()[&0], lines(b"one\ntwo\n", false));
    fs::rename(bed.path("b"), bed.path("a")).unwrap();
    refused(outcome(&mut log), &["another file"]);
    fs::remove_file(bed.path("a")).unwrap();
    refused(open(), &["partition 0 is gone"]);
}

/// Files have the numbers that they would get, and the next one who reads gives them.
#[test]
fn who_only_looks_registers_nothing() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    let look = || {
        let options = LocalOptions {
            registers: false,
            ..LocalOptions::default()
        };
        let mut log = bed.open_with(options).unwrap();
        let found = log.partitions().unwrap();
        found
            .into_iter()
            .map(|p| (p.partition, p.end, p.topic_id))
            .collect::<Vec<_>>()
    };
    let seen = look();
    assert!(seen.len() == 1 && !bed.registry().exists(), "nothing was written");
    bed.open().unwrap();
    bed.write("b", "other\n");
    assert_eq!(look()[..1], seen);
    assert_eq!((look().len(), fs::read_dir(bed.registry()).unwrap().count()), (2, 1));
    assert_eq!(bed.open().unwrap().partitions().unwrap().len(), 2);
}

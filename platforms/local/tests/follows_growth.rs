//! A live log: what is appended comes, a record only with its newline, and new files are told of.
//! The oracle is the bytes written so far, split by `std`.

mod util;

use std::time::{Duration, Instant};

use rufous_core::RecordBatch;
use rufous_platform_local::LocalOptions;
use rufous_realtime::{Log, Polled};
use util::{Bed, drain, from_start, lines, outcome, sample};

#[test]
fn appended_bytes_come_and_no_record_before_its_newline() {
    let bytes = sample(300);
    for block in [1, 16, 4096, 256 << 10] {
        let bed = Bed::new();
        bed.write("a", "");
        let mut log = from_start(
            bed.open_with(LocalOptions {
                block,
                ..LocalOptions::default()
            })
            .unwrap(),
        );
        let mut got = Vec::new();
        for (i, piece) in bytes.chunks(37).enumerate() {
            bed.append("a", piece);
            got.extend(drain(&mut log).unwrap().remove(&0).unwrap_or_default());
            assert_eq!(got.len(), lines(&bytes[..(37 * (i + 1)).min(bytes.len())], false).len());
        }
        assert_eq!(got, lines(&bytes, false));
    }
}

/// The end that `--until-end` reads to is that of the last whole line.
#[test]
fn the_end_is_after_the_last_newline() {
    let bed = Bed::new();
    let mut log = bed.open().unwrap();
    for (bytes, end) in [("", 0), ("x", 0), ("yz\n", 4), ("more\nand", 9), ("\n", 13)] {
        bed.append("a", bytes);
        assert_eq!(log.partitions().unwrap()[0].end, end);
    }
    bed.append("a", vec![b'x'; 300_000]);
    assert_eq!(log.partitions().unwrap()[0].end, 13);
    assert_eq!(bed.open().unwrap().partitions().unwrap()[0].end, 13);
}

#[test]
fn new_files_become_partitions() {
    let bed = Bed::new();
    let mut log = bed.open().unwrap();
    assert!(log.is_empty_dir());
    assert_eq!(log.partitions().unwrap(), []);
    log.assign(&[]).unwrap();
    for (n, name) in ["m", "z", "a"].into_iter().enumerate() {
        bed.write(name, format!("of {name}\n"));
        assert_eq!(outcome(&mut log).unwrap(), Polled::PartitionsChanged);
        let mut log2 = from_start(bed.open().unwrap());
        log = from_start(log);
        let expected = lines(format!("of {name}\n").as_bytes(), false);
        assert_eq!(drain(&mut log).unwrap()[&(n as u32)], expected);
        assert_eq!(
            drain(&mut log2).unwrap()[&(n as u32)],
            expected,
            "the number is the same for all"
        );
    }
    assert!(!log.is_empty_dir());
}

/// Ends with others than the newest file: names that do not count are no partitions.
#[test]
fn some_names_do_not_count() {
    let bed = Bed::new();
    for name in [".hidden", "a~", "b.tmp", "c.txt"] {
        bed.write(name, "x\n");
    }
    std::fs::create_dir(bed.path("sub")).unwrap();
    std::fs::hard_link(bed.path("c.txt"), bed.path("d.txt")).unwrap();
    let mut log = bed.open().unwrap();
    assert_eq!(log.partitions().unwrap().len(), 1, "one file has two names");
}

#[test]
fn an_idle_poll_waits_and_wakes() {
    let bed = Bed::new();
    bed.write("a", "");
    let mut log = from_start(bed.open().unwrap());
    let mut batch = RecordBatch::default();
    let begun = Instant::now();
    assert_eq!(log.poll(Duration::from_millis(60), &mut batch).unwrap(), Polled::Idle);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    std::thread::scope(|s| {
        s.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            bed.append("a", "now\n");
        });
        assert_eq!(log.poll(Duration::from_secs(60), &mut batch).unwrap(), Polled::Records);
    });
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(batch.value(&batch.entries[0]), Some(&b"now"[..]));
    assert!(!log.has_time());
}

/// No file waits for another that has much to read.
#[test]
fn partitions_take_turns() {
    let bed = Bed::new();
    bed.write("a", sample(30_000));
    bed.write("b", "b\n");
    bed.write("c", "c\n");
    let mut log = from_start(bed.open().unwrap());
    let mut batch = RecordBatch::default();
    let first: Vec<_> = (0..3)
        .map(|_| {
            assert_eq!(log.poll(Duration::ZERO, &mut batch).unwrap(), Polled::Records);
            batch.partition
        })
        .collect();
    assert_eq!(first, [0, 1, 2]);
}

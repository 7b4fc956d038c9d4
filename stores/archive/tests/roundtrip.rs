//! What is written is read: every kind of record, every size of file. Compared with plain vectors.

mod support;

use rufous_core::{BatchId, Entry, Error, ErrorKind, RecordBatch, Span};
use rufous_store_api::Archive;
use rufous_store_archive::ParquetArchive;
use support::{Random, many, plain, read, sample};

/// P17: nothing is lost: a null value is not an empty one, a missing time is not 1970.
#[test]
fn records_of_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(&dir.path().join("a/b"), "clicks").unwrap();
    let r = sample();
    let file = archive
        .write(4, BatchId(-3), 95..130, &[(&r, 0..2), (&r, 2..2), (&r, 2..6)])
        .unwrap();
    assert_eq!((file.rows, file.from, file.to, file.batch), (6, 95, 130, BatchId(-3)));
    assert!(
        file.path.starts_with("files/4/batch=-3/95-130-") && file.path.ends_with(".parquet"),
        "{}",
        file.path
    );
    assert_eq!(read(&archive, 4, &file).unwrap(), plain(&r));
    let mut next = 0;
    archive
        .read(4, &file, &mut |r| {
            next = r.next;
            Ok(())
        })
        .unwrap();
    assert_eq!(
        next, 130,
        "after the last record comes the end of the range, gaps or not"
    );
}

#[test]
fn parts_of_batches_and_many_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let (a, b) = (many(1000, 90_000), many(100_000, 60_000));
    let file = archive
        .write(0, BatchId(5), 1000..200_000, &[(&a, 10..90_000), (&b, 0..59_999)])
        .unwrap();
    assert_eq!(file.rows, 89_990 + 59_999);
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    archive
        .read(0, &file, &mut |r| {
            sizes.push(r.entries.len());
            all.extend(plain(r));
            assert!(r.next > r.entries.last().unwrap().offset);
            Ok(())
        })
        .unwrap();
    assert!(all == [&plain(&a)[10..], &plain(&b)[..59_999]].concat());
    assert!(sizes.iter().all(|n| *n <= 4096) && sizes.len() < 60, "{sizes:?}");
}

/// Large values: a row group stays far below the 2 GiB of an arrow array, and few are handed out at once.
#[test]
fn large_values() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let mut r = RecordBatch::default();
    for offset in 0..300 {
        let value = r.push_bytes(&vec![offset as u8; 1 << 20]);
        r.entries.push(Entry::plain(offset, value));
    }
    let file = archive.write(0, BatchId(0), 0..300, &[(&r, 0..300)]).unwrap();
    let mut offset = 0;
    archive
        .read(0, &file, &mut |r| {
            assert!(r.entries.len() <= 16);
            for e in &r.entries {
                assert_eq!(e.offset, offset);
                assert!(r.value(e).unwrap().len() == 1 << 20 && r.value(e).unwrap().iter().all(|b| *b == offset as u8));
                offset += 1;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(offset, 300);
}

#[test]
fn offsets_use_all_64_bits_and_files_may_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let entries = [0, 1 << 63, u64::MAX - 1].map(|o| Entry::plain(o, Span::NONE)).to_vec();
    let r = RecordBatch {
        entries,
        ..RecordBatch::default()
    };
    let file = archive.write(0, BatchId::MIN, 0..u64::MAX, &[(&r, 0..3)]).unwrap();
    assert_eq!(read(&archive, 0, &file).unwrap(), plain(&r));
    let file = archive.write(0, BatchId::MAX, 7..9, &[]).unwrap();
    assert_eq!((file.rows, read(&archive, 0, &file).unwrap()), (0, vec![]));
}

#[test]
fn records_outside_the_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let r = sample();
    for (range, what) in [
        (100..119, "offset 119"),
        (101..130, "offset 100"),
        (0..100, "offset 100"),
    ] {
        let e = archive.write(4, BatchId(0), range, &[(&r, 0..6)]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Bug);
        assert!(
            e.to_string().contains(what) && e.to_string().contains("`clicks`, partition 4"),
            "{e}"
        );
    }
    assert!(
        archive.write(4, BatchId(0), 0..200, &[(&r, 0..3), (&r, 2..6)]).is_err(),
        "one offset twice"
    );
    assert!(
        archive.write(4, BatchId(0), 0..200, &[(&r, 0..7)]).is_err(),
        "entries that are not there"
    );
    let left = std::fs::read_dir(dir.path().join("files/4/batch=0")).unwrap().count();
    assert_eq!(left, 0, "no temporary file is left");
}

#[test]
fn the_readers_own_error_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let file = archive
        .write(0, BatchId(0), 0..10_000, &[(&many(0, 10_000), 0..10_000)])
        .unwrap();
    let mut calls = 0;
    let e = archive
        .read(0, &file, &mut |_| {
            calls += 1;
            Err(Error::closed("stop"))
        })
        .unwrap_err();
    assert_eq!(
        (e.kind(), e.to_string().as_str(), calls),
        (ErrorKind::Closed, "stop", 1)
    );
}

/// How fast a core reads and writes; run with `--release --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let (mut r, mut random) = (RecordBatch::default(), Random(3));
    for offset in 0..1_000_000 {
        let key = r.push_bytes(format!("user-{}", random.below(50_000)).as_bytes());
        let (n, delay) = (random.below(10_000), random.below(300));
        let json = format!("{{\"flight\":{n},\"delay\":{delay},\"origin\":\"FRA\",\"destination\":\"JFK\"}}");
        let value = r.push_bytes(json.as_bytes());
        r.entries.push(Entry {
            time_ms: 1_700_000_000_000 + offset as i64,
            key,
            ..Entry::plain(offset, value)
        });
    }
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let file = archive
            .write(0, BatchId(0), 0..1_000_000, &[(&r, 0..1_000_000)])
            .unwrap();
        let wrote = t.elapsed().as_secs_f64();
        let t = std::time::Instant::now();
        let (mut n, mut bytes) = (0, 0);
        archive
            .read(0, &file, &mut |r| {
                n += r.entries.len();
                bytes += r.bytes.len();
                Ok(())
            })
            .unwrap();
        let read = t.elapsed().as_secs_f64();
        let size = std::fs::metadata(dir.path().join(&file.path)).unwrap().len();
        println!(
            "{n} records of {} bytes, file {size}: wrote {:.2} M/s, read {:.2} M/s",
            bytes / n,
            1.0 / wrote,
            1.0 / read
        );
    }
}

//! Damaged files: an error that names the file, never other records and never a panic.

mod support;

use std::fs;
use std::path::PathBuf;

use rufous_core::{BatchId, Error, ErrorKind};
use rufous_store_api::{Archive, ArchivedFile};
use rufous_store_archive::ParquetArchive;
use support::{Random, many, plain, read, sample};
use xxhash_rust::xxh3::xxh3_64;

struct Fixture {
    _dir: tempfile::TempDir,
    archive: ParquetArchive,
    file: ArchivedFile,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let archive = ParquetArchive::open(dir.path(), "clicks").unwrap();
    let file = archive.write(4, BatchId(3), 100..120, &[(&sample(), 0..6)]).unwrap();
    let path = dir.path().join(&file.path);
    let bytes = fs::read(&path).unwrap();
    Fixture {
        _dir: dir,
        archive,
        file,
        path,
        bytes,
    }
}

fn check(e: &Error, f: &Fixture) {
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
    let text = e.to_string();
    assert!(
        text.contains(&f.path.display().to_string()) && text.contains("source `clicks`, partition 4"),
        "{text}"
    );
    assert!(text.contains("100..1") && text.contains("restore it"), "{text}");
}

#[test]
fn missing_truncated_or_changed() {
    let f = fixture();
    for n in [0, 1, 4, 8, f.bytes.len() / 2, f.bytes.len() - 1] {
        fs::write(&f.path, &f.bytes[..n]).unwrap();
        check(&read(&f.archive, 4, &f.file).unwrap_err(), &f);
    }
    let mut random = Random(1);
    for _ in 0..200 {
        let mut bytes = f.bytes.clone();
        let i = random.below(bytes.len());
        bytes[i] ^= 1 << random.below(8);
        fs::write(&f.path, bytes).unwrap();
        check(&read(&f.archive, 4, &f.file).unwrap_err(), &f);
    }
    fs::remove_file(&f.path).unwrap();
    let e = read(&f.archive, 4, &f.file).unwrap_err();
    check(&e, &f);
    assert!(e.to_string().contains("missing"), "{e}");
}

/// With the checksum of the damaged bytes the decoder itself meets them: any answer but a panic, and no offset that is
/// outside the range or out of order.
#[test]
fn hostile_bytes_with_the_right_checksum() {
    let f = fixture();
    let mut random = Random(42);
    let mut failed = 0;
    for round in 0..3000 {
        let mut bytes = f.bytes.clone();
        for _ in 0..=random.below(4) {
            // Half of the damage goes to the footer, where lengths and counts are.
            let i = if round % 2 == 0 {
                random.below(bytes.len())
            } else {
                bytes.len() - 1 - random.below(bytes.len().min(1500))
            };
            bytes[i] = if random.below(2) == 0 {
                bytes[i] ^ (1 << random.below(8))
            } else {
                random.below(256) as u8
            };
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        fs::write(&f.path, &bytes).unwrap();
        let file = ArchivedFile {
            checksum: format!("{:016x}", xxh3_64(&bytes)),
            ..f.file.clone()
        };
        match read(&f.archive, 4, &file) {
            Err(e) => {
                failed += 1;
                check(&e, &f);
            }
            Ok(records) => {
                assert_eq!(records.len(), 6);
                assert!(records.is_sorted_by(|a, b| a.0 < b.0) && records.iter().all(|r| (100..120).contains(&r.0)));
            }
        }
    }
    assert!(failed > 1000, "{failed}");
}

/// A right checksum does not make a file the right one.
#[test]
fn a_file_in_the_wrong_place() {
    let f = fixture();
    let cases = [
        (
            ArchivedFile {
                rows: 5,
                bytes: 1_000,
                ..f.file.clone()
            },
            "holds 6 records",
        ),
        (
            ArchivedFile {
                rows: 7,
                bytes: 1_000,
                ..f.file.clone()
            },
            "holds 6 records",
        ),
        (
            ArchivedFile {
                from: 99,
                ..f.file.clone()
            },
            "`rufous.from` is `100`, not `99`",
        ),
        (
            ArchivedFile {
                to: 119,
                ..f.file.clone()
            },
            "`rufous.to`",
        ),
        (
            ArchivedFile {
                batch: BatchId(4),
                ..f.file.clone()
            },
            "`rufous.batch`",
        ),
    ];
    for (file, word) in cases {
        let e = read(&f.archive, 4, &file).unwrap_err();
        assert!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains(word),
            "{e}"
        );
    }
    assert!(
        read(&f.archive, 5, &f.file)
            .unwrap_err()
            .to_string()
            .contains("`rufous.partition`")
    );
    let other = ParquetArchive::open(f._dir.path(), "views").unwrap();
    assert!(
        read(&other, 4, &f.file)
            .unwrap_err()
            .to_string()
            .contains("`rufous.source` is `clicks`, not `views`")
    );
    assert_eq!(read(&f.archive, 4, &f.file).unwrap(), plain(&sample()));
}

#[test]
fn names_that_lead_out_of_the_archive() {
    let f = fixture();
    for path in ["", "/etc/passwd", "../x", "files/../../x", "."] {
        let e = read(
            &f.archive,
            4,
            &ArchivedFile {
                path: path.into(),
                ..f.file.clone()
            },
        )
        .unwrap_err();
        assert!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains("leads out"),
            "{e}"
        );
    }
}

/// Another program's Parquet, and bytes that are none.
#[test]
fn foreign_files() {
    let f = fixture();
    for bytes in [
        &b""[..],
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\0\0\0\0PAR1",
        b"{\"json\": true}",
        &[0xff; 4096],
    ] {
        fs::write(&f.path, bytes).unwrap();
        let file = ArchivedFile {
            checksum: format!("{:016x}", xxh3_64(bytes)),
            ..f.file.clone()
        };
        check(&read(&f.archive, 4, &file).unwrap_err(), &f);
    }
    let large = f
        .archive
        .write(4, BatchId(3), 0..50_000, &[(&many(0, 50_000), 0..50_000)])
        .unwrap();
    fs::copy(f._dir.path().join(&large.path), &f.path).unwrap();
    check(&read(&f.archive, 4, &f.file).unwrap_err(), &f);
}

//! gzip and zstd files hold the records of the plain file at the same offsets; broken ones are refused.

mod util;

use std::io::Write;

use rufous_core::ErrorKind;
use rufous_platform_local::LocalOptions;
use rufous_realtime::Log;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use util::{Bed, bounded, drain, lines, refused, sample};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Two members or frames, for zstd with a skippable one between them.
fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let (a, b) = bytes.split_at(bytes.len() / 3);
    if name.ends_with(".gz") {
        return [gzip(a), gzip(b)].concat();
    }
    [zstd(a), b"\x50\x2a\x4d\x18\x05\0\0\0aside".to_vec(), zstd(b)].concat()
}

#[test]
fn compressed_files_equal_plain_ones_from_any_line_on() {
    let mut bytes = sample(20_000);
    bytes.extend_from_slice(b"the last line");
    let expected = lines(&bytes, true);
    for name in ["a.gz", "a.zst"] {
        let bed = Bed::new();
        bed.write(name, packed(name, &bytes));
        for options in [
            LocalOptions {
                block: 100,
                ..Default::default()
            },
            LocalOptions::default(),
            bounded(),
        ] {
            let mut log = bed.open_with(options).unwrap();
            assert_eq!(log.partitions().unwrap()[0].end, bytes.len() as u64);
            for from in [0, 1, 777, 19_999, 20_000] {
                log.assign(&[(0, expected[from].0)]).unwrap();
                assert_eq!(drain(&mut log).unwrap()[&0], expected[from..], "{name} from {from}");
            }
            log.assign(&[(0, bytes.len() as u64)]).unwrap();
            assert!(drain(&mut log).unwrap().is_empty());
            refused(log.assign(&[(0, bytes.len() as u64 + 1)]), &["truncated", name]);
            log.assign(&[(0, expected[2].0 + 1)]).unwrap();
            refused(drain(&mut log), &["inside a line"]);
        }
    }
}

#[test]
fn broken_files_are_refused_with_name_and_offset() {
    let bytes = sample(3000);
    for name in ["a.gz", "a.zst"] {
        let whole = packed(name, &bytes);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x55;
        for bad in [&whole[..whole.len() - 3], &flipped, b"plain text\n"] {
            let bed = Bed::new();
            bed.write(name, bad);
            let e = bed.open().unwrap().partitions().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::CorruptData);
            assert!(
                e.to_string().contains(name) && e.to_string().contains("after offset"),
                "{e}"
            );
        }
    }
}

#[test]
fn a_compressed_file_does_not_grow() {
    let bed = Bed::new();
    bed.write("a.gz", gzip(b"one\n"));
    let mut log = util::from_start(bed.open().unwrap());
    assert_eq!(drain(&mut log).unwrap()[&0].len(), 1);
    bed.append("a.gz", gzip(b"two\n"));
    refused(drain(&mut log), &["a.gz", "written to", ".tmp"]);
}

/// Rotation that compresses in the same directory would count everything twice.
#[test]
fn a_file_and_its_compressed_copy_are_refused() {
    let bed = Bed::new();
    bed.write("a.log", "one\n");
    bed.open().unwrap();
    bed.write("a.log.gz", gzip(b"one\n"));
    refused(bed.open(), &["a.log.gz", "count twice", "move it"]);
}

//! How bytes become records, against `std`: any block size, CR LF, blank lines, UTF-8 marks, long lines.

mod util;

use rufous_core::Format;
use rufous_platform_local::LocalOptions;
use rufous_realtime::Log;
use util::{Bed, TEXT, bounded, drain, from_start, lines, refused, sample};

#[test]
fn every_block_size_gives_the_same_records() {
    let mut bytes = sample(9_000);
    bytes.extend_from_slice(b"no newline");
    let bed = Bed::new();
    bed.write("a", &bytes);
    for block in [1, 7, 100, 4096, 65_536, 1 << 20] {
        assert_eq!(
            bed.read_all(LocalOptions { block, ..bounded() }).unwrap()[&0],
            lines(&bytes, true),
            "{block}"
        );
        assert_eq!(
            bed.read_all(LocalOptions {
                block,
                ..Default::default()
            })
            .unwrap()[&0],
            lines(&bytes, false),
            "{block}"
        );
    }
}

#[test]
fn carriage_returns_blank_lines_and_a_mark() {
    let bed = Bed::new();
    bed.write("a", "\u{feff}one\r\n\r\n\n \u{feff}two\r\r\n{}\n\t\r\n");
    let text = [
        (0, "one"),
        (8, ""),
        (10, ""),
        (11, " \u{feff}two\r"),
        (21, "{}"),
        (24, "\t"),
    ];
    let expect = |records: &[(u64, &str)]| {
        records
            .iter()
            .map(|(o, v)| (*o, v.as_bytes().to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(bed.read_all(LocalOptions::new(TEXT)).unwrap()[&0], expect(&text));
    // Blank lines are no JSON; the position passes them all the same.
    let mut log = from_start(bed.open_with(LocalOptions::new(Format::JsonLines)).unwrap());
    assert_eq!(drain(&mut log).unwrap()[&0], expect(&[text[0], text[3], text[4]]));
    bed.append("a", "\n \n\n");
    assert_eq!(drain(&mut log).unwrap()[&0], expect(&[]));
    assert!(drain(&mut log).unwrap().is_empty());
}

#[test]
fn an_empty_file_has_no_records() {
    for options in [LocalOptions::default(), bounded()] {
        for name in ["a", "b.gz", "c.zst"] {
            let bed = Bed::new();
            bed.write(name, "");
            let mut log = bed.open_with(options.clone()).unwrap();
            let found = log.partitions().unwrap();
            assert_eq!((found.len(), found[0].start, found[0].end), (1, 0, 0));
            log.assign(&[(0, 0)]).unwrap();
            assert!(drain(&mut log).unwrap().is_empty());
        }
    }
}

#[test]
fn a_huge_line_is_one_record_up_to_the_limit() {
    let bed = Bed::new();
    let mut bytes = b"first\n".to_vec();
    bytes.extend_from_slice(&vec![b'x'; 3_000_000]);
    bytes.extend_from_slice(b"\nlast\n");
    bed.write("a", &bytes);
    assert_eq!(
        bed.read_all(LocalOptions {
            block: 1000,
            ..Default::default()
        })
        .unwrap()[&0],
        lines(&bytes, false)
    );
    for max_record in [3_000_000, 2_999_999] {
        for block in [100, 8 << 20] {
            let got = bed.read_all(LocalOptions {
                block,
                max_record,
                ..Default::default()
            });
            match max_record {
                3_000_000 => assert_eq!(got.unwrap()[&0].len(), 3),
                _ => drop(refused(got, &["logs/a", "offset 6 ", "2999999 bytes", "max_record"])),
            }
        }
    }
    // Not even its newline is waited for.
    bed.write("b", vec![b'y'; 5000]);
    let got = bed.read_all(LocalOptions {
        max_record: 4096,
        block: 64,
        ..Default::default()
    });
    refused(got, &["4096 bytes"]);
}

#[test]
fn options_have_bounds() {
    let bed = Bed::new();
    refused(
        bed.open_with(LocalOptions {
            block: 0,
            ..Default::default()
        }),
        &["`block` is 0"],
    );
    refused(
        bed.open_with(LocalOptions {
            max_record: 2 << 30,
            ..Default::default()
        }),
        &["`max_record`"],
    );
}

//! Files of rows: the header line of each file goes with its records, through restarts and in compressed files; a quote
//! that a line does not close is one bad record, and the next line is a row again.

mod util;

use std::time::Duration;

use rufous_core::{
    BadRecord, CSV_HEADER, Csv, Field, FieldType, Format, Record, RecordBatch, RecordError, Row, SourceRecord,
};
use rufous_platform_local::LocalOptions;
use rufous_realtime::{Log, Polled};
use util::{Bed, bounded};

#[derive(Clone, Debug, PartialEq)]
struct Click {
    user: u64,
    page: String,
}

impl Record for Click {
    const FIELDS: &'static [Field] = &[
        Field {
            name: "user",
            ty: FieldType::Integer,
            optional: false,
        },
        Field {
            name: "page",
            ty: FieldType::Text,
            optional: false,
        },
    ];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            user: row.get(0)?,
            page: row.get(1)?,
        })
    }
}

const HEADER: Format = Format::Csv(Csv::COMMA.header());

/// The rows from these positions on, and the offsets and reasons of those that are bad.
fn rows(bed: &Bed, options: &LocalOptions, from: &[(u32, u64)]) -> (Vec<(u64, String)>, Vec<(u64, String)>) {
    let mut log = bed.open_with(options.clone()).unwrap();
    log.assign(from).unwrap();
    let mut decoder = Click::decoder(options.format, None).unwrap();
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    let mut batch = RecordBatch::default();
    while log.poll(Duration::ZERO, &mut batch).unwrap() != Polled::Idle {
        let (mut times, mut bad): (_, Vec<BadRecord>) = (Vec::new(), Vec::new());
        decoder.decode(&batch, &mut times, &mut bad);
        wrong.extend(bad.into_iter().map(|b| (batch.entries[b.entry].offset, b.reason)));
        let chunk = decoder
            .chunk(0..batch.entries.len())
            .downcast_ref::<Vec<Click>>()
            .unwrap();
        good.extend(chunk.iter().map(|c| (c.user, c.page.clone())));
    }
    good.sort();
    (good, wrong)
}

fn pages(all: &[(u64, &str)]) -> Vec<(u64, String)> {
    all.iter().map(|(user, page)| (*user, page.to_string())).collect()
}

/// Every file has columns of its own; the header is no record, and a mark of UTF-8 is no part of it.
#[test]
fn each_file_by_its_own_header() {
    let bed = Bed::new();
    bed.write("a.csv", "\u{feff}user,page\r\n1,/a\r\n2,\"/b,c\"\r\n\r\n");
    bed.write("b.csv", "\"page\",x,user\n/d,,3\n");
    bed.write("c.csv", "user,page\n");
    for block in [1, 7, 4096] {
        let options = LocalOptions {
            block,
            ..LocalOptions::new(HEADER)
        };
        let found = rows(&bed, &options, &[(0, 0), (1, 0), (2, 0)]);
        assert_eq!(found, (pages(&[(1, "/a"), (2, "/b,c"), (3, "/d")]), vec![]), "{block}");
    }
    // The position passes a header that no row follows.
    let mut log = bed.open_with(LocalOptions::new(HEADER)).unwrap();
    log.assign(&[(2, 0)]).unwrap();
    let mut batch = RecordBatch::default();
    assert_eq!(log.poll(Duration::ZERO, &mut batch).unwrap(), Polled::Records);
    assert_eq!((batch.entries.len(), batch.next), (0, 10));
}

/// A process that starts in the middle of a file reads its rows by its header; also when it is compressed, and when the
/// last line of a complete file has no newline.
#[test]
fn from_the_middle() {
    let bed = Bed::new();
    let text = "page,user\n/a,1\n/b,2\n/c,3";
    bed.write("a.csv", text);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
    bed.write("b.csv.gz", gz.finish().unwrap());
    let options = LocalOptions {
        format: HEADER,
        ..bounded()
    };
    for partition in [0, 1] {
        assert_eq!(
            rows(&bed, &options, &[(partition, 15)]).0,
            pages(&[(2, "/b"), (3, "/c")]),
            "{partition}"
        );
    }
    let mut log = bed.open_with(options).unwrap();
    log.assign(&[(0, 15)]).unwrap();
    let mut batch = RecordBatch::default();
    log.poll(Duration::ZERO, &mut batch).unwrap();
    let headers: Vec<_> = batch.entries.iter().map(|e| batch.header(e, CSV_HEADER)).collect();
    assert_eq!(headers, [Some(Some(&b"page,user"[..])), Some(Some(b"page,user"))]);
}

/// A header that lacks a column makes every row bad, with what to do; nothing is read by other columns.
#[test]
fn a_header_without_a_column() {
    let bed = Bed::new();
    bed.write("a.csv", "1,/a\n2,/b\n");
    let (good, bad) = rows(&bed, &LocalOptions::new(HEADER), &[(0, 0)]);
    assert!(good.is_empty());
    assert_eq!(bad.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [5]);
    assert!(bad[0].1.contains("there is no column `user`; the columns are: 1, /a") && bad[0].1.contains("say `+csv`"));
}

/// Line ends within quotes are refused in files: a line is a record, so one quote too many costs one record and not the
/// rest of the file.
#[test]
fn a_quote_ends_with_its_line() {
    let bed = Bed::new();
    bed.write("a.tsv", "1\t\"two\nlines\"\n2\t/b\n");
    let (good, bad) = rows(&bed, &LocalOptions::new(Format::Csv(Csv::TAB)), &[(0, 0)]);
    assert_eq!(good, pages(&[(2, "/b")]));
    assert_eq!(bad[0].0, 0);
    assert_eq!(
        bad[0].1,
        "a quote is not closed in column 2: in files a row ends at the line's end, also within quotes"
    );
    assert_eq!((bad.len(), bad[1].0), (2, 7));
}

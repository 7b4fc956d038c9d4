//! Rows against what was written by a plain function of RFC 4180, and rows that are none.

use proptest::prelude::*;

use super::{CSV_HEADER, Csv, CsvRows};
use crate::formats::Format;
use crate::log::{Entry, RecordBatch, Span};
use crate::record::{Field, FieldType};
use crate::time::Timestamp;

const fn field(name: &'static str, ty: FieldType, optional: bool) -> Field {
    Field { name, ty, optional }
}

const FIELDS: &[Field] = &[
    field("user", FieldType::Integer, false),
    field("page", FieldType::Text, false),
    field("note", FieldType::Text, true),
    field("ms", FieldType::Float, true),
    field("ok", FieldType::Bool, true),
    field("at", FieldType::Timestamp, true),
];

type Record = (
    i64,
    String,
    Option<String>,
    Option<f64>,
    Option<bool>,
    Option<Timestamp>,
);

fn read_by(rows: &mut CsvRows, header: Option<&str>, row: &[u8]) -> Result<Record, String> {
    let mut records = RecordBatch::default();
    let value = records.push_bytes(row);
    let headers = header.map_or(Span::NONE, |h| {
        records.push_headers([(CSV_HEADER, Some(h.as_bytes()))].into_iter()).0
    });
    let entry = Entry {
        headers,
        ..Entry::plain(0, value)
    };
    rows.read(&records, &entry, |row| {
        let all = || {
            Ok::<_, crate::record::RecordError>((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        };
        all().map_err(|e| e.to_string())
    })
}

fn read(csv: Csv, row: &[u8]) -> Result<Record, String> {
    read_by(&mut CsvRows::new(csv, FIELDS).unwrap(), None, row)
}

/// Columns are the fields in their order; what is empty is missing, but a text that must be there is empty.
#[test]
fn columns_are_the_fields() {
    let all = read(Csv::COMMA, b"7,/shop,a b,1.5,true,2026-11-21T00:00:00Z").unwrap();
    let at = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
    assert_eq!(
        all,
        (7, "/shop".into(), Some("a b".into()), Some(1.5), Some(true), Some(at))
    );
    assert_eq!(
        read(Csv::COMMA, b"-7,,,,,").unwrap(),
        (-7, String::new(), None, None, None, None)
    );
    assert_eq!(read(Csv::COMMA, b"1, x ,,2,false,17\r\n").unwrap().1, " x ");
    assert_eq!(read(Csv::TAB, b"1\ta,b\t\t\t\t17").unwrap().5, Some(Timestamp(17)));
    assert_eq!(
        read(Csv::COMMA.delimiter(b';'), b"1;a,b;\"c;d\";;;")
            .unwrap()
            .2
            .as_deref(),
        Some("c;d")
    );
}

/// Quotes hold delimiters, quotes and line ends; within a text that begins without one they are a part of it.
#[test]
fn quotes() {
    let page = |row: &str| read(Csv::COMMA, row.as_bytes()).map(|r| r.1);
    assert_eq!(page("1,\"a,b\",,,,").unwrap(), "a,b");
    assert_eq!(page("1,\"say \"\"hi\"\"\",,,,").unwrap(), "say \"hi\"");
    assert_eq!(page("1,\"two\r\nlines\",,,,").unwrap(), "two\r\nlines");
    assert_eq!(page("\"1\",5\" pipe,\"\",,,\n").unwrap(), "5\" pipe");
    assert_eq!(page("1,\"\u{e4}\",,,,").unwrap(), "\u{e4}");
}

/// Names choose columns; others are passed over, and a dot is a part of a name.
#[test]
fn named_columns() {
    let csv = Csv::COMMA.columns(&["page", "", "user", "other"]);
    assert_eq!(
        read(csv, b"/a,x,7,y").unwrap(),
        (7, "/a".into(), None, None, None, None)
    );
    let refused = |csv| CsvRows::new(csv, FIELDS).err().unwrap().to_string();
    assert_eq!(
        refused(Csv::COMMA.columns(&["page", "note"])),
        "format `csv(page,note)`: there is no column `user`; the columns are: page, note: name it, or make the field an Option"
    );
    assert!(refused(Csv::COMMA.columns(&["page", "user", "page"])).contains("two columns are called `page`"));
}

/// Every row is read by the header line of its own file.
#[test]
fn header_lines() {
    let mut rows = CsvRows::new(Csv::COMMA.header(), FIELDS).unwrap();
    let first = read_by(&mut rows, Some("user,page"), b"7,/a").unwrap();
    assert_eq!((first.0, first.1.as_str()), (7, "/a"));
    let second = read_by(&mut rows, Some("\"page\",other,user"), b"/b,x,8").unwrap();
    assert_eq!((second.0, second.1.as_str()), (8, "/b"));
    let lacking = read_by(&mut rows, Some("page,other"), b"/b,x").unwrap_err();
    assert!(
        lacking.starts_with("by the header line there is no column `user`; the columns are: page, other"),
        "{lacking}"
    );
    assert_eq!(read_by(&mut rows, Some("user,page"), b"7,/a").unwrap(), first);
    let empty = read_by(&mut rows, Some(""), b"7,/a").unwrap_err();
    assert_eq!(empty, "the header line: an empty row");
    // A row without a header is not read by that of another file.
    let unknown = read_by(&mut rows, None, b"7,/a").unwrap_err();
    assert!(unknown.starts_with("no header line is known for this row"), "{unknown}");
}

/// Row 15: what is no row says what is wrong and in which column.
#[test]
fn what_is_no_row() {
    let fails = |row: &[u8], why: &str| assert_eq!(read(Csv::COMMA, row).unwrap_err(), why, "{row:?}");
    fails(b"", "an empty row");
    fails(b"\r\n", "an empty row");
    fails(
        b"1,a,,,",
        "the row has 5 columns, and 6 are expected: user, page, note, ms, ok, at",
    );
    fails(
        b"1,a,b,c,,,",
        "the row has 7 columns, and 6 are expected: user, page, note, ms, ok, at",
    );
    fails(
        b"x",
        "the row has 1 column, and 6 are expected: user, page, note, ms, ok, at",
    );
    fails(b"x,a,,,,", "field `user` is \"x\", not integer, in column 1");
    fails(b",a,,,,", "field `user` is missing, in column 1");
    fails(b"1.0,a,,,,", "field `user` is \"1.0\", not integer, in column 1");
    fails(b"+1,a,,,,", "field `user` is \"+1\", not integer, in column 1");
    fails(
        b"99999999999999999999,a,,,,",
        "field `user` is \"99999999999999999999\", not integer, in column 1",
    );
    fails(
        b"18446744073709551615,a,,,,",
        "field `user` is 18446744073709551615, not integer, in column 1",
    );
    fails(b"1,a,,nan,,", "field `ms` is \"nan\", not float, in column 4");
    fails(b"1,a,,1e999,,", "field `ms` is \"1e999\", not float, in column 4");
    fails(b"1,a,,,TRUE,", "field `ok` is \"TRUE\", not bool, in column 5");
    fails(
        b"1,a,,,,yesterday",
        "field `at` is \"yesterday\", not timestamp, in column 6",
    );
    fails(b"1,a\xff,,,,", "not UTF-8 at byte 3");
    fails(
        b"1,a,,,,\n2,b,,,,",
        "a second row begins at byte 8: a payload is one row",
    );
    fails(
        b"1,\"a,,,,",
        "a quote is not closed in column 2: in files a row ends at the line's end, also within quotes",
    );
    fails(
        "\u{feff}1,\"a\",,,,".as_bytes(),
        "the row begins with a byte order mark, at byte 0: write it without one",
    );
    fails(
        "\u{feff}1,a,,,,".as_bytes(),
        "the row begins with a byte order mark, at byte 0: write it without one",
    );
}

/// Row 15: ten megabytes in one column and in ten million columns.
#[test]
fn large_rows() {
    let text = "x".repeat(10 << 20);
    for row in [format!("1,{text},,,,"), format!("1,\"{text}\",,,,")] {
        assert_eq!(read(Csv::COMMA, row.as_bytes()).unwrap().1.len(), text.len());
    }
    for row in [",".repeat(10 << 20), "\"\",".repeat(10 << 18)] {
        assert!(
            read(Csv::COMMA, row.as_bytes())
                .unwrap_err()
                .contains("and 6 are expected")
        );
    }
    assert!(read(Csv::COMMA, "\"".repeat(10 << 20).as_bytes()).is_err());
}

/// What a format says of itself is what is read; what is none is refused with what can be written.
#[test]
fn words() {
    for text in [
        "text",
        "jsonl",
        "csv",
        "tsv",
        "csv-header",
        "tsv-header",
        "csv(a)",
        "csv(a,,b)",
        "tsv(a,b)",
        "csv(delimiter=;)",
        "csv-header(delimiter=|)",
        "csv(delimiter=;,a,b)",
    ] {
        assert_eq!(text.parse::<Format>().unwrap().to_string(), text);
    }
    let tab: Format = "csv(delimiter=tab,a)".parse().unwrap();
    assert_eq!(tab, Format::Csv(Csv::TAB.columns(&["a"])));
    assert_eq!("csv(delimiter=,,a)".parse::<Format>().unwrap().to_string(), "csv(a)");
    for bad in [
        "",
        "xml",
        "csv(a",
        "csv-header(a)",
        "csv(delimiter=)",
        "csv(delimiter=\")",
        "csv(delimiter=ab)",
        "csv(delimiter=\u{e4})",
    ] {
        let error = bad.parse::<Format>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("format `{bad}`")) && error.contains("csv-header"),
            "{error}"
        );
    }
}

/// RFC 4180, section 2, written down apart from the code under test: quotes where they are needed, or always.
fn write(columns: &[String], delimiter: char, always: bool) -> String {
    let quoted = |c: &String| match always || c.contains([delimiter, '"', '\n', '\r']) {
        true => format!("\"{}\"", c.replace('"', "\"\"")),
        false => c.clone(),
    };
    columns
        .iter()
        .map(quoted)
        .collect::<Vec<_>>()
        .join(&delimiter.to_string())
}

proptest! {
    /// What is written is read back, whatever the texts are.
    #[test]
    fn what_is_written_is_read(
        user in any::<i64>(), page in any::<String>(), note in any::<Option<String>>(), ms in any::<Option<f64>>(),
        ok in any::<Option<bool>>(), always in any::<bool>(), delimiter in prop::sample::select(vec![',', '\t', ';', '|']),
    ) {
        prop_assume!(ms.is_none_or(f64::is_finite));
        let word = |text: Option<String>| text.unwrap_or_default();
        let columns = [
            user.to_string(), page.clone(), word(note.clone()), word(ms.map(|x| x.to_string())), word(ok.map(|b| b.to_string())),
            String::new(),
        ];
        let row = write(&columns, delimiter, always);
        let found = read(Csv::COMMA.delimiter(delimiter as u8), row.as_bytes()).map_err(TestCaseError::fail)?;
        // An empty column is no text at all where there may be none.
        prop_assert_eq!(found, (user, page, note.filter(|n| !n.is_empty()), ms, ok, None), "{:?}", row);
    }

    /// Any bytes are a row or are refused, the same with a reader that has read others before.
    #[test]
    fn any_bytes(rows in prop::collection::vec(prop::collection::vec(prop::sample::select(b"1,,,,,\"\"\r\nab \xff\xc3\xa9".to_vec()), 0..20), 1..5)) {
        let mut used = CsvRows::new(Csv::COMMA, FIELDS).unwrap();
        for row in rows {
            prop_assert_eq!(read_by(&mut used, None, &row), read(Csv::COMMA, &row));
        }
    }
}

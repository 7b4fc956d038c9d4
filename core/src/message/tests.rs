//! Messages out of raw records, against what was put into them.

use super::Message;
use crate::columns::ColumnBatch;
use crate::decode::{BadRecord, SourceDecoder, SourceRecord};
use crate::formats::Format;
use crate::log::{Entry, RecordBatch, Span};
use crate::record::{Field, FieldType, Record, RecordError, Row};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq)]
struct View {
    page: String,
}

impl Record for View {
    const FIELDS: &'static [Field] = &[Field {
        name: "page",
        ty: FieldType::Text,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self { page: row.get(0)? })
    }
}

type Raw<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [(&'a str, Option<&'a [u8]>)]);

/// Key, value and headers; entry `i` has offset `10 + i` and time `i`.
fn batch(raw: &[Raw<'_>]) -> RecordBatch {
    let mut records = RecordBatch {
        partition: 3,
        ..RecordBatch::default()
    };
    for (i, (key, value, headers)) in raw.iter().enumerate() {
        let mut span = |bytes: &Option<&[u8]>| bytes.map_or(Span::NONE, |b| records.push_bytes(b));
        let (key, value) = (span(key), span(value));
        let (headers, heartbeat) = records.push_headers(headers.iter().copied());
        records.entries.push(Entry {
            offset: 10 + i as u64,
            time_ms: i as i64,
            key,
            value,
            headers,
            heartbeat,
        });
    }
    records
}

struct Decoded<T: SourceRecord> {
    decoder: Box<dyn SourceDecoder>,
    times: Vec<Option<Timestamp>>,
    bad: Vec<BadRecord>,
    _of: std::marker::PhantomData<T>,
}

impl<T: SourceRecord<Chunk = Vec<T>> + Clone> Decoded<T> {
    fn open(format: Format, time: Option<fn(&T) -> Timestamp>) -> Self {
        Self {
            decoder: T::decoder(format, time).unwrap(),
            times: Vec::new(),
            bad: Vec::new(),
            _of: std::marker::PhantomData,
        }
    }
    fn decode(&mut self, records: &RecordBatch) -> Vec<T> {
        self.bad.clear();
        self.decoder.decode(records, &mut self.times, &mut self.bad);
        self.chunk(0..records.entries.len())
    }
    fn chunk(&mut self, range: std::ops::Range<usize>) -> Vec<T> {
        self.decoder.chunk(range).downcast_ref::<Vec<T>>().unwrap().clone()
    }
}

const TENANT: &[(&str, Option<&[u8]>)] = &[("tenant", Some(b"a")), ("none", None), ("tenant", Some(b"b\xff"))];

/// Everything that a log knows of a record is there; a tombstone is a message, a value that cannot be read is none.
#[test]
fn what_a_log_knows() {
    let records = batch(&[
        (Some(b"k1"), Some(br#"{"page":"/a"}"#), TENANT),
        (None, Some(br#"{"page":"/b"}"#), &[]),
        (Some(b""), None, &[]),
        (Some(b"\xff"), Some(b"{}"), &[]),
        (None, None, &[("rufous-heartbeat", None)]),
        (Some(b"k\xff"), Some(br#"{"page":""}"#), &[]),
    ]);
    let mut views = Decoded::<Message<View>>::open(Format::JsonLines, Some(|m| m.time().unwrap_or(Timestamp(-1))));
    let found = views.decode(&records);
    assert_eq!(found.len(), 4);
    let first = &found[0];
    assert_eq!((first.key(), first.key_text()), (Some(&b"k1"[..]), Some("k1")));
    assert_eq!(first.value(), Some(&View { page: "/a".into() }));
    assert_eq!(first.headers().collect::<Vec<_>>(), TENANT);
    assert_eq!(
        (first.header("tenant"), first.header("none"), first.header("x")),
        (Some(&b"b\xff"[..]), None, None)
    );
    assert_eq!(
        (first.partition(), first.offset(), first.time()),
        (3, 10, Some(Timestamp(0)))
    );
    assert_eq!((found[1].key(), found[1].headers().count()), (None, 0));
    assert_eq!((found[2].key(), found[2].value()), (Some(&b""[..]), None));
    assert_eq!(
        (found[3].key(), found[3].key_text(), found[3].offset()),
        (Some(&b"k\xff"[..]), None, 15)
    );
    let expected = [Some(0), Some(1), Some(2), None, None, Some(5)].map(|t| t.map(Timestamp));
    assert_eq!(views.times, expected);
    let bad: Vec<_> = views.bad.iter().map(|b| (b.entry, b.reason.as_str())).collect();
    assert_eq!(bad, [(3, "field `page` is missing")]);
}

/// Texts and bytes lie in the arena; only texts must be UTF-8.
#[test]
fn lines() {
    let records = batch(&[
        (Some(b"k"), Some(b"one"), &[]),
        (None, Some(b"\xff"), &[]),
        (None, None, &[]),
        (None, Some("\u{e4}".as_bytes()), &[]),
    ]);
    let mut texts = Decoded::<Message<str>>::open(Format::Text, None);
    let found = texts.decode(&records);
    assert_eq!(
        found.iter().map(Message::value).collect::<Vec<_>>(),
        [Some("one"), None, Some("\u{e4}")]
    );
    assert_eq!(
        texts
            .bad
            .iter()
            .map(|b| (b.entry, b.reason.as_str()))
            .collect::<Vec<_>>(),
        [(1, "not UTF-8 at byte 0")]
    );
    let mut bytes = Decoded::<Message<[u8]>>::open(Format::Text, None);
    let found = bytes.decode(&records);
    let values: Vec<_> = found.iter().map(Message::value).collect();
    assert_eq!(
        values,
        [Some(&b"one"[..]), Some(b"\xff"), None, Some("\u{e4}".as_bytes())]
    );
}

/// A message that is kept stays what it is when the decoder goes on with other batches.
#[test]
fn kept_messages() {
    let mut texts = Decoded::<Message<str>>::open(Format::Text, None);
    let kept = texts.decode(&batch(&[(Some(b"old"), Some(b"first"), TENANT)]));
    for _ in 0..3 {
        let next = texts.decode(&batch(&[(Some(b"newer"), Some(b"second"), &[])]));
        assert_eq!((next[0].key_text(), next[0].value()), (Some("newer"), Some("second")));
    }
    assert_eq!((kept[0].key_text(), kept[0].value()), (Some("old"), Some("first")));
    assert_eq!(kept[0].header("tenant"), Some(&b"b\xff"[..]));
}

/// Ranges of entries, bad ones among them, as every decoder hands them out.
#[test]
fn pieces() {
    let mut texts = Decoded::<Message<str>>::open(Format::Text, None);
    texts.decoder.decode(
        &batch(&[
            (None, Some(b"a"), &[]),
            (None, Some(b"\xff"), &[]),
            (None, Some(b"b"), &[]),
            (None, Some(b"c"), &[]),
        ]),
        &mut texts.times,
        &mut texts.bad,
    );
    let values = |chunk: Vec<Message<str>>| chunk.iter().map(|m| m.value().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(values(texts.chunk(0..2)), ["a"]);
    assert_eq!(values(texts.chunk(2..4)), ["b", "c"]);
}

/// Rows of columns have no keys, and the format must fit the value.
#[test]
fn refusals() {
    let mut views = Message::<View>::decoder(Format::JsonLines, None).unwrap();
    let error = views
        .decode_columns(&ColumnBatch::default(), &mut Vec::new(), &mut Vec::new())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no keys, headers, log timestamps or offsets"),
        "{error}"
    );
    let error = Message::<View>::decoder(Format::Text, None).err().unwrap();
    assert!(error.to_string().contains("`+jsonl`"), "{error}");
    let error = Message::<str>::decoder(Format::JsonLines, None).err().unwrap();
    assert!(error.to_string().contains("`+text`"), "{error}");
}

/// A record without a value is bad where nobody can see it, and the reason says who can.
#[test]
fn tombstones_of_plain_records() {
    for (mut decoder, format) in [
        (View::decoder(Format::JsonLines, None).unwrap(), "jsonl"),
        (View::decoder("csv".parse().unwrap(), None).unwrap(), "csv"),
        (str::decoder(Format::Text, None).unwrap(), "text"),
    ] {
        let mut bad = Vec::new();
        decoder.decode(&batch(&[(Some(b"k"), None, &[])]), &mut Vec::new(), &mut bad);
        assert_eq!(bad.len(), 1, "{format}");
        assert!(bad[0].reason.contains("Message<_>"), "{format}: {}", bad[0].reason);
    }
}

/// What a test writes is what a job reads.
#[test]
fn built_for_tests() {
    let built = Message::<str>::new("v")
        .with_key("k")
        .with_header("a", "1")
        .with_header("b", [0xff]);
    let built = built.with_time(Timestamp(7)).with_place(2, 9);
    assert_eq!((built.value(), built.key_text()), (Some("v"), Some("k")));
    assert_eq!(
        built.headers().collect::<Vec<_>>(),
        [("a", Some(&b"1"[..])), ("b", Some(b"\xff"))]
    );
    assert_eq!(
        (built.partition(), built.offset(), built.time()),
        (2, 9, Some(Timestamp(7)))
    );
    assert_eq!(built, built.clone());
    assert_ne!(built, built.clone().with_key("x"));
    assert_eq!(Message::<View>::tombstone().with_key("gone").value(), None);
}

/// Headers that are damaged end where they are; no length is believed.
#[test]
fn damaged_headers() {
    let mut records = batch(&[(None, Some(b"v"), TENANT)]);
    let span = records.entries[0].headers;
    let start = records.bytes.len()
        - TENANT
            .iter()
            .map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len) + 3)
            .sum::<usize>()
        - 1;
    assert_eq!(
        records.headers(&records.entries[0]).unwrap().len(),
        records.bytes.len() - start
    );
    for at in start..records.bytes.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let before = std::mem::replace(&mut records.bytes[at], byte);
            let all = records.headers(&Entry {
                headers: span,
                ..Entry::plain(0, Span::NONE)
            });
            assert!(crate::log::Headers::new(all).count() <= all.unwrap().len());
            records.bytes[at] = before;
        }
    }
}

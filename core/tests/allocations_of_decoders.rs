//! A decoder that has seen a batch allocates nothing for the next one: counted, over every format.

use rufous_core::{
    Entry, Field, FieldType, Message, Record, RecordBatch, RecordError, Row, SourceRecord, Text, Timestamp,
};

#[derive(Clone)]
#[allow(dead_code, reason = "read to be kept")]
struct Click {
    user: u64,
    page: Text,
    at: Option<Timestamp>,
}

const fn field(name: &'static str, ty: FieldType, optional: bool) -> Field {
    Field { name, ty, optional }
}

impl Record for Click {
    const FIELDS: &'static [Field] = &[
        field("user", FieldType::Integer, false),
        field("page.path", FieldType::Text, false),
        field("at", FieldType::Timestamp, true),
    ];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            user: row.get(0)?,
            page: row.get(1)?,
            at: row.get(2)?,
        })
    }
}

const RECORDS: usize = 1_000;

fn batch(payload: impl Fn(usize) -> String) -> RecordBatch {
    let mut records = RecordBatch::default();
    for i in 0..RECORDS {
        let value = records.push_bytes(payload(i).as_bytes());
        let key = records.push_bytes(format!("key-{i}").as_bytes());
        let (headers, _) = records.push_headers([("a", Some(&b"1"[..])), ("b", None)].into_iter());
        records.entries.push(Entry {
            key,
            headers,
            ..Entry::plain(i as u64, value)
        });
    }
    records
}

/// The allocations of three passes after the first, and how many records each gave.
fn later<T: SourceRecord + ?Sized>(format: &str, records: &RecordBatch) -> (u64, usize) {
    let mut decoder = T::decoder(format.parse().expect("a format"), None).expect("a decoder");
    let (mut times, mut bad) = (Vec::new(), Vec::new());
    let mut pass = || {
        decoder.decode(records, &mut times, &mut bad);
        let chunk = decoder.chunk(0..records.entries.len());
        rufous_core::AnyChunk::len(chunk.downcast_ref::<T::Chunk>().expect("a chunk"))
    };
    let first = pass();
    let counted = allocation_counter::measure(|| {
        (0..3).for_each(|_| assert_eq!(pass(), first));
    });
    assert!(bad.is_empty(), "{format}: {}", bad[0].reason);
    (counted.count_total, first)
}

#[test]
fn none_for_a_record() {
    let deep = "[".repeat(50) + "{\"x\":[1,\"\\n\"]}" + &"]".repeat(50);
    let json = batch(|i| {
        format!(
            r#"{{"payload":{deep},"user":{i},"page":{{"other":{{"path":1}},"path":"/shop/\u00e4{}"}},"at":"2026-11-21T00:00:00Z"}}"#,
            i % 9
        )
    });
    assert_eq!(later::<Click>("jsonl", &json), (0, RECORDS));
    assert_eq!(later::<Message<Click>>("jsonl", &json), (0, RECORDS));
    assert_eq!(later::<Message<str>>("text", &json), (0, RECORDS));
    assert_eq!(later::<Message<[u8]>>("text", &json), (0, RECORDS));
    assert_eq!(later::<str>("text", &json), (0, RECORDS));
    let plain = batch(|i| format!("{i},/shop/{},2026-11-21T00:00:00Z", i % 9));
    assert_eq!(later::<Click>("csv", &plain), (0, RECORDS));
    let quoted = batch(|i| format!("\"/shop/\"\"{}\",17,not read,{i}\n", i % 9));
    assert_eq!(later::<Click>("csv(page.path,at,,user)", &quoted), (0, RECORDS));
}

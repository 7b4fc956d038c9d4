//! Answers as Arrow, read back by a reader of it: every row and part is what the collections have, and what was cut is no answer.

mod support;

use std::io::{BufReader, Cursor, Read, Write};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, DataType, Schema};
use rufous_algebra::Codec;
use rufous_core::key::to_bytes;
use rufous_server::ServerOptions;
use serde_json::json;
use support::*;

const ARROW: (&str, &str) = ("accept", "application/vnd.apache.arrow.stream");

fn batches(bytes: &[u8]) -> Result<(Schema, Vec<RecordBatch>), ArrowError> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema().as_ref().clone();
    Ok((schema, reader.collect::<Result<_, _>>()?))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a dyn Array {
    batch
        .column_by_name(name)
        .unwrap_or_else(|| panic!("no column {name}"))
        .as_ref()
}

/// Numbers are numbers, parts of keys have their types, and the schema says what the rows rest on.
#[test]
fn a_list_has_every_row() {
    let mut w = World::default();
    let adds: Vec<_> = (0..5000u32)
        .map(|i| ("hours", to_bytes(&(format!("k{}", i % 7), i)), u64::from(i) + 1))
        .collect();
    w.commit(&adds);
    w.publish();
    w.commit(&[
        ("hours", to_bytes(&("k1", 1u32)), 1000),
        ("hours", to_bytes(&("new", u32::MAX)), u64::MAX),
    ]);
    let s = w.serve(ServerOptions::default());
    let answer = s.get_with("/v1/stores/hours/keys", &[ARROW]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(ARROW.1)));
    assert!(answer.whole);
    let (schema, batches) = batches(&answer.body).unwrap();
    assert_eq!(schema.metadata["rufous.token"], answer.header("rufous-token").unwrap());
    assert_eq!(schema.metadata["rufous.covered_until"], "batch 2");
    assert_eq!(schema.metadata["rufous.store"], "hours");
    let coverage: serde_json::Value = serde_json::from_str(&schema.metadata["rufous.coverage"]).unwrap();
    assert_eq!(coverage["partitions"]["lines/0"]["applied"], w.next);
    assert!(batches.len() > 3, "in several batches");
    let mut found = Vec::new();
    for batch in &batches {
        let (text, number) = (
            column(batch, "key_0").as_string::<i32>(),
            column(batch, "key_1").as_primitive::<UInt64Type>(),
        );
        let (key, value) = (
            column(batch, "key").as_string::<i32>(),
            column(batch, "value").as_primitive::<UInt64Type>(),
        );
        for i in 0..batch.num_rows() {
            assert_eq!(key.value(i), format!("{},{}", text.value(i), number.value(i)));
            found.push((to_bytes(&(text.value(i), number.value(i) as u32)), value.value(i)));
        }
    }
    assert_eq!(found, w.sums["hours"].clone().into_iter().collect::<Vec<_>>());
    let under = s.get_with("/v1/stores/hours/keys?under=new", &[ARROW]);
    let (_, under) = self::batches(&under.body).unwrap();
    assert_eq!(under.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let none = s.get_with("/v1/stores/hours/keys?under=nobody", &[ARROW]);
    assert_eq!(self::batches(&none.body).unwrap().1.len(), 0);
    s.get_with("/v1/stores/hours/keys?limit=3", &[ARROW]).problem(400);
    s.get_with("/v1/stores/hour/keys", &[ARROW]).problem(404);
}

/// A sketch is its estimate with its bounds, and its canonical bytes.
#[test]
fn sketches_have_estimates() {
    let mut w = World::default();
    w.visit(("a", -3), 0..1000);
    w.publish();
    w.visit(("a", -3), 500..3000);
    w.visit(("b", 4), 0..3);
    let s = w.serve(ServerOptions::default());
    let (schema, batches) = batches(&s.get_with("/v1/stores/visitors/keys", &[ARROW]).body).unwrap();
    assert_eq!(schema.field_with_name("key_1").unwrap().data_type(), &DataType::Int64);
    let [batch] = &batches[..] else {
        panic!("{}", batches.len())
    };
    assert_eq!(column(batch, "key_1").as_primitive::<Int64Type>().values(), &[-3, 4]);
    for (i, sketch) in w.visitors.values().enumerate() {
        let number = |name: &str| column(batch, name).as_primitive::<Float64Type>().value(i);
        let estimate = sketch.estimate();
        assert_eq!(number("estimate"), estimate.value.round());
        assert_eq!(
            (number("lower"), number("upper")),
            (estimate.low.floor(), estimate.high.ceil())
        );
        assert_eq!(column(batch, "bytes").as_binary::<i32>().value(i), sketch.to_bytes());
    }
}

/// A batch has a row for each key asked, in order: null where it is surely absent, an error where its bytes are damaged.
#[test]
fn a_batch_has_a_row_for_each_key() {
    let mut w = World::default();
    w.count(&[("a", 1), ("b", 2)]);
    w.damage_value("counts", "b");
    let s = w.serve(ServerOptions::default());
    let body = json!({"keys": ["none", "b", "a"]}).to_string();
    let headers = [ARROW, ("content-type", "application/json")];
    let answer = http::ask(s.address, "POST", "/v1/stores/counts/get", &headers, body.as_bytes());
    let (_, batches) = batches(&answer.body).unwrap();
    let [batch] = &batches[..] else {
        panic!("{}", batches.len())
    };
    let (value, error) = (
        column(batch, "value").as_primitive::<UInt64Type>(),
        column(batch, "error").as_string::<i32>(),
    );
    let keys: Vec<_> = column(batch, "key").as_string::<i32>().iter().flatten().collect();
    assert_eq!(keys, ["none", "b", "a"]);
    assert!(value.is_null(0) && error.is_null(0));
    assert!(value.is_null(1) && error.value(1).contains("`b`"), "{}", error.value(1));
    assert!(value.value(2) == 1 && error.is_null(2));
    assert_eq!(answer.header("rufous-failed"), Some("1"));
}

/// What cannot be answered whole is a problem before the first byte; what fails on the way has no end, and HTTP says so.
#[test]
fn a_part_is_never_taken_for_the_whole() {
    let mut w = World::default();
    let adds: Vec<_> = (0..5000u32)
        .map(|i| ("counts", to_bytes(&format!("k{i:05}")), 1))
        .collect();
    w.commit(&adds);
    w.damage_value("counts", "k04000");
    let s = w.serve(ServerOptions::default());
    let cut = s.get_with("/v1/stores/counts/keys", &[ARROW]);
    assert_eq!(cut.status, 200);
    assert!(!cut.whole, "HTTP's own end is missing");
    assert!(cut.body.len() > 10_000, "some of it came");
    assert!(
        !cut.body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        "Arrow's mark of the end is missing"
    );
    // The same bytes with the mark are what a reader takes for whole.
    let good = s.get_with("/v1/stores/counts/keys?under=k00001", &[ARROW]);
    assert!(good.whole && good.body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    w.publish();
    w.lose(3);
    s.get_with("/v1/stores/counts/keys", &[ARROW]).problem(409);
    let accepted = s.get_with("/v1/stores/counts/keys?accept_holes=true", &[ARROW]);
    assert!(accepted.whole && accepted.header("rufous-holes") == Some("1"));
    assert_eq!(
        batches(&accepted.body)
            .unwrap()
            .1
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        5000
    );
}

/// Arrow's reader takes a stream that ends between two record batches for whole, so a list is sent only where HTTP says how long
/// a body is: HTTP/1.0 ends it by closing the connection, as a cut does.
#[test]
fn a_list_is_not_sent_where_its_end_cannot_be_seen() {
    let mut w = World::default();
    let adds: Vec<_> = (0..5000u32)
        .map(|i| ("counts", to_bytes(&format!("k{i:05}")), 1))
        .collect();
    w.commit(&adds);
    w.damage_value("counts", "k04000");
    let s = w.serve(ServerOptions::default());
    let cut = s.get_with("/v1/stores/counts/keys", &[ARROW]);
    assert!(!cut.whole, "HTTP/1.1 says that it was cut");
    let (_, part) = batches(&cut.body).expect("Arrow says nothing of it");
    assert!(part.iter().map(RecordBatch::num_rows).sum::<usize>() < 5000);
    let old = |method: &str, path: &str, body: &str| {
        let mut stream = http::connect(s.address);
        let (kind, accept) = ("content-type: application/json", format!("{}: {}", ARROW.0, ARROW.1));
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\n{accept}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        http::read(&mut BufReader::new(stream)).unwrap()
    };
    let problem = old("GET", "/v1/stores/counts/keys", "").problem(400);
    assert!(
        problem["repair"].as_str().unwrap().contains("proxy_http_version 1.1"),
        "{problem}"
    );
    // A batch has a length.
    let batch = old("POST", "/v1/stores/counts/get", "{\"keys\": [\"k00001\"]}");
    assert!(batch.status == 200 && batch.whole);
    assert_eq!(batches(&batch.body).unwrap().1[0].num_rows(), 1);
}

/// Who takes nothing keeps only its own reader: others are answered, and it has everything when it goes on.
#[test]
fn a_slow_client_holds_up_nobody() {
    let mut w = World::default();
    let long = "x".repeat(1000);
    let adds: Vec<_> = (0..40_000u32)
        .map(|i| ("counts", to_bytes(&format!("{long}{i:05}")), 1))
        .collect();
    w.commit(&adds);
    w.publish();
    let mut options = ServerOptions::default();
    options.bulk_readers = 1;
    let s = w.serve(options);
    let mut slow = http::connect(s.address);
    slow.write_all(&http::request("GET", "/v1/stores/counts/keys", &[ARROW], b""))
        .unwrap();
    let mut first = [0; 1];
    slow.read_exact(&mut first).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(s.get(&format!("/v1/stores/counts/keys/{long}00001")).fine()["value"], 1);
    assert_eq!(
        s.get("/v1/stores/counts/keys?limit=1").fine()["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let mut stream = BufReader::new(Cursor::new(first).chain(slow));
    let answer = http::read(&mut stream).unwrap();
    assert!(answer.whole);
    assert_eq!(
        batches(&answer.body)
            .unwrap()
            .1
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        40_000
    );
}

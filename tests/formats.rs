//! Formats as a user's job meets them: derived records from every format, messages in the test kit, fingerprints.

use rufous::prelude::*;
use rufous_core::{Entry, Format, RecordBatch, SourceRecord};

#[derive(Clone, Debug, PartialEq, Record)]
struct Order {
    id: u64,
    #[record(name = "customer.name")]
    customer: Text,
    cents: i64,
    paid: bool,
    note: Option<String>,
    weight: Option<f64>,
    at: Timestamp,
}

fn batch(payloads: &[&str]) -> RecordBatch {
    let mut records = RecordBatch::default();
    for (i, payload) in payloads.iter().enumerate() {
        let span = records.push_bytes(payload.as_bytes());
        records.entries.push(Entry::plain(i as u64, span));
    }
    records
}

fn decode(format: &str, payloads: &[&str]) -> Vec<Order> {
    let mut decoder = Order::decoder(format.parse().unwrap(), None).unwrap();
    let (mut times, mut bad) = (Vec::new(), Vec::new());
    decoder.decode(&batch(payloads), &mut times, &mut bad);
    assert!(bad.is_empty(), "{format}: {bad:?}");
    decoder
        .chunk(0..payloads.len())
        .downcast_ref::<Vec<Order>>()
        .unwrap()
        .clone()
}

/// One record is the same in every format.
#[test]
fn one_record_in_every_format() {
    let expected = Order {
        id: u64::MAX,
        customer: "Ann \"A\" Lee, Ltd".into(),
        cents: -5,
        paid: true,
        note: None,
        weight: Some(0.1),
        at: Timestamp(1_600_000_000_000),
    };
    let json = r#"{"id":18446744073709551615,"customer":{"name":"Ann \"A\" Lee, Ltd","x":{}},"cents":-5,"paid":true,"note":null,"weight":0.1,"at":"2020-09-13T12:26:40Z"}"#;
    let row = r#"18446744073709551615,"Ann ""A"" Lee, Ltd",-5,true,,0.1,2020-09-13T12:26:40Z"#;
    let named = r#"1600000000000;0.1;true;"";-5;"Ann ""A"" Lee, Ltd";x;18446744073709551615"#;
    for (format, payload) in [
        ("jsonl", json),
        ("csv", row),
        (
            "tsv",
            &row.replace("Lee, Ltd", "Lee; Ltd")
                .replace(',', "\t")
                .replace("Lee; Ltd", "Lee, Ltd"),
        ),
        ("csv(delimiter=;,at,weight,paid,note,cents,customer.name,,id)", named),
    ] {
        assert_eq!(
            decode(format, &[payload, payload]),
            [expected.clone(), expected.clone()],
            "{format}"
        );
    }
}

const ORDERS: Source<Message<Order>> = Source::new("orders").timed_by(|m| m.value().map_or(Timestamp(0), |o| o.at));
const REVENUE: Store<(String, String), i64> = Store::new("revenue");
const LINES: Source<Message<str>> = Source::new("lines");
const BY_KEY: Store<String, u64> = Store::new("by-key");

fn revenue() -> Job {
    let revenue = ORDERS.read().keyed(|m, out| {
        let region = m
            .header("region")
            .and_then(|r| std::str::from_utf8(r).ok())
            .unwrap_or("none");
        match m.value() {
            Some(order) => out.emit((m.key_text().unwrap_or(""), region), order.cents),
            None => out.emit((m.key_text().unwrap_or(""), "deleted"), 1),
        }
    });
    Job::new("revenue", revenue.sum_by_key(REVENUE))
}

fn order(cents: i64) -> Order {
    Order {
        id: 1,
        customer: "c".into(),
        cents,
        paid: true,
        note: None,
        weight: None,
        at: Timestamp(1_577_836_800_000),
    }
}

/// Messages are given to the test kit as records are, tombstones too; split between layers, late and repeated.
#[test]
fn messages_in_the_test_kit() {
    let run = revenue()
        .test()
        .partitions(ORDERS, 2)
        .given(
            ORDERS,
            [
                Message::new(order(5)).with_key("a").with_header("region", "eu"),
                Message::new(order(7)).with_key("a").with_header("region", "eu"),
                Message::new(order(11)),
            ],
        )
        .advance(2 * 3_600_000)
        .given(ORDERS, [Message::tombstone().with_key("a")])
        .late(
            ORDERS,
            3_600_000,
            [Message::new(order(13)).with_key("a").with_header("region", "us")],
        )
        .again(ORDERS, 2)
        .every_split()
        .unwrap();
    for (key, cents) in [
        (("a", "eu"), 12),
        (("", "none"), 11),
        (("a", "deleted"), 1),
        (("a", "us"), 13),
    ] {
        assert_eq!(run.get(REVENUE, key), Some(cents), "{key:?}");
    }
}

/// The kit's clock and count are what a message says of its time and place; a message itself may stay the value of a pair.
#[test]
fn time_and_place_in_the_test_kit() {
    let job = || {
        let lines = LINES
            .read()
            .filter(|m| m.value().is_some())
            .key_by(|m| m.key_text().unwrap_or("none").to_string());
        let sums = lines.map_values(|m| m.offset() + m.time().map_or(0, |t| t.0 as u64 / 1_000));
        Job::new("lines", sums.sum_by_key(BY_KEY))
    };
    let run = job()
        .test()
        .given_at(
            LINES,
            [
                (
                    Timestamp(7_000),
                    Message::<str>::new("x").with_key("k").with_time(Timestamp(1)),
                ),
                (Timestamp(8_000), Message::<str>::new("y").with_place(3, 99)),
                (Timestamp(9_000), Message::<str>::new("z").with_key("k")),
            ],
        )
        .run()
        .unwrap();
    assert_eq!((run.get(BY_KEY, "k"), run.get(BY_KEY, "none")), (Some(18), Some(9)));
}

/// A job over messages is another one than a job over their values.
#[test]
fn fingerprints() {
    const PLAIN: Source<str> = Source::new("lines");
    let messages = Job::new("j", LINES.read().keyed(|_, out| out.emit("k", 1)).sum_by_key(BY_KEY));
    let lines = Job::new("j", PLAIN.read().keyed(|_, out| out.emit("k", 1)).sum_by_key(BY_KEY));
    assert_ne!(
        messages.plan().unwrap().fingerprint(),
        lines.plan().unwrap().fingerprint()
    );
}

/// Raw records in memory, decoded as a log's are; a bad one says where it is.
#[test]
fn raw_records() {
    const PLAIN: Source<Order> = Source::new("orders");
    const CENTS: Store<String, i64> = Store::new("cents");
    let job = Job::new(
        "orders",
        PLAIN
            .read()
            .keyed(|o, out| out.emit(o.customer.as_str(), o.cents))
            .sum_by_key(CENTS),
    );
    let run = |payloads: &[&str]| job.run_on(&Memory::new().raw(PLAIN, "csv".parse().unwrap(), vec![batch(payloads)]));
    assert_eq!(
        run(&["1,c,5,true,,,0", "2,c,6,false,,,0"]).unwrap().get(CENTS, "c"),
        Some(11)
    );
    let error = run(&["1,c,5,true,,,0", "2,c,6,perhaps,,,0"]).err().unwrap().to_string();
    assert!(
        error.contains("offset 1: field `paid` is \"perhaps\", not bool, in column 4"),
        "{error}"
    );
    let error = job
        .run_on(&Memory::new().raw(PLAIN, Format::Text, vec![]))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("source `orders`") && error.contains("`+csv`"), "{error}");
}

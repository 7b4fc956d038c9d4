//! Headers as a real broker hands them out: the quick look for "none" may never be wrong.

use std::time::{Duration, Instant};

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rufous::core::{Format, RecordBatch};
use rufous::realtime::{Log, Polled};
use rufous_integration_tests::kafka;
use rufous_platform_kafka::{KafkaLog, KafkaOptions};

/// What record `i` of the topic has: headers (name, value), a key, a value; by turns none, empty, null and some of each.
fn record(
    i: usize,
) -> (
    Vec<(&'static str, Option<&'static [u8]>)>,
    Option<&'static str>,
    Option<&'static str>,
) {
    let headers = match i % 7 {
        3 => vec![("rufous-heartbeat", None)],
        5 => vec![("", Some(&b""[..]))],
        6 => vec![
            ("trace", Some(&b"\0\x01"[..])),
            ("null", None),
            ("trace", Some(&b"again"[..])),
        ],
        _ => Vec::new(),
    };
    let key = [None, Some(""), Some("key")][i % 3];
    let value = [None, Some(""), Some("v"), Some("a value\0")][i % 4];
    (headers, key, value)
}

/// P7 and the archive's raw records: each record has its headers, all of them, and heartbeats are seen, whether records
/// around it have headers or not; compressed batches and plain ones, in one partition and one dequeue.
#[test]
fn headers_come_with_their_records() {
    const N: usize = 3_000;
    let broker = kafka::shared().unwrap();
    let topic = kafka::unique_name("headers");
    broker.create_topic(&topic, 1, &[]).unwrap();
    for (from, compression) in [(0, "none"), (N / 3, "lz4"), (2 * N / 3, "zstd")] {
        let mut config = broker.client();
        config.set("compression.type", compression).set("linger.ms", "20");
        config.set("enable.idempotence", "true");
        let producer: BaseProducer = config.create().unwrap();
        for i in from..from + N / 3 {
            let (headers, key, value) = record(i);
            let mut r = BaseRecord::<str, str>::to(&topic).partition(0);
            if !headers.is_empty() {
                let all = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                    all.insert(Header { key, value: *value })
                });
                r = r.headers(all);
            }
            r.key = key;
            r.payload = value;
            producer.send(r).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    let mut log = KafkaLog::open(broker.addr(), &topic, KafkaOptions::new(Format::Text)).unwrap();
    log.partitions().unwrap();
    log.assign(&[(0, 0)]).unwrap();
    let (mut batch, mut seen, start) = (RecordBatch::default(), 0, Instant::now());
    while seen < N {
        assert!(start.elapsed() < Duration::from_secs(60), "{seen} of {N} records");
        if log.poll(Duration::from_millis(100), &mut batch).unwrap() != Polled::Records {
            continue;
        }
        for e in &batch.entries {
            let (headers, key, value) = record(seen);
            assert_eq!(e.offset, seen as u64);
            assert_eq!(batch.key(e), key.map(str::as_bytes), "record {seen}");
            assert_eq!(batch.value(e), value.map(str::as_bytes), "record {seen}");
            assert_eq!(e.heartbeat, seen % 7 == 3, "record {seen}");
            // Count, then name, flag and value of each; every length here is a single byte.
            let mut expected = vec![headers.len() as u8];
            for (name, value) in &headers {
                expected.push(name.len() as u8);
                expected.extend_from_slice(name.as_bytes());
                expected.push(u8::from(value.is_some()));
                expected.push(value.unwrap_or_default().len() as u8);
                expected.extend_from_slice(value.unwrap_or_default());
            }
            assert_eq!(
                batch.headers(e),
                (!headers.is_empty()).then_some(&expected[..]),
                "record {seen}"
            );
            seen += 1;
        }
    }
}

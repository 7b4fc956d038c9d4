//! The Kafka log against librdkafka's mock cluster: what is written is read, once, in offset order, from any offset; and
//! errors say what to repair. The mock knows nothing of transactions and retention: those are in `integration-tests`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rufous_core::{ErrorKind, Format, RecordBatch};
use rufous_platform_kafka::{KafkaLog, KafkaOptions};
use rufous_realtime::{Log, Polled};

type Mock = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

fn cluster() -> Mock {
    MockCluster::new(1).unwrap()
}

fn producer(brokers: &str) -> ThreadedProducer<DefaultProducerContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "0")
        .create()
        .unwrap()
}

/// `count` records `value-i` into one partition.
fn fill(brokers: &str, topic: &str, partition: i32, range: std::ops::Range<usize>) {
    let producer = producer(brokers);
    for i in range {
        let value = format!("value-{i}");
        producer
            .send(BaseRecord::<(), str>::to(topic).partition(partition).payload(&value))
            .map_err(|(e, _)| e)
            .unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

fn open(brokers: &str, topic: &str) -> KafkaLog {
    let options = KafkaOptions {
        timeout: Duration::from_secs(5),
        ..KafkaOptions::new(Format::Text)
    };
    KafkaLog::open(brokers, topic, options).unwrap()
}

/// Reads until each partition reached its end; (partition, offset, value) in the order of arrival.
fn read_to(log: &mut KafkaLog, ends: &[(u32, u64)]) -> Vec<(u32, u64, String)> {
    let mut left: BTreeMap<u32, u64> = ends.iter().copied().collect();
    let (mut got, mut batch) = (Vec::new(), RecordBatch::default());
    let give_up = Instant::now() + Duration::from_secs(20);
    while !left.is_empty() {
        assert!(
            Instant::now() < give_up,
            "no end in sight: {left:?} after {} records",
            got.len()
        );
        if log.poll(Duration::from_millis(200), &mut batch).unwrap() != Polled::Records {
            continue;
        }
        for e in &batch.entries {
            let value = String::from_utf8(batch.value(e).unwrap().to_vec()).unwrap();
            got.push((batch.partition, e.offset, value));
        }
        if left.get(&batch.partition).is_some_and(|&end| batch.next >= end) {
            left.remove(&batch.partition);
        }
    }
    got
}

#[test]
fn a_record_comes_as_it_was_written() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    let producer = producer(&cluster.bootstrap_servers());
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "a",
            value: Some("1"),
        })
        .insert(Header {
            key: "none",
            value: None::<&str>,
        })
        .insert(Header {
            key: "a",
            value: Some(""),
        });
    let heart = OwnedHeaders::new().insert(Header {
        key: "rufous-heartbeat",
        value: None::<&str>,
    });
    let send = |record: BaseRecord<'_, str, str>| producer.send(record).map_err(|(e, _)| e).unwrap();
    send(
        BaseRecord::to("t")
            .payload("value")
            .key("key")
            .timestamp(1_700_000_000_123)
            .headers(headers),
    );
    send(BaseRecord::to("t").timestamp(5));
    send(BaseRecord::to("t").payload("").key("").timestamp(6));
    send(BaseRecord::to("t").payload("beat").timestamp(7).headers(heart));
    producer.flush(Duration::from_secs(10)).unwrap();

    let mut log = open(&cluster.bootstrap_servers(), "t");
    assert_eq!(log.location(), format!("kafka://{}/t", cluster.bootstrap_servers()));
    let infos = log.partitions().unwrap();
    assert_eq!(
        infos.iter().map(|i| (i.partition, i.start, i.end)).collect::<Vec<_>>(),
        [(0, 0, 4)]
    );
    assert!(infos[0].topic_id.starts_with("kafka:"), "{}", infos[0].topic_id);
    log.assign(&[(0, 0)]).unwrap();
    let (mut got, mut batch) = (Vec::new(), RecordBatch::default());
    let mut expected = RecordBatch::default();
    let (span, _) = expected.push_headers([("a", Some(&b"1"[..])), ("none", None), ("a", Some(b""))].into_iter());
    let give_up = Instant::now() + Duration::from_secs(20);
    while got.len() < 4 && Instant::now() < give_up {
        if log.poll(Duration::from_millis(200), &mut batch).unwrap() == Polled::Records {
            for e in &batch.entries {
                let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
                got.push((
                    e.offset,
                    e.time_ms,
                    text(batch.value(e)),
                    text(batch.key(e)),
                    e.heartbeat,
                ));
                if e.offset == 0 {
                    assert_eq!(batch.headers(e), Some(&expected.bytes[..]), "{span:?}");
                }
                assert_eq!(e.headers.is_none(), [1, 2].contains(&e.offset));
            }
        }
    }
    let some = |s: &str| Some(s.to_string());
    assert_eq!(
        got,
        [
            (0, 1_700_000_000_123, some("value"), some("key"), false),
            (1, 5, None, None, false),
            (2, 6, some(""), some(""), false),
            (3, 7, some("beat"), None, true),
        ]
    );
    assert_eq!(batch.next, 4);
    assert_eq!(log.poll(Duration::from_millis(50), &mut batch).unwrap(), Polled::Idle);
}

/// Also while messages of the assignment before lie in the queue: rewinds and jumps forward lose and repeat nothing.
#[test]
fn reading_goes_on_at_any_offset() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    fill(&cluster.bootstrap_servers(), "t", 0, 0..10_000);
    let mut log = open(&cluster.bootstrap_servers(), "t");
    log.partitions().unwrap();
    let mut batch = RecordBatch::default();
    for (round, start) in [0, 7, 9_999, 5_000, 4_999, 10_000, 1, 0].into_iter().enumerate() {
        log.assign(&[(0, start)]).unwrap();
        if round % 2 == 0 {
            // Leaves some in flight, then assigns again.
            log.poll(Duration::from_millis(20 * round as u64), &mut batch).unwrap();
            log.assign(&[(0, start)]).unwrap();
        }
        if start == 10_000 {
            assert_eq!(log.poll(Duration::from_millis(300), &mut batch).unwrap(), Polled::Idle);
            continue;
        }
        let got = read_to(&mut log, &[(0, 10_000)]);
        let expected: Vec<_> = (start..10_000).map(|i| (0, i, format!("value-{i}"))).collect();
        assert_eq!(got.len(), expected.len(), "from {start}");
        assert!(got == expected, "from {start}");
    }
    let e = log.assign(&[(0, 10_001)]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string()
            .contains("partition 0: cannot read from offset 10001: the log ends at 10000"),
        "{e}"
    );
    let e = log.assign(&[(3, 0)]).unwrap_err();
    assert!(e.to_string().contains("partition 3"), "{e}");
}

#[test]
fn partitions_are_read_side_by_side() {
    let cluster = cluster();
    cluster.create_topic("t", 4, 1).unwrap();
    for p in 0..4 {
        fill(&cluster.bootstrap_servers(), "t", p, 0..3_000 + p as usize);
    }
    let mut log = open(&cluster.bootstrap_servers(), "t");
    let infos = log.partitions().unwrap();
    assert_eq!(
        infos.iter().map(|i| (i.partition, i.end)).collect::<Vec<_>>(),
        [(0, 3_000), (1, 3_001), (2, 3_002), (3, 3_003)]
    );
    // Not all: partition 1 is not ours.
    log.assign(&[(0, 0), (2, 100), (3, 3_002)]).unwrap();
    let got = read_to(&mut log, &[(0, 3_000), (2, 3_002), (3, 3_003)]);
    for (p, start, end) in [(0, 0, 3_000), (1, 0, 0), (2, 100, 3_002), (3, 3_002, 3_003)] {
        let offsets: Vec<u64> = got.iter().filter(|g| g.0 == p).map(|g| g.1).collect();
        assert!(
            offsets.iter().copied().eq(start..end),
            "partition {p}: {} records",
            offsets.len()
        );
    }
    assert!(got.iter().all(|(_, offset, value)| *value == format!("value-{offset}")));
    // A courtesy that must disturb nothing.
    log.note_committed(&[(0, 3_000), (2, 3_002)]);
    fill(&cluster.bootstrap_servers(), "t", 0, 3_000..3_010);
    assert_eq!(read_to(&mut log, &[(0, 3_010)]).len(), 10);
}

#[test]
fn a_lost_connection_heals() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    fill(&cluster.bootstrap_servers(), "t", 0, 0..100);
    let mut log = open(&cluster.bootstrap_servers(), "t");
    log.partitions().unwrap();
    log.assign(&[(0, 0)]).unwrap();
    assert_eq!(read_to(&mut log, &[(0, 100)]).len(), 100);
    cluster.broker_down(1).unwrap();
    let mut batch = RecordBatch::default();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert_eq!(log.poll(Duration::from_millis(100), &mut batch).unwrap(), Polled::Idle);
    }
    cluster.broker_up(1).unwrap();
    fill(&cluster.bootstrap_servers(), "t", 0, 100..200);
    let offsets: Vec<u64> = read_to(&mut log, &[(0, 200)])
        .into_iter()
        .map(|(_, offset, _)| offset)
        .collect();
    assert!(offsets.into_iter().eq(100..200));
}

#[test]
fn brokers_that_are_away_are_named() {
    let options = KafkaOptions {
        timeout: Duration::from_secs(2),
        ..KafkaOptions::new(Format::Text)
    };
    let mut log = KafkaLog::open("127.0.0.1:1", "words", options).unwrap();
    let start = Instant::now();
    let e = log.partitions().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    let text = e.to_string();
    assert!(
        text.contains("kafka://127.0.0.1:1/words") && text.contains("check that the brokers 127.0.0.1:1 run"),
        "{text}"
    );
    assert!(text.contains("Connection refused"), "{text}");
}

#[test]
fn an_unknown_topic_is_named_with_those_that_exist() {
    let cluster = cluster();
    cluster.create_topic("words", 1, 1).unwrap();
    let e = open(&cluster.bootstrap_servers(), "wrods").partitions().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("there is no topic `wrods`"), "{e}");
    assert!(e.to_string().contains("there are: `words`"), "{e}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (name, value, text) in [
        (
            "isolation.level",
            "read_uncommitted",
            "kafka property `isolation.level` cannot be set",
        ),
        ("no.such.thing", "1", "no.such.thing"),
    ] {
        let mut options = KafkaOptions::new(Format::Text);
        options.properties.insert(name.into(), value.into());
        let e = KafkaLog::open("127.0.0.1:1", "t", options).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert!(e.to_string().contains(text), "{e}");
    }
}

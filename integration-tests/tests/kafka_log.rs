//! The Kafka log against a real broker: what the mock of `platforms/kafka` cannot show. Each record of a committed
//! transaction comes once and no other does; the position reaches the end over whatever lies there; lost ranges, new
//! partitions, deleted topics and dead brokers are told as the trait `Log` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rufous_core::{ErrorKind, Format, RecordBatch};
use rufous_platform_kafka::{KafkaLog, KafkaOptions};
use rufous_realtime::{Log, Polled};

use rufous_integration_tests::kafka::{Broker, block_on};

const SOON: Duration = Duration::from_secs(30);

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.addr())
        .set("reconnect.backoff.max.ms", "500");
    config
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    client(broker).create().unwrap()
}

fn create(broker: &Broker, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    block_on(admin(broker).create_topics(&[new], &AdminOptions::new())).unwrap()[0]
        .as_ref()
        .unwrap();
    let consumer: BaseConsumer = client(broker).create().unwrap();
    let start = Instant::now();
    while consumer
        .fetch_watermarks(topic, partitions - 1, Duration::from_secs(5))
        .is_err()
    {
        assert!(start.elapsed() < SOON, "topic {topic} does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn producer(broker: &Broker, transactional: Option<&str>) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = client(broker);
    config.set("linger.ms", "1").set("enable.idempotence", "true");
    if let Some(id) = transactional {
        config.set("transactional.id", id);
    }
    config.create().unwrap()
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, partition: i32, range: std::ops::Range<u64>) {
    for i in range {
        let value = i.to_string();
        producer
            .send(BaseRecord::<(), str>::to(topic).partition(partition).payload(&value))
            .map_err(|(e, _)| e)
            .unwrap();
    }
    producer.flush(SOON).unwrap();
}

fn open(broker: &Broker, topic: &str) -> KafkaLog {
    let options = KafkaOptions {
        watch_interval: Duration::from_millis(500),
        ..KafkaOptions::new(Format::Text)
    };
    KafkaLog::open(broker.addr(), topic, options).unwrap()
}

/// Values of one partition until its position reaches `end`.
fn read_to(log: &mut KafkaLog, partition: u32, end: u64) -> Vec<u64> {
    let (mut got, mut batch, start) = (Vec::new(), RecordBatch::default(), Instant::now());
    let mut before = None;
    loop {
        assert!(
            start.elapsed() < SOON * 2,
            "no end in sight at {} of {end} after {} records",
            batch.next,
            got.len()
        );
        match log.poll(Duration::from_millis(200), &mut batch).unwrap() {
            Polled::Records if batch.partition == partition => {
                for e in &batch.entries {
                    assert!(
                        before.is_none_or(|b| e.offset > b),
                        "offset {} after {before:?}",
                        e.offset
                    );
                    before = Some(e.offset);
                    got.push(std::str::from_utf8(batch.value(e).unwrap()).unwrap().parse().unwrap());
                }
                if batch.next >= end {
                    return got;
                }
            }
            Polled::Lost { .. } => panic!("lost"),
            _ => {}
        }
    }
}

fn until<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = f() {
            return found;
        }
        assert!(start.elapsed() < SOON, "waited in vain for {what}");
    }
}

#[test]
fn committed_records_only_and_the_end_is_reached() {
    let broker = Broker::start().unwrap();
    create(&broker, "tx", 1, &[]);
    let p = producer(&broker, Some("tx-1"));
    p.init_transactions(SOON).unwrap();
    let transaction = |range: std::ops::Range<u64>, commit: bool| {
        p.begin_transaction().unwrap();
        send(&p, "tx", 0, range);
        if commit {
            p.commit_transaction(SOON).unwrap()
        } else {
            p.abort_transaction(SOON).unwrap()
        }
    };
    transaction(0..5, true);
    transaction(100..105, false);
    transaction(5..10, true);
    // The last things in the log: aborted records and a marker.
    transaction(200..205, false);
    let mut log = open(&broker, "tx");
    let info = log.partitions().unwrap().remove(0);
    assert_eq!((info.start, info.end), (0, 24));
    log.assign(&[(0, 0)]).unwrap();
    assert_eq!(read_to(&mut log, 0, info.end), (0..10).collect::<Vec<_>>());

    // An open transaction: its records, and later ones, are not there yet.
    p.begin_transaction().unwrap();
    send(&p, "tx", 0, 10..15);
    let other = producer(&broker, None);
    send(&other, "tx", 0, 15..20);
    assert_eq!(log.partitions().unwrap()[0].end, 24);
    let mut batch = RecordBatch::default();
    assert_eq!(log.poll(Duration::from_millis(500), &mut batch).unwrap(), Polled::Idle);
    // Resuming inside the aborted tail reaches the end too.
    for resume in [22, 24, 5, 11] {
        log.assign(&[(0, resume)]).unwrap();
        let expected: Vec<u64> = if resume < 20 { (5..10).collect() } else { vec![] };
        if resume < 24 {
            assert_eq!(read_to(&mut log, 0, 24), expected, "from {resume}");
        } else {
            assert_eq!(log.poll(Duration::from_millis(300), &mut batch).unwrap(), Polled::Idle);
        }
    }
    p.commit_transaction(SOON).unwrap();
    let end = log.partitions().unwrap()[0].end;
    assert_eq!(end, 35);
    assert_eq!(read_to(&mut log, 0, end), (10..20).collect::<Vec<_>>());

    // A courtesy for lag tools.
    log.note_committed(&[(0, end)]);
    let tool: BaseConsumer = client(&broker).set("group.id", "rufous").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition("tx", 0);
    until("the committed offset", || {
        let seen = tool.committed_offsets(list.clone(), Duration::from_secs(2)).ok()?;
        (seen.find_partition("tx", 0)?.offset() == Offset::Offset(35)).then_some(())
    });
}

#[test]
fn deleted_records_are_lost_and_reading_goes_on() {
    let broker = Broker::start().unwrap();
    create(&broker, "lost", 2, &[]);
    let p = producer(&broker, None);
    send(&p, "lost", 0, 0..100);
    send(&p, "lost", 1, 0..100);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("lost", 0, Offset::Offset(40)).unwrap();
    block_on(admin(&broker).delete_records(&list, &AdminOptions::new())).unwrap();
    let mut log = open(&broker, "lost");
    let infos = log.partitions().unwrap();
    assert_eq!(
        infos.iter().map(|i| (i.start, i.end)).collect::<Vec<_>>(),
        [(40, 100), (0, 100)]
    );
    log.assign(&[(0, 10), (1, 0)]).unwrap();
    let (mut batch, mut other, mut lost) = (RecordBatch::default(), 0, 0);
    until("the loss and partition 1", || {
        match log.poll(Duration::from_millis(200), &mut batch).unwrap() {
            Polled::Lost { partition, start } => {
                assert_eq!((partition, start), (0, 40));
                lost += 1;
            }
            Polled::Records => {
                assert_eq!(batch.partition, 1);
                other += batch.entries.len();
            }
            _ => {}
        }
        (lost == 1 && other == 100).then_some(())
    });
    assert_eq!(log.poll(Duration::from_secs(1), &mut batch).unwrap(), Polled::Idle);
    log.assign(&[(0, 40), (1, 100)]).unwrap();
    assert_eq!(read_to(&mut log, 0, 100), (40..100).collect::<Vec<_>>());
}

#[test]
fn new_partitions_are_seen_and_deleted_topics_too() {
    let broker = Broker::start().unwrap();
    create(&broker, "grow", 1, &[]);
    let p = producer(&broker, None);
    send(&p, "grow", 0, 0..10);
    let mut log = open(&broker, "grow");
    let first = log.partitions().unwrap().remove(0);
    log.assign(&[(0, 0)]).unwrap();
    assert_eq!(read_to(&mut log, 0, 10).len(), 10);
    block_on(admin(&broker).create_partitions(&[NewPartitions::new("grow", 3)], &AdminOptions::new())).unwrap();
    let mut batch = RecordBatch::default();
    until("new partitions", || {
        (log.poll(Duration::from_millis(200), &mut batch).unwrap() == Polled::PartitionsChanged).then_some(())
    });
    assert_eq!(log.partitions().unwrap().len(), 3);
    log.assign(&[(0, 10), (1, 0), (2, 0)]).unwrap();
    send(&producer(&broker, None), "grow", 2, 0..10);
    assert_eq!(read_to(&mut log, 2, 10).len(), 10);

    block_on(admin(&broker).delete_topics(&["grow"], &AdminOptions::new())).unwrap();
    let e = until("the deletion", || {
        log.poll(Duration::from_millis(200), &mut batch).err()
    });
    assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
    assert!(e.to_string().contains("not there any more"), "{e}");
    let e = log.partitions().unwrap_err();
    assert!(e.to_string().contains("there is no topic `grow`"), "{e}");

    // Made again: another id, and a position beyond the new end is refused.
    create(&broker, "grow", 1, &[]);
    let mut log = open(&broker, "grow");
    let again = log.partitions().unwrap().remove(0);
    assert_ne!(first.topic_id, again.topic_id);
    let e = log.assign(&[(0, 10)]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("cannot read from offset 10: the log ends at 0"),
        "{e}"
    );
}

#[test]
fn a_topic_made_again_under_a_reader_ends_the_reading() {
    let broker = Broker::start().unwrap();
    create(&broker, "again", 1, &[]);
    send(&producer(&broker, None), "again", 0, 0..10);
    let mut log = open(&broker, "again");
    log.partitions().unwrap();
    log.assign(&[(0, 0)]).unwrap();
    assert_eq!(read_to(&mut log, 0, 10).len(), 10);
    block_on(admin(&broker).delete_topics(&["again"], &AdminOptions::new())).unwrap();
    create(&broker, "again", 1, &[]);
    let mut batch = RecordBatch::default();
    let e = until("the end of reading", || {
        log.poll(Duration::from_millis(200), &mut batch).err()
    });
    assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
    assert!(
        e.to_string().contains("made again") || e.to_string().contains("not there any more"),
        "{e}"
    );
}

#[test]
fn a_killed_broker_is_waited_for() {
    let broker = Broker::start().unwrap();
    create(&broker, "kill", 1, &[]);
    let p = producer(&broker, None);
    send(&p, "kill", 0, 0..10_000);
    let mut log = open(&broker, "kill");
    log.partitions().unwrap();
    log.assign(&[(0, 0)]).unwrap();
    assert_eq!(read_to(&mut log, 0, 10_000).len(), 10_000);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut i = 10_000;
            while !stop.load(Ordering::Relaxed) {
                let value = i.to_string();
                if p.send(BaseRecord::<(), str>::to("kill").partition(0).payload(&value))
                    .is_ok()
                {
                    i += 1;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            p.flush(SOON).unwrap();
            i
        }
    });
    let mut got = read_to(&mut log, 0, 10_300);
    broker.kill9().unwrap();
    let (mut batch, down) = (RecordBatch::default(), Instant::now());
    while down.elapsed() < Duration::from_secs(3) {
        if log.poll(Duration::from_millis(100), &mut batch).unwrap() == Polled::Records {
            got.extend(batch.entries.iter().map(|e| {
                std::str::from_utf8(batch.value(e).unwrap())
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            }));
        }
    }
    broker.restart().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    got.extend(read_to(&mut log, 0, written));
    assert!(got.into_iter().eq(10_000..written));
}

#[test]
fn a_compacted_topic_is_refused() {
    let broker = Broker::start().unwrap();
    create(&broker, "compacted", 1, &[("cleanup.policy", "compact")]);
    create(&broker, "both", 1, &[("cleanup.policy", "compact,delete")]);
    for topic in ["compacted", "both"] {
        let e = open(&broker, topic).partitions().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert!(
            e.to_string()
                .contains(&format!("topic `{topic}` has cleanup.policy=compact")),
            "{e}"
        );
    }
}

//! The broker that the other tests rely on does what they rely on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use rufous_integration_tests::kafka::{self, Broker};

type Row = (i64, i64, Vec<u8>, Vec<u8>);

fn record(n: i64) -> (i64, String, String) {
    (1_000_000 + n, format!("key-{n}"), format!("value-{n}"))
}

fn row(n: i64) -> Row {
    let (millis, key, value) = record(n);
    (n, millis, key.into_bytes(), value.into_bytes())
}

/// Everything a partition has: offset, milliseconds, key, value.
fn read(broker: &Broker, topic: &str, partition: i32) -> Result<Vec<Row>> {
    let mut config = broker.client();
    config
        .set("group.id", kafka::unique_name("reader"))
        .set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "error").set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer = config.create()?;
    let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(30))?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, partition, Offset::Offset(low))?;
    consumer.assign(&from)?;
    let (start, mut rows) = (Instant::now(), Vec::new());
    while rows.last().map_or(low, |r: &Row| r.0 + 1) < high {
        ensure!(start.elapsed() < Duration::from_secs(30), "only {} rows", rows.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let millis = message.timestamp().to_millis().context("a timestamp")?;
        let bytes = |b: Option<&[u8]>| b.unwrap_or_default().to_vec();
        rows.push((message.offset(), millis, bytes(message.key()), bytes(message.payload())));
    }
    Ok(rows)
}

#[test]
fn reads_what_was_produced() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, kafka::unique_name("produced"));
    broker.create_topic(&topic, 2, &[])?;
    broker.produce(&topic, 1, (0..1_000).map(record))?;
    assert_eq!(read(broker, &topic, 1)?, (0..1_000).map(row).collect::<Vec<_>>());
    assert_eq!(read(broker, &topic, 0)?, []);
    broker.delete_records(&topic, 1, 400)?;
    assert_eq!(read(broker, &topic, 1)?, (400..1_000).map(row).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn outlives_the_thread_that_started_it() -> Result<()> {
    let broker = std::thread::spawn(Broker::start).join().expect("no panic")?;
    let topic = kafka::unique_name("outlives");
    broker.create_topic(&topic, 1, &[("retention.ms", "-1")])?;
    broker.produce(&topic, 0, [(5, "", "v")])?;
    assert_eq!(read(&broker, &topic, 0)?, [(0, 5, vec![], b"v".to_vec())]);
    Ok(())
}

#[test]
fn kill_and_restart_keep_data_and_port() -> Result<()> {
    let broker = Broker::start()?;
    let addr = broker.addr().to_string();
    broker.create_topic("kept", 1, &[])?;
    broker.produce("kept", 0, (0..1_000).map(record))?;
    broker.kill9()?;
    ensure!(std::net::TcpStream::connect(broker.addr()).is_err(), "it is dead");
    broker.restart()?;
    assert_eq!(read(&broker, "kept", 0)?.len(), 1_000);
    broker.produce("kept", 0, (1_000..1_100).map(record))?;
    broker.restart()?;
    assert_eq!(broker.addr(), addr);
    assert_eq!(read(&broker, "kept", 0)?, (0..1_100).map(row).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_topic_is_never_made_by_a_typo() -> Result<()> {
    let broker = kafka::shared()?;
    let error = broker
        .produce(&kafka::unique_name("typo"), 0, [(0, "k", "v")])
        .expect_err("no such topic");
    ensure!(format!("{error:#}").contains("topic"), "{error:#}");
    Ok(())
}

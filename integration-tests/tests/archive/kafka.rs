//! Over a real Kafka: the archive holds what a `read_committed` consumer sees, raw and whole (P17, rows 15, 20), and a lost range
//! becomes a hole that answers show (P34, row 18).

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rufous_integration_tests::archived;
use rufous_integration_tests::data;
use rufous_integration_tests::kafka::{Broker, shared, unique_name};

use crate::world::PROGRAM;

const SOON: Duration = Duration::from_secs(60);
const BIG: usize = 10 << 20;

type Headered = Vec<(String, Option<Vec<u8>>)>;
/// Offset, time, key, value, headers.
type Plain = (i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Headered);

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.addr())
        .set("message.max.bytes", "12000000")
        .set("linger.ms", "1");
    config
}

fn job(dir: &Path, command: &str, source: &str, args: &[&str]) -> Result<Output> {
    let out = Command::new(PROGRAM)
        .arg(command)
        .arg("--data")
        .arg(dir.join("data"))
        .args(["--source", source])
        .args(args)
        .env("RUFOUS_LOG", "error")
        .current_dir(dir)
        .output()?;
    Ok(out)
}

fn good(dir: &Path, command: &str, source: &str, args: &[&str]) -> Result<()> {
    let out = job(dir, command, source, args)?;
    ensure!(
        out.status.success(),
        "{command}: {} {}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

/// The log as another consumer sees it.
fn log(broker: &Broker, topic: &str, partition: i32) -> Result<Vec<Plain>> {
    let consumer: BaseConsumer = client(broker)
        .set("group.id", unique_name("oracle"))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)?;
    consumer.assign(&list)?;
    let (mut all, start) = (Vec::new(), Instant::now());
    loop {
        ensure!(start.elapsed() < SOON, "the end of {topic}/{partition} does not come");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(all),
            Some(Err(e)) => return Err(e.into()),
            Some(Ok(m)) => {
                let own = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
                let headers = m.headers().map(|h| {
                    h.iter()
                        .map(|h| (h.key.to_string(), h.value.map(<[u8]>::to_vec)))
                        .collect()
                });
                all.push((
                    m.offset(),
                    m.timestamp().to_millis(),
                    own(m.key()),
                    own(m.payload()),
                    headers.unwrap_or_default(),
                ));
            }
        }
    }
}

/// The stored form of headers: count, then name, a flag and value, with their lengths as LEB128.
fn headers(bytes: &[u8]) -> Result<Headered> {
    // Few headers, short names and values: each of these numbers is one byte.
    let mut left = bytes;
    let mut take = |n: usize| -> Result<&[u8]> {
        let (piece, rest) = left.split_at_checked(n).context("cut off")?;
        left = rest;
        Ok(piece)
    };
    let mut all = Vec::new();
    for _ in 0..take(1)?[0] {
        let n = usize::from(take(1)?[0]);
        let name = String::from_utf8(take(n)?.to_vec())?;
        let present = take(1)?[0] == 1;
        let n = usize::from(take(1)?[0]);
        let value = take(n)?.to_vec();
        all.push((name, present.then_some(value)));
    }
    ensure!(left.is_empty(), "bytes are left");
    Ok(all)
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    time: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: OwnedHeaders,
) -> Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic)
        .partition(0)
        .timestamp(time)
        .headers(headers);
    if let Some(key) = key {
        record = record.key(key);
    }
    if let Some(value) = value {
        record = record.payload(value);
    }
    producer.send(record).map_err(|(e, _)| e)?;
    Ok(())
}

/// P17: raw and whole. Aborted records and control records do not exist; what cannot be decoded does.
#[test]
fn every_kind_of_record() -> Result<()> {
    let broker = shared()?;
    let topic = unique_name("kinds");
    broker.create_topic(&topic, 1, &[("max.message.bytes", "12000000")])?;
    let (dir, lines) = (tempfile::tempdir()?, data::sample_lines()?);
    let source = format!("flights=kafka://{}/{topic}+jsonl", broker.addr());
    let producer: ThreadedProducer<DefaultProducerContext> =
        client(broker).set("transactional.id", unique_name("tx")).create()?;
    producer.init_transactions(SOON)?;
    let none = OwnedHeaders::new;
    let big: Vec<u8> = (0..BIG).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let garbage: [&[u8]; 4] = [b"", b"{", &[0, 255, 254], b"{\"date\":\"no date\"}"];
    for round in 0..3i64 {
        producer.begin_transaction()?;
        for (i, line) in lines.iter().skip(round as usize * 40_000).take(500).enumerate() {
            send(
                &producer,
                &topic,
                1_000 + i as i64,
                Some(b"k"),
                Some(line.as_bytes()),
                none(),
            )?;
        }
        for value in garbage {
            send(&producer, &topic, 5, None, Some(value), none())?;
        }
        // A tombstone, a null record, an empty key, headers with and without values.
        send(&producer, &topic, 6, Some(b"key"), None, none())?;
        send(&producer, &topic, 7, None, None, none())?;
        send(&producer, &topic, 8, Some(b""), Some(b"v"), none())?;
        let with = none()
            .insert(Header {
                key: "a",
                value: Some("1"),
            })
            .insert(Header {
                key: "",
                value: None::<&str>,
            })
            .insert(Header {
                key: "a",
                value: Some(""),
            });
        send(&producer, &topic, 9, Some(&[0, 255]), Some(b"h"), with)?;
        send(&producer, &topic, 10, None, Some(&big), none())?;
        producer.commit_transaction(SOON)?;
        producer.begin_transaction()?;
        for line in lines.iter().take(50) {
            send(&producer, &topic, 11, Some(b"aborted"), Some(line.as_bytes()), none())?;
        }
        producer.flush(SOON)?;
        producer.abort_transaction(SOON)?;
        good(dir.path(), "archive", &source, &["--until-end"])?;

        let expected = log(broker, &topic, 0)?;
        ensure!(
            expected.len() == (round as usize + 1) * 509,
            "{} records",
            expected.len()
        );
        let found = archived::read_dir(&dir.path().join("data/main/archive/flights"), 0)?;
        ensure!(
            found.records.len() == expected.len(),
            "{} of {}",
            found.records.len(),
            expected.len()
        );
        for (r, e) in found.records.iter().zip(&expected) {
            let got: Plain = (
                r.offset,
                r.time,
                r.key.clone(),
                r.value.clone(),
                r.headers.as_deref().map(headers).transpose()?.unwrap_or_default(),
            );
            ensure!(got == *e, "offset {}: not as in the log (time {:?})", r.offset, r.time);
        }
        // Row 20: behind the last record lie aborted ones and two markers, and the archive ends behind them.
        let last = expected.last().context("records")?.0 as u64;
        ensure!(
            found.range.1 > last + 51,
            "ends at {} after offset {last}",
            found.range.1
        );
    }
    Ok(())
}

/// P34, P31: what retention took before it was archived is a hole in the index, in the manifest, and in every answer.
#[test]
fn a_lost_range_is_shown_by_answers() -> Result<()> {
    let broker = shared()?;
    let topic = unique_name("holes");
    broker.create_topic(&topic, 1, &[])?;
    let (dir, lines) = (tempfile::tempdir()?, data::sample_lines()?);
    let source = format!("flights=kafka://{}/{topic}+jsonl", broker.addr());
    let (first, second): (Vec<_>, Vec<_>) = (
        lines.iter().filter(|l| l.contains("2001-01-01")).take(300).collect(),
        lines.iter().filter(|l| l.contains("2001-01-03")).take(100).collect(),
    );
    ensure!((first.len(), second.len()) == (300, 100));
    let produce = |lines: &[&String]| broker.produce(&topic, 0, lines.iter().map(|l| (1, "", l.as_str())));
    let stream = || good(dir.path(), "stream", &source, &["--until-end", "--no-archive"]);
    produce(&first[..100])?;
    stream()?;
    good(dir.path(), "archive", &source, &["--until-end"])?;
    produce(&first[100..])?;
    stream()?;
    broker.delete_records(&topic, 0, 250)?;
    produce(&second)?;
    stream()?;
    good(dir.path(), "archive", &source, &["--until-end"])?;
    let found = archived::read_dir(&dir.path().join("data/main/archive/flights"), 0)?;
    ensure!(found.holes == [(100, 250)], "{:?}", found.holes);
    let offsets: Vec<i64> = found.records.iter().map(|r| r.offset).collect();
    ensure!(offsets == (0..100).chain(250..400).collect::<Vec<_>>(), "{offsets:?}");
    // Until the batch is published the live part answers, and it has read all.
    let ask = |args: &[&str]| job(dir.path(), "get", &source, &[&["ATL,2001-01-01"], args].concat());
    ensure!(ask(&[])?.status.success(), "the live part is whole");
    good(dir.path(), "batch", &source, &[])?;
    let out = ask(&[])?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(6), "{} {said}", out.status);
    ensure!(said.contains("offsets 100..250 of partition 0 of `flights`"), "{said}");
    let out = ask(&["--accept-holes", "--json"])?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(
        out.status.success() && said.contains("100") && said.contains("250"),
        "{said}"
    );
    Ok(())
}

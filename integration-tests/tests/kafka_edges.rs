//! What a producer may send and a broker may do that is rare and allowed: letters that no topic takes whole, records without a
//! time, a tail that only control records and aborted transactions are in, written under a new leader epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rufous::prelude::*;
use rufous_core::{Format, RecordBatch};
use rufous_integration_tests::kafka::{Broker, shared, unique_name};
use rufous_integration_tests::run::{self, State};
use rufous_platform_kafka::{KafkaDeadLetters, KafkaLog, KafkaOptions};
use rufous_realtime::{BoundLog, DeadLetters as _, Letter, Log, Metrics, OnBadRecord, Polled, Stream, StreamOptions};

const SOON: Duration = Duration::from_secs(60);
const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn words() -> Job {
    let words = LINES.read().keyed(|line, out| out.emit(line, 1));
    Job::new("words", words.sum_by_key(COUNTS))
}

/// Row 15: a letter whose headers alone are larger than the topic of letters takes goes without them, and says so; the
/// partition is not blocked.
#[test]
fn a_letter_with_headers_beyond_the_limit_does_not_block() -> Result<()> {
    let broker = shared()?;
    let (topic, letters) = (unique_name("wide"), unique_name("letters"));
    // Both as topics are by default: what fits into the one does not fit into the other with a reason beside it.
    broker.create_topic(&topic, 1, &[])?;
    broker.create_topic(&letters, 1, &[])?;
    let mut config = broker.client();
    config.set("message.max.bytes", "4000000");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let wide = "w".repeat(1_048_400);
    for (value, headers) in [
        (
            &b"\xff"[..],
            OwnedHeaders::new().insert(Header {
                key: "trace",
                value: Some(&wide),
            }),
        ),
        (
            &b"good"[..],
            OwnedHeaders::new().insert(Header {
                key: "trace",
                value: Some("t"),
            }),
        ),
    ] {
        let record = BaseRecord::<[u8], [u8]>::to(&topic)
            .partition(0)
            .payload(value)
            .headers(headers);
        producer.send(record).map_err(|(e, _)| e)?;
    }
    producer.flush(SOON)?;
    let plan = words().plan()?;
    let state = State::memory(&plan);
    let options = || KafkaOptions::new(Format::Text);
    let log: Box<dyn Log> = Box::new(KafkaLog::open(broker.addr(), &topic, options())?);
    let bound = BoundLog {
        dead_letters: Some(Box::new(KafkaDeadLetters::open(broker.addr(), &letters, options())?)),
        ..BoundLog::new("lines", log)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let report = std::thread::scope(|s| {
        let running = s.spawn(|| {
            let stream = Stream {
                plan: &plan,
                logs: vec![bound],
                store: state.realtime.clone(),
                manifests: &*state.manifests,
                generations: None,
                metrics: Arc::new(Metrics::default()),
                options: StreamOptions {
                    until_end: true,
                    on_bad_record: OnBadRecord::DeadLetter,
                    stop: stop.clone(),
                    ..StreamOptions::default()
                },
            };
            stream.run()
        });
        let start = Instant::now();
        while !running.is_finished() && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Relaxed);
        running.join().expect("no panic")
    })?;
    ensure!(report.dead_letters == 1, "{report:?}");
    ensure!(state.answers(&plan)?.len() == 1);
    let mut config = broker.client();
    config.set("group.id", unique_name("reader"));
    let consumer: BaseConsumer = config.create()?;
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&letters, 0, rdkafka::Offset::Beginning)?;
    consumer.assign(&list)?;
    let start = Instant::now();
    let message = loop {
        ensure!(start.elapsed() < SOON, "no letter");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            break message?;
        }
    };
    let headers: BTreeMap<&str, &[u8]> = message
        .headers()
        .into_iter()
        .flat_map(|h| h.iter())
        .map(|h| (h.key, h.value.unwrap_or_default()))
        .collect();
    ensure!(headers["rufous-offset"] == b"0" && headers["rufous-partition"] == b"0");
    ensure!(headers["rufous-reason"].starts_with(b"not UTF-8"));
    ensure!(
        headers["rufous-left-out"] == (1 + 1_048_400 + 5).to_string().as_bytes(),
        "{:?}",
        headers["rufous-left-out"]
    );
    ensure!(!headers.contains_key("trace") && message.payload().is_none());
    Ok(())
}

/// Row 15: letters that the topic takes one by one keep their payloads, though a batch of them is larger than it takes.
#[test]
fn many_small_letters_keep_their_payloads() -> Result<()> {
    let broker = shared()?;
    let letters = unique_name("letters");
    broker.create_topic(&letters, 1, &[("max.message.bytes", "100000")])?;
    let mut to = KafkaDeadLetters::open(broker.addr(), &letters, KafkaOptions::new(Format::Text))?;
    let payload = [0xff; 1000];
    for offset in 0..400 {
        to.send(&Letter {
            source: "lines",
            partition: 0,
            offset,
            time: None,
            reason: "not UTF-8",
            key: None,
            headers: None,
            payload: Some(&payload),
        })?;
    }
    let start = Instant::now();
    while let Err(e) = to.flush() {
        ensure!(start.elapsed() < SOON, "{e}");
    }
    let mut config = broker.client();
    config.set("group.id", unique_name("reader"));
    let consumer: BaseConsumer = config.create()?;
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&letters, 0, rdkafka::Offset::Beginning)?;
    consumer.assign(&list)?;
    let (mut offsets, start) = (BTreeSet::new(), Instant::now());
    while offsets.len() < 400 {
        ensure!(start.elapsed() < SOON, "{} letters", offsets.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        ensure!(message.payload() == Some(&payload[..]), "a letter without its payload");
        let headers = message.headers().into_iter().flat_map(|h| h.iter());
        let offset = headers.filter(|h| h.key == "rufous-offset").find_map(|h| h.value);
        offsets.insert(offset.unwrap_or_default().to_vec());
    }
    Ok(())
}

/// P1: -1 is Kafka's word for a record without a time. It takes the running batch, and is not of the last hour of 1969: the
/// next thousands of records would be held back by `max_step`.
#[test]
fn a_record_without_a_time_has_none() -> Result<()> {
    let broker = shared()?;
    let topic = unique_name("timeless");
    broker.create_topic(&topic, 1, &[])?;
    broker.produce(&topic, 0, [(-1, "", "a"), (1_700_000_000_000, "", "b"), (-1, "", "c")])?;
    let mut log = KafkaLog::open(broker.addr(), &topic, KafkaOptions::new(Format::Text))?;
    log.partitions()?;
    log.assign(&[(0, 0)])?;
    let (mut batch, mut times, start) = (RecordBatch::default(), Vec::new(), Instant::now());
    while times.len() < 3 {
        ensure!(start.elapsed() < SOON, "{times:?}");
        if log.poll(Duration::from_millis(100), &mut batch)? == Polled::Records {
            times.extend(batch.entries.iter().map(|e| e.time().map(|t| t.0)));
        }
    }
    ensure!(times == [None, Some(1_700_000_000_000), None], "{times:?}");
    let (plan, state) = (words().plan()?, State::memory(&words().plan()?));
    let report = state.stream(&plan, run::kafka(broker, &topic, Format::Text)?)?;
    ensure!((report.records, report.held) == (3, 0), "{report:?}");
    ensure!(state.answers(&plan)?.len() == 3);
    Ok(())
}

/// P42, row 20: an archive that ends behind an aborted transaction of a newer leader epoch than its last record is not taken
/// for one of a truncated log.
#[test]
fn an_archive_passes_an_aborted_tail_of_a_new_epoch() -> Result<()> {
    let broker = Broker::start()?;
    broker.create_topic("tail", 1, &[])?;
    broker.produce("tail", 0, (0..10).map(|i| (1_000 + i, "", "a")))?;
    let plan = words().plan()?;
    let dir = tempfile::tempdir()?;
    let archive = || run::archive(&plan, run::kafka(&broker, "tail", Format::Text)?, dir.path());
    archive()?;
    // Its leader comes back with the next epoch.
    broker.kill9()?;
    broker.restart()?;
    let mut config = broker.client();
    config.set("transactional.id", "aborts");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    producer.init_transactions(SOON)?;
    producer.begin_transaction()?;
    let record = BaseRecord::<str, str>::to("tail")
        .partition(0)
        .timestamp(2_000)
        .payload("b");
    producer.send(record).map_err(|(e, _)| e)?;
    producer.flush(SOON)?;
    producer.abort_transaction(SOON)?;
    for _ in 0..2 {
        archive()?;
    }
    let last = archive()?.last(0, 0)?;
    ensure!(last.is_some_and(|(_, e)| e.to == 12), "control records were not passed");
    Ok(())
}

//! Formats and messages through every layer: what a job sees of a record live is what it sees out of the archive in bulk,
//! over a real broker and over files. The oracle folds the list of what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rufous::prelude::*;
use rufous_core::{BatchId, Format};
use rufous_integration_tests::kafka;
use rufous_integration_tests::run::{self, State};

#[derive(Clone, Debug, PartialEq, Record)]
struct View {
    page: String,
    ms: Option<u32>,
}

type Place = (String, String, String);

const VIEWS: Source<Message<View>> = Source::new("views");
/// By key, the header `tenant`, and page; how many, how many milliseconds, and the sum of offsets and log times.
const SEEN: Store<Place, (u64, u64, u64, u64)> = Store::new("seen");

fn views() -> Job {
    let seen = VIEWS.read().keyed(|m, out| {
        let tenant = m.header("tenant").map_or("none".into(), String::from_utf8_lossy);
        let key = m.key().map_or("none".into(), String::from_utf8_lossy);
        let (page, ms) = m
            .value()
            .map_or(("deleted", 0), |v| (v.page.as_str(), v.ms.unwrap_or(0)));
        let time = m.time().map_or(0, |t| t.0.unsigned_abs());
        out.emit((&*key, &*tenant, page), (1, u64::from(ms), m.offset(), time));
    });
    Job::new("views", seen.sum_by_key(SEEN))
}

const HOUR: i64 = 3_600_000;
const RECORDS: u64 = 2_000;

/// Record `i`: partition, time, key, tenant, value.
type Sent = (i32, i64, Option<Vec<u8>>, Option<&'static str>, Option<View>);

fn sent(i: u64) -> Sent {
    let view = View {
        page: format!("/p{},\"{}\"\n", i % 7, i % 3),
        ms: (!i.is_multiple_of(5)).then_some(i as u32),
    };
    let key = match i % 11 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0xff, 0]),
        n => Some(format!("user-{n}").into_bytes()),
    };
    let time = (1_000 + (i * 6 / RECORDS) as i64) * HOUR + (i % 1000) as i64;
    let tenant = [None, Some("blue"), Some("")][(i % 3) as usize];
    (
        (i % 2) as i32,
        time,
        key,
        tenant,
        (!i.is_multiple_of(13)).then_some(view),
    )
}

fn written(format: &str, view: &View) -> String {
    match format {
        "jsonl" => serde_json::json!({"x": [{"page": 1}], "page": view.page, "ms": view.ms}).to_string(),
        _ => {
            let ms = view.ms.map_or(String::new(), |ms| ms.to_string());
            format!("{ms},not read,\"{}\"", view.page.replace('"', "\"\""))
        }
    }
}

fn oracle() -> BTreeMap<Place, (u64, u64, u64, u64)> {
    let mut all = BTreeMap::new();
    let mut offsets = [0_u64; 2];
    for i in 0..RECORDS {
        let (partition, time, key, tenant, view) = sent(i);
        let offset = &mut offsets[partition as usize];
        let key = key.map_or("none".into(), |k| String::from_utf8_lossy(&k).into_owned());
        let (page, ms) = view.map_or(("deleted".into(), None), |v| (v.page, v.ms));
        let sum: &mut (u64, u64, u64, u64) = all.entry((key, tenant.unwrap_or("none").into(), page)).or_default();
        *sum = (
            sum.0 + 1,
            sum.1 + u64::from(ms.unwrap_or(0)),
            sum.2 + *offset,
            sum.3 + time as u64,
        );
        *offset += 1;
    }
    all
}

fn answers<K: rufous_core::Key + Ord, V: Codec + rufous::Semigroup>(
    state: &State,
    plan: &rufous_core::Plan,
    _: Store<K, V>,
) -> Result<BTreeMap<K, V>> {
    let rows = state.answers(plan)?.into_iter();
    rows.map(|(k, v)| {
        let key = rufous_core::key::decode_all::<K>(&k).map_err(|e| anyhow!("{e}"))?;
        Ok((key, V::decode(&v).map_err(|e| anyhow!("{e}"))?))
    })
    .collect()
}

fn over_kafka(format: &str) -> Result<()> {
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("views");
    broker.create_topic(&topic, 2, &[])?;
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", broker.addr())
        .set("enable.idempotence", "true")
        .create()?;
    for i in 0..RECORDS {
        let (partition, time, key, tenant, view) = sent(i);
        let value = view.map(|v| written(if format == "jsonl" { format } else { "csv" }, &v));
        let mut record: BaseRecord<'_, [u8], str> = BaseRecord::to(&topic).partition(partition).timestamp(time);
        let mut headers = OwnedHeaders::new().insert(Header {
            key: "trace",
            value: Some("x"),
        });
        if tenant.is_some() {
            headers = headers.insert(Header {
                key: "tenant",
                value: tenant,
            });
        }
        record = record.headers(headers);
        (record.key, record.payload) = (key.as_deref(), value.as_deref());
        producer.send(record).map_err(|(e, _)| e)?;
    }
    producer.flush(Duration::from_secs(30))?;

    let format: Format = format.parse()?;
    let plan = views().plan()?;
    let expected = oracle();
    let log = || run::kafka(broker, &topic, format);
    let dir = tempfile::tempdir()?;
    let archive = run::archive(&plan, log()?, &dir.path().join("archive"))?;
    let live = State::memory(&plan);
    live.stream(&plan, run::GoesBack::over(log()?, 5))?;
    assert_eq!(answers(&live, &plan, SEEN)?, expected, "live");
    for hour in 1_001..1_006 {
        let hybrid = State {
            realtime: live.realtime.clone(),
            ..State::memory(&plan)
        };
        hybrid.manifests.publish(&live.manifests.get(0)?.context("genesis")?)?;
        let report = hybrid.batch(&plan, archive.clone(), format, true, Some(BatchId(hour)))?;
        assert!(report.published && report.records > 0, "hour {hour}");
        assert_eq!(answers(&hybrid, &plan, SEEN)?, expected, "handed over at hour {hour}");
    }
    Ok(())
}

/// Keys, headers, log times, offsets and tombstones beside JSON, live and out of the archive.
#[test]
fn messages_of_json() -> Result<()> {
    over_kafka("jsonl")
}

/// The same beside rows of columns whose texts have quotes and line ends.
#[test]
fn messages_of_csv() -> Result<()> {
    over_kafka("csv(ms,,page)")
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Hit {
    user: u64,
    page: String,
    at: Timestamp,
}

const HITS: Source<Hit> = Source::new("hits").timed_by(|h| h.at);
const PAGES: Store<(String, u64), u64> = Store::new("pages");

fn hits() -> Job {
    let hits = HITS.read().keyed(|h, out| out.emit((h.page.as_str(), h.user), 1));
    Job::new("hits", hits.sum_by_key(PAGES))
}

/// Files whose columns differ: the header line of each goes with its records into the archive, so a later job reads them
/// alike; a stream that is stopped and goes on in the middle of a file does so, too.
#[test]
fn files_with_header_lines() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    std::fs::create_dir(&input)?;
    let (mut a, mut b) = (String::from("user,page,at\n"), String::from("at,skipped,page,user\r\n"));
    let mut expected = BTreeMap::new();
    for i in 0..3_000_i64 {
        let (user, page, at) = (i % 17, format!("/{},{}", i % 5, i % 2), (1_000 + i / 500) * HOUR + i);
        *expected.entry((page.clone(), user as u64)).or_insert(0_u64) += 1;
        match i % 2 {
            0 => a.push_str(&format!("{user},\"{page}\",{at}\n")),
            _ => b.push_str(&format!("{at},\"\",\"{page}\",{user}\r\n")),
        }
    }
    std::fs::write(input.join("a.csv"), a)?;
    std::fs::write(input.join("b.csv"), b)?;
    let format: Format = "csv-header".parse()?;
    let plan = hits().plan()?;
    let log = || run::local(&input, &registry, format);
    let live = State::memory(&plan);
    live.stream_until(&plan, log()?, Some(1))?;
    live.stream(&plan, log()?)?;
    assert_eq!(answers(&live, &plan, PAGES)?, expected, "live");
    let archive = run::archive(&plan, log()?, &dir.path().join("archive"))?;
    for hour in [1_001, 1_003, 1_005] {
        let hybrid = State {
            realtime: live.realtime.clone(),
            ..State::memory(&plan)
        };
        hybrid.manifests.publish(&live.manifests.get(0)?.context("genesis")?)?;
        let report = hybrid.batch(&plan, archive.clone(), format, false, Some(BatchId(hour)))?;
        assert!(report.published && report.records > 0, "hour {hour}");
        assert_eq!(answers(&hybrid, &plan, PAGES)?, expected, "handed over at hour {hour}");
    }
    Ok(())
}

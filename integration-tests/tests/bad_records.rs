//! Rows 15 and 16 through the real thing: bad records and panics in stream and bulk alike, dead letters in a real topic and in
//! a file, a topic of dead letters that is away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rufous::core::{Plan, record::RecordError};
use rufous::prelude::*;
use rufous_core::{Field, FieldType, Format, Row};
use rufous_integration_tests::data;
use rufous_integration_tests::kafka::{Broker, shared, unique_name};
use rufous_integration_tests::run::{self, Bytes, State};
use rufous_platform_kafka::{KafkaDeadLetters, KafkaLog, KafkaOptions};
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput};
use rufous_realtime::{BoundLog, Log, Metrics, OnBadRecord, Stream, StreamOptions, StreamReport};

const SOON: Duration = Duration::from_secs(60);
const LINES: Source<str> = Source::new("lines").batches(rufous_core::Batcher::of_offsets(500));
const COUNTS: Store<String, u64> = Store::new("counts");

/// Counts words; panics at the word `poison`.
fn words(source: Source<str>) -> Job {
    let words = source.read().keyed(|line, out| {
        for word in line.split(' ') {
            assert!(word != "poison", "will not count {line}");
            out.emit(word, 1);
        }
    });
    Job::new("words", words.sum_by_key(COUNTS))
}

fn stream(plan: &Plan, state: &State, log: BoundLog, policy: OnBadRecord) -> Result<StreamReport> {
    let stream = Stream {
        plan,
        logs: vec![log],
        store: state.realtime.clone(),
        manifests: &*state.manifests,
        generations: None,
        metrics: Arc::new(Metrics::default()),
        options: StreamOptions {
            until_end: true,
            commit_interval: state.commit_interval,
            on_bad_record: policy,
            ..StreamOptions::default()
        },
    };
    Ok(stream.run()?)
}

fn bulk(plan: &Plan, state: &State, input: BulkInput, skip_bad: bool, threads: usize) -> Result<BatchReport> {
    let run = BatchRun {
        plan,
        inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), input)]),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            threads,
            skip_bad,
            ..BatchOptions::default()
        },
    };
    Ok(run.run()?)
}

/// Lines of which some are no UTF-8 and some make the job panic.
fn lines() -> Vec<Vec<u8>> {
    (0..600_u32)
        .map(|i| match i % 41 {
            7 => format!("poison {i}").into_bytes(),
            19 => vec![b'x', 0xff, b'0' + (i % 10) as u8],
            k => format!("k{k} all").into_bytes(),
        })
        .collect()
}

fn is_bad(line: &[u8]) -> bool {
    line.starts_with(b"poison") || std::str::from_utf8(line).is_err()
}

fn count(lines: &[Vec<u8>]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in lines.iter().filter(|l| !is_bad(l)) {
        for word in std::str::from_utf8(line).unwrap().split(' ') {
            *counts.entry(word.to_string()).or_default() += 1;
        }
    }
    counts
}

fn counts(plan: &Plan, answers: Bytes) -> Result<BTreeMap<String, u64>> {
    let face = plan.stores()[0];
    answers
        .into_iter()
        .map(|(key, value)| {
            let n = face.value.json(&value)?.as_u64().unwrap_or_default();
            Ok((face.key.text(&key)?, n))
        })
        .collect()
}

/// Rows 15, 16, P1: skipping in the stream and in bulk gives one answer, however the input is cut into pieces and threads.
#[test]
fn both_layers_leave_out_the_same_records() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("in");
    std::fs::create_dir_all(&input)?;
    let lines = lines();
    for (n, part) in lines.chunks(200).enumerate() {
        let mut bytes = part.join(&b'\n');
        bytes.push(b'\n');
        std::fs::write(input.join(format!("{n}.txt")), bytes)?;
    }
    let plan = words(LINES).plan()?;
    let open = || run::local(&input, &dir.path().join("registry"), Format::Text);
    let archive = run::archive(&plan, open()?, &dir.path().join("archive"))?;
    let bad = lines.iter().filter(|l| is_bad(l)).count() as u64;
    for threads in [1, 3] {
        let state = State::memory(&plan);
        let report = stream(&plan, &state, BoundLog::new("lines", open()?), OnBadRecord::Skip)?;
        ensure!(report.bad == bad, "{} of {bad}", report.bad);
        ensure!(counts(&plan, state.answers(&plan)?)? == count(&lines), "live");
        let input = || BulkInput::Archive {
            archive: archive.clone(),
            format: Format::Text,
            cut_spec: plan.sources()[0].cut_spec(false).text(),
        };
        let e = bulk(&plan, &state, input(), false, threads).unwrap_err().to_string();
        ensure!(
            e.contains("source `lines`, partition ") && e.contains("archive file"),
            "{e}"
        );
        let report = bulk(&plan, &state, input(), true, threads)?;
        ensure!(report.published && report.bad > bad / 2, "{report:?}");
        ensure!(
            counts(&plan, state.answers(&plan)?)? == count(&lines),
            "both layers, {threads} threads"
        );
    }
    Ok(())
}

#[derive(Clone)]
struct Flight {
    origin: Text,
}

impl rufous::core::Record for Flight {
    const FIELDS: &'static [Field] = &[Field {
        name: "origin",
        ty: FieldType::Text,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        let origin: Text = row.get(0)?;
        assert!(origin != "LAX", "no field for LAX");
        Ok(Self { origin })
    }
}

const FLIGHTS: Source<Flight> = Source::new("flights");

fn flights(refuse: bool) -> Job {
    let keyed = FLIGHTS.read().keyed(move |f, out| {
        assert!(!refuse || f.origin != "ATL", "not from Atlanta");
        out.emit(f.origin.as_str(), 1);
    });
    Job::new("flights", keyed.sum_by_key(COUNTS))
}

/// Row 16 over Parquet columns: a conversion and a step that panic; row by row and value by value.
#[test]
fn columns_may_panic() -> Result<()> {
    let mut files: Vec<_> = std::fs::read_dir(data::sample(""))?
        .map(|e| Ok(e?.path()))
        .collect::<Result<_>>()?;
    files.retain(|f: &std::path::PathBuf| f.extension().is_some_and(|e| e == "parquet"));
    ensure!(!files.is_empty(), "no sample");
    let run = |job: Job, rules: &rufous::core::Rules| -> Result<_> {
        let plan = job.plan_with(rules)?;
        let state = State::memory(&plan);
        let report = bulk(&plan, &state, BulkInput::parquet(files.clone()), true, 2)?;
        Ok((counts(&plan, state.answers(&plan)?)?, report))
    };
    let (all, report) = run(flights(false), &rufous::core::Rules::none())?;
    ensure!(!all.contains_key("LAX") && report.bad > 0);
    let (without_lax, atlanta) = (report.bad, all["ATL"]);
    let mut expected = all;
    expected.remove("ATL");
    for rules in [rufous::core::Rules::none(), rufous::core::Rules::all()] {
        let (found, report) = run(flights(true), &rules)?;
        ensure!(found == expected);
        ensure!(
            report.bad == without_lax + atlanta,
            "{} of {without_lax} + {atlanta}",
            report.bad
        );
    }
    Ok(())
}

fn options() -> KafkaOptions {
    KafkaOptions::new(Format::Text)
}

fn bound(from: &Broker, topic: &str, to: &Broker, letters: &str) -> Result<BoundLog> {
    let log: Box<dyn Log> = Box::new(KafkaLog::open(from.addr(), topic, options())?);
    Ok(BoundLog {
        dead_letters: Some(Box::new(KafkaDeadLetters::open(to.addr(), letters, options())?)),
        ..BoundLog::new("lines", log)
    })
}

/// A letter as it lies in the topic: headers, key, payload.
type Found = (BTreeMap<String, String>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Everything in a topic of one partition.
fn read(broker: &Broker, topic: &str, n: usize) -> Result<Vec<Found>> {
    let mut config = broker.client();
    config
        .set("group.id", unique_name("reader"))
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning)?;
    consumer.assign(&list)?;
    let (mut found, start) = (Vec::new(), Instant::now());
    loop {
        let end = consumer.fetch_watermarks(topic, 0, SOON)?.1 as usize;
        if found.len() >= n.max(end) {
            return Ok(found);
        }
        ensure!(start.elapsed() < SOON, "{} letters of {n}", found.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message?;
            let headers = message.headers().into_iter().flat_map(|h| h.iter()).map(|h| {
                let value = h.value.map(|v| String::from_utf8_lossy(v).into_owned());
                (h.key.to_string(), value.unwrap_or_default())
            });
            found.push((
                headers.collect(),
                message.key().map(<[u8]>::to_vec),
                message.payload().map(<[u8]>::to_vec),
            ));
        }
    }
}

/// Row 15: letters in a real topic carry place, reason, headers, key and payload; one that the topic does not take goes
/// without its payload and says so; the partition is not blocked, and good records count.
#[test]
fn letters_lie_in_a_topic() -> Result<()> {
    const LOGGED: Source<str> = Source::new("lines");
    let broker = shared()?;
    let (topic, letters) = (unique_name("bad"), unique_name("letters"));
    broker.create_topic(&topic, 1, &[("max.message.bytes", "12000000")])?;
    broker.create_topic(&letters, 1, &[("max.message.bytes", "100000")])?;
    let big = [vec![0xff; 1], vec![b'z'; 10_000_000]].concat();
    let mut config = broker.client();
    config
        .set("message.max.bytes", "20000000")
        .set("enable.idempotence", "true");
    let producer: BaseProducer = config.create()?;
    let values: [Option<&[u8]>; 8] = [
        Some(b"a b"),
        Some(b"\xff"),
        None,
        Some(b"poison x"),
        Some(&big),
        Some(b""),
        Some(b"a"),
        Some(b"[[[["),
    ];
    for value in values {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic)
            .partition(0)
            .timestamp(77)
            .key(b"k\xfe");
        record = record.headers(OwnedHeaders::new().insert(Header {
            key: "trace",
            value: Some("t1"),
        }));
        record.payload = value;
        producer.send(record).map_err(|(e, _)| e)?;
    }
    producer.flush(SOON)?;
    let plan = words(LOGGED).plan()?;
    let state = State::memory(&plan);
    let report = stream(
        &plan,
        &state,
        bound(broker, &topic, broker, &letters)?,
        OnBadRecord::DeadLetter,
    )?;
    ensure!((report.bad, report.dead_letters) == (4, 4), "{report:?}");
    let expected = [("", 1), ("[[[[", 1), ("a", 2), ("b", 1)].map(|(k, n)| (k.to_string(), n));
    ensure!(counts(&plan, state.answers(&plan)?)? == expected.into());
    let found = read(broker, &letters, 4)?;
    ensure!(found.len() == 4, "{}", found.len());
    let by_offset: BTreeMap<&str, &Found> = found.iter().map(|l| (l.0["rufous-offset"].as_str(), l)).collect();
    for (offset, reason, payload) in [
        ("1", "not UTF-8 at byte 0", Some(&b"\xff"[..])),
        ("2", "no value", None),
        (
            "3",
            "the job's function panicked: will not count poison x",
            Some(b"poison x"),
        ),
        ("4", "not UTF-8 at byte 0", None),
    ] {
        let (headers, key, value) = by_offset[offset];
        ensure!(
            headers["rufous-source"] == "lines" && headers["rufous-partition"] == "0",
            "{headers:?}"
        );
        ensure!(headers["rufous-reason"].contains(reason), "{headers:?}");
        ensure!(
            headers["rufous-time-ms"] == "77" && headers["trace"] == "t1",
            "{headers:?}"
        );
        ensure!(value.as_deref() == payload, "{offset}: {value:?}");
        let left_out = headers.get("rufous-left-out");
        if offset == "4" {
            ensure!(
                left_out.map(String::as_str) == Some("10000003") && key.is_none(),
                "{headers:?}"
            );
        } else {
            ensure!(left_out.is_none() && key.as_deref() == Some(b"k\xfe"), "{headers:?}");
        }
    }
    let e = KafkaDeadLetters::open(broker.addr(), &unique_name("none"), options())
        .err()
        .map(|e| e.to_string());
    ensure!(
        e.as_ref().is_some_and(|e| e.contains("no such topic for dead letters")),
        "{e:?}"
    );
    Ok(())
}

/// Letters' broker is killed: reading waits, nothing is passed; it comes back and every letter is there.
#[test]
fn letters_wait_for_their_broker() -> Result<()> {
    const LOGGED: Source<str> = Source::new("lines");
    let (from, to) = (shared()?, Broker::start()?);
    let (topic, letters) = (unique_name("bad"), unique_name("letters"));
    from.create_topic(&topic, 1, &[])?;
    to.create_topic(&letters, 1, &[])?;
    from.produce(
        &topic,
        0,
        (0..100).map(|i| (1, "", if i % 2 == 0 { "a".into() } else { format!("poison {i}") })),
    )?;
    let plan = words(LOGGED).plan()?;
    let state = State::memory(&plan);
    let log = bound(from, &topic, &to, &letters)?;
    to.kill9()?;
    let done = AtomicBool::new(false);
    let report = std::thread::scope(|s| -> Result<StreamReport> {
        let running = s.spawn(|| {
            let report = stream(&plan, &state, log, OnBadRecord::DeadLetter);
            done.store(true, Relaxed);
            report
        });
        // Long enough for a flush to give up; the assertion holds at every moment until the broker is back.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(7) && !done.load(Relaxed) {
            ensure!(
                state.answers(&plan).map_or(0, |a| a.len()) == 0,
                "committed past a letter"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        ensure!(!done.load(Relaxed), "it did not wait");
        to.restart()?;
        running.join().expect("no panic")
    })?;
    ensure!(report.dead_letters == 50, "{report:?}");
    ensure!(counts(&plan, state.answers(&plan)?)? == [("a".to_string(), 50)].into());
    let offsets: BTreeSet<String> = read(&to, &letters, 50)?
        .into_iter()
        .map(|l| l.0["rufous-offset"].clone())
        .collect();
    ensure!(offsets == (0..100).filter(|i| i % 2 == 1).map(|i| i.to_string()).collect());
    Ok(())
}

const GOOD: &str = r#"{"date":"2001-01-01T00:05:00","delay":3,"distance":10,"origin":"ATL","destination":"LAX"}"#;

fn job(dir: &Path, args: &[&str]) -> Result<(bool, String, String)> {
    let out = Command::new(env!("CARGO_BIN_EXE_job-flights"))
        .args(args)
        .current_dir(dir)
        .env("RUFOUS_LOG", "warn")
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((out.status.success(), text(&out.stdout), text(&out.stderr)))
}

/// The command line: flag and settings, a file of letters, and the same records left out in bulk.
#[test]
fn the_command_line_sends_letters_to_a_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path();
    std::fs::write(path.join("in.jsonl"), format!("{GOOD}\nno json\n{GOOD}\n[[[[\n"))?;
    let stream = ["stream", "--until-end", "--source", "flights=file:in.jsonl"];
    let with = |more: &[&'static str]| [&stream[..], more].concat();
    let (good, _, err) = job(path, &with(&["--on-bad-record", "dead-letter"]))?;
    ensure!(!good && err.contains("--dead-letters flights=kafka://"), "{err}");
    let (good, _, err) = job(path, &with(&["--dead-letters", "fights=file:x"]))?;
    ensure!(!good && err.contains("has no source `fights`"), "{err}");
    let flags = [
        "--on-bad-record",
        "dead-letter",
        "--dead-letters",
        "flights=file:letters.jsonl",
    ];
    let (good, out, err) = job(path, &with(&flags))?;
    ensure!(
        good && out.contains("2 bad records sent to the dead letters"),
        "{out}{err}"
    );
    let letters = std::fs::read_to_string(path.join("letters.jsonl"))?;
    let letters: Vec<serde_json::Value> = letters.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let offsets: Vec<_> = letters.iter().map(|l| l["offset"].as_u64()).collect();
    let first = GOOD.len() as u64 + 1;
    ensure!(offsets == [Some(first), Some(2 * first + 8)], "{letters:?}");
    ensure!(letters[0]["payload"]["text"] == "no json", "{letters:?}");
    // By settings, in bulk too.
    std::fs::write(
        path.join("rufous.toml"),
        "[sources.flights]\non_bad_record = 'dead-letter'\ndead_letters = 'file:letters.jsonl'\n",
    )?;
    let (good, out, err) = job(path, &["batch"])?;
    ensure!(good, "{out}{err}");
    let (good, out, err) = job(path, &["get", "ATL,2001-01-01", "--json"])?;
    ensure!(good && out.contains("ATL"), "{out}{err}");
    Ok(())
}

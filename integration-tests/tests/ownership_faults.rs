//! What a broker can do to a running job: die, hang, truncate its log. The job stays up, queries go on, and the answer is the
//! plain fold of the log, byte for byte.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rufous::core::Format;
use rufous::prelude::*;
use rufous::realtime::{BoundLog, Metrics, Stream, StreamOptions};
use rufous_integration_tests::kafka::job::{Live, SOON_DEAD, Words};
use rufous_integration_tests::kafka::{self, Broker};
use rufous_integration_tests::run::{Bytes, GoesBack, State};
use rufous_platform_kafka::{KafkaLog, KafkaOptions, Ownership};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const PATIENCE: Duration = Duration::from_secs(60);

/// Row 3: SIGKILL and restart, twice; the same process reads on.
#[test]
fn row_3_the_broker_is_killed() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(1_000)?;
    let mut a = Live::new(PROGRAM, &broker, words.topic(), &SOON_DEAD)?;
    a.start()?;
    a.comes_to("before", &words.expected())?;
    let id = a.id()?;
    for n in 0..2 {
        broker.kill9()?;
        ensure!(a.answers()? == words.expected(), "queries are answered meanwhile");
        broker.restart()?;
        words.write(1_000)?;
        a.comes_to(&format!("after restart {n}"), &words.expected())?;
    }
    ensure!(a.id()? == id && a.is_running()?, "it is the same process");
    Ok(())
}

/// Row 4: the broker hangs for 20 s, longer than the session. No busy loop, queries go on, then all is read.
#[test]
fn row_4_the_broker_hangs() -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(1_000)?;
    let mut a = Live::new(PROGRAM, &broker, words.topic(), &SOON_DEAD)?;
    a.start()?;
    a.comes_to("before", &words.expected())?;
    let before = cpu_ticks(a.id()?)?;
    broker.pause()?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        ensure!(a.answers()? == words.expected(), "queries are answered meanwhile");
        // The pace of the questions: each one costs the process something.
        std::thread::sleep(Duration::from_millis(500));
    }
    let spent = cpu_ticks(a.id()?)? - before;
    broker.resume()?;
    // A tick is 10 ms: a busy loop would have taken 2,000 of them, on a loaded machine some hundred.
    ensure!(spent < 200, "{spent} ticks of CPU while nothing was to do");
    words.write(1_000)?;
    a.comes_to("after it", &words.expected())?;
    ensure!(a.is_running()?, "{}", a.log());
    Ok(())
}

/// User and system time of a process, in ticks of 10 ms.
fn cpu_ticks(id: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .context("a stat line")?
        .split_whitespace()
        .collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// P42: the log loses its last records (as in an unclean election) and others take their offsets. The shard is rebuilt from
/// the log as it is now, and the range is shown.
#[test]
fn p42_a_truncated_log_is_rebuilt_and_shown() -> Result<()> {
    for running in [true, false] {
        let broker = Broker::start()?;
        let mut words = Words::new(&broker, 1)?;
        words.write(100)?;
        let mut a = Live::new(PROGRAM, &broker, words.topic(), &SOON_DEAD)?;
        a.start()?;
        a.comes_to("before the last batch", &words.expected())?;
        let log = broker.segments(words.topic(), 0).join("00000000000000000000.log");
        let kept = std::fs::metadata(&log)?.len();
        let kept_words = words.expected();
        broker.produce(words.topic(), 0, (0..50).map(|_| (1_000, "", "gone")))?;
        let mut with_gone = kept_words.clone();
        with_gone.insert(rufous::core::key::to_bytes("gone"), 50_u64.to_bytes());
        a.comes_to("with what will be gone", &with_gone)?;
        if !running {
            a.stop()?;
        }
        broker.kill9()?;
        std::fs::OpenOptions::new().write(true).open(&log)?.set_len(kept)?;
        broker.restart()?;
        // More than was lost: by its end alone the log looks sound.
        words.write(200)?;
        if !running {
            a.start()?;
        }
        a.is_refused(
            "the lost range is named",
            &["offsets 100..150 of partition 0 of `lines`"],
        )?;
        let start = Instant::now();
        let all: u64 = 300;
        loop {
            let out = a.command(&["top", "-n", "1000", "--json", "--accept-holes"]).output()?;
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let sum: u64 = text.lines().filter_map(count).sum();
            if sum == all && !text.contains("gone") {
                break;
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "running {running}: {sum} of {all}: {text}\n{}",
                a.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(a.log().contains("truncated"), "{}", a.log());
    }
    Ok(())
}

/// Row 18: retention passes the stored offset. What a generation covers is no hole (P33); what nobody has is one, and is
/// named (P34).
#[test]
fn row_18_retention_passes_the_stored_offset() -> Result<()> {
    const HOUR: i64 = 3_600_000;
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("retention");
    broker.create_topic(&topic, 1, &[])?;
    let a = Live::new(PROGRAM, broker, &topic, &[])?;
    let run = |args: &[&str]| -> Result<()> {
        let out = a.command(args).output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {said}");
        Ok(())
    };
    let write = |hours: std::ops::Range<i64>| -> Result<()> {
        for h in hours {
            let word = char::from(b'a' + h as u8).to_string();
            broker.produce(&topic, 0, (0..100).map(|_| ((h + 1) * HOUR, "", word.as_str())))?;
        }
        Ok(())
    };
    let stream = ["stream", "--until-end", "--no-archive"];
    let all = |words: &str| -> Bytes {
        let pair = |w: char| (rufous::core::key::to_bytes(w.to_string().as_str()), 100_u64.to_bytes());
        words.chars().map(pair).collect()
    };
    write(0..1)?;
    run(&stream)?;
    write(1..3)?;
    run(&["archive", "--until-end"])?;
    // The first two hours are sealed: covered up to offset 200. The stream stands at 100.
    run(&["batch"])?;
    broker.delete_records(&topic, 0, 150)?;
    run(&stream)?;
    ensure!(a.answers()? == all("abc"), "P33: {:?}", a.answers());
    write(3..5)?;
    broker.delete_records(&topic, 0, 450)?;
    run(&stream)?;
    a.is_refused("P34", &["offsets 300..450 of partition 0 of `lines`"])
}

/// The value in a line of `top --json`.
fn count(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line)
        .ok()?
        .get("value")?
        .as_u64()
}

const LINES: Source<str> = Source::new("lines").batches(Batcher::of_hours(1));
const COUNTS: Store<String, u64> = Store::new("counts");

/// Runs a job in this process until its answer is `expected` and its lag is 0.
fn run_to(job: Job, log: Box<dyn rufous::realtime::Log>, expected: &Bytes) -> Result<Arc<Metrics>> {
    let plan = job.plan()?;
    let state = State::memory(&plan);
    let metrics = Arc::new(Metrics::default());
    let options = StreamOptions {
        commit_interval: Duration::from_millis(20),
        ..StreamOptions::default()
    };
    let stop = options.stop.clone();
    let stream = Stream {
        plan: &plan,
        logs: vec![BoundLog::new("lines", log)],
        store: state.realtime.clone(),
        manifests: &*state.manifests,
        generations: None,
        metrics: metrics.clone(),
        options,
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(move || stream.run());
        let start = Instant::now();
        let outcome = loop {
            let got = state.answers(&plan);
            if got.as_ref().is_ok_and(|got| got == expected) && metrics.lag.load(Relaxed) == 0 {
                break Ok(());
            }
            if running.is_finished() || start.elapsed() > PATIENCE {
                let n = got.map(|g| g.len());
                break Err(anyhow::anyhow!(
                    "{n:?} keys of {}, lag {}",
                    expected.len(),
                    metrics.lag.load(Relaxed)
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        stop.store(true, Relaxed);
        let ended = running.join().expect("no panic");
        outcome?;
        ended?;
        Ok(metrics)
    })
}

fn counts() -> Job {
    Job::new(
        "words",
        LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS),
    )
}

fn in_group(topic: &str, properties: &[(&str, &str)]) -> KafkaOptions {
    let pair = |(n, v): &(&str, &str)| (n.to_string(), v.to_string());
    KafkaOptions {
        group: topic.to_string(),
        ownership: Ownership::Group {
            member: Some(topic.to_string()),
        },
        properties: properties.iter().map(pair).collect(),
        ..KafkaOptions::new(Format::Text)
    }
}

/// Row 7: the log hands out records a second time; only positions of the job's own make them count once.
#[test]
fn row_7_records_that_come_again_count_once() -> Result<()> {
    let broker = kafka::shared()?;
    let mut words = Words::new(broker, 3)?;
    words.write(3_000)?;
    let log = KafkaLog::open(broker.addr(), words.topic(), KafkaOptions::new(Format::Text))?;
    run_to(counts(), GoesBack::over(Box::new(log), 7), &words.expected())?;
    Ok(())
}

/// Row 17: a closure stalls the poll beyond `max.poll.interval.ms`; the group throws the member out, it joins again.
#[test]
fn row_17_a_stalled_poll_joins_again() -> Result<()> {
    let broker = kafka::shared()?;
    let mut words = Words::new(broker, 2)?;
    words.write(2_000)?;
    let options = in_group(
        words.topic(),
        &[("session.timeout.ms", "4000"), ("max.poll.interval.ms", "4000")],
    );
    let log = KafkaLog::open(broker.addr(), words.topic(), options)?;
    let stalled = std::sync::atomic::AtomicBool::new(false);
    let stall = Job::new(
        "words",
        LINES
            .read()
            .keyed(move |line, out| {
                if !stalled.swap(true, Relaxed) {
                    // The fault itself: longer than a member may be silent.
                    std::thread::sleep(Duration::from_secs(7));
                }
                out.emit(line, 1);
            })
            .sum_by_key(COUNTS),
    );
    run_to(stall, Box::new(log), &words.expected())?;
    Ok(())
}

/// Row 20: the last things in the log are aborted records and control records; the lag comes to 0.
#[test]
fn row_20_aborted_transactions_at_the_tail() -> Result<()> {
    let broker = kafka::shared()?;
    let mut words = Words::new(broker, 1)?;
    words.write(100)?;
    let mut config = broker.client();
    config.set("transactional.id", words.topic());
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = config.create()?;
    producer.init_transactions(PATIENCE)?;
    for commit in [true, false, false] {
        producer.begin_transaction()?;
        for _ in 0..10 {
            let record = BaseRecord::<(), str>::to(words.topic())
                .partition(0)
                .timestamp(1_000)
                .payload("tx");
            producer.send(record).map_err(|(e, _)| e)?;
        }
        producer.flush(PATIENCE)?;
        if commit {
            producer.commit_transaction(PATIENCE)?;
        } else {
            producer.abort_transaction(PATIENCE)?;
        }
    }
    let mut expected = words.expected();
    expected.insert(rufous::core::key::to_bytes("tx"), 10_u64.to_bytes());
    let log = KafkaLog::open(broker.addr(), words.topic(), in_group(words.topic(), &[]))?;
    run_to(counts(), Box::new(log), &expected)?;
    Ok(())
}

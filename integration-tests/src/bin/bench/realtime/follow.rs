//! What a follower of the log shows: how soon a record is visible, and how soon after a kill.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rufous_examples::word_count::COUNTS;

use super::generate::{Law, Ranks, spell};
use super::rufous::{Running, write_totals};

const COMMIT: Duration = Duration::from_secs(1);

/// `BROKERS TOPIC STATE_DIR WORD COUNT TOTALS_FILE`: follows the topic, prints `read N` as it goes, and `fresh seconds=S` since
/// the start of the process when the client answers COUNT for WORD; then stops and writes the totals.
pub(super) fn restarted(args: &[String]) -> Result<()> {
    let start = Instant::now();
    let [brokers, topic, state, word, count, totals] = args else {
        bail!("usage: subject follow BROKERS TOPIC STATE_DIR WORD COUNT TOTALS_FILE");
    };
    let count: u64 = count.parse()?;
    let running = Running::start((brokers, topic, "text"), COMMIT, Path::new(state), false)?;
    let client = running.state.client(&running.plan).store(COUNTS)?;
    let mut told = Instant::now();
    loop {
        ensure!(!running.is_finished(), "the stream ended: {:?}", running.wait().err());
        // Before the job's first manifest there is nothing to ask.
        if client.get(word.as_str()).ok().and_then(|a| a.value) == Some(count) {
            println!("fresh seconds={}", start.elapsed().as_secs_f64());
            break;
        }
        if told.elapsed() > Duration::from_millis(20) {
            println!("read {}", running.records());
            told = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let (plan, state) = running.stop()?;
    write_totals(&plan, &state, Path::new(totals))
}

/// `BROKERS TOPIC STATE_DIR RATE SECONDS`: follows the topic while it produces RATE records a second into it; each 5 ms one of
/// them is a probe. Prints how long probes took from `send` to the client's answer, in milliseconds.
pub(super) fn latency(args: &[String]) -> Result<()> {
    let [brokers, topic, state, rate, seconds] = args else {
        bail!("usage: subject latency BROKERS TOPIC STATE_DIR RATE SECONDS");
    };
    let (rate, seconds): (f64, u64) = (rate.parse()?, seconds.parse()?);
    let running = Running::start((brokers, topic, "text"), COMMIT, Path::new(state), false)?;
    let client = running.state.client(&running.plan).store(COUNTS)?;
    let (sent, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000, 3)?;
    let start = Instant::now();
    let produced = std::thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let produced = produce(brokers, topic, rate, Duration::from_secs(seconds), &sent);
            over.store(true, Relaxed);
            produced
        });
        let mut seen = 0;
        let mut stop_at = None;
        loop {
            ensure!(!running.is_finished(), "the stream ended");
            let count = client.get("probe").ok().and_then(|a| a.value).unwrap_or(0) as usize;
            let now = Instant::now();
            let all = {
                let sent = sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for at in sent.get(seen..count).unwrap_or_default() {
                    histogram.record(now.duration_since(*at).as_millis() as u64)?;
                }
                sent.len()
            };
            seen = seen.max(count);
            if over.load(Relaxed) {
                if seen >= all {
                    break;
                }
                let stop_at = stop_at.get_or_insert_with(|| now + Duration::from_secs(60));
                ensure!(
                    now < *stop_at,
                    "{seen} of {all} probes are visible a minute after the last"
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        match producing.join() {
            Ok(produced) => produced,
            Err(_) => bail!("the producer panicked"),
        }
    })?;
    let (read, took) = (running.metrics.clone(), start.elapsed().as_secs_f64());
    running.stop()?;
    ensure!(
        read.records.load(Relaxed) == produced,
        "not all that was produced was read"
    );
    // How many commits took up to so many seconds.
    let (buckets, sum) = read.commit_seconds.read();
    let commits: Vec<_> = buckets
        .into_iter()
        .filter(|b| b.1 > 0)
        .map(|(s, n)| format!("{n}<={s}s"))
        .collect();
    let commits = format!("{}(together:{sum:.1}s)", commits.join(","));
    println!(
        "latency probes={} p50={} p90={} p99={} max={} produced={produced} took={took:.1} commits={commits}",
        histogram.len(),
        histogram.value_at_quantile(0.5),
        histogram.value_at_quantile(0.9),
        histogram.value_at_quantile(0.99),
        histogram.max()
    );
    Ok(())
}

/// Produces at a steady rate; probes go to partition 0, so that they become visible in order.
fn produce(brokers: &str, topic: &str, rate: f64, time: Duration, sent: &Mutex<Vec<Instant>>) -> Result<u64> {
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", brokers),
        ("enable.idempotence", "true"),
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "100000"),
        ("queue.buffering.max.messages", "1000000"),
    ] {
        config.set(key, value);
    }
    let producer: BaseProducer = config.create()?;
    let mut ranks = Ranks::new(Law::Zipf { keys: 100_000, s: 1.05 }, 3);
    let (start, mut n, mut probe_at, mut word) = (Instant::now(), 0_u64, Duration::ZERO, Vec::new());
    let send = |partition: i32, word: &[u8]| -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(word);
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    producer.poll(Duration::from_millis(1));
                    record = again;
                }
                Err((e, _)) => return Err(e).context("cannot produce"),
            }
        }
    };
    while start.elapsed() < time {
        let now = start.elapsed();
        if now >= probe_at {
            let at = Instant::now();
            send(0, b"probe")?;
            sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(at);
            probe_at = now + Duration::from_millis(5);
            n += 1;
        }
        let due = (now.as_secs_f64() * rate) as u64;
        let burst = due.saturating_sub(n).min(2_000);
        for _ in 0..burst {
            word.clear();
            spell(ranks.draw(), &mut word);
            send((n % 8) as i32, &word)?;
            n += 1;
        }
        producer.poll(Duration::ZERO);
        if burst == 0 {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    producer.flush(Duration::from_secs(30))?;
    Ok(n)
}

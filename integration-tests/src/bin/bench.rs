//! Benchmarks of whole jobs: `./x bench`. Each prints a rate and `exact: yes` when the answer equals the generated counts.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use rufous::core::{Format, Plan};
use rufous_examples::flights::{BY_ORIGIN_DAY, flights};
use rufous_examples::word_count::{Args, COUNTS, word_count};
use rufous_integration_tests::run::{self, Random, State};
use rufous_integration_tests::{data, kafka};
use rufous_platform_parquet::BulkInput;

fn main() -> Result<()> {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    if wanted("words-local") {
        words_local(50_000_000)?;
    }
    if wanted("words-kafka") {
        words_kafka(10_000_000)?;
    }
    if wanted("flights-parquet") {
        flights_parquet(10)?;
    }
    Ok(())
}

/// Wall and CPU seconds, and the peak of resident memory, of this process.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }
    /// Seconds of wall and CPU since the start.
    fn stop(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu)
    }
}

fn print(what: &str, unit: &str, n: u64, (wall, cpu): (f64, f64), exact: bool) {
    println!(
        "{what}: {n} {unit} in {wall:.2} s wall, {cpu:.2} s CPU: {:.2} M {unit}/s, {:.2} M {unit}/CPU-s; exact: {}; peak {} MB",
        n as f64 / wall / 1e6,
        n as f64 / cpu / 1e6,
        if exact { "yes" } else { "NO" },
        peak_mb()
    );
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// Words of a Zipf-like law over 100,000, without a table of floats: rank = 100,000 ^ u.
fn word(random: &mut Random) -> u32 {
    let u = (random.number() >> 11) as f64 / (1u64 << 53) as f64;
    100_000f64.powf(u) as u32
}

fn spell(rank: u32, out: &mut String) {
    let mut n = rank;
    out.clear();
    loop {
        out.push((b'a' + (n % 26) as u8) as char);
        n /= 26;
        if n == 0 {
            return;
        }
    }
}

/// Every count against the generated ones.
fn check(state: &State, plan: &Plan, counts: &HashMap<u32, u64>) -> Result<bool> {
    let rows = state.client(plan).store(COUNTS)?.under(())?;
    let got: HashMap<String, Option<u64>> = rows.into_iter().map(|(k, a)| (k, a.value)).collect();
    let mut text = String::new();
    Ok(got.len() == counts.len()
        && counts.iter().all(|(rank, n)| {
            spell(*rank, &mut text);
            got.get(&text) == Some(&Some(*n))
        }))
}

fn words_local(words: u64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("in");
    std::fs::create_dir(&input)?;
    let (mut random, mut counts, mut text) = (Random(1), HashMap::new(), String::new());
    let mut file = std::io::BufWriter::new(std::fs::File::create(input.join("words.txt"))?);
    for i in 0..words {
        let rank = word(&mut random);
        *counts.entry(rank).or_insert(0) += 1;
        spell(rank, &mut text);
        file.write_all(text.as_bytes())?;
        file.write_all(if i % 10 == 9 { b"\n" } else { b" " })?;
    }
    file.write_all(b"\n")?;
    file.flush()?;
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let state = State::disk_every_second(&plan, &dir.path().join("state"))?;
    let clock = Clock::start();
    state.stream(&plan, run::local(&input, &dir.path().join("registry"), Format::Text)?)?;
    let time = clock.stop();
    print(
        "word count, live over the local log",
        "words",
        words,
        time,
        check(&state, &plan, &counts)?,
    );
    Ok(())
}

fn words_kafka(words: u64) -> Result<()> {
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("words");
    broker.create_topic(&topic, 8, &[])?;
    let (mut random, mut counts) = (Random(2), HashMap::new());
    for p in 0..8 {
        let mut text = String::new();
        let records = (0..words / 8).map(|_| {
            let rank = word(&mut random);
            *counts.entry(rank).or_insert(0) += 1;
            spell(rank, &mut text);
            (1_000, "", text.clone())
        });
        broker.produce(&topic, p, records)?;
    }
    let dir = tempfile::tempdir()?;
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let state = State::disk_every_second(&plan, dir.path())?;
    let clock = Clock::start();
    state.stream(&plan, run::kafka(broker, &topic, Format::Text)?)?;
    let time = clock.stop();
    let what = "word count, live over Kafka (one word a record, 8 partitions, lz4, commits each second)";
    print(what, "records", words, time, check(&state, &plan, &counts)?);
    Ok(())
}

fn flights_parquet(times: usize) -> Result<()> {
    let files: Vec<PathBuf> = match data::large() {
        Some(large) => (1..=2)
            .map(|n| large.join(format!("flights/flights-2001-0{n}.parquet")))
            .collect(),
        None => (1..=2)
            .map(|n| data::sample(&format!("flights-sample-{n}.parquet")))
            .collect(),
    };
    let plan = flights().plan()?;
    let once = State::memory(&plan);
    let rows = once.bulk(&plan, BulkInput::Parquet(files.clone()), None)?.records;
    let dir = tempfile::tempdir()?;
    let many = State::disk_every_second(&plan, dir.path())?;
    let inputs: Vec<PathBuf> = (0..times).flat_map(|_| files.clone()).collect();
    let clock = Clock::start();
    let report = many.bulk(&plan, BulkInput::Parquet(inputs), None)?;
    let time = clock.stop();
    let client = (
        once.client(&plan).store(BY_ORIGIN_DAY)?,
        many.client(&plan).store(BY_ORIGIN_DAY)?,
    );
    let sum = |c: &rufous::client::StoreClient<_, _>| -> Result<rufous_examples::flights::FlightStats> {
        c.sum_under(())?.value.context("flights")
    };
    let (a, b) = (sum(&client.0)?, sum(&client.1)?);
    let n = times as i64;
    let exact = b.flights == a.flights * times as u64
        && b.distance == a.distance * n
        && b.delay == a.delay * n
        && (b.delay_min, b.delay_max) == (a.delay_min, a.delay_max)
        && b.destinations == a.destinations
        && report.records == rows * times as u64;
    print(
        "flights, in bulk over Parquet (generation written and published)",
        "rows",
        report.records,
        time,
        exact,
    );
    Ok(())
}

//! The same topic read by one process and by two, into one PostgreSQL.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cpu_time::ProcessTime;
use rufous::core::Format;
use rufous::realtime::{BoundLog, Metrics, Stream, StreamOptions};
use rufous::store_api::{NamespaceOf, RealtimeReader, Until};
use rufous_examples::word_count::{Args, COUNTS, word_count};
use rufous_integration_tests::kafka::{Broker, unique_name};
use rufous_integration_tests::run::{Random, client_of};
use rufous_platform_kafka::{KafkaLog, KafkaOptions, Ownership};
use rufous_store_offline::Manifests;
use rufous_store_postgres::{PostgresOptions, PostgresRealtime};
use rufous_test_servers::postgres::Server;

use super::commits::word as spell;
use super::{Options, median};

const PARTITIONS: i32 = 4;
/// Words of a line, and different words: the work is the processes', and the cells are few.
const WORDS: u64 = 40;
const DIFFERENT: u64 = 5_000;

/// A topic of lines, and how often each word is in it.
fn fill(broker: &Broker, lines: u64) -> Result<(String, BTreeMap<String, u64>)> {
    let topic = unique_name("lines");
    broker.create_topic(&topic, PARTITIONS, &[])?;
    let (mut random, mut counts) = (Random(5), vec![0_u64; DIFFERENT as usize]);
    for partition in 0..PARTITIONS {
        let mut left = lines / PARTITIONS as u64;
        while left > 0 {
            let n = left.min(50_000);
            let lines: Vec<String> = (0..n)
                .map(|_| {
                    let mut line = String::new();
                    for i in 0..WORDS {
                        let word = random.below(DIFFERENT);
                        if let Some(count) = counts.get_mut(word as usize) {
                            *count += 1;
                        }
                        if i > 0 {
                            line.push(' ');
                        }
                        line += &spell(word as u32);
                    }
                    line
                })
                .collect();
            broker.produce(&topic, partition, lines.iter().map(|line| (1_000, "", line.as_str())))?;
            left -= n;
        }
    }
    let all = counts.into_iter().zip(0_u32..).filter(|(n, _)| *n > 0);
    Ok((topic, all.map(|(n, word)| (spell(word), n)).collect()))
}

pub(super) fn table(options: &Options) -> Result<()> {
    let broker = Broker::start()?;
    println!(
        "{} lines of {WORDS} words in {PARTITIONS} partitions, {DIFFERENT} different words",
        options.lines
    );
    let (topic, counts) = fill(&broker, options.lines)?;
    let mut took: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for run in 0..options.runs {
        for processes in [1, 2] {
            let (wall, cpu, exact) = read(&broker, &topic, processes, &counts)?;
            println!(
                "run {run}, {processes} process(es) on postgres: {wall:.2} s, {:.2} M lines/s, {cpu:.2} CPU-s of the processes; exact: {}",
                options.lines as f64 / wall / 1e6,
                if exact { "yes" } else { "NO" }
            );
            took.entry(processes).or_default().push(wall);
        }
    }
    let ratio = median(took.remove(&1).unwrap_or_default()) / median(took.remove(&2).unwrap_or_default());
    println!("two processes are {ratio:.2} x as fast as one (medians)");
    Ok(())
}

/// Seconds from the first process that reads to the end of the topic, and CPU seconds of the processes.
fn read(broker: &Broker, topic: &str, processes: usize, counts: &BTreeMap<String, u64>) -> Result<(f64, f64, bool)> {
    let server = Server::start(&[])?;
    let (url, dir) = (server.url("postgres"), tempfile::tempdir()?);
    let group = unique_name("group");
    let program = std::env::current_exe()?;
    let spawn = || -> Result<Child> {
        let mut command = Command::new(&program);
        command
            .args(["servers-subject", broker.addr(), topic, &group, &url])
            .arg(dir.path());
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    };
    let mut children: Vec<Child> = (0..processes).map(|_| spawn()).collect::<Result<_>>()?;
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let stores = plan.live_stores();
    let (job, at) = (plan.job(), url.clone());
    let open = move |namespace: &str, until: &Until| {
        let of = NamespaceOf::new(job, "main", namespace);
        let reader = PostgresRealtime::reader(&at, &PostgresOptions::default(), of, &stores, until)?;
        Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
    };
    let client = client_of(&plan, dir.path(), Arc::new(open))?;
    let all: u64 = counts.values().sum();
    let mut start = None;
    loop {
        // One word tells whether anything was read; the sum of all whether it was everything.
        let got: Result<BTreeMap<String, u64>, _> = client.store(COUNTS)?.under(()).map(|rows| {
            rows.into_iter()
                .map(|(word, answer)| (word, answer.value.unwrap_or(0)))
                .collect()
        });
        let sum: u64 = got.as_ref().map_or(0, |got| got.values().sum());
        if sum > 0 {
            start.get_or_insert_with(Instant::now);
        }
        if sum >= all {
            break;
        }
        for child in &mut children {
            ensure!(child.try_wait()?.is_none(), "a process ended");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let exact = {
        let rows = client.store(COUNTS)?.under(())?;
        let got: BTreeMap<String, u64> = rows
            .into_iter()
            .map(|(word, answer)| (word, answer.value.unwrap_or(0)))
            .collect();
        got == *counts
    };
    // Each says when it had read its first record, when its last, and what it cost.
    let (mut first, mut last, mut cpu) = (f64::MAX, 0.0_f64, 0.0);
    for mut child in children {
        drop(child.stdin.take());
        let out = BufReader::new(child.stdout.take().context("no output")?);
        for line in out.lines() {
            let line = line?;
            let Some(rest) = line.strip_prefix("result ") else {
                continue;
            };
            let numbers: Vec<f64> = rest.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            let [from, to, spent] = numbers[..] else {
                bail!("{line}")
            };
            (first, last, cpu) = (first.min(from), last.max(to), cpu + spent);
        }
        ensure!(child.wait()?.success());
    }
    ensure!(start.is_some() && last > first, "nothing was read");
    Ok((last - first, cpu, exact))
}

/// `BROKERS TOPIC GROUP URL DATA`: a member of the group, until its input ends. Prints seconds since the epoch of the first record and
/// of the last commit, and its CPU seconds.
pub(crate) fn subject(args: &[String]) -> Result<()> {
    let [brokers, topic, group, url, data] = args else {
        bail!("usage: servers-subject BROKERS TOPIC GROUP URL DATA");
    };
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let layout = rufous::store_api::Layout::new(data.as_ref(), "main")?;
    let manifests = Manifests::new(layout.manifests(plan.job()));
    let of = NamespaceOf::new(plan.job(), "main", plan.fingerprint());
    let store = PostgresRealtime::open(url, &PostgresOptions::default(), of, &plan.live_stores())?;
    let log = KafkaLog::open(
        brokers,
        topic,
        KafkaOptions {
            group: group.clone(),
            ownership: Ownership::Group { member: None },
            ..KafkaOptions::new(Format::Text)
        },
    )?;
    let (metrics, stop) = (Arc::new(Metrics::default()), Arc::new(AtomicBool::new(false)));
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().map(|d| d.as_secs_f64());
    let watched = metrics.clone();
    let until = stop.clone();
    let watch = std::thread::spawn(move || -> Result<(f64, f64)> {
        let (mut first, mut last, mut commits) = (f64::MAX, 0.0, 0);
        while !until.load(Relaxed) {
            let report = watched.report();
            if report.records > 0 && first == f64::MAX {
                first = now()?;
            }
            if report.commits > commits {
                (commits, last) = (report.commits, now()?);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok((first, last))
    });
    let ends = stop.clone();
    std::thread::spawn(move || {
        // Whoever started it ends it so.
        let _ = std::io::stdin().lines().count();
        ends.store(true, Relaxed);
    });
    Stream {
        plan: &plan,
        logs: vec![BoundLog::new("lines", Box::new(log))],
        store: Arc::new(store),
        manifests: &manifests,
        generations: None,
        metrics,
        options: StreamOptions {
            commit_interval: Duration::from_millis(200),
            stop,
            ..StreamOptions::default()
        },
    }
    .run()?;
    let (first, last) = watch.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))??;
    println!(
        "result {first} {last} {}",
        ProcessTime::now().as_duration().as_secs_f64()
    );
    Ok(())
}

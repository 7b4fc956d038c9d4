//! Row 21 of the fault table, I1, P22-P25: a live job over a real Kafka reads on without a pause while bulk runs
//! publish, two at a time, generations are rolled back and forth, backfills are switched to and taken back, and `gc`
//! deletes all it may with no grace. Meanwhile about a thousand questions a second are asked, in the process of the
//! live job and in another one. Each answer is the fold of a prefix of each partition, each record once: compared with
//! plain prefix sums.

mod offline;
mod publisher;
mod reader;
mod topic;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use offline::{Offline, Options};
use publisher::{collect, publish};
use reader::{Seen, from_line, read, to_line};
use rufous::client::Client;
use rufous::core::{Format, Plan};
use rufous::store_api::{Manifest, ManifestLog, RealtimeStore};
use rufous_examples::word_count::{Args, COUNTS, word_count};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::run;
use rufous_integration_tests::s3::Server;
use rufous_integration_tests::torture::Place;
use rufous_realtime::{Archiver, ArchiverOptions, BoundLog, Metrics, Stream, StreamOptions};
use rufous_store_archive::ParquetArchive;
use rufous_store_offline::Manifests;
use rufous_store_rocksdb::{RocksOptions, RocksStore};
use topic::{PARTITIONS, Prefixes, WORDS, feed, partition, word};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const PATIENCE: Duration = Duration::from_secs(120);
/// Names the data directory to a process that reads, and the bucket of the generations, if they lie in one.
const DATA: &str = "RUFOUS_RACE_DATA";
const BUCKET: &str = "RUFOUS_RACE_BUCKET";
/// How long readers in each of the two processes go by a manifest that fits: one looks for a newer one at every question, the
/// other one so seldom that cells which its manifest needs are dropped meanwhile (users: 1 s).
const READERS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(5)];

/// The plan of the program, with its fingerprint.
fn plan() -> Result<Plan> {
    Ok(word_count(&Args { min_len: 1 }).arguments("min_len=1").plan()?)
}

/// All readers of a process, until `stop`. Clones of a client share what they know, so each has its own.
fn readers(client: impl Fn() -> Result<Client> + Sync, stop: &AtomicBool) -> Result<Seen> {
    std::thread::scope(|s| {
        let threads = READERS.map(|age| {
            let client = &client;
            s.spawn(move || read(&client()?.refresh_after(age), stop))
        });
        let mut all = Seen::default();
        for thread in threads {
            all.join(thread.join().expect("a reader panicked")?);
        }
        Ok(all)
    })
}

/// Not a test: the process that the race starts. It ends when its standard input does, so with the race at the latest.
#[test]
#[ignore = "the race starts it as a process of its own"]
fn another_process() -> Result<()> {
    let Some(data) = std::env::var_os(DATA) else {
        return Ok(());
    };
    let options = std::env::var(BUCKET).ok().map(|text| serde_json::from_str(&text));
    let (plan, offline) = (plan()?, Offline::of(Path::new(&data), options.transpose()?)?);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        // Nothing is written there.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stopped.store(true, Relaxed);
    });
    println!("{}", to_line(&readers(|| offline.outside(&plan), &stop)?));
    Ok(())
}

struct Outside(Child);

impl Outside {
    fn start(data: &Path, bucket: Option<&Options>) -> Result<Self> {
        let mut c = Command::new(std::env::current_exe()?);
        if let Some(options) = bucket {
            c.env(BUCKET, serde_json::to_string(options)?);
        }
        c.args(["--ignored", "--exact", "another_process", "--nocapture"])
            .env(DATA, data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Ok(Self(c.spawn()?))
    }
    fn finish(mut self) -> Result<Seen> {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0.stdout.take().context("piped")?.read_to_string(&mut said)?;
        ensure!(self.0.wait()?.success(), "the readers of the other process: {said}");
        let line = said.lines().find_map(|l| l.split_once("seen ")).context("a line")?;
        from_line(line.1)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It is gone when it was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All words, of all that was produced.
fn is_whole(client: &Client, fed: u64) -> Result<bool> {
    let rows = client.store(COUNTS)?.under(())?;
    let Some((_, first)) = rows.first() else {
        return Ok(false);
    };
    let (coverage, mut prefixes) = (first.coverage.clone(), Prefixes::default());
    ensure!((0..PARTITIONS).all(|p| coverage.applied(&partition(p)) <= fed));
    let expected: Vec<_> = (0..WORDS)
        .map(|n| (word(n), Some(prefixes.count(n, &coverage))))
        .filter(|(_, count)| *count != Some(0))
        .collect();
    let found: Vec<_> = rows.into_iter().map(|(k, a)| (k, a.value)).collect();
    ensure!(found == expected, "not the fold of {coverage}");
    Ok((0..PARTITIONS).all(|p| coverage.applied(&partition(p)) == fed))
}

fn wait_until_whole(client: &Client, fed: u64, why_not: impl Fn() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while !is_whole(client, fed)? {
        why_not()?;
        ensure!(
            start.elapsed() < PATIENCE,
            "not all of {fed} records a partition are applied"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn report(what: &str, seen: &mut Seen, time: Duration) {
    seen.times.sort_unstable();
    let at = |per_mille: usize| {
        seen.times
            .get(seen.times.len() * per_mille / 1000)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what}: {} answers, {:.0}/s, p50 {:?}, p99 {:?}, of {} manifests; {} of both layers, {} after a step back, {} refused",
        seen.times.len(),
        seen.times.len() as f64 / time.as_secs_f64(),
        at(500),
        at(990),
        seen.manifests.len(),
        seen.of_both,
        seen.back,
        seen.refused
    );
}

#[test]
fn every_answer_is_a_legal_cut() -> Result<()> {
    race(None, Duration::from_secs(20), 10)
}

/// The same with manifests and generations in a bucket, where a read is a request and a delete is seen at once.
#[test]
fn and_in_a_bucket() -> Result<()> {
    let server = Server::start("races")?;
    race(Some(server.options()), Duration::from_secs(10), 2)
}

/// `time`: so long whatever publishes goes on, and then to the end of its round. `least`: so many manifests are seen by
/// readers of each process, and so many steps back.
fn race(bucket: Option<Options>, time: Duration, least: u64) -> Result<()> {
    // One after the other: what is asked is the load.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (broker, topic) = (kafka::shared()?, unique_name("races"));
    broker.create_topic(&topic, PARTITIONS as i32, &[])?;
    let plan = plan()?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    let data: PathBuf = place.path("data");
    if let Some(options) = &bucket {
        let mut settings = std::fs::read_to_string(place.path("rufous.toml"))?;
        settings += "[offline]\nlocation = 's3://races'\n[offline.options]\n";
        for (name, value) in options {
            settings += &rufous_integration_tests::settings::option(&place.path(""), name, value)?;
        }
        std::fs::write(place.path("rufous.toml"), settings)?;
    }
    let offline = Offline::of(&data, bucket.clone())?;
    let layout = &offline.layout;
    let namespace = plan.fingerprint();
    let dir = layout.realtime(plan.job(), namespace);
    let store = Arc::new(RocksStore::open(
        &dir,
        namespace,
        plan.stores(),
        RocksOptions::default(),
    )?);
    store.serve()?;
    let (stop_feed, stop_job, stop) = (
        AtomicBool::new(false),
        Arc::new(AtomicBool::new(false)),
        AtomicBool::new(false),
    );
    let (fed, collected) = (Mutex::new(0), AtomicU64::new(0));
    let log = run::kafka(broker, &topic, Format::Text)?;
    let (manifests, client) = (offline.manifests(), offline.in_process(&store));
    let result = std::thread::scope(|s| -> Result<()> {
        let job = s.spawn(|| {
            let stream = Stream {
                plan: &plan,
                logs: vec![BoundLog::new("lines", log)],
                store: store.clone() as Arc<dyn RealtimeStore>,
                manifests: &manifests,
                generations: None,
                metrics: Arc::new(Metrics::default()),
                options: StreamOptions {
                    commit_interval: Duration::from_millis(20),
                    stop: stop_job.clone(),
                    ..StreamOptions::default()
                },
            };
            stream.run()
        });
        let feeding = s.spawn(|| feed(broker, &topic, &stop_feed, &fed));
        let lives = || -> Result<()> {
            ensure!(!job.is_finished(), "the live job ended");
            Ok(())
        };
        let body = || -> Result<()> {
            // It begins, and something is sealed.
            let start = Instant::now();
            while *fed.lock().expect("nobody panics with it") < 700 {
                ensure!(
                    !feeding.is_finished() && start.elapsed() < PATIENCE,
                    "nothing is produced"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            let genesis = genesis(&manifests, lives)?;
            let archive_log = run::kafka(broker, &topic, Format::Text)?;
            let archive = ParquetArchive::open(&layout.archive("lines"), "lines")?;
            let archiving = s.spawn(|| {
                let archiver = Archiver {
                    face: &plan.sources()[0],
                    log: archive_log,
                    archive: Arc::new(archive),
                    start: genesis.frontier,
                    metrics: Arc::default(),
                    options: ArchiverOptions {
                        interval: Duration::from_millis(50),
                        stop: stop_job.clone(),
                        ..ArchiverOptions::default()
                    },
                };
                archiver.run()
            });
            // The archive comes after the log.
            while manifests.get(2)?.is_none() {
                lives()?;
                ensure!(start.elapsed() < PATIENCE, "nothing is sealed");
                place.run(&["batch"])?;
            }
            let outside = Outside::start(&data, bucket.as_ref())?;
            let inside = s.spawn(|| readers(|| Ok(offline.in_process(&store)), &stop));
            let start = Instant::now();
            let sweeping = s.spawn(|| collect(&place, &stop).map(|n| collected.store(n, Relaxed)));
            let published = publish(&place, &manifests, time);
            let time = start.elapsed();
            stop.store(true, Relaxed);
            let inside = inside.join().expect("a reader panicked");
            let outside = outside.finish();
            sweeping.join().expect("gc panicked")?;
            let (mut inside, mut outside, done) = (inside?, outside?, published?);
            lives()?;
            ensure!(done.batches >= 2 && done.switches > 0, "{done:?}");
            println!(
                "{done:?}, {} times gc, in {time:.1?}; {} records a partition",
                collected.load(Relaxed),
                fed.lock().expect("nobody panics with it")
            );
            report("inside", &mut inside, time);
            report("outside", &mut outside, time);
            for seen in [&inside, &outside] {
                ensure!(seen.manifests.len() as u64 >= least, "of {:?} only", seen.manifests);
                ensure!(
                    seen.of_both > 100 && seen.back >= least,
                    "the layers did not meet: {} answers of both, {} steps back",
                    seen.of_both,
                    seen.back
                );
                ensure!(
                    seen.refused * 100 <= seen.times.len() as u64,
                    "{} refused",
                    seen.refused
                );
            }
            stop_feed.store(true, Relaxed);
            let fed = feeding.join().expect("the producer panicked")?;
            wait_until_whole(&client, fed, lives)?;
            wait_until_whole(&offline.outside(&plan)?, fed, lives)?;
            stop_job.store(true, Relaxed);
            archiving.join().expect("the archiver panicked")?;
            Ok(())
        };
        let result = body();
        for flag in [&stop, &stop_feed, &*stop_job] {
            flag.store(true, Relaxed);
        }
        let ended = job.join().expect("the job panicked");
        result?;
        ended?;
        Ok(())
    });
    result.with_context(|| format!("the log ends with:\n{}", place.log()))?;
    // Each bulk run compared what it added with the cells (P36, I6).
    let log = std::fs::read_to_string(place.path("stderr.log"))?;
    let drifts: Vec<&str> = log.lines().filter(|l| l.contains("do not agree")).collect();
    ensure!(drifts.is_empty(), "{} drifts: {}", drifts.len(), drifts.join("\n"));
    drop(client);
    drop(store);
    // The same after a restart, and with a generation of all that is sealed.
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let fed = fed.into_inner()?;
    ensure!(is_whole(&offline.outside(&plan)?, fed)?, "not whole at the end");
    Ok(())
}

fn genesis(manifests: &Manifests, why_not: impl Fn() -> Result<()>) -> Result<Manifest> {
    let start = Instant::now();
    loop {
        if let Some(first) = manifests.newest(0)? {
            return Ok(first);
        }
        why_not()?;
        ensure!(start.elapsed() < PATIENCE, "no first manifest");
        std::thread::sleep(Duration::from_millis(10));
    }
}

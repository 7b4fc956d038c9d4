//! The Rufous side of a row: a process of its own, so that its CPU seconds are its own.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cpu_time::ProcessTime;
use rufous::core::{Format, Plan};
use rufous::prelude::*;
use rufous::realtime::{BoundLog, Metrics, Stream, StreamOptions};
use rufous_examples::word_count::{Args, COUNTS, word_count};
use rufous_integration_tests::run::State;
use rufous_platform_kafka::{KafkaLog, KafkaOptions};

/// What is read of a JSON record of 300 bytes: one field is counted, the others are there to be read.
#[derive(Clone, Debug, Record)]
struct Event {
    word: Text,
    #[expect(dead_code, reason = "read and not counted")]
    user: i64,
    #[expect(dead_code, reason = "read and not counted")]
    amount: i64,
    #[expect(dead_code, reason = "read and not counted")]
    at: i64,
}

const EVENTS: Source<Event> = Source::new("events").batches(Batcher::of_hours(1));

/// The plan for records of this format.
pub(super) fn plan(format: &str) -> Result<(Plan, Format)> {
    Ok(match format {
        "text" => (word_count(&Args { min_len: 1 }).plan()?, Format::Text),
        "json" => {
            let counts = EVENTS.read().keyed(|e, out| out.emit(&e.word, 1)).sum_by_key(COUNTS);
            (Job::new("word-count", counts).plan()?, Format::JsonLines)
        }
        other => bail!("format {other}: text or json"),
    })
}

/// A job that runs on a thread.
pub(super) struct Running {
    pub(super) plan: Arc<Plan>,
    pub(super) state: State,
    pub(super) metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Running {
    pub(super) fn start(
        (brokers, topic, format): (&str, &str, &str),
        commit: Duration,
        state: &Path,
        until_end: bool,
    ) -> Result<Self> {
        let (plan, format) = plan(format)?;
        let plan = Arc::new(plan);
        let state = State {
            commit_interval: commit,
            ..State::disk(&plan, state)?
        };
        let log = KafkaLog::open(brokers, topic, KafkaOptions::new(format))?;
        let (metrics, stop) = (Arc::new(Metrics::default()), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (plan, state, metrics, stop) = (plan.clone(), state.clone(), metrics.clone(), stop.clone());
            std::thread::spawn(move || {
                let stream = Stream {
                    plan: &plan,
                    logs: vec![BoundLog::new(
                        plan.sources().first().context("no source")?.name,
                        Box::new(log),
                    )],
                    store: state.realtime.clone(),
                    manifests: &*state.manifests,
                    generations: None,
                    metrics,
                    options: StreamOptions {
                        until_end,
                        commit_interval: state.commit_interval,
                        stop,
                        ..StreamOptions::default()
                    },
                };
                stream.run()?;
                Ok(())
            })
        };
        Ok(Self {
            plan,
            state,
            metrics,
            stop,
            thread,
        })
    }
    pub(super) fn records(&self) -> u64 {
        self.metrics.records.load(Relaxed)
    }
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
    /// Waits for the end of the log.
    pub(super) fn wait(self) -> Result<(Arc<Plan>, State)> {
        match self.thread.join() {
            Ok(done) => done?,
            Err(_) => bail!("the stream panicked"),
        }
        Ok((self.plan, self.state))
    }
    /// Lets it commit and end.
    pub(super) fn stop(self) -> Result<(Arc<Plan>, State)> {
        self.stop.store(true, Relaxed);
        self.wait()
    }
}

/// `BROKERS TOPIC text|json COMMIT_MS WARM_RECORDS STATE_DIR TOTALS_FILE`: counts to the present end; prints what
/// `straight-line` prints.
pub(super) fn counted(args: &[String]) -> Result<()> {
    let [brokers, topic, format, commit_ms, warm, state, totals] = args else {
        bail!("usage: subject rufous BROKERS TOPIC text|json COMMIT_MS WARM_RECORDS STATE_DIR TOTALS_FILE");
    };
    let (commit, warm): (u64, u64) = (commit_ms.parse()?, warm.parse()?);
    let running = Running::start(
        (brokers, topic, format),
        Duration::from_millis(commit),
        Path::new(state),
        true,
    )?;
    let (mut first, mut mark) = (None, String::new());
    while !running.is_finished() {
        let records = running.records();
        if records > 0 {
            let (wall, cpu): &(Instant, ProcessTime) =
                first.get_or_insert_with(|| (Instant::now(), ProcessTime::now()));
            if records >= warm {
                mark = format!(
                    "warm_records={records} warm_wall={} warm_cpu={}",
                    wall.elapsed().as_secs_f64(),
                    cpu.elapsed().as_secs_f64()
                );
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let metrics = running.metrics.clone();
    let (plan, state) = running.wait()?;
    let (wall, cpu) = first.context("the topic is empty")?;
    println!(
        "result records={} {mark} wall={} cpu={} peak_mb={}",
        metrics.records.load(Relaxed),
        wall.elapsed().as_secs_f64(),
        cpu.elapsed().as_secs_f64(),
        crate::clock::peak_mb()
    );
    write_totals(&plan, &state, Path::new(totals))
}

/// Every answer as a line.
pub(super) fn write_totals(plan: &Plan, state: &State, path: &Path) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for (word, answer) in state.client(plan).store(COUNTS)?.under(())? {
        writeln!(file, "{word}\t{}", answer.value.unwrap_or(0))?;
    }
    Ok(file.flush()?)
}

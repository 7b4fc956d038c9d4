//! A job that runs for long under faults of many kinds (row 26 of the fault table: rows 1, 3, 4, 5 and 15 in a loop).

mod faults;
mod reader;

use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::logged::{Logged, logged};
use super::steady::Steady;
use super::{Place, health};
use crate::kafka::{Broker, unique_name};
use crate::run::Random;
use faults::{Fault, Faults};
use reader::Reader;

const STREAM: [&str; 5] = ["stream", "--commit-ms", "200", "--on-bad-record", "skip"];

/// What growth is none: a store that fills its first files, and consumers that come and go, need this.
const SLACK_KIB: u64 = 32 * 1024;
const SLACK_FILES: u64 = 16;

/// Shorter runs end before memory is level: their growth is printed, and nothing fails by it.
const LEVEL: Duration = Duration::from_secs(600);

/// How a soak goes.
#[derive(Clone, Debug)]
pub struct Soak {
    /// How long the load lasts.
    pub time: Duration,
    /// Records a second.
    pub rate: u64,
    /// From the end of a fault to the begin of the next.
    pub calm: Duration,
    /// How long a line and a batch run are apart.
    pub line: Duration,
    /// Of the order of the faults.
    pub seed: u64,
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30 * 60),
            rate: 5_000,
            calm: Duration::from_secs(5),
            line: Duration::from_secs(60),
            seed: 1,
        }
    }
}

/// The stream, and what runs beside it.
struct Run<'a> {
    broker: &'a Broker,
    place: &'a Place,
    topic: &'a str,
    stream: Option<Child>,
    /// A bulk run and when it was started.
    batch: Option<Child>,
    batches: u64,
}

/// Runs it; `say` gets a line a minute and one at the end.
///
/// # Errors
/// What is not exact, or went back, or ended by itself; memory or open files that grow.
pub fn soak(program: &Path, soak: &Soak, say: &mut dyn FnMut(String)) -> Result<()> {
    let broker = Broker::start()?;
    let topic = unique_name("soak");
    let place = Place::new(program, broker.addr(), &topic)?;
    let steady = Steady::start(&broker, &topic, soak.rate)?;
    let mut run = Run {
        broker: &broker,
        place: &place,
        topic: &topic,
        stream: Some(place.spawn(&STREAM, &[])?),
        batch: None,
        batches: 0,
    };
    let reader = Reader::start(place.client()?, place.store());
    let outcome = run.load(soak, &steady, &reader, program, say);
    outcome.with_context(|| format!("the log ends with:\n{}", place.log()))?;
    let taken = steady.taken.clone();
    let acknowledged = steady.finish()?;
    let Logged { counts, malformed } = logged(&broker, &topic)?;
    for (word, n) in &acknowledged {
        let found = counts.get(word).copied().unwrap_or(0);
        ensure!(found >= *n, "the broker lost records of `{word}`: {found} of {n}");
    }
    let mut stream = run.stream.take().context("the stream runs at the end")?;
    place.comes_to("at the end", &mut stream, &counts)?;
    let read = reader.finish()?;
    place.stop(stream)?;
    if let Some(batch) = run.batch.take() {
        run.finish_batch(batch)?;
    }
    place.run(&["stream", "--until-end", "--on-bad-record", "skip"])?;
    place.run(&["batch", "--on-bad-record", "skip"])?;
    place.is_exact("after the last bulk run", &counts)?;
    say(format!(
        "{} words and {malformed} malformed records in the log, {} and {} acknowledged; {} bulk runs; {} answers, {} refused; \
         exact: yes",
        counts.values().sum::<u64>(),
        acknowledged.values().sum::<u64>(),
        taken.malformed.load(Relaxed),
        run.batches + 1,
        read.answers,
        read.refused
    ));
    Ok(())
}

impl Run<'_> {
    fn load(
        &mut self,
        soak: &Soak,
        steady: &Steady,
        reader: &Reader,
        program: &Path,
        say: &mut dyn FnMut(String),
    ) -> Result<()> {
        let mut faults = Faults::new(Random(soak.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), soak.calm);
        let (start, mut line_at, mut lines) = (Instant::now(), soak.line, 0_u32);
        let (mut rss, mut files, mut words_before, mut since) = (Vec::new(), Vec::new(), 0, Instant::now());
        // The first samples are those of a process that has just started.
        let settled = soak.time / 20;
        while start.elapsed() < soak.time {
            // The pace of the samples.
            std::thread::sleep(Duration::from_millis(200));
            faults.tick(self, program)?;
            if let Some(child) = self.stream.as_mut() {
                let ended = child.try_wait()?;
                ensure!(ended.is_none(), "the stream ended by itself: {ended:?}");
                if start.elapsed() > settled
                    && let Some((kib, open)) = health::of(child.id())
                {
                    rss.push(kib);
                    files.push(open);
                }
            }
            if let Some(mut batch) = self.batch.take() {
                match batch.try_wait()? {
                    None => self.batch = Some(batch),
                    Some(status) => ensure!(status.success(), "`batch` ended: {status}"),
                }
            }
            if start.elapsed() >= line_at {
                line_at += soak.line;
                lines += 1;
                let words = steady.taken.words.load(Relaxed);
                let seen = reader.since_last()?;
                say(format!(
                    "{lines}: {:.0} words/s, lag {} words, RSS {} MiB, {} files, read p99 {:.1} ms ({} answers, {} refused), \
                     faults: {}",
                    (words - words_before) as f64 / since.elapsed().as_secs_f64(),
                    words.saturating_sub(seen.sum),
                    rss.last().copied().unwrap_or(0) / 1024,
                    files.last().copied().unwrap_or(0),
                    seen.p99.as_secs_f64() * 1e3,
                    seen.answers,
                    seen.refused,
                    faults.counted()
                ));
                (words_before, since) = (words, Instant::now());
                if self.batch.is_none() {
                    self.batch = Some(self.place.spawn(&["batch", "--on-bad-record", "skip"], &[])?);
                    self.batches += 1;
                }
            }
        }
        faults.end(self)?;
        ensure!(faults.each(), "not every fault came: {}", faults.counted());
        let grown = [
            ("RSS in KiB", health::growth(&rss, SLACK_KIB)),
            ("open files", health::growth(&files, SLACK_FILES)),
        ];
        for (what, (grew, first, last)) in grown {
            say(format!("{what}: {first} in the first quarter, {last} in the last"));
            ensure!(
                !grew || soak.time < LEVEL,
                "{what} grew by more than a fifth: {first} in the first quarter, {last} in the last"
            );
        }
        Ok(())
    }
    fn start_stream(&mut self) -> Result<()> {
        self.stream = Some(self.place.spawn(&STREAM, &[])?);
        Ok(())
    }
    fn finish_batch(&self, batch: Child) -> Result<()> {
        let status = self.place.ends("batch", batch)?;
        ensure!(status.success(), "`batch` ended: {status}");
        Ok(())
    }
    fn stop_stream_hard(&mut self) -> Result<()> {
        let stream = self.stream.take().context("the stream runs")?;
        self.place.kill("stream", stream, false)
    }
    /// Another member of the group, with a data directory of its own.
    fn second(&self, program: &Path) -> Result<(Place, Child)> {
        let place = Place::new(program, self.broker.addr(), self.topic)?;
        let child = place.spawn(&[&STREAM[..], &["--no-archive"]].concat(), &[])?;
        Ok((place, child))
    }
}

/// Which fault is on, what it needs to end.
type On = (Instant, Duration, Fault, Option<(Place, Child)>);

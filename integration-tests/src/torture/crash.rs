//! kill -9 at seeded instants under load, on one data directory that lives through all of them (row 1 of the fault table).

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Feed, Place, in_bytes, total};
use crate::kafka::{Broker, unique_name};
use crate::run::Random;

const STREAM: [&str; 3] = ["stream", "--commit-ms", "50"];
const STREAM_ALONE: [&str; 4] = ["stream", "--commit-ms", "50", "--no-archive"];
const ARCHIVE: [&str; 3] = ["archive", "--commit-ms", "50"];

/// A store that was closed by kill -9 opens within this (row 1).
const SOON: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Default)]
pub struct Crashes {
    /// Processes that were killed: of `stream`, `archive`, `batch`.
    pub kills: [u64; 3],
    /// Seeds in which the stream had committed something before it was killed.
    pub moved: u64,
    /// How long the store took to open, after each seed; ascending.
    pub reopened: Vec<Duration>,
    /// Whole comparisons with what was produced.
    pub compared: u64,
    /// Records that were committed to the log.
    pub records: u64,
    /// Transactions that were aborted.
    pub aborted: u64,
    /// The newest manifest.
    pub generations: u64,
}

impl Crashes {
    /// The median and the longest time of opening.
    pub fn reopen(&self) -> (Duration, Duration) {
        let at = |i: usize| self.reopened.get(i).copied().unwrap_or_default();
        (at(self.reopened.len() / 2), at(self.reopened.len().saturating_sub(1)))
    }
}

struct Run<'a> {
    place: Place,
    feed: &'a Feed,
    seen: Crashes,
    /// The sum of the answers after the last seed: it never gets smaller.
    before: u64,
}

/// Kills by each seed in turn. After each the store is opened, and holds nothing that was not produced and no less than
/// before; after every tenth, and at the end, the merged answer is compared with what was produced, byte for byte. `say` gets a
/// line a tenth of the seeds.
///
/// # Errors
/// What is not exact, with its seed and the end of the log.
pub fn crash(program: &Path, seeds: Range<u64>, say: &mut dyn FnMut(String)) -> Result<Crashes> {
    let broker = Broker::start()?;
    let topic = unique_name("crash");
    let feed = Feed::start(&broker, &topic, seeds.start + 1, 10)?;
    let mut run = Run {
        place: Place::new(program, broker.addr(), &topic)?,
        feed: &feed,
        seen: Crashes::default(),
        before: 0,
    };
    // Where both layers begin; that a process is killed in there is another test's: it has names for it.
    run.place.run(&["stream", "--until-end"])?;
    let (count, start) = (seeds.end - seeds.start, seeds.start);
    let tenth = (count / 10).max(1);
    for seed in seeds {
        let n = seed - start + 1;
        let last = n == count;
        let outcome = run.seed(seed).and_then(|()| match n.is_multiple_of(10) || last {
            true => run.compare(),
            false => Ok(()),
        });
        outcome.with_context(|| format!("seed {seed}; the log ends with:\n{}", run.place.log()))?;
        if n.is_multiple_of(tenth) || last {
            say(run.line(n, count));
        }
    }
    let mut seen = run.seen;
    seen.reopened.sort_unstable();
    Ok(seen)
}

impl Run<'_> {
    fn seed(&mut self, seed: u64) -> Result<()> {
        let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let before = self.reached()?;
        // One in four dies while it starts, the others at some time up to two seconds later.
        let most = if random.below(4) == 0 { 150 } else { 2_000 };
        let delay = Duration::from_millis(random.below(most));
        let with = random.below(4);
        if with == 0 {
            // Two processes, each with its own end.
            let stream = self.place.spawn(&STREAM_ALONE, &[])?;
            let archive = self.place.spawn(&ARCHIVE, &[])?;
            std::thread::sleep(delay / 2);
            self.kill(1, "archive", archive, false)?;
            std::thread::sleep(delay / 2);
            self.kill(0, "stream", stream, false)?;
        } else {
            let stream = self.place.spawn(&STREAM, &[])?;
            if with == 1 {
                let early = Duration::from_millis(random.below(1 + delay.as_millis() as u64 / 2));
                std::thread::sleep(early);
                let batch = self.place.spawn(&["batch"], &[])?;
                std::thread::sleep(Duration::from_millis(random.below(100)));
                self.kill(2, "batch", batch, true)?;
            }
            std::thread::sleep(delay);
            self.kill(0, "stream", stream, false)?;
        }
        let took = self.place.reopen()?;
        ensure!(took < SOON, "the store took {took:?} to open");
        self.seen.reopened.push(took);
        self.seen.moved += u64::from(self.reached()? > before);
        self.bounds()
    }
    fn kill(&mut self, which: usize, what: &str, child: std::process::Child, until_end: bool) -> Result<()> {
        self.seen.kills[which] += 1;
        self.place.kill(what, child, until_end)
    }
    /// The sum of the stored offsets.
    fn reached(&self) -> Result<u64> {
        Ok(self.place.progress()?.iter().map(|(_, p)| p.next).sum())
    }
    /// Nothing twice, nothing forgotten, before everything is read.
    fn bounds(&mut self) -> Result<()> {
        let fed = self.feed.quiet()?;
        let (got, produced) = (self.place.answers()?, in_bytes(&fed.counts));
        drop(fed);
        for (key, value) in &got {
            let most = produced.get(key).map(Vec::as_slice).unwrap_or_default();
            let number = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes);
            ensure!(
                number(value) <= number(most),
                "`{}` was counted {} times, produced {}",
                String::from_utf8_lossy(key),
                number(value),
                number(most)
            );
        }
        let sum = total(&got);
        ensure!(sum >= self.before, "{sum} words after {} were committed", self.before);
        self.before = sum;
        Ok(())
    }
    /// Runs everything to the end of the log, and compares.
    fn compare(&mut self) -> Result<()> {
        let fed = self.feed.quiet()?;
        self.place.run(&["stream", "--until-end"])?;
        self.place.is_exact("live", &fed.counts)?;
        self.place.run(&["archive", "--until-end"])?;
        self.place.run(&["batch"])?;
        self.place.is_exact("with a new generation", &fed.counts)?;
        self.seen.compared += 1;
        self.seen.records = fed.counts.values().sum();
        self.seen.aborted = fed.aborted;
        while self.place.manifest(self.seen.generations + 1).is_ok() {
            self.seen.generations += 1;
        }
        Ok(())
    }
    fn line(&self, n: u64, of: u64) -> String {
        let [stream, archive, batch] = self.seen.kills;
        let mut opened = self.seen.reopened.clone();
        opened.sort_unstable();
        let ms = |i: usize| opened.get(i).map_or(0, Duration::as_millis);
        format!(
            "seed {n} of {of}: killed stream {stream}, archive {archive}, batch {batch}; {} had committed; compared {} times: \
             exact, {} records, {} aborted transactions, {} generations; reopen median {} ms, max {} ms",
            self.seen.moved,
            self.seen.compared,
            self.seen.records,
            self.seen.aborted,
            self.seen.generations,
            ms(opened.len() / 2),
            ms(opened.len().saturating_sub(1))
        )
    }
}

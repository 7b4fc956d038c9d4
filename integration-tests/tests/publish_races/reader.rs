//! Somebody who asks at a steady pace, and compares each answer with the fold of what it says that it covers (I1).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rufous::client::{Answer, Client, Coverage, StoreClient};
use rufous::core::ErrorKind;
use rufous_examples::word_count::COUNTS;

use crate::topic::{PARTITIONS, Prefixes, WORDS, partition, word};

/// From question to question of one reader.
const PACE: Duration = Duration::from_millis(4);

/// What a reader saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) times: Vec<Duration>,
    /// The numbers of the manifests.
    pub(crate) manifests: BTreeSet<u64>,
    /// Answers of which some part came from a generation, and some part from cells of the same partition.
    pub(crate) of_both: u64,
    /// Answers that reach less far than the generation before them did: a rollback was between.
    pub(crate) back: u64,
    /// Questions that were to be asked again: files went while they were read, twice.
    pub(crate) refused: u64,
}

impl Seen {
    pub(crate) fn join(&mut self, other: Self) {
        self.times.extend(other.times);
        self.manifests.extend(other.manifests);
        self.of_both += other.of_both;
        self.back += other.back;
        self.refused += other.refused;
    }
}

pub(crate) struct Reader {
    counts: StoreClient<String, u64>,
    prefixes: Prefixes,
    /// The offsets applied in the last answer, and its frontier.
    last: [(u64, u64); PARTITIONS as usize],
    seen: Seen,
}

/// Asks until it is told to stop.
pub(crate) fn read(client: &Client, stop: &AtomicBool) -> Result<Seen> {
    let mut reader = Reader {
        counts: client.store(COUNTS)?,
        prefixes: Prefixes::default(),
        last: Default::default(),
        seen: Seen::default(),
    };
    let start = Instant::now();
    for n in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let asked = Instant::now();
        match reader.ask(n) {
            Ok(()) => reader.seen.times.push(asked.elapsed()),
            Err(e) => match e.downcast_ref::<rufous::Error>() {
                // With a grace of nothing this may be said; anything else may not.
                Some(e) if e.kind() == ErrorKind::TryAgain => reader.seen.refused += 1,
                _ => return Err(e.context(format!("question {n}"))),
            },
        }
        let next = PACE * (n as u32 + 1);
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    Ok(reader.seen)
}

impl Reader {
    /// One word, eight of one cut, or all of one cut.
    fn ask(&mut self, n: u64) -> Result<()> {
        let some = n.wrapping_mul(7919) % WORDS;
        if n % 100 == 99 {
            let rows = self.counts.under(())?;
            let Some((_, first)) = rows.first() else { return Ok(()) };
            let coverage = first.coverage.clone();
            let mut rows = rows.into_iter().peekable();
            for n in 0..WORDS {
                let found = rows.next_if(|(k, _)| *k == word(n)).map(|(_, a)| a);
                ensure!(
                    found.as_ref().is_none_or(|a| a.coverage == coverage),
                    "two cuts in one scan"
                );
                self.is(n, found.and_then(|a| a.value), &coverage)?;
            }
            ensure!(rows.next().is_none(), "a word that nobody wrote");
            return Ok(());
        }
        if n % 10 == 9 {
            let asked: Vec<u64> = (0..8).map(|i| (some + i * 11) % WORDS).collect();
            let words: Vec<String> = asked.iter().map(|n| word(*n)).collect();
            let answers = self.counts.multi_get(&words);
            ensure!(answers.len() == asked.len());
            let mut cut = None;
            for (n, answer) in asked.into_iter().zip(answers) {
                let answer = answer?;
                ensure!(
                    *cut.get_or_insert(answer.token.clone()) == answer.token,
                    "two cuts in one read"
                );
                self.look(&answer)?;
                self.is(n, answer.value, &answer.coverage)?;
            }
            return Ok(());
        }
        let answer = self.counts.get(word(some).as_str())?;
        self.look(&answer)?;
        self.is(some, answer.value, &answer.coverage)
    }

    fn is(&mut self, n: u64, found: Option<u64>, coverage: &Coverage) -> Result<()> {
        let expected = self.prefixes.count(n, coverage);
        if found.unwrap_or(0) != expected || found == Some(0) {
            let offsets: Vec<u64> = (0..PARTITIONS).map(|p| coverage.applied(&partition(p))).collect();
            bail!("`{}`: {found:?}, the fold below {offsets:?} is {expected}", word(n));
        }
        Ok(())
    }

    fn look(&mut self, answer: &Answer<u64>) -> Result<()> {
        ensure!(answer.coverage.holes().is_empty(), "a hole");
        self.seen.manifests.insert(answer.token.manifest());
        let (mut both, mut back) = (false, false);
        for p in 0..PARTITIONS {
            let Some(c) = answer.coverage.partitions().get(&partition(p)) else {
                continue;
            };
            let last = &mut self.last[p as usize];
            // The generation may be ahead of the cells, and be taken back; what cells say is not.
            let (least, cut) = (last.0.min(c.applied), c.frontier.cut);
            ensure!(
                c.applied >= last.0 || last.0 == last.1,
                "lines/{p} went back from {} to {}, behind the cut at {}",
                last.0,
                c.applied,
                last.1
            );
            ensure!(c.applied >= cut && least <= c.applied, "lines/{p}: {c:?}");
            both |= cut > 0 && c.applied > cut;
            back |= cut < last.1;
            *last = (c.applied, cut);
        }
        self.seen.of_both += u64::from(both);
        self.seen.back += u64::from(back);
        Ok(())
    }
}

/// A line that another process prints, and its reading.
pub(crate) fn to_line(seen: &Seen) -> String {
    let micros: Vec<String> = seen.times.iter().map(|t| t.as_micros().to_string()).collect();
    let manifests: Vec<String> = seen.manifests.iter().map(u64::to_string).collect();
    format!(
        "seen {};{};{};{};{}",
        micros.join(","),
        manifests.join(","),
        seen.of_both,
        seen.back,
        seen.refused
    )
}

pub(crate) fn from_line(line: &str) -> Result<Seen> {
    let fields: Vec<&str> = line.split(';').collect();
    let [micros, manifests, of_both, back, refused] = fields[..] else {
        bail!("not what a reader prints: {line}");
    };
    let numbers = |text: &str| -> Result<Vec<u64>> {
        let all = text.split(',').filter(|t| !t.is_empty());
        all.map(|t| t.parse().context("a number")).collect()
    };
    Ok(Seen {
        times: numbers(micros)?.into_iter().map(Duration::from_micros).collect(),
        manifests: numbers(manifests)?.into_iter().collect(),
        of_both: of_both.parse()?,
        back: back.parse()?,
        refused: refused.parse()?,
    })
}

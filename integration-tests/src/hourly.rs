//! A job of hourly counters and visitors of many pages, and its log, of which every line can be computed: what an answer must be follows from
//! the offsets that it names.

use std::io::{self, Write};

use rufous::prelude::*;

/// `milliseconds page user` a line, each of a fixed width.
pub const EVENTS: Source<str> = Source::new("events")
    .batches(Batcher::of_hours(1))
    .batch_clock(Clock::Event)
    .timed_by(|line| Timestamp(number(line.split(' ').next())));
/// Events by page.
pub const TOTALS: Store<String, u64> = Store::new("totals");
/// Events by page and hour.
pub const COUNTS: WindowedStore<String, u64> = WindowedStore::new("counts", &[HopSize::hours(1)]);
/// Users by page and hour.
pub const VISITORS: WindowedStore<String, Hll<12>> = WindowedStore::new("visitors", &[HopSize::hours(1)]);

/// When the first line is.
pub const START: i64 = 1_699_920_000_000; // 2023-11-14T00:00Z
/// Milliseconds.
pub const HOUR: i64 = 3_600_000;
/// Files of the log, each a partition. A page is in one of them.
pub const PARTITIONS: u64 = 2;
/// Pages that have many events an hour: their sketches are dense. All others have one.
pub const HOT: u64 = 20;
/// Events of a hot page in a round.
pub const EVENTS_OF_HOT: u64 = 600;
/// Rounds of an hour behind the month: a running job is in one hour for an hour.
const ROUNDS: u64 = 200;
/// Bytes of a line.
pub const LINE: u64 = 34;

fn number(text: Option<&str>) -> i64 {
    text.and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn parts(line: &str) -> Option<(&str, Timestamp, u64)> {
    let mut parts = line.split(' ');
    let at = Timestamp(number(parts.next()));
    Some((parts.next()?, at, number(parts.next()) as u64))
}

/// Totals, counters and visitors.
pub fn hourly() -> Job {
    let events = EVENTS.read();
    let totals = events.clone().keyed(|line, out| {
        if let Some((page, ..)) = parts(line) {
            out.emit(page, 1);
        }
    });
    let seen = events.keyed(|line, out| {
        if let Some((page, at, user)) = parts(line) {
            out.emit((page, at), user);
        }
    });
    let counts = seen.clone().map_values(|_| 1).windowed_sum_by_key(COUNTS);
    let visitors = seen.windowed_aggregate_by_key(VISITORS);
    Job::new("hourly", (totals.sum_by_key(TOTALS), counts, visitors))
}

/// A log of rounds: each has all pages, in their order. The first hours have a round each.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Different pages.
    pub pages: u64,
    /// Hours of one round; those behind them have many.
    pub hours: u64,
}

impl Log {
    /// A page's key.
    pub fn key(page: u64) -> String {
        format!("{page:012}")
    }
    /// Events of a page in each round.
    pub fn events(page: u64) -> u64 {
        if page < HOT { EVENTS_OF_HOT } else { 1 }
    }
    /// Who the n-th event of a page in a round is by.
    pub fn user(page: u64, round: u64, n: u64) -> u64 {
        let mixed = (page << 40 ^ round << 20 ^ n)
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) % 1_000_000
    }
    fn pages_of(&self, partition: u64) -> impl Iterator<Item = u64> + use<> {
        (partition..self.pages).step_by(PARTITIONS as usize)
    }
    /// Lines of a partition in each round.
    pub fn lines(&self, partition: u64) -> u64 {
        self.pages_of(partition).map(Self::events).sum()
    }
    /// From when a round is, and how long it lasts, in milliseconds.
    fn when(&self, round: u64) -> (i64, i64) {
        let Some(behind) = round.checked_sub(self.hours) else {
            return (START + round as i64 * HOUR, HOUR);
        };
        let hour = START + (self.hours + behind / ROUNDS) as i64 * HOUR;
        let lasts = HOUR / ROUNDS as i64;
        (hour + (behind % ROUNDS) as i64 * lasts, lasts)
    }
    /// Writes the lines of a partition in a round.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, partition: u64, round: u64, to: &mut dyn Write) -> io::Result<()> {
        let (start, lasts) = self.when(round);
        let (lines, mut line) = (self.lines(partition) as i64, 0);
        for page in self.pages_of(partition) {
            for n in 0..Self::events(page) {
                let at = start + line * lasts / lines;
                writeln!(to, "{at:013} {page:012} {:06}", Self::user(page, round, n))?;
                line += 1;
            }
        }
        Ok(())
    }
    /// Events of a page in the first `offset` bytes of its partition.
    ///
    /// # Errors
    /// When the offset is inside of a line.
    pub fn total(&self, page: u64, offset: u64) -> anyhow::Result<u64> {
        anyhow::ensure!(offset.is_multiple_of(LINE), "offset {offset} is inside of a line");
        let (lines, of_round) = (offset / LINE, self.lines(page % PARTITIONS));
        let (before, hot) = (page / PARTITIONS, HOT / PARTITIONS);
        let before = before + before.min(hot) * (EVENTS_OF_HOT - 1);
        let begun = (lines % of_round).saturating_sub(before).min(Self::events(page));
        Ok(lines / of_round * Self::events(page) + begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is computed is what is written.
    #[test]
    fn totals_are_those_of_the_lines() {
        let log = Log { pages: 45, hours: 2 };
        let mut files = vec![Vec::new(); PARTITIONS as usize];
        for round in 0..3 {
            for (partition, file) in (0..).zip(&mut files) {
                log.write(partition, round, file).unwrap();
            }
        }
        for page in [0, 1, 18, 19, 20, 21, 43, 44] {
            let file = String::from_utf8(files[(page % PARTITIONS) as usize].clone()).unwrap();
            let mut seen = 0;
            for (i, line) in file.lines().enumerate() {
                assert_eq!(log.total(page, i as u64 * LINE).unwrap(), seen, "page {page}, line {i}");
                seen += u64::from(line.split(' ').nth(1) == Some(&Log::key(page)));
            }
            assert_eq!(log.total(page, file.len() as u64).unwrap(), seen);
        }
    }
}

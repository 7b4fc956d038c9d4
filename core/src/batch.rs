//! Batches: the unit that the two layers hand over. A batch is an offset range of one partition (rule P1), so both layers
//! find the same one in the same log without talking.

use std::fmt;

use crate::rules::{Rule as Protocol, kept};
use crate::time::{DAY_MS, HOUR_MS, Timestamp};

/// The number of a batch. Inside one partition it never goes down in offset order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub i64);

impl BatchId {
    /// Before every batch: where a partition stands that no record has been read of.
    pub const MIN: Self = Self(i64::MIN);
    /// After every batch: the end of a bounded input.
    pub const MAX: Self = Self(i64::MAX);

    /// A batch in a sentence for people, where it is not known what times it has: see [`Batcher::show`].
    pub fn show(self) -> String {
        match self {
            Self::MIN => "the beginning".into(),
            Self::MAX => "the end of the input".into(),
            Self(n) => format!("batch {n}"),
        }
    }
}

/// Maps time to batches; or offsets to batches, for logs without any time (P8a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Batcher(Rule);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Milliseconds(u64),
    Offsets(u64),
    AllInOne,
}

impl Batcher {
    /// Batches of `n` hours of UTC. 0 counts as 1.
    pub const fn of_hours(n: u32) -> Self {
        Self(Rule::Milliseconds(HOUR_MS * if n == 0 { 1 } else { n as u64 }))
    }
    /// Batches of `n` days of UTC. 0 counts as 1.
    pub const fn of_days(n: u32) -> Self {
        Self(Rule::Milliseconds(DAY_MS * if n == 0 { 1 } else { n as u64 }))
    }
    /// Batches of `n` offsets (bytes, for the local log). 0 counts as 1.
    pub const fn of_offsets(n: u64) -> Self {
        Self(Rule::Offsets(if n == 0 { 1 } else { n }))
    }
    /// One batch for everything: it is never sealed by a log, only by the end of a bounded input.
    pub const fn all_in_one() -> Self {
        Self(Rule::AllInOne)
    }
    /// Whether the batch is a function of the offset alone.
    pub const fn is_by_offset(&self) -> bool {
        matches!(self.0, Rule::Offsets(_))
    }
    /// The batch of an instant; `None` when batches are by offset.
    pub fn batch_of(&self, t: Timestamp) -> Option<BatchId> {
        match self.0 {
            Rule::Milliseconds(ms) => Some(BatchId(t.0.div_euclid(ms as i64))),
            Rule::AllInOne => Some(BatchId(0)),
            Rule::Offsets(_) => None,
        }
    }
    /// The first instant of a batch; `None` when batches have no times.
    pub fn start_of(&self, b: BatchId) -> Option<Timestamp> {
        match self.0 {
            Rule::Milliseconds(ms) => b.0.checked_mul(ms as i64).map(Timestamp),
            _ => None,
        }
    }
    /// The last millisecond of a batch; `None` when batches have no times.
    pub fn last_of(&self, b: BatchId) -> Option<Timestamp> {
        let next = self.start_of(BatchId(b.0.checked_add(1)?))?;
        Some(Timestamp(next.0.saturating_sub(1)))
    }
    /// A batch for people: its first instant, or its number.
    pub fn show(&self, b: BatchId) -> String {
        match (b, self.start_of(b), self.0) {
            (BatchId::MIN | BatchId::MAX, ..) => b.show(),
            (_, Some(t), _) => t.to_string(),
            (_, None, Rule::Offsets(n)) => format!("offset {}", i128::from(b.0) * i128::from(n)),
            _ => b.show(),
        }
    }
    /// Reads what `Display` prints.
    fn named(text: &str) -> Option<Self> {
        if text == "everything" {
            return Some(Self::all_in_one());
        }
        let (n, unit) = text.split_once(' ')?;
        let n: u64 = n.parse().ok().filter(|n| *n > 0)?;
        let unit = match unit.strip_suffix('s').unwrap_or(unit) {
            "day" => DAY_MS,
            "hour" => HOUR_MS,
            "m" => 1,
            "offset" => return Some(Self::of_offsets(n)),
            _ => return None,
        };
        Some(Self(Rule::Milliseconds(n.checked_mul(unit)?)))
    }
    /// The default of [`CutSpec::max_step`]: seven days in batches.
    fn week(&self) -> Option<u64> {
        match self.0 {
            Rule::Milliseconds(ms) => Some((7 * DAY_MS).div_ceil(ms)),
            _ => None,
        }
    }
}

impl fmt::Display for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        match self.0 {
            Rule::Milliseconds(ms) if ms % DAY_MS == 0 => write!(f, "{} day{}", ms / DAY_MS, plural(ms / DAY_MS)),
            Rule::Milliseconds(ms) if ms % HOUR_MS == 0 => write!(f, "{} hour{}", ms / HOUR_MS, plural(ms / HOUR_MS)),
            Rule::Milliseconds(ms) => write!(f, "{ms} ms"),
            Rule::Offsets(n) => write!(f, "{n} offsets"),
            Rule::AllInOne => f.write_str("everything"),
        }
    }
}

/// Which time cuts batches (P2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The log's own timestamp: no user code takes part in cutting.
    Log,
    /// The event time that the source declares.
    Event,
}

/// All that decides where a log is cut (P8). Both layers store its text and refuse another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutSpec {
    /// Which time counts.
    pub clock: Clock,
    /// How time becomes a batch.
    pub batcher: Batcher,
    /// One record raises the batch by at most this many batches (P3); `None`: by any number.
    pub max_step: Option<u64>,
}

impl CutSpec {
    /// With the default step of seven days.
    pub fn new(clock: Clock, batcher: Batcher) -> Self {
        Self {
            clock,
            batcher,
            max_step: batcher.week(),
        }
    }
    /// The batcher that a [`text`](Self::text) names; `None` of a text of another form.
    pub fn batcher_of(text: &str) -> Option<Batcher> {
        let batch = text.strip_prefix("cut/1 ")?.split_once(" batch=")?.1;
        Batcher::named(batch.split_once(" max_step=")?.0)
    }
    /// The text that is persisted and compared: format version, clock, batcher, step, isolation level.
    pub fn text(&self) -> String {
        let clock = if self.batcher.is_by_offset() {
            "offset"
        } else {
            match self.clock {
                Clock::Log => "log",
                Clock::Event => "event",
            }
        };
        let step = self.max_step.map_or("any".to_string(), |n| n.to_string());
        format!(
            "cut/1 clock={clock} batch={} max_step={step} isolation=read_committed",
            self.batcher
        )
    }
}

/// The running batch of one partition: the whole state of cutting (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningBatch {
    /// The batch of the last record; [`BatchId::MIN`] before the first.
    pub batch: BatchId,
}

impl RunningBatch {
    /// The state after a prefix whose last record has this batch.
    pub fn at(batch: BatchId) -> Self {
        Self { batch }
    }

    /// The batch of the next record: `max(batch before, Batcher(time))`, raised by at most `max_step` (P1, P3). A record
    /// without a readable time takes the running batch. The second value says that `max_step` held the record back.
    #[inline]
    pub fn advance(&mut self, spec: &CutSpec, time: Option<Timestamp>, offset: u64) -> (BatchId, bool) {
        let wanted = match (spec.batcher.0, time) {
            (Rule::Offsets(n), _) => BatchId((offset / n).min(i64::MAX as u64) as i64),
            (Rule::Milliseconds(ms), Some(t)) => BatchId(t.0.div_euclid(ms as i64)),
            (Rule::AllInOne, _) => BatchId(0),
            (Rule::Milliseconds(_), None) => return (self.batch, false),
        };
        if wanted <= self.batch {
            if wanted < self.batch && !kept(Protocol::RunningMaximum) {
                return (wanted, false);
            }
            return (self.batch, false);
        }
        let mut held = false;
        self.batch = match spec.max_step {
            Some(step) if self.batch != BatchId::MIN => {
                let most = BatchId(self.batch.0.saturating_add(step.min(i64::MAX as u64) as i64));
                held = wanted > most;
                wanted.min(most)
            }
            _ => wanted,
        };
        (self.batch, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P1, P3: against the definition written out over a list.
    #[test]
    fn the_batch_is_a_running_maximum() {
        let spec = CutSpec {
            max_step: Some(3),
            ..CutSpec::new(Clock::Log, Batcher::of_hours(1))
        };
        let hour = |h: i64| Some(Timestamp(h * HOUR_MS as i64));
        let mut run = RunningBatch::at(BatchId::MIN);
        let got: Vec<_> = [hour(5), hour(4), None, hour(6), hour(1_000), hour(7), hour(9)]
            .into_iter()
            .zip(0..)
            .map(|(t, o)| run.advance(&spec, t, o).0.0)
            .collect();
        assert_eq!(got, [5, 5, 5, 6, 9, 9, 9]);
        assert!(RunningBatch::at(BatchId(0)).advance(&spec, hour(4), 0).1);
        assert_eq!(RunningBatch::at(BatchId::MIN).advance(&spec, None, 0).0, BatchId::MIN);
    }

    /// What stands for no batch is shown by no number.
    #[test]
    fn batches_are_shown_to_people() {
        let batchers = [Batcher::of_hours(1), Batcher::of_offsets(10), Batcher::all_in_one()];
        for (b, alone, shown) in [
            (BatchId::MIN, "the beginning", ["the beginning"; 3]),
            (BatchId::MAX, "the end of the input", ["the end of the input"; 3]),
            (BatchId(2), "batch 2", ["1970-01-01T02:00:00Z", "offset 20", "batch 2"]),
            (
                BatchId(-1),
                "batch -1",
                ["1969-12-31T23:00:00Z", "offset -10", "batch -1"],
            ),
        ] {
            assert_eq!(b.show(), alone);
            assert_eq!(batchers.map(|batcher| batcher.show(b)), shown);
        }
    }

    /// The persisted text names its batcher.
    #[test]
    fn the_text_is_read_back() {
        for batcher in [
            Batcher::of_hours(1),
            Batcher::of_hours(5),
            Batcher::of_hours(48),
            Batcher::of_days(1),
            Batcher::of_days(30),
            Batcher::of_offsets(1),
            Batcher::of_offsets(150),
            Batcher::all_in_one(),
        ] {
            for clock in [Clock::Log, Clock::Event] {
                assert_eq!(CutSpec::batcher_of(&CutSpec::new(clock, batcher).text()), Some(batcher));
            }
        }
        for text in [
            "",
            "cut/2 clock=log batch=1 hour max_step=1",
            "cut/1 clock=log batch=0 hours max_step=1",
        ] {
            assert_eq!(CutSpec::batcher_of(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_cut_without_time() {
        let spec = CutSpec::new(Clock::Log, Batcher::of_offsets(10));
        let mut run = RunningBatch::at(BatchId::MIN);
        assert_eq!([0, 9, 10, 35].map(|o| run.advance(&spec, None, o).0.0), [0, 0, 1, 3]);
        assert_eq!(
            spec.text(),
            "cut/1 clock=offset batch=10 offsets max_step=any isolation=read_committed"
        );
    }
}

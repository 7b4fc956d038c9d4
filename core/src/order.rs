//! The order of records of several partitions (O3): by batch, then by running time in it, then by the source's name, then by
//! partition and offset. It is total, keeps the order of offsets, and is a pure function of the logs.
//!
//! The running time of a record is the greatest clock time of its partition within its batch so far, held to the batch: so its
//! batch is the batcher's of it. It begins anew where a batch begins, so a run that begins there needs to know nothing before. Nor
//! does one that goes on in the middle of a batch, where all below one place of the order was taken: what the time before would raise
//! stands before all that is left of the others either way.

use crate::batch::{BatchId, CutSpec, RunningBatch};
use crate::time::Timestamp;

/// Where a record stands among those of other partitions, but for names and offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogTime {
    /// Its batch.
    pub batch: BatchId,
    /// The greatest time in the batch up to this record; `None` while there was none.
    pub time: Option<Timestamp>,
}

/// The running time of one partition.
#[derive(Clone, Copy, Debug)]
pub struct RunningTime {
    running: RunningBatch,
    time: Option<Timestamp>,
    /// The last instant of the batch.
    last: Option<Timestamp>,
}

impl RunningTime {
    /// After a prefix whose last record stands there. Where a batch begins, its own time need not be known.
    pub fn at(spec: &CutSpec, prefix: LogTime) -> Self {
        Self {
            running: RunningBatch::at(prefix.batch),
            time: prefix.time,
            last: spec.batcher.last_of(prefix.batch),
        }
    }
    /// Where the last record stands.
    pub fn now(&self) -> LogTime {
        LogTime {
            batch: self.running.batch,
            time: self.time,
        }
    }
    /// Where the next record stands, whose clock says `time`.
    #[inline]
    pub fn advance(&mut self, spec: &CutSpec, time: Option<Timestamp>, offset: u64) -> LogTime {
        let before = self.running.batch;
        let (batch, _) = self.running.advance(spec, time, offset);
        if batch != before {
            self.begin(spec, batch);
        }
        self.within(time)
    }
    /// The next record is the first of this batch.
    pub fn begin(&mut self, spec: &CutSpec, batch: BatchId) {
        *self = Self::at(spec, LogTime { batch, time: None });
    }
    /// Where the next record of the same batch stands.
    #[inline]
    pub fn within(&mut self, time: Option<Timestamp>) -> LogTime {
        let held = match self.last {
            Some(last) => time.min(Some(last)),
            None => time,
        };
        self.time = self.time.max(held);
        self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batcher, Clock};
    use crate::time::HOUR_MS;

    /// O3, against the definition over a list: the greatest time of the batch so far, held to it; and the batch is its batcher's.
    #[test]
    fn a_running_maximum_within_the_batch() {
        let spec = CutSpec {
            max_step: Some(3),
            ..CutSpec::new(Clock::Log, Batcher::of_hours(1))
        };
        let hour = HOUR_MS as i64;
        let minutes = [310, 305, 299, 312, 361, 300, 10_000, 400, 601, 500];
        let mut run = RunningTime::at(
            &spec,
            LogTime {
                batch: BatchId::MIN,
                time: None,
            },
        );
        let got: Vec<_> = (0..)
            .zip(minutes)
            .map(|(o, m)| run.advance(&spec, Some(Timestamp(m * 60_000)), o))
            .collect();
        let at = |batch: i64, ms: i64| LogTime {
            batch: BatchId(batch),
            time: Some(Timestamp(ms)),
        };
        // The clock that is 150 hours ahead is held to the end of the ninth hour (P3), and what follows it stands there, too.
        let expected = [
            at(5, 310 * 60_000),
            at(5, 310 * 60_000),
            at(5, 310 * 60_000),
            at(5, 312 * 60_000),
            at(6, 361 * 60_000),
            at(6, 361 * 60_000),
            at(9, 10 * hour - 1),
            at(9, 10 * hour - 1),
            at(10, 601 * 60_000),
            at(10, 601 * 60_000),
        ];
        assert_eq!(got, expected);
        assert!(
            got.iter()
                .all(|t| t.time.map(|t| t.0.div_euclid(hour)) == Some(t.batch.0))
        );
        // From any place on, knowing where the last record stands; and from where a batch begins, knowing its batch alone.
        for from in 1..minutes.len() {
            let known = got[from - 1];
            let edge = LogTime { time: None, ..known };
            for known in [Some(known), Some(edge).filter(|_| got[from].batch > known.batch)]
                .into_iter()
                .flatten()
            {
                let mut run = RunningTime::at(&spec, known);
                for (o, m) in (0..).zip(minutes).skip(from) {
                    assert_eq!(
                        run.advance(&spec, Some(Timestamp(m * 60_000)), o as u64),
                        expected[o as usize]
                    );
                }
            }
        }
    }
}

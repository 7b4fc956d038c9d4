//! Which batch a record is in: a pure function of the log prefix, so that stream and archive agree without talking (P1).

use std::ops::Range;

use rufous_core::{BatchId, Clock, CutSpec, Entry, RecordBatch, RunningBatch, Timestamp};

/// Consecutive entries of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which entries of the record batch.
    pub range: Range<usize>,
    /// Their batch.
    pub batch: BatchId,
}

/// The upper ends, in milliseconds, of the buckets in which lateness is counted: a minute, an hour, a day, a week.
pub const LATENESS_BOUNDS: [i64; 4] = [60_000, 3_600_000, 86_400_000, 7 * 86_400_000];
/// The buckets: one below each bound, and one for what is later than the last.
pub const LATENESS_BUCKETS: usize = LATENESS_BOUNDS.len() + 1;

/// What cutting a batch of records brought. Reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// The entries by batch, in order.
    pub runs: Vec<Run>,
    /// Where batches began: (batch, offset).
    pub cuts: Vec<(BatchId, u64)>,
    /// Records whose own time lies before the running batch (P4: counted, never lost).
    pub late: u64,
    /// Records whose time lies behind the greatest of the partition so far, by how far ([`LATENESS_BOUNDS`]). It is the event
    /// time where the source has one, whichever clock cuts; else the log's.
    pub lateness: [u64; LATENESS_BUCKETS],
    /// The sum of them, in milliseconds.
    pub lateness_ms: u64,
    /// Records that `max_step` held back (P3).
    pub held: u64,
    /// The greatest time seen.
    pub last_time: Option<Timestamp>,
}

/// Cuts one partition.
#[derive(Clone, Debug)]
pub struct Cutter {
    spec: CutSpec,
    running: RunningBatch,
    /// The first instant of the running batch.
    start: Option<Timestamp>,
    /// Whether lateness is that of the event time.
    timed: bool,
    /// The greatest time that lateness is measured against.
    greatest: i64,
}

impl Cutter {
    /// After a prefix whose running batch is `batch`.
    pub fn new(spec: CutSpec, batch: BatchId) -> Self {
        let start = spec.batcher.start_of(batch);
        Self {
            spec,
            running: RunningBatch::at(batch),
            start,
            timed: false,
            greatest: i64::MIN,
        }
    }
    /// Measures lateness behind `greatest` from now on; that of the event time if the source is `timed`. A process that starts
    /// knows no greater event time than the row keeps: lateness is for people, no answer rests on it.
    #[must_use]
    pub fn measuring(mut self, timed: bool, greatest: Option<Timestamp>) -> Self {
        self.timed = timed;
        self.greatest = greatest.map_or(i64::MIN, |t| t.0);
        self
    }
    /// The running batch.
    pub fn batch(&self) -> BatchId {
        self.running.batch
    }
    /// The first instant of the running batch; `None` when batches have no times.
    pub fn start(&self) -> Option<Timestamp> {
        self.start
    }
    /// The time by which an entry is cut.
    fn time(&self, e: &Entry, i: usize, times: &[Option<Timestamp>]) -> Option<Timestamp> {
        match self.spec.clock {
            Clock::Log => e.time(),
            // A heartbeat has no event: the log's own time orders it.
            Clock::Event if e.heartbeat => e.time(),
            Clock::Event => times.get(i).copied().flatten(),
        }
    }
    /// A late one among the entries that were cut, with its time and where its batch begins: for people who want to see one.
    pub(crate) fn late_one(
        &self,
        records: &RecordBatch,
        times: &[Option<Timestamp>],
        runs: &[Run],
    ) -> Option<(usize, Timestamp, Timestamp)> {
        runs.iter().rev().find_map(|run| {
            let start = self.spec.batcher.start_of(run.batch)?;
            run.range.clone().rev().find_map(|i| {
                let time = self.time(records.entries.get(i)?, i, times)?;
                (time < start).then_some((i, time, start))
            })
        })
    }
    /// Cuts the next records. `times[i]` is the event time of entry `i`; it counts where the event clock cuts.
    pub fn cut(&mut self, records: &RecordBatch, times: &[Option<Timestamp>], out: &mut Cuts) {
        out.runs.clear();
        out.cuts.clear();
        (out.late, out.held, out.last_time) = (0, 0, None);
        (out.lateness, out.lateness_ms) = ([0; LATENESS_BUCKETS], 0);
        let mut from = 0;
        for (i, e) in records.entries.iter().enumerate() {
            let time = self.time(e, i, times);
            if !e.heartbeat {
                let own = if self.timed {
                    times.get(i).copied().flatten()
                } else {
                    e.time()
                };
                match own {
                    Some(t) if t.0 >= self.greatest => self.greatest = t.0,
                    Some(t) => {
                        let behind = self.greatest.saturating_sub(t.0);
                        out.lateness[bucket(behind)] += 1;
                        out.lateness_ms = out.lateness_ms.saturating_add(behind.unsigned_abs());
                    }
                    None => {}
                }
            }
            let before = self.running.batch;
            let (batch, held) = self.running.advance(&self.spec, time, e.offset);
            out.last_time = out.last_time.max(time);
            if batch != before {
                if i > from {
                    out.runs.push(Run {
                        range: from..i,
                        batch: before,
                    });
                }
                from = i;
                out.cuts.push((batch, e.offset));
                self.start = self.spec.batcher.start_of(batch);
                out.held += u64::from(held);
            } else if time.is_some() && time < self.start {
                out.late += 1;
            }
        }
        if records.entries.len() > from {
            out.runs.push(Run {
                range: from..records.entries.len(),
                batch: self.running.batch,
            });
        }
    }
}

/// Which bucket a lateness is counted in.
fn bucket(behind: i64) -> usize {
    LATENESS_BOUNDS.partition_point(|bound| *bound <= behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_core::{Batcher, Span};

    /// P1: cutting in pieces is cutting whole, and runs tile the entries.
    #[test]
    fn pieces_cut_like_the_whole() {
        let spec = CutSpec::new(Clock::Event, Batcher::of_hours(1));
        let hours = [3i64, 3, 2, 4, 4, 1, 6, 5, 6];
        let times: Vec<_> = hours.iter().map(|h| Some(Timestamp(h * 3_600_000))).collect();
        let batch = |range: Range<usize>| RecordBatch {
            entries: range.map(|i| Entry::plain(10 * i as u64, Span::NONE)).collect(),
            ..Default::default()
        };
        let mut expected = Vec::new();
        let mut max = i64::MIN;
        for h in hours {
            max = max.max(h);
            expected.push(max);
        }
        for split in 0..=hours.len() {
            let mut cutter = Cutter::new(spec.clone(), BatchId::MIN);
            let (mut got, mut cuts, mut late) = (Vec::new(), Vec::new(), 0);
            for piece in [0..split, split..hours.len()] {
                let mut out = Cuts::default();
                cutter.cut(&batch(piece.clone()), &times[piece.clone()], &mut out);
                for run in &out.runs {
                    assert_eq!(got.len(), piece.start + run.range.start);
                    got.extend(run.range.clone().map(|_| run.batch.0));
                }
                cuts.extend(out.cuts);
                late += out.late;
            }
            assert_eq!(got, expected);
            assert_eq!(cuts, [(BatchId(3), 0), (BatchId(4), 30), (BatchId(6), 60)]);
            assert_eq!(late, 3);
            // One of them can be shown.
            let whole = batch(0..hours.len());
            let mut out = Cuts::default();
            let mut cutter = Cutter::new(spec.clone(), BatchId::MIN);
            cutter.cut(&whole, &times, &mut out);
            let shown = cutter.late_one(&whole, &times, &out.runs);
            assert_eq!(shown, Some((7, Timestamp(5 * 3_600_000), Timestamp(6 * 3_600_000))));
            cutter.cut(&batch(8..9), &times[8..], &mut out);
            assert_eq!(cutter.late_one(&batch(8..9), &times[8..], &out.runs), None);
        }
    }
    /// P4: how late by event time, also where the log's time cuts; heartbeats and records without a time are not late.
    #[test]
    fn lateness_is_that_of_the_event_time() {
        let (minute, hour, day) = (60_000, 3_600_000, 86_400_000);
        let now = 100 * day;
        let behind = [0, minute - 1, minute, hour - 1, hour, day, 7 * day - 1, 7 * day, now];
        let times: Vec<_> = behind
            .iter()
            .map(|b| Some(Timestamp(now - b)))
            .chain([None, None])
            .collect();
        let mut entries: Vec<_> = (0..times.len())
            .map(|i| Entry {
                // The log's own times only rise.
                time_ms: now + i as i64,
                ..Entry::plain(i as u64, Span::NONE)
            })
            .collect();
        entries[10].heartbeat = true;
        let batch = RecordBatch {
            entries,
            ..Default::default()
        };
        let spec = CutSpec::new(Clock::Log, Batcher::of_hours(1));
        let mut out = Cuts::default();
        let mut cutter = Cutter::new(spec.clone(), BatchId::MIN).measuring(true, None);
        cutter.cut(&batch, &times, &mut out);
        assert_eq!((out.lateness, out.late), ([1, 2, 1, 2, 2], 0));
        // By the log's time nothing is late, unless something greater was seen before the process started.
        Cutter::new(spec.clone(), BatchId::MIN)
            .measuring(false, None)
            .cut(&batch, &times, &mut out);
        assert_eq!(out.lateness, [0; LATENESS_BUCKETS]);
        let known = Some(Timestamp(now + 2 * hour));
        Cutter::new(spec, BatchId::MIN)
            .measuring(false, known)
            .cut(&batch, &times, &mut out);
        assert_eq!(out.lateness, [0, 0, 10, 0, 0]);
    }
}

//! Which batch a record is in: a pure function of the log prefix, so that stream and archive agree without talking (P1).

use std::ops::Range;

use rufous_core::{BatchId, Clock, CutSpec, RecordBatch, RunningBatch, Timestamp};

/// Consecutive entries of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which entries of the record batch.
    pub range: Range<usize>,
    /// Their batch.
    pub batch: BatchId,
}

/// What cutting a batch of records brought. Reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// The entries by batch, in order.
    pub runs: Vec<Run>,
    /// Where batches began: (batch, offset).
    pub cuts: Vec<(BatchId, u64)>,
    /// Records whose own time lies before the running batch (P4: counted, never lost).
    pub late: u64,
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
}

impl Cutter {
    /// After a prefix whose running batch is `batch`.
    pub fn new(spec: CutSpec, batch: BatchId) -> Self {
        let start = spec.batcher.start_of(batch);
        Self {
            spec,
            running: RunningBatch::at(batch),
            start,
        }
    }
    /// The running batch.
    pub fn batch(&self) -> BatchId {
        self.running.batch
    }
    /// Cuts the next records. `times[i]` is the event time of entry `i`; it counts where the event clock cuts.
    pub fn cut(&mut self, records: &RecordBatch, times: &[Option<Timestamp>], out: &mut Cuts) {
        out.runs.clear();
        out.cuts.clear();
        (out.late, out.held, out.last_time) = (0, 0, None);
        let mut from = 0;
        for (i, e) in records.entries.iter().enumerate() {
            let time = match self.spec.clock {
                Clock::Log => e.time(),
                // A heartbeat has no event: the log's own time orders it.
                Clock::Event if e.heartbeat => e.time(),
                Clock::Event => times.get(i).copied().flatten(),
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_core::{Batcher, Entry, Span};

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
        }
    }
}

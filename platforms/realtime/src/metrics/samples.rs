//! A few of the records that something was wrong with, for people who want to see one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rufous_core::{Entry, RecordBatch, Timestamp};

/// So many are kept, the newest.
const KEPT: usize = 32;
/// Of a flood one is taken this often: the rest is counted.
const BETWEEN: Duration = Duration::from_millis(50);
/// Bytes of a payload, and of a reason, that are kept.
const TEXT: usize = 1_600;

/// A record, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Its time, if it has one.
    pub time: Option<Timestamp>,
    /// What was wrong.
    pub why: String,
    /// The first bytes of its payload.
    pub payload: Vec<u8>,
}

#[derive(Debug, Default)]
struct Taken {
    samples: VecDeque<Sample>,
    last: Option<Instant>,
}

impl Taken {
    fn is_due(&self, now: Instant) -> bool {
        let since = |last| now.saturating_duration_since(last);
        self.samples.len() < KEPT || self.last.is_none_or(|last| since(last) >= BETWEEN)
    }
}

/// The newest records of one kind. Taking one costs a lock; of a flood few are taken.
#[derive(Debug, Default)]
pub struct Samples(Mutex<Taken>);

impl Samples {
    /// Whether another one would be taken now.
    pub(crate) fn is_due(&self) -> bool {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.is_due(Instant::now())
    }
    /// Takes a record of `records`, unless enough were taken just now.
    pub(crate) fn take(&self, records: &RecordBatch, entry: &Entry, time: Option<Timestamp>, why: &dyn Fn() -> String) {
        self.take_at(Instant::now(), records, entry, time, why);
    }
    fn take_at(
        &self,
        now: Instant,
        records: &RecordBatch,
        entry: &Entry,
        time: Option<Timestamp>,
        why: &dyn Fn() -> String,
    ) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !taken.is_due(now) {
            return;
        }
        let payload = records.value(entry).unwrap_or_default();
        let mut why = why();
        if why.len() > TEXT {
            why.truncate(why.floor_char_boundary(TEXT));
        }
        taken.last = Some(now);
        if taken.samples.len() >= KEPT {
            taken.samples.pop_front();
        }
        taken.samples.push_back(Sample {
            partition: records.partition,
            offset: entry.offset,
            time,
            why,
            payload: payload.get(..TEXT).unwrap_or(payload).to_vec(),
        });
    }
    /// Those that are kept, newest first.
    pub fn newest(&self) -> Vec<Sample> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.samples.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a flood the newest are kept, each cut to a length; the rest costs nothing but a look at the clock.
    #[test]
    fn a_flood_leaves_a_few() {
        let samples = Samples::default();
        let mut records = RecordBatch::default();
        let span = records.push_bytes(&[b'x'; 5_000]);
        // The clock stands still: however slow the machine is, it is a moment.
        let begun = Instant::now();
        for offset in 0..1_000 {
            let entry = Entry::plain(offset, span);
            samples.take_at(begun, &records, &entry, None, &|| "w".repeat(5_000));
        }
        let newest = samples.newest();
        assert_eq!(newest.len(), KEPT);
        assert_eq!(
            newest[KEPT - 1].offset,
            0,
            "a flood within a moment is told by its beginning"
        );
        assert!(newest.iter().all(|s| s.payload.len() == TEXT && s.why.len() == TEXT));
        for (offset, at) in [(6_666, begun + BETWEEN / 2), (7_777, begun + BETWEEN)] {
            let entry = Entry::plain(offset, span);
            samples.take_at(at, &records, &entry, Some(Timestamp(5)), &|| "late".into());
        }
        let newest = samples.newest();
        assert_eq!((newest.len(), newest[0].offset), (KEPT, 7_777));
        assert_eq!(newest[KEPT - 1].offset, 1);
    }
}

//! Where records come from: their event time, partition and offset. Only plans with a step that asks carry it, beside their
//! chunks; the other plans pay one branch a record in steps that multiply, and none elsewhere.

use std::ops::Range;

use crate::batch::BatchId;
use crate::decode::BadRecord;
use crate::error::{Error, Result};
use crate::log::RecordBatch;
use crate::time::Timestamp;

/// Where a record comes from: what it is made of, and which of the things made of that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Milliseconds; the least number when there is no time.
    time_ms: i64,
    /// The offset in its partition of what the source handed out; of rows of files, their place in the file or row group.
    pub offset: u64,
    /// Tells apart what became of one record of the source, at one step (O13). It depends on the job and on that record
    /// alone: 0 of what is not multiplied, the place among the emissions of the first step that multiplies, a hash of the
    /// places after that. It is the same in chunks of any size.
    pub number: u64,
}

impl Origin {
    /// Of a record of a source.
    pub fn new(time: Option<Timestamp>, offset: u64) -> Self {
        Self {
            time_ms: time.map_or(i64::MIN, |t| t.0),
            offset,
            number: 0,
        }
    }
    /// The event time that the source declares, else the log's time; `None` of logs that have none.
    #[inline]
    pub fn time(&self) -> Option<Timestamp> {
        (self.time_ms != i64::MIN).then_some(Timestamp(self.time_ms))
    }
    /// The same record as it comes in by input number `branch` of a step: a record may come by several. Of two ways through
    /// the same merges each is another one, so the step counts, too.
    pub(super) fn by(self, step: u32, branch: u32) -> Self {
        let way = u64::from(step) << 32 | u64::from(branch);
        Self {
            number: mix(self.number, u64::MAX - way),
            ..self
        }
    }
    /// Emission `i` of this record.
    #[inline]
    fn child(self, i: u64) -> Self {
        Self {
            number: if self.number == 0 { i } else { mix(self.number, i) },
            ..self
        }
    }
}

/// A bijection of `n` for each `i` (the finisher of splitmix64).
fn mix(n: u64, i: u64) -> u64 {
    let mut x = n ^ i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The origins of a chunk of a source: a platform fills them before it pushes the chunk.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The records' partition.
    pub partition: u32,
    /// Their batch; [`BatchId::MAX`] of an input without batches.
    pub batch: BatchId,
    pub(super) list: Vec<Origin>,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            partition: 0,
            batch: BatchId::MAX,
            list: Vec::new(),
        }
    }
}

impl Origins {
    /// Forgets all records, for those of another chunk.
    pub fn begin(&mut self, partition: u32, batch: BatchId) {
        (self.partition, self.batch) = (partition, batch);
        self.list.clear();
    }
    /// The next record.
    pub fn add(&mut self, time: Option<Timestamp>, offset: u64) {
        self.list.push(Origin::new(time, offset));
    }
    /// The records so far.
    pub fn list(&self) -> &[Origin] {
        &self.list
    }
    /// What a decoder hands out of entries `range`: neither heartbeats nor records that cannot be read, which `bad` has in
    /// ascending order. `times` are the event times that it found.
    pub fn entries(
        &mut self,
        records: &RecordBatch,
        times: &[Option<Timestamp>],
        bad: &[BadRecord],
        range: Range<usize>,
    ) {
        let times = times.get(range.clone()).unwrap_or_default();
        let entries = records.entries.get(range.clone()).unwrap_or_default();
        let mut bad = after(bad, range.start);
        for ((i, e), time) in (range.start..).zip(entries).zip(times) {
            if !e.heartbeat && !is_next(&mut bad, i) {
                self.add(time.or_else(|| e.time()), e.offset);
            }
        }
    }
    /// The same of rows of columns; `row` says what stands for the offset of each.
    pub fn rows(
        &mut self,
        row: impl Fn(usize) -> u64,
        times: &[Option<Timestamp>],
        bad: &[BadRecord],
        range: Range<usize>,
    ) {
        let mut bad = after(bad, range.start);
        for (i, time) in (range.start..).zip(times.get(range).unwrap_or_default()) {
            if !is_next(&mut bad, i) {
                self.add(*time, row(i));
            }
        }
    }
}

fn after(bad: &[BadRecord], start: usize) -> &[BadRecord] {
    &bad[bad.partition_point(|b| b.entry < start)..]
}

fn is_next(bad: &mut &[BadRecord], i: usize) -> bool {
    let found = bad.first().is_some_and(|b| b.entry == i);
    while bad.first().is_some_and(|b| b.entry == i) {
        *bad = &bad[1..];
    }
    found
}

/// What a step says of where the records that it emits come from.
#[derive(Default)]
pub(crate) struct Lineage {
    /// Whether anybody asks. Then a step that changes the number of its records says where each comes from.
    asked: bool,
    /// Whether one record may become several.
    many: bool,
    /// Per record that came out the place of the one that went in; empty: all came out as they went in.
    from: Vec<u32>,
}

impl Lineage {
    pub(super) fn begin(&mut self, asked: bool) {
        self.asked = asked;
        self.many = false;
        self.from.clear();
    }
    /// Whether anybody asks: a loop over records takes this out of the loop.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked
    }
    /// The `len` records that came out so far and were not told of come from record `at`, one of a step that multiplies.
    #[inline]
    pub(crate) fn many(&mut self, at: usize, len: usize) {
        self.many = true;
        self.from.resize(len, at as u32);
    }
    /// The next record that comes out is record `at`.
    #[inline]
    pub(crate) fn kept(&mut self, at: usize) {
        self.from.push(at as u32);
    }
    /// The records whose flag is set come out.
    pub(crate) fn flags(&mut self, flags: &[bool]) {
        if self.asked {
            let set = (0_u32..).zip(flags).filter(|(_, keep)| **keep);
            self.from.extend(set.map(|(at, _)| at));
        }
    }
    /// The origins of `len` records that came out, of those that went in.
    pub(super) fn origins(&self, given: &[Origin], len: usize, out: &mut Vec<Origin>) -> Result<()> {
        out.clear();
        if self.from.is_empty() {
            out.extend_from_slice(given);
        } else {
            let (mut last, mut i) = (u32::MAX, 0);
            for &at in &self.from {
                let Some(origin) = given.get(at as usize) else {
                    return Err(unknown());
                };
                i = if at == last { i + 1 } else { 0 };
                last = at;
                out.push(if self.many { origin.child(i) } else { *origin });
            }
        }
        if out.len() != len {
            return Err(unknown());
        }
        Ok(())
    }
}

#[cold]
fn unknown() -> Error {
    Error::bug("a chunk came without the origins of its records, which a step behind it asks for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Entry, Span};

    /// Heartbeats and bad records have no place in the chunk, so they have none here; event time goes before the log's.
    #[test]
    fn origins_are_those_of_good_records() {
        let mut records = RecordBatch::default();
        for offset in 10..16 {
            records.entries.push(Entry {
                time_ms: offset as i64 * 100,
                heartbeat: offset == 11,
                ..Entry::plain(offset, Span::NONE)
            });
        }
        let times = [None, None, Some(Timestamp(7)), None, None, None];
        let bad = [0, 3, 5].map(|entry| BadRecord {
            entry,
            reason: String::new(),
        });
        let mut origins = Origins::default();
        origins.begin(2, BatchId(5));
        origins.entries(&records, &times, &bad, 1..6);
        let got: Vec<_> = origins
            .list()
            .iter()
            .map(|o| (o.time().map(|t| t.0), o.offset))
            .collect();
        assert_eq!(got, [(Some(7), 12), (Some(1_400), 14)]);
        origins.begin(0, BatchId::MAX);
        origins.rows(|i| 100 + i as u64, &times, &bad, 2..6);
        let got: Vec<_> = origins
            .list()
            .iter()
            .map(|o| (o.time().map(|t| t.0), o.offset))
            .collect();
        assert_eq!(got, [(Some(7), 102), (None, 104)]);
    }
}

//! What was read of one partition and is not in the index yet.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::{BadRecord, BatchId, Entry, RecordBatch, SourceDecoder, Timestamp};
use rufous_store_api::ArchivedFile;

use crate::cutter::{Cuts, Cutter};
use crate::metrics::{Metrics, PartitionMetrics, SourceMetrics};

/// Records and their pieces of one batch each.
pub(super) struct Pending {
    pub(super) records: RecordBatch,
    pub(super) runs: Vec<(Range<usize>, BatchId)>,
}

impl Pending {
    /// What it takes in memory, not what is in use.
    fn held(&self) -> usize {
        self.records.bytes.capacity()
            + self.records.entries.capacity() * size_of::<Entry>()
            + self.runs.capacity() * size_of::<(Range<usize>, BatchId)>()
            + size_of::<Self>()
    }
}

/// An index entry that is being made. It is not added to: an attempt that failed goes on where it stopped, so that a full
/// disk is not filled with orphans.
pub(super) struct Making {
    pub(super) to: u64,
    pub(super) cuts: Vec<(BatchId, u64)>,
    pub(super) pending: Vec<Pending>,
    pub(super) leader_epoch: i32,
    held: usize,
    /// The batches' offset ranges, and how many of them have been written.
    pub(super) pieces: Vec<(BatchId, u64, u64)>,
    pub(super) written: usize,
    pub(super) files: Vec<ArchivedFile>,
    /// When the first of the files was written.
    pub(super) since: Option<Instant>,
}

impl Making {
    /// Files that wait for their entry are orphans until then, and a sweep takes old ones: they are written anew before.
    pub(super) fn renew(&mut self, after: Duration) {
        if self.since.is_some_and(|since| since.elapsed() >= after) {
            self.files.clear();
            (self.written, self.since) = (0, None);
        }
    }
}

pub(super) struct Partition {
    pub(super) cutter: Cutter,
    /// The number of the next index entry.
    pub(super) number: u64,
    /// The end of the last entry, and the running batch there.
    pub(super) from: u64,
    pub(super) batch_before: BatchId,
    /// Where the log stands.
    pub(super) next: u64,
    pub(super) cuts: Vec<(BatchId, u64)>,
    pub(super) pending: Vec<Pending>,
    /// Memory of `pending`.
    pub(super) held: usize,
    pub(super) leader_epoch: i32,
    pub(super) making: Option<Making>,
    /// The log begins here, above `next`.
    pub(super) lost: Option<u64>,
    pub(super) topic_id: String,
    /// The end that `until_end` waits for.
    pub(super) target: u64,
    /// What others see of it.
    pub(super) meter: Arc<PartitionMetrics>,
}

impl Partition {
    pub(super) fn at_end(&self) -> bool {
        self.next >= self.target && self.lost.is_none()
    }
    /// The bytes of memory that its records take.
    pub(super) fn held(&self) -> usize {
        self.held + self.making.as_ref().map_or(0, |m| m.held)
    }
    /// The entry that is being made; `None`: everything is archived.
    pub(super) fn make(&mut self) -> Option<&mut Making> {
        if self.making.is_none() && self.next > self.from {
            let pieces = pieces(self.batch_before, self.from, &self.cuts, self.next);
            self.making = Some(Making {
                to: self.next,
                cuts: std::mem::take(&mut self.cuts),
                pending: std::mem::take(&mut self.pending),
                leader_epoch: self.leader_epoch,
                held: std::mem::take(&mut self.held),
                pieces,
                written: 0,
                files: Vec::new(),
                since: None,
            });
        }
        self.making.as_mut()
    }
}

/// The offset ranges of the batches in `[from, to)`: each ends where the next begins.
fn pieces(mut batch: BatchId, mut from: u64, cuts: &[(BatchId, u64)], to: u64) -> Vec<(BatchId, u64, u64)> {
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    for (b, offset) in cuts {
        pieces.push((batch, from, *offset));
        (batch, from) = (*b, *offset);
    }
    pieces.push((batch, from, to));
    pieces
}

/// What taking records needs, used again and again.
#[derive(Default)]
pub(super) struct Scratch {
    cuts: Cuts,
    times: Vec<Option<Timestamp>>,
    bad: Vec<BadRecord>,
}

impl Scratch {
    /// What the last call of `take` brought, for others to see.
    pub(super) fn measure(&self, p: &Partition, meter: &SourceMetrics, bytes: usize) {
        let records: usize = self.cuts.runs.iter().map(|r| r.range.len()).sum();
        meter.records.fetch_add(records as u64, Relaxed);
        meter.bytes.fetch_add(bytes as u64, Relaxed);
        meter.late.fetch_add(self.cuts.late, Relaxed);
        meter.heard.mark();
        p.meter.at(p.next, p.meter.end.load(Relaxed));
        p.meter.late.fetch_add(self.cuts.late, Relaxed);
        p.meter.saw_time(self.cuts.last_time);
    }
    pub(super) fn take(
        &mut self,
        p: &mut Partition,
        records: &mut RecordBatch,
        decoder: Option<&mut (dyn SourceDecoder + 'static)>,
        metrics: &Metrics,
    ) {
        records.skip_below(p.next);
        if let Some(decoder) = decoder {
            self.bad.clear();
            // What cannot be decoded is archived all the same, in the running batch: nothing is lost (P1, P17).
            decoder.decode(records, &mut self.times, &mut self.bad);
            metrics.bad.fetch_add(self.bad.len() as u64, Relaxed);
        }
        p.cutter.cut(records, &self.times, &mut self.cuts);
        p.cuts.extend_from_slice(&self.cuts.cuts);
        p.next = records.next;
        // The epoch of what came before says nothing of what was passed over since: it may have ended below `next`.
        p.leader_epoch = records.leader_epoch.unwrap_or(-1);
        metrics.records.fetch_add(records.entries.len() as u64, Relaxed);
        metrics.bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        metrics.late.fetch_add(self.cuts.late, Relaxed);
        metrics.held.fetch_add(self.cuts.held, Relaxed);
        metrics.saw_time(self.cuts.last_time);
        if records.entries.is_empty() {
            return;
        }
        let mut records = std::mem::take(records);
        // A log's buffer may be much larger than what is in it this time.
        if records.bytes.capacity() > records.bytes.len() + records.bytes.len() / 4 {
            records.bytes.shrink_to_fit();
        }
        if records.entries.capacity() > records.entries.len() + records.entries.len() / 4 {
            records.entries.shrink_to_fit();
        }
        let runs = self.cuts.runs.iter().map(|r| (r.range.clone(), r.batch)).collect();
        let pending = Pending { records, runs };
        p.held += pending.held();
        p.pending.push(pending);
    }
}

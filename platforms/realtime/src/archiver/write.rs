//! P18: files first, durable; then the index entry, created exclusively.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use rufous_core::{RecordBatch, Result};
use rufous_store_api::IndexEntry;
use rufous_store_api::archive::INDEX_FORMAT;

use super::Run;
use super::partition::Making;

impl Run<'_> {
    /// Everything that was read, and every loss.
    pub(super) fn write_all(&mut self) -> Result<()> {
        let all: Vec<u32> = self.partitions.keys().copied().collect();
        for partition in all {
            self.write(partition)?;
            self.record_loss(partition)?;
        }
        Ok(())
    }

    /// The largest partitions, until half of the buffer is free: large files, and not a file of each small partition.
    pub(super) fn write_largest(&mut self) -> Result<()> {
        let mut sizes: Vec<_> = self.partitions.iter().map(|(p, s)| (s.held(), *p)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (_, partition) in sizes {
            self.write(partition)?;
            if self.held() <= self.options.buffer / 2 {
                break;
            }
        }
        Ok(())
    }

    /// One partition. After an error nothing has changed but the files of the entry being made: the next attempt goes on.
    fn write(&mut self, partition: u32) -> Result<()> {
        // Twice at most: an entry whose making had failed, and what was read since.
        while let Some(p) = self.partitions.get_mut(&partition) {
            let (from, batch_before) = (p.from, p.batch_before);
            let Some(making) = p.make() else { return Ok(()) };
            making.renew(self.options.renew);
            while let Some((batch, from, to)) = making.pieces.get(making.written).copied() {
                let rows = rows(making, from..to);
                if !rows.is_empty() {
                    let file = self.archive.write(partition, batch, from..to, &rows)?;
                    making.files.push(file);
                    making.since.get_or_insert_with(Instant::now);
                }
                making.written += 1;
            }
            let entry = IndexEntry {
                format: INDEX_FORMAT,
                from,
                to: making.to,
                batch_before,
                files: making.files.clone(),
                cuts: making.cuts.clone(),
                hole: None,
                topic_id: p.topic_id.clone(),
                leader_epoch: p.making.as_ref().map_or(-1, |m| m.leader_epoch),
                cut_spec: self.spec.text(),
            };
            if !self.commit(partition, &entry)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A lost range becomes an entry without files, so that every answer that rests on it can say so (P34).
    fn record_loss(&mut self, partition: u32) -> Result<()> {
        let Some((p, start)) = self.partitions.get(&partition).and_then(|p| Some((p, p.lost?))) else {
            return Ok(());
        };
        if start > p.from {
            let entry = IndexEntry {
                format: INDEX_FORMAT,
                from: p.from,
                to: start,
                batch_before: p.batch_before,
                files: Vec::new(),
                cuts: Vec::new(),
                hole: Some("deleted from the log before it was archived".into()),
                topic_id: p.topic_id.clone(),
                leader_epoch: p.leader_epoch,
                cut_spec: self.spec.text(),
            };
            if self.commit(partition, &entry)? {
                tracing::error!(
                    source = self.face.name,
                    partition,
                    from = entry.from,
                    to = entry.to,
                    "offsets were deleted before they were archived"
                );
            }
        }
        if let Some(p) = self.partitions.get_mut(&partition) {
            // Another archiver may have recorded less than this: then the log says so again.
            p.lost = None;
            p.next = p.next.max(p.from);
        }
        self.assign = true;
        Ok(())
    }

    /// `false`: somebody else was first. What was read is dropped, and reading goes on behind the index.
    fn commit(&mut self, partition: u32, entry: &IndexEntry) -> Result<bool> {
        let Some(p) = self.partitions.get_mut(&partition) else {
            return Ok(false);
        };
        if self.archive.commit(partition, p.number, entry)? {
            self.metrics.commits.fetch_add(1, Relaxed);
            p.number += 1;
            (p.from, p.batch_before) = (entry.to, entry.batch_after().batch);
            p.making = None;
            p.meter.committed.store(entry.to, Relaxed);
            p.meter.runs(p.batch_before, self.spec.batcher.start_of(p.batch_before));
            if entry.hole.is_some() {
                p.meter.lost_more(entry.from, entry.to);
            }
            self.meter.entries.fetch_add(1, Relaxed);
            return Ok(true);
        }
        tracing::info!(
            source = self.face.name,
            partition,
            entry = p.number,
            "another archiver was first: going on after it"
        );
        let (number, topic_id, target) = (p.number, p.topic_id.clone(), p.target);
        let resumed = self.resume(partition, number, &topic_id, target)?;
        self.partitions.insert(partition, resumed);
        self.assign = true;
        Ok(false)
    }
}

/// The records of a piece.
fn rows(making: &Making, range: Range<u64>) -> Vec<(&RecordBatch, Range<usize>)> {
    let mut rows = Vec::new();
    for pending in &making.pending {
        for (run, _) in &pending.runs {
            let offset = |i: usize| pending.records.entries.get(i).map_or(u64::MAX, |e| e.offset);
            // A cut lies between runs, so a run is in the range as a whole or not at all.
            if !run.is_empty() && range.contains(&offset(run.start)) {
                rows.push((&pending.records, run.clone()));
            }
        }
    }
    rows
}

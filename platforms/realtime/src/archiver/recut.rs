//! An archive read as a log, and archived again as another spec cuts it (P40): a changed cut spec is new code, and its history
//! is what the archive of the code before it holds. Record by record the copy is the same; only files and cuts are others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rufous_core::{BatchId, Cut, Error, Format, Frontier, RecordBatch, Result, SourceFace, SourcePartition};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};

use super::{Archiver, ArchiverOptions};
use crate::log::{Log, PartitionInfo, Polled};
use crate::metrics::{Metrics, StreamReport};

/// An archive that is archived again.
pub struct Recut<'a> {
    /// The source, cut as it is to be.
    pub face: &'a SourceFace,
    /// The archive that there is.
    pub from: Arc<dyn Archive>,
    /// How its values are written, and whether its records carry a time of their log.
    pub format: Format,
    /// See `format`.
    pub has_time: bool,
    /// The archive that is made, or goes on where it ends.
    pub to: Arc<dyn Archive>,
    /// Live counters.
    pub metrics: Arc<Metrics>,
}

impl Recut<'_> {
    /// Copies what `to` lacks, to the end that `from` has now. Lost ranges stay lost, under the same offsets. May be stopped
    /// and begun again at any point.
    ///
    /// # Errors
    /// As those of an [`Archiver`]; `CorruptData` that names the file when `from` is damaged.
    pub fn run(self, options: ArchiverOptions) -> Result<StreamReport> {
        let log = ArchiveLog {
            archive: self.from,
            format: self.format,
            has_time: self.has_time,
            partitions: BTreeMap::new(),
        };
        let archiver = Archiver {
            face: self.face,
            start: log.start()?,
            log: Box::new(log),
            archive: self.to,
            metrics: self.metrics,
            options: ArchiverOptions {
                until_end: true,
                ..options
            },
        };
        archiver.run()
    }
}

struct ArchiveLog {
    archive: Arc<dyn Archive>,
    format: Format,
    has_time: bool,
    /// Those that are assigned.
    partitions: BTreeMap<u32, Reading>,
}

/// Where reading a partition stands.
#[derive(Default)]
struct Reading {
    next: u64,
    /// What is left of the entries, the first in part.
    entries: VecDeque<IndexEntry>,
    /// What was read of a file and not handed out.
    records: VecDeque<RecordBatch>,
    /// The log has nothing between `next` and the end of this range.
    lost: bool,
}

impl ArchiveLog {
    /// Where the archive begins.
    fn start(&self) -> Result<Frontier> {
        let mut start = Frontier::default();
        for partition in self.archive.partitions()? {
            let Some(first) = self.archive.index(partition, 0)?.into_iter().next() else {
                continue;
            };
            let cut = Cut {
                batch: BatchId::MIN,
                cut: first.from,
                batch_before: BatchId::MIN,
            };
            start
                .0
                .insert(SourcePartition::new(self.archive.source(), partition), cut);
        }
        Ok(start)
    }
}

impl Reading {
    /// What comes next of a partition; `None`: nothing is left.
    fn poll(&mut self, archive: &dyn Archive, partition: u32, into: &mut RecordBatch) -> Result<Option<Polled>> {
        if self.lost {
            return Ok(None);
        }
        loop {
            if let Some(records) = self.records.pop_front() {
                *into = records;
                into.partition = partition;
                into.skip_below(self.next);
                self.next = into.next;
                return Ok(Some(Polled::Records));
            }
            let Some(entry) = self.entries.front_mut() else {
                return Ok(None);
            };
            if entry.hole.is_some() {
                self.lost = true;
                let start = entry.to;
                return Ok(Some(Polled::Lost { partition, start }));
            }
            if !entry.files.is_empty() {
                let file = entry.files.remove(0);
                if file.to > self.next {
                    self.records = read(archive, partition, &file)?;
                }
                continue;
            }
            // The end of an entry may lie behind its last record: control records, aborted transactions.
            into.clear();
            into.partition = partition;
            into.next = entry.to.max(self.next);
            into.leader_epoch = (entry.leader_epoch >= 0).then_some(entry.leader_epoch);
            self.next = into.next;
            self.entries.pop_front();
            return Ok(Some(Polled::Records));
        }
    }
}

fn read(archive: &dyn Archive, partition: u32, file: &ArchivedFile) -> Result<VecDeque<RecordBatch>> {
    let mut records = VecDeque::new();
    archive.read(partition, file, &mut |batch| {
        records.push_back(batch.clone());
        Ok(())
    })?;
    Ok(records)
}

impl Log for ArchiveLog {
    fn location(&self) -> String {
        format!("the archive of `{}`", self.archive.source())
    }
    fn format(&self) -> Format {
        self.format
    }
    fn has_time(&self) -> bool {
        self.has_time
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let mut partitions = Vec::new();
        for partition in self.archive.partitions()? {
            let index = self.archive.index(partition, 0)?;
            let (Some(first), Some(last)) = (index.first(), index.last()) else {
                continue;
            };
            partitions.push(PartitionInfo {
                partition,
                start: first.from,
                end: last.to,
                topic_id: last.topic_id.clone(),
                owned: true,
            });
        }
        Ok(partitions)
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.partitions.clear();
        for &(partition, offset) in positions {
            let entries: VecDeque<_> = self
                .archive
                .index(partition, self.archive.find(partition, offset)?)?
                .into();
            if entries.front().is_some_and(|e| e.from > offset) {
                return Err(Error::corrupt(format!(
                    "the archive of `{}`, partition {partition}, does not hold offset {offset}: another archive was made of it",
                    self.archive.source()
                )));
            }
            let reading = Reading {
                next: offset,
                entries,
                ..Reading::default()
            };
            self.partitions.insert(partition, reading);
        }
        Ok(())
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        for (partition, reading) in &mut self.partitions {
            if let Some(polled) = reading.poll(&*self.archive, *partition, into)? {
                return Ok(polled);
            }
        }
        std::thread::sleep(timeout);
        Ok(Polled::Idle)
    }
    fn end(&self, partition: u32) -> Option<u64> {
        let reading = self.partitions.get(&partition)?;
        Some(reading.entries.back().map_or(reading.next, |e| e.to))
    }
}

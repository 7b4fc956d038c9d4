//! Processes that archive the topic, alone or against each other.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rufous::core::{BatchId, Frontier, RecordBatch, Result, SourceFace};
use rufous::realtime::{Archiver, ArchiverOptions};
use rufous::store_api::{Archive, ArchivedFile, IndexEntry};

use crate::topic::Topic;

#[derive(Clone)]
pub(crate) struct Archiving {
    pub(crate) topic: Topic,
    pub(crate) face: SourceFace,
    pub(crate) start: Frontier,
    /// Records a poll.
    pub(crate) chunk: usize,
}

impl Archiving {
    pub(crate) fn run(&self, archive: Arc<dyn Archive>, polls: Option<u64>) -> Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let archiver = Archiver {
            face: &self.face,
            log: self.topic.reader(self.chunk, polls, stop.clone()),
            archive,
            start: self.start.clone(),
            metrics: Arc::default(),
            options: ArchiverOptions {
                until_end: true,
                interval: Duration::ZERO,
                stop,
                ..ArchiverOptions::default()
            },
        };
        archiver.run().map(drop)
    }
}

/// An archive whose first entry somebody else is about to make.
pub(crate) struct Raced {
    inner: Arc<dyn Archive>,
    rival: Archiving,
    begun: AtomicBool,
}

impl Raced {
    pub(crate) fn new(inner: Arc<dyn Archive>, rival: Archiving) -> Self {
        Self {
            inner,
            rival,
            begun: AtomicBool::new(false),
        }
    }
}

impl Archive for Raced {
    fn source(&self) -> &str {
        self.inner.source()
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        self.inner.partitions()
    }
    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
        self.inner.index(partition, from)
    }
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile> {
        self.inner.write(partition, batch, range, records)
    }
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> Result<bool> {
        if !self.begun.swap(true, Relaxed) {
            self.rival.run(self.inner.clone(), None)?;
        }
        self.inner.commit(partition, number, entry)
    }
    fn read(&self, partition: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        self.inner.read(partition, file, f)
    }
}

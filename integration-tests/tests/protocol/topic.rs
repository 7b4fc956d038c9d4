//! A topic in memory that can do what a real one does to its readers: gaps in the offsets, ends that move over control
//! records, retention, new partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rufous::core::{Entry, Format, RecordBatch, Result};
use rufous::realtime::{Log, PartitionInfo, Polled};

/// One record as it was produced.
#[derive(Clone, Debug)]
pub(crate) struct Produced {
    pub(crate) offset: u64,
    pub(crate) hour: i64,
    /// `None`: a heartbeat.
    pub(crate) payload: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Partition {
    /// The first offset that can still be read.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) records: Vec<Produced>,
}

/// Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Topic(Arc<Mutex<Vec<Partition>>>);

impl Topic {
    pub(crate) fn partitions(&self) -> MutexGuard<'_, Vec<Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A reader that hands out at most `chunk` records a poll and, after `polls` of them, asks its engine to stop.
    pub(crate) fn reader(&self, chunk: usize, polls: Option<u64>, stop: Arc<AtomicBool>) -> Box<dyn Log> {
        Box::new(Reader {
            topic: self.clone(),
            chunk,
            polls,
            stop,
            positions: BTreeMap::new(),
            halted: BTreeSet::new(),
            told: 0,
            turn: 0,
        })
    }
}

struct Reader {
    topic: Topic,
    chunk: usize,
    polls: Option<u64>,
    stop: Arc<AtomicBool>,
    positions: BTreeMap<u32, u64>,
    halted: BTreeSet<u32>,
    told: usize,
    turn: u32,
}

impl Reader {
    fn read(&mut self, partition: u32, into: &mut RecordBatch) -> Option<Polled> {
        let partitions = self.topic.partitions();
        let (p, next) = (partitions.get(partition as usize)?, self.positions.get_mut(&partition)?);
        if self.halted.contains(&partition) || *next >= p.end {
            return None;
        }
        if *next < p.start {
            self.halted.insert(partition);
            return Some(Polled::Lost {
                partition,
                start: p.start,
            });
        }
        into.clear();
        into.partition = partition;
        let left = p.records.iter().filter(|r| r.offset >= *next);
        for r in left.take(self.chunk) {
            let value = into.push_bytes(r.payload.as_deref().unwrap_or_default());
            into.entries.push(Entry {
                time_ms: r.hour * 3_600_000,
                heartbeat: r.payload.is_none(),
                ..Entry::plain(r.offset, value)
            });
        }
        let last = into.entries.last().map_or(0, |e| e.offset);
        let more = p.records.iter().any(|r| r.offset > last) && !into.entries.is_empty();
        *next = if more { last + 1 } else { p.end };
        into.next = *next;
        Some(Polled::Records)
    }
}

impl Log for Reader {
    fn location(&self) -> String {
        "a topic in memory".into()
    }
    fn format(&self) -> Format {
        Format::Text
    }
    fn has_time(&self) -> bool {
        true
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let partitions = self.topic.partitions();
        self.told = partitions.len();
        let info = |(partition, p): (u32, &Partition)| PartitionInfo {
            partition,
            start: p.start,
            end: p.end,
            topic_id: "topic".into(),
            owned: true,
        };
        Ok((0..).zip(partitions.iter()).map(info).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.positions = positions.iter().copied().collect();
        self.halted.clear();
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut RecordBatch) -> Result<Polled> {
        match &mut self.polls {
            Some(0) => {
                self.stop.store(true, Relaxed);
                return Ok(Polled::Idle);
            }
            Some(n) => *n -= 1,
            None => {}
        }
        let n = self.topic.partitions().len();
        if n > self.told {
            return Ok(Polled::PartitionsChanged);
        }
        for _ in 0..n {
            let partition = self.turn;
            self.turn = (self.turn + 1) % n as u32;
            if let Some(polled) = self.read(partition, into) {
                return Ok(polled);
            }
        }
        Ok(Polled::Idle)
    }
}

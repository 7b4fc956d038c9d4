//! What a case is fed: events as a log has them, so that every platform is given the same.

use std::collections::BTreeMap;

use super::random::Random;
use super::records::{Page, Sale, Visit};
use crate::decode::Format;
use crate::log::{Entry, RecordBatch};
use crate::port::Source;
use crate::time::{HOUR_MS, MINUTE_MS};

/// The first instant of the generated logs: 2001-09-09T01:00:00Z, the start of an hour.
pub const START_MS: i64 = 999_997_200_000;

/// A record in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its partition.
    pub partition: u32,
    /// The log's own timestamp, in milliseconds since 1970.
    pub log_time_ms: i64,
    /// The record in the source's format. There is no newline in it and no carriage return at its end, so a line of a
    /// file can hold it.
    pub payload: Vec<u8>,
}

/// The log of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInput {
    /// How payloads are written.
    pub format: Format,
    /// How many partitions the log has; some may be empty.
    pub partitions: u32,
    /// The events in order of arrival. The offset of an event is the number of those of its partition before it.
    pub events: Vec<Event>,
}

impl SourceInput {
    /// Deals payloads to three partitions over five hours, log times out of order by up to twenty minutes: five or six
    /// batches of an hour, with late records in most of them.
    pub fn dealt(format: Format, seed: u64, payloads: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let payloads: Vec<Vec<u8>> = payloads.into_iter().map(Into::into).collect();
        let mut random = Random::new(seed ^ 0xdea1);
        let step_ms = 5 * HOUR_MS / (payloads.len() as u64).max(1);
        let events = payloads.into_iter().enumerate().map(|(i, payload)| Event {
            partition: random.below(3) as u32,
            log_time_ms: START_MS + (i as u64 * step_ms + random.below(20 * MINUTE_MS)) as i64,
            payload,
        });
        Self {
            format,
            partitions: 3,
            events: events.collect(),
        }
    }
    /// Texts, one a record.
    pub fn text(seed: u64, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let payloads = lines.into_iter().map(|l| l.into().into_bytes());
        Self::dealt(Format::Text, seed, payloads)
    }
    /// JSON objects, one a record.
    pub fn json(seed: u64, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let payloads = lines.into_iter().map(|l| l.into().into_bytes());
        Self::dealt(Format::JsonLines, seed, payloads)
    }
    /// The events of one partition, in offset order.
    pub fn partition(&self, partition: u32) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |e| e.partition == partition)
    }
    /// The events partition after partition, as logs hand them out, at most `chunk` in a batch (0 counts as 1).
    pub fn batches(&self, chunk: usize) -> Vec<RecordBatch> {
        (0..self.partitions).flat_map(|p| self.batches_of(p, chunk)).collect()
    }
    /// [`batches`](Self::batches) of one partition.
    pub fn batches_of(&self, partition: u32, chunk: usize) -> Vec<RecordBatch> {
        let events: Vec<&Event> = self.partition(partition).collect();
        let mut offset = 0;
        let fill = |events: &[&Event]| {
            let mut batch = RecordBatch {
                partition,
                ..RecordBatch::default()
            };
            for e in events {
                let value = batch.push_bytes(&e.payload);
                batch.entries.push(Entry {
                    time_ms: e.log_time_ms,
                    ..Entry::plain(offset, value)
                });
                offset += 1;
            }
            batch.next = offset;
            batch
        };
        events.chunks(chunk.max(1)).map(fill).collect()
    }
}

/// A source of the catalogue. The types are few so that a platform can bind each by its typed port.
#[derive(Clone, Copy)]
pub enum SourcePort {
    /// Of texts.
    Texts(Source<str>),
    /// Of sales.
    Sales(Source<Sale>),
    /// Of visits.
    Visits(Source<Visit>),
    /// Of pages.
    Pages(Source<Page>),
}

impl SourcePort {
    /// The port's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Texts(port) => port.name(),
            Self::Sales(port) => port.name(),
            Self::Visits(port) => port.name(),
            Self::Pages(port) => port.name(),
        }
    }
}

impl From<Source<str>> for SourcePort {
    fn from(port: Source<str>) -> Self {
        Self::Texts(port)
    }
}
impl From<Source<Sale>> for SourcePort {
    fn from(port: Source<Sale>) -> Self {
        Self::Sales(port)
    }
}
impl From<Source<Visit>> for SourcePort {
    fn from(port: Source<Visit>) -> Self {
        Self::Visits(port)
    }
}

impl From<Source<Page>> for SourcePort {
    fn from(port: Source<Page>) -> Self {
        Self::Pages(port)
    }
}

/// The logs of all sources of a job.
#[derive(Clone, Default)]
pub struct Input {
    sources: BTreeMap<&'static str, (SourcePort, SourceInput)>,
}

impl Input {
    /// Of one source.
    pub fn of(port: impl Into<SourcePort>, log: SourceInput) -> Self {
        Self::default().and(port, log)
    }
    /// With another source.
    #[must_use]
    pub fn and(mut self, port: impl Into<SourcePort>, log: SourceInput) -> Self {
        let port = port.into();
        self.sources.insert(port.name(), (port, log));
        self
    }
    /// The log of a source.
    pub fn source(&self, name: &str) -> Option<&SourceInput> {
        self.sources.get(name).map(|(_, log)| log)
    }
    /// All sources with their logs, by name.
    pub fn sources(&self) -> impl Iterator<Item = (SourcePort, &SourceInput)> {
        self.sources.values().map(|(port, log)| (*port, log))
    }
    /// Makes every record unreadable: a platform that refuses a job must do so before it reads.
    pub(super) fn spoil(&mut self) {
        for event in self.sources.values_mut().flat_map(|(_, log)| &mut log.events) {
            event.payload = vec![0xff];
        }
    }
}

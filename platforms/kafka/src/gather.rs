//! Messages of mixed partitions become batches of one partition each. This is where "each record once, in offset order" is
//! kept: a partition knows the next offset it may see.

use std::collections::{BTreeMap, VecDeque};

use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::{Entry, Error, RecordBatch, Span};
use rufous_realtime::Position;

use crate::dequeue::Message;
use crate::trouble::{self, Troubles};

/// A batch is closed at this size: spans are 32 bits wide.
const BATCH_BYTES: usize = 16 << 20;
/// Empty batches that are kept for use again, and how much space one may have.
const SPARE: usize = 32;
const SPARE_BYTES: usize = 2 << 20;

/// What a dequeue brought, in order.
pub(crate) enum Ready {
    /// Records, or a position that moved.
    Batch(RecordBatch),
    /// The brokers do not have the next offset of this partition.
    OutOfRange(u32),
    /// The log of this partition was cut off at the offset; `None`: the brokers do not know the epoch of what was read.
    Truncated(u32, Option<u64>),
    /// What does not pass by itself.
    Failed(Error),
}

/// One assigned partition.
pub(crate) struct Part {
    /// The first offset that was not dequeued yet.
    pub(crate) next: u64,
    /// The leader epoch of what lies before `next`.
    pub(crate) epoch: Option<i32>,
    /// Nothing was there to read at `next`.
    pub(crate) at_end: bool,
    /// Records were lost and the caller was told: nothing more until the next assignment.
    pub(crate) halted: bool,
    /// How often in a row the next offset was beyond the end.
    pub(crate) beyond: u32,
    /// Its batch in `ready` that this dequeue may extend.
    open: Option<usize>,
}

/// What was dequeued and not handed out.
#[derive(Default)]
pub(crate) struct Gather {
    topic: String,
    parts: BTreeMap<u32, Part>,
    ready: VecDeque<Ready>,
    spare: Vec<RecordBatch>,
}

impl Gather {
    pub(crate) fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            ..Self::default()
        }
    }
    /// Forgets everything and starts at these positions.
    pub(crate) fn assign(&mut self, positions: &[Position]) {
        while let Some(ready) = self.ready.pop_front() {
            if let Ready::Batch(batch) = ready {
                self.recycle(batch);
            }
        }
        let part = |p: &Position| Part {
            next: p.offset,
            epoch: (p.leader_epoch >= 0).then_some(p.leader_epoch),
            at_end: false,
            halted: false,
            beyond: 0,
            open: None,
        };
        self.parts = positions.iter().map(|p| (p.partition, part(p))).collect();
    }
    /// The assigned partitions.
    pub(crate) fn parts(&self) -> &BTreeMap<u32, Part> {
        &self.parts
    }
    /// One assigned partition.
    pub(crate) fn part(&mut self, partition: u32) -> Option<&mut Part> {
        self.parts.get_mut(&partition)
    }
    /// The next thing to hand out.
    pub(crate) fn pop(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }
    /// Puts a batch into the caller's and keeps the caller's space.
    pub(crate) fn give(&mut self, mut batch: RecordBatch, into: &mut RecordBatch) {
        std::mem::swap(&mut batch, into);
        self.recycle(batch);
    }
    fn recycle(&mut self, mut batch: RecordBatch) {
        if self.spare.len() < SPARE && batch.bytes.capacity() <= SPARE_BYTES {
            batch.clear();
            self.spare.push(batch);
        }
    }
    /// Ends a dequeue: its batches may be handed out, so none is extended any more.
    pub(crate) fn close(&mut self) {
        for part in self.parts.values_mut() {
            part.open = None;
        }
    }
    /// Takes one message or error.
    pub(crate) fn take(&mut self, message: &Message<'_>, troubles: &Troubles) {
        match message.error() {
            None => self.record(message),
            Some(code) => self.error(code, message, troubles),
        }
    }

    fn record(&mut self, message: &Message<'_>) {
        let (Some(partition), Ok(offset)) = (message.partition(), u64::try_from(message.offset())) else {
            return self.ready.push_back(Ready::Failed(Error::bug(format!(
                "topic `{}`: librdkafka gave a record at offset {} of no partition",
                self.topic,
                message.offset()
            ))));
        };
        let Some(part) = self.parts.get_mut(&partition) else {
            return;
        };
        // Below `next` is what a reconnect fetched again.
        if part.halted || offset < part.next {
            return;
        }
        (part.next, part.beyond, part.at_end) = (offset + 1, 0, false);
        part.epoch = message.leader_epoch();
        let epoch = part.epoch;
        let Some(batch) = open(&mut self.ready, &mut self.spare, part, partition) else {
            return;
        };
        let value = message.payload().map_or(Span::NONE, |bytes| batch.push_bytes(bytes));
        let key = message.key().map_or(Span::NONE, |bytes| batch.push_bytes(bytes));
        let (headers, heartbeat) = message.push_headers(batch);
        batch.entries.push(Entry {
            offset,
            time_ms: message.time_ms(),
            value,
            key,
            headers,
            heartbeat,
        });
        (batch.next, batch.leader_epoch) = (offset + 1, epoch);
        if batch.bytes.len() >= BATCH_BYTES {
            part.open = None;
        }
    }

    fn error(&mut self, code: Code, message: &Message<'_>, troubles: &Troubles) {
        let partition = message.partition();
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default());
        match (code, partition) {
            (Code::PartitionEOF, Some(partition)) => self.reached(partition, message.offset()),
            (Code::AutoOffsetReset | Code::LogTruncation, Some(partition)) => match truncation(&text) {
                Some(end) => self.stopped(partition, Ready::Truncated(partition, end)),
                None => self.stopped(partition, Ready::OutOfRange(partition)),
            },
            (Code::AutoOffsetReset | Code::LogTruncation, None) => {
                for partition in self.parts.keys().copied().collect::<Vec<_>>() {
                    self.stopped(partition, Ready::OutOfRange(partition));
                }
            }
            _ => match trouble::lasting(code, &self.topic, partition, message.offset(), &text) {
                Some(e) => self.ready.push_back(Ready::Failed(e)),
                // A topic that a broker does not know may be one that it does not know yet: the watcher decides.
                None => troubles.warn(&text),
            },
        }
    }

    /// The end of a partition: everything below is behind us, also control records and aborted transactions.
    fn reached(&mut self, partition: u32, end: i64) {
        let (Some(part), Ok(end)) = (self.parts.get_mut(&partition), u64::try_from(end)) else {
            return;
        };
        part.at_end = end >= part.next;
        if part.halted || end <= part.next {
            return;
        }
        // What was passed over is of an epoch that nobody told: the one of the last record may have ended before.
        (part.next, part.epoch) = (end, None);
        if let Some(batch) = open(&mut self.ready, &mut self.spare, part, partition) {
            (batch.next, batch.leader_epoch) = (end, None);
        }
    }

    fn stopped(&mut self, partition: u32, why: Ready) {
        if let Some(part) = self.parts.get_mut(&partition) {
            // What comes after must not go into a batch before this.
            part.open = None;
            self.ready.push_back(why);
        }
    }
}

/// librdkafka reports a truncation as an offset that cannot be read, and says in words which of the two it is, and where the
/// log of that epoch ends. `Some(None)`: a truncation, perhaps: the brokers do not know the epoch any more.
fn truncation(text: &str) -> Option<Option<u64>> {
    if !text.contains("log truncation detected") && !text.contains("No epoch found") {
        return None;
    }
    let (_, end) = text.split_once("broker end offset is ")?;
    let digits = end.find(|c: char| !c.is_ascii_digit()).unwrap_or(end.len());
    Some(end[..digits].parse().ok())
}

/// The batch of a partition that this dequeue extends.
fn open<'a>(
    ready: &'a mut VecDeque<Ready>,
    spare: &mut Vec<RecordBatch>,
    part: &mut Part,
    partition: u32,
) -> Option<&'a mut RecordBatch> {
    let at = *part.open.get_or_insert_with(|| {
        let mut batch = spare.pop().unwrap_or_default();
        batch.partition = partition;
        ready.push_back(Ready::Batch(batch));
        ready.len() - 1
    });
    match ready.get_mut(at) {
        Some(Ready::Batch(batch)) => Some(batch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of librdkafka 2.12, as its source has them (P42).
    #[test]
    fn a_truncation_is_told_from_a_lost_range() {
        let cut = "Partition log truncation detected at offset 8 (leader epoch 0): broker end offset is 5 (offset leader epoch \
                   0). Reset to INVALID.: Local: Partition log truncated (broker 1)";
        assert_eq!(truncation(cut), Some(Some(5)));
        let unknown = "No epoch found less or equal to offset 8 (leader epoch 0): broker end offset is -1 (offset leader epoch \
                       -1). Reset using configured policy.: Local: Partition log truncated";
        assert_eq!(truncation(unknown), Some(None));
        assert_eq!(
            truncation("fetch failed due to requested offset not available on the broker: 7"),
            None
        );
    }
}

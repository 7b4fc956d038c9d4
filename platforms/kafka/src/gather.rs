//! Messages of mixed partitions become batches of one partition each. This is where "each record once, in offset order" is
//! kept: a partition knows the next offset it may see.

use std::collections::{BTreeMap, VecDeque};

use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::{Entry, Error, RecordBatch, Span};

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
    /// What does not pass by itself.
    Failed(Error),
}

/// One assigned partition.
pub(crate) struct Part {
    /// The first offset that was not dequeued yet.
    pub(crate) next: u64,
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
    pub(crate) fn assign(&mut self, positions: &[(u32, u64)]) {
        while let Some(ready) = self.ready.pop_front() {
            if let Ready::Batch(batch) = ready {
                self.recycle(batch);
            }
        }
        let part = |next| Part {
            next,
            halted: false,
            beyond: 0,
            open: None,
        };
        self.parts = positions.iter().map(|&(p, next)| (p, part(next))).collect();
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
        (part.next, part.beyond) = (offset + 1, 0);
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
        batch.next = offset + 1;
        if batch.bytes.len() >= BATCH_BYTES {
            part.open = None;
        }
    }

    fn error(&mut self, code: Code, message: &Message<'_>, troubles: &Troubles) {
        let partition = message.partition();
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default());
        match (code, partition) {
            (Code::PartitionEOF, Some(partition)) => self.reached(partition, message.offset()),
            (Code::AutoOffsetReset, Some(partition)) => self.out_of_range(partition),
            (Code::AutoOffsetReset, None) => {
                for partition in self.parts.keys().copied().collect::<Vec<_>>() {
                    self.out_of_range(partition);
                }
            }
            (Code::LogTruncation, _) => self.ready.push_back(Ready::Failed(Error::invalid(format!(
                "topic `{}`, partition {}: the log was truncated below offset {} after an unclean election: {text}; name it as \
                 a new source, or reset the job",
                self.topic,
                partition.unwrap_or_default(),
                message.offset()
            )))),
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
        if part.halted || end <= part.next {
            return;
        }
        part.next = end;
        if let Some(batch) = open(&mut self.ready, &mut self.spare, part, partition) {
            batch.next = end;
        }
    }

    fn out_of_range(&mut self, partition: u32) {
        if let Some(part) = self.parts.get_mut(&partition) {
            // What comes after must not go into a batch before this.
            part.open = None;
            self.ready.push_back(Ready::OutOfRange(partition));
        }
    }
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

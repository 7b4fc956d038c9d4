//! A log that is a list in memory: partitions, offsets and log times as the case has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rufous_core::testing::SourceInput;
use rufous_core::{Entry, Format, RecordBatch, Result};
use rufous_realtime::{Log, PartitionInfo, Polled};

/// Offset, log time and payload; `None`: a heartbeat.
type Row = (u64, i64, Option<Vec<u8>>);

/// The log. Clones share its records; each has positions of its own.
#[derive(Clone)]
pub(super) struct Listed {
    source: String,
    format: Format,
    partitions: Arc<Vec<Vec<Row>>>,
    /// So many records at most in a poll.
    chunk: usize,
    positions: BTreeMap<u32, u64>,
    /// Which partition is polled next.
    turn: u32,
}

impl Listed {
    pub(super) fn new(source: &str, input: &SourceInput, chunk: usize) -> Self {
        let rows = |p| {
            (0..)
                .zip(input.partition(p))
                .map(|(offset, e)| (offset, e.log_time_ms, Some(e.payload.clone())))
                .collect()
        };
        Self {
            source: source.to_string(),
            format: input.format,
            partitions: Arc::new((0..input.partitions).map(rows).collect()),
            chunk: chunk.max(1),
            positions: BTreeMap::new(),
            turn: 0,
        }
    }
    /// With a heartbeat (P7) at the end of each partition, two hours above all records: it seals what is before it.
    pub(super) fn sealed(mut self) -> Self {
        let last = self
            .partitions
            .iter()
            .flatten()
            .map(|row| row.1)
            .max()
            .unwrap_or_default();
        let partitions = Arc::make_mut(&mut self.partitions);
        for rows in partitions {
            rows.push((rows.len() as u64, last + 2 * 3_600_000, None));
        }
        self
    }
    fn next_batch(&mut self, partition: u32, into: &mut RecordBatch) -> bool {
        let (Some(at), Some(rows)) = (
            self.positions.get_mut(&partition),
            self.partitions.get(partition as usize),
        ) else {
            return false;
        };
        let left = rows.get(*at as usize..).unwrap_or_default();
        if left.is_empty() {
            return false;
        }
        into.clear();
        into.partition = partition;
        for (offset, time_ms, payload) in left.iter().take(self.chunk) {
            let value = into.push_bytes(payload.as_deref().unwrap_or_default());
            into.entries.push(Entry {
                time_ms: *time_ms,
                heartbeat: payload.is_none(),
                ..Entry::plain(*offset, value)
            });
            *at = offset + 1;
        }
        into.next = *at;
        true
    }
}

impl Log for Listed {
    fn location(&self) -> String {
        format!("list:{}", self.source)
    }
    fn format(&self) -> Format {
        self.format
    }
    fn has_time(&self) -> bool {
        true
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let info = |(partition, rows): (u32, &Vec<Row>)| PartitionInfo {
            partition,
            start: 0,
            end: rows.len() as u64,
            topic_id: format!("list-{}", self.source),
            owned: true,
        };
        Ok((0..).zip(self.partitions.iter()).map(info).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.positions = positions.iter().copied().collect();
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut RecordBatch) -> Result<Polled> {
        let n = self.partitions.len() as u32;
        for _ in 0..n {
            let partition = self.turn;
            self.turn = (self.turn + 1) % n;
            if self.next_batch(partition, into) {
                return Ok(Polled::Records);
            }
        }
        Ok(Polled::Idle)
    }
}

//! A topic that is a function: which record has which offset, time and text never changes.

use std::collections::BTreeMap;
use std::time::Duration;

use rufous::core::{Entry, Format, RecordBatch, Result};
use rufous::realtime::{Log, PartitionInfo, Polled};

pub(crate) const PARTITIONS: u32 = 3;
const HOUR: i64 = 3_600_000;
/// In 2023.
const EPOCH: i64 = 470_000;
/// Of partition 2, before anybody read them: a hole in every layer.
pub(crate) const LOST: (u32, u64, u64) = (2, 13, 17);

/// A record as it was produced: hour, milliseconds, text. `None`: no record has this offset.
pub(crate) fn record(p: u32, offset: u64) -> Option<(i64, i64, String)> {
    // Where a transaction was aborted.
    if (offset + u64::from(p)) % 11 == 7 {
        return None;
    }
    let words = ["ash", "beech", "cedar", "date", "elm", "fir"];
    let n = offset * 7 + u64::from(p) * 5 + offset / 9;
    let (hour, text) = (
        EPOCH + (offset / 6) as i64,
        format!("{} user-{} {}", words[(n % 6) as usize], n * n % 17, n % 1000),
    );
    Some((hour, hour * HOUR + (offset % 6) as i64 * 60_000, text))
}

/// The topic with so many offsets a partition. The lost range is gone once they are more than its begin.
pub(crate) struct Topic {
    end: u64,
    positions: BTreeMap<u32, u64>,
    turn: u32,
}

impl Topic {
    pub(crate) fn until(end: u64) -> Box<dyn Log> {
        Box::new(Self {
            end,
            positions: BTreeMap::new(),
            turn: 0,
        })
    }
    fn start(&self, p: u32) -> u64 {
        if p == LOST.0 && self.end > LOST.1 { LOST.2 } else { 0 }
    }
    fn read(&mut self, p: u32, into: &mut RecordBatch) -> Option<Polled> {
        let (start, end) = (self.start(p), self.end);
        let next = self.positions.get_mut(&p)?;
        if *next >= end {
            return None;
        }
        if *next < start {
            *next = end;
            return Some(Polled::Lost { partition: p, start });
        }
        into.clear();
        into.partition = p;
        for offset in *next..end {
            if let Some((_, millis, text)) = record(p, offset) {
                let value = into.push_bytes(text.as_bytes());
                into.entries.push(Entry {
                    time_ms: millis,
                    ..Entry::plain(offset, value)
                });
            }
        }
        *next = end;
        into.next = end;
        Some(Polled::Records)
    }
}

impl Log for Topic {
    fn location(&self) -> String {
        "a topic that never changes".into()
    }
    fn format(&self) -> Format {
        Format::Text
    }
    fn has_time(&self) -> bool {
        true
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let info = |partition| PartitionInfo {
            partition,
            start: self.start(partition),
            end: self.end,
            topic_id: "golden".into(),
            owned: true,
        };
        Ok((0..PARTITIONS).map(info).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.positions = positions.iter().copied().collect();
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut RecordBatch) -> Result<Polled> {
        for _ in 0..PARTITIONS {
            let p = self.turn;
            self.turn = (self.turn + 1) % PARTITIONS;
            if let Some(polled) = self.read(p, into) {
                return Ok(polled);
            }
        }
        Ok(Polled::Idle)
    }
}

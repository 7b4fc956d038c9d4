//! The log: all that the engine knows of Kafka or of appended files.

use std::time::Duration;

use rufous_core::{Format, RecordBatch, Result};

/// One partition as the log shows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its number.
    pub partition: u32,
    /// The first offset that can still be read.
    pub start: u64,
    /// The first offset after the last record that can be read now (read_committed: the last stable offset).
    pub end: u64,
    /// Identifies the log behind the number: a topic's id, or a file's device, inode and first bytes. When it changes under
    /// a number, the log was replaced (P42).
    pub topic_id: String,
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Consecutive records of one partition, in the batch that was passed in. Its `next` is the position after them; a
    /// batch without entries moves the position only (control records, aborted transactions).
    Records,
    /// Nothing within the time given.
    Idle,
    /// The records between `next` and `start` were deleted before they were read (P33, P34). The partition stays where it
    /// is until it is assigned again.
    Lost {
        /// Which partition.
        partition: u32,
        /// The first offset that can be read.
        start: u64,
    },
    /// A new partition may have appeared: ask [`Log::partitions`].
    PartitionsChanged,
}

/// A log of one source: partitions of records in offset order, read from given offsets on.
///
/// The contract: of each assigned partition every record at or above the assigned offset comes exactly once, in offset
/// order, as a `read_committed` consumer sees it; a batch holds records of one partition only, at most a few thousand.
/// Calls block no longer than asked, errors that pass by themselves are handled inside and reported by `tracing`.
pub trait Log: Send {
    /// For messages: "file:lines.txt", "kafka://h:9092/topic".
    fn location(&self) -> String;
    /// How records are written.
    fn format(&self) -> Format;
    /// Whether records carry a timestamp of the log.
    fn has_time(&self) -> bool;
    /// The partitions that exist now, ascending.
    ///
    /// # Errors
    /// `TryAgain` when the log cannot be reached, `InvalidRequest` when it is not there or must not be read (compacted).
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>>;
    /// Reads these partitions from these offsets on, in place of what was assigned before.
    ///
    /// # Errors
    /// When a partition does not exist or an offset is beyond its end.
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()>;
    /// Waits for records at most `timeout`.
    ///
    /// # Errors
    /// What does not pass by itself: a truncated file, a deleted topic, a broker that refuses.
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled>;
    /// Tells lag tools how far the state is. A courtesy: nothing rests on it, failures are ignored.
    fn note_committed(&mut self, _positions: &[(u32, u64)]) {}
    /// How long ago the log's server gave a sign of life: an answer, or a record. A server that hangs is silent, and a poll
    /// of it is as idle as one of a log without news. `None`: there is no server, or it was not asked yet.
    fn silence(&self) -> Option<Duration> {
        None
    }
}

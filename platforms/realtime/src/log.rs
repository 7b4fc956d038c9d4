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
    /// Whether this process reads it: its consumer group gave it to this one, or nobody shares it out (P10a).
    pub owned: bool,
}

/// Where a partition is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub partition: u32,
    /// The first offset wanted.
    pub offset: u64,
    /// The leader epoch of the record before it, -1 when it is not known: a log that was truncated below `offset` and
    /// written anew is recognised by it (P42).
    pub leader_epoch: i32,
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
    /// The log now ends, or ended once, at `end`, below what was read: what followed was cut off, and other records may
    /// stand in its place (P42). The partition stays where it is until it is assigned again.
    Truncated {
        /// Which partition.
        partition: u32,
        /// Up to where the log is what it was.
        end: u64,
    },
    /// Ask [`Log::partitions`] again: one may be new, given to this process, or taken from it.
    PartitionsChanged,
    /// The group is about to share out anew. What was read until now can still be committed as its owner; with the next call the
    /// group goes on. Nothing is read until [`PartitionsChanged`](Self::PartitionsChanged) follows.
    Revoked,
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
    /// [`assign`](Self::assign), with the leader epochs that were seen. A log without epochs needs none.
    ///
    /// # Errors
    /// As for `assign`.
    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        let plain: Vec<_> = positions.iter().map(|p| (p.partition, p.offset)).collect();
        self.assign(&plain)
    }
    /// Whether those who write stamp the records, each by a clock of its own; `None`: the log does not say, or has no times.
    ///
    /// # Errors
    /// `TryAgain` when the log cannot be reached.
    fn stamped_by_writers(&mut self) -> Result<Option<bool>> {
        Ok(None)
    }
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
    /// The end of an assigned partition as far as it is known without asking: for the lag. `None`: not known.
    fn end(&self, _partition: u32) -> Option<u64> {
        None
    }
    /// Whether a group shares the partitions out among processes. Otherwise all are this process's, and no other may read them into
    /// the same state.
    fn is_shared_out(&self) -> bool {
        false
    }
    /// Asks the group itself whether what this process was given is still its own (P12): a process that slept does not know that
    /// the group went on without it, and would take partitions back that another reads. `false` as well while the group shares
    /// out anew, or does not answer. Waits a second at most.
    fn is_member(&mut self) -> bool {
        true
    }
    /// Lets the group go on while nothing is read and nothing of it is in a map: what it takes is given up at once. Who waits for
    /// something else for long calls it now and then, or all other members wait as well.
    ///
    /// Nothing may be assigned: what arrives is kept.
    fn attend(&mut self) {}
    /// Whether it is not settled yet which partitions this process gets. [`Polled::PartitionsChanged`] follows.
    fn waits(&self) -> bool {
        false
    }
}

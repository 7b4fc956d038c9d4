//! Tables of written records: rows by source, partition, offset and number, and a mark a partition that changes with them (O23).
//!
//! A table belongs to one sink of one job and instance. Whoever writes a partition *claims* it: that raises its epoch, and a
//! write of an older claim is refused by the place itself. [`append`](TableStore::append) is a compare-and-set of the mark that
//! brings the rows with it, all or nothing; so it can be a write batch, a transaction, or a script in a server.

use std::fmt;

use rufous_core::{Error, Result, SourcePartition};
use serde::{Deserialize, Serialize};

use crate::id::WrittenId;
use crate::progress::Hole;

/// Whose table it is, and what its rows mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFace {
    /// The sink.
    pub sink: String,
    /// The job and its instance: partitions are numbered by instance.
    pub of: String,
    /// The schema text of the rows that are written from now on. Older ones keep theirs.
    pub schema: String,
}

/// How far a partition is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMark {
    /// The job and its instance.
    pub of: String,
    /// The sink.
    pub sink: String,
    /// Which claim may write.
    pub epoch: u64,
    /// What was made of records below this offset is in the table.
    pub mark: u64,
    /// Where the sink began: earlier history is not written.
    pub start: u64,
    /// Ranges that were lost to the sink (O26).
    pub holes: Vec<Hole>,
}

/// A row to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRow<'a> {
    /// The offset of the record.
    pub offset: u64,
    /// Which of the things made of it.
    pub number: u64,
    /// The record's canonical bytes.
    pub value: &'a [u8],
}

/// Rows of one partition, ascending, and the step of the mark that comes with them.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Whose rows.
    pub partition: &'a SourcePartition,
    /// The claim of the writer.
    pub epoch: u64,
    /// Where the mark must stand.
    pub from: u64,
    /// Where it will.
    pub to: u64,
    /// What is between the two.
    pub rows: &'a [TableRow<'a>],
}

/// The right to write one partition of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// To be said with every write.
    pub epoch: u64,
    /// Where the mark stands.
    pub mark: u64,
}

/// What is called with a row as it is read: its id, its schema text, its bytes. `false` ends the reading.
pub type EachRow<'a> = &'a mut dyn FnMut(&WrittenId, &str, &[u8]) -> Result<bool>;

/// Tables that can be read.
pub trait TableReader: Send + Sync {
    /// For messages.
    fn location(&self) -> String;
    /// The marks of a sink's table, by partition; empty when it was never begun.
    ///
    /// # Errors
    /// The place's own; `CorruptData` when what is there cannot be read.
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>>;
    /// Calls `each` with the rows of a sink's table from `from` on, ascending by id, all of one point in time.
    ///
    /// # Errors
    /// The first of `each`; as [`marks`](Self::marks).
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()>;
}

/// Tables that can be written.
pub trait TableStore: TableReader {
    /// Becomes the writer of a partition: whoever was it before can write nothing more. Where nothing was ever written the mark is
    /// set to `start`.
    ///
    /// # Errors
    /// `InvalidRequest` when the table is another job's; the place's own.
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim>;
    /// Writes rows and mark durably, all or nothing.
    ///
    /// # Errors
    /// `Closed` when another claim is the writer or the mark stands elsewhere: nothing was written. After any other error the
    /// outcome is unknown until the next [`claim`](Self::claim).
    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()>;
    /// Records that the rows of a range are lost, and moves the mark to its end.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()>;
}

impl TableMark {
    /// Of a table in which nothing was written yet.
    pub fn begun(table: &TableFace, start: u64) -> Self {
        Self {
            of: table.of.clone(),
            sink: table.sink.clone(),
            epoch: 0,
            mark: start,
            start,
            holes: Vec::new(),
        }
    }
    /// Refuses a table of another job or instance.
    ///
    /// # Errors
    /// `InvalidRequest` with whose it is.
    pub fn check_owner(&self, table: &TableFace, location: &dyn fmt::Display) -> Result<()> {
        if self.of == table.of && self.sink == table.sink {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{location} holds records of sink `{}` of {}, and this is sink `{}` of {}: use another --data or --instance",
            self.sink, self.of, table.sink, table.of
        )))
    }
    /// The mark after an append, if it is the writer's and begins where the mark stands. Places share it so that O23 is written
    /// once.
    ///
    /// # Errors
    /// `Closed` otherwise.
    pub fn advanced(&self, append: &Append<'_>) -> Result<Self> {
        self.step(append.partition, append.epoch, append.from, append.to)
    }
    /// The mark after a lost range.
    ///
    /// # Errors
    /// As [`advanced`](Self::advanced).
    pub fn passed(&self, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<Self> {
        let mut next = self.step(p, epoch, hole.from, hole.to)?;
        next.holes.push(hole.clone());
        Ok(next)
    }
    fn step(&self, p: &SourcePartition, epoch: u64, from: u64, to: u64) -> Result<Self> {
        if self.epoch != epoch {
            return Err(Error::closed(format!(
                "sink `{}`: {p} has another writer now (its claim is {}, ours was {epoch}): two must not run the same job and instance",
                self.sink, self.epoch
            )));
        }
        if self.mark != from || to < from {
            return Err(Error::closed(format!(
                "sink `{}`: the mark of {p} stands at offset {}, and the write is of offsets {from} to {to}",
                self.sink, self.mark
            )));
        }
        Ok(Self {
            mark: to,
            ..self.clone()
        })
    }
}

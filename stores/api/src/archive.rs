//! The archive of one source: files of raw records, and an index that alone says what they hold (P17-P19).

use std::ops::Range;

use rufous_core::{BatchId, RecordBatch, Result, RunningBatch};
use serde::{Deserialize, Serialize};

/// The version of [`IndexEntry`]'s form. Format 1 is frozen: a field more is format 2.
pub const INDEX_FORMAT: u32 = 1;

/// One entry of the index of a partition: a range of offsets, and the files that hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexEntry {
    /// [`INDEX_FORMAT`].
    pub format: u32,
    /// The first offset; the last entry's `to`.
    pub from: u64,
    /// The first offset after it.
    pub to: u64,
    /// The running batch just before `from`.
    pub batch_before: BatchId,
    /// The files, ascending; each holds one offset range of one batch. Offsets may have gaps.
    pub files: Vec<ArchivedFile>,
    /// Where batches began in `[from, to)`: ascending (batch, first offset).
    pub cuts: Vec<(BatchId, u64)>,
    /// The range was lost: why.
    pub hole: Option<String>,
    /// Identifies the log (P42).
    pub topic_id: String,
    /// The leader epoch of the last record, -1 for none.
    pub leader_epoch: i32,
    /// How the log is cut (P8).
    pub cut_spec: String,
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedFile {
    /// Its name below the archive's directory.
    pub path: String,
    /// The batch of all its records.
    pub batch: BatchId,
    /// The first offset of its range.
    pub from: u64,
    /// The first offset after its range.
    pub to: u64,
    /// How many records.
    pub rows: u64,
    /// Its length; 0 of files from before it was noted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// XXH3-64 of the file, 16 hexadecimal digits.
    pub checksum: String,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl IndexEntry {
    /// The running batch at `to`.
    pub fn batch_after(&self) -> RunningBatch {
        RunningBatch::at(self.cuts.last().map_or(self.batch_before, |(b, _)| *b))
    }
}

/// The archive of one source.
pub trait Archive: Send + Sync {
    /// The source's name.
    fn source(&self) -> &str;
    /// Checks that entries can be created exclusively where the archive lies. An archiver asks once, before it writes.
    ///
    /// # Errors
    /// `InvalidRequest` when they cannot: no archiver may write there. `TryAgain` when the place does not answer.
    fn check(&self) -> Result<()> {
        Ok(())
    }
    /// Whether each question costs a round trip: who looks often keeps what he was told.
    fn is_far(&self) -> bool {
        false
    }
    /// The partitions that have an index.
    ///
    /// # Errors
    /// When the archive cannot be read.
    fn partitions(&self) -> Result<Vec<u32>>;
    /// The entries of a partition's index from number `from` on; they tile their range without gap.
    ///
    /// # Errors
    /// `CorruptData` when an entry is damaged or does not follow the one before.
    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>>;
    /// The entry of this number; `None`: there is none yet.
    ///
    /// # Errors
    /// `CorruptData` when it is damaged.
    fn entry(&self, partition: u32, number: u64) -> Result<Option<IndexEntry>> {
        Ok(self.index(partition, number)?.into_iter().next())
    }
    /// The last entry of a partition's index and its number, looked for from number `from` up: `None` when there is no
    /// entry `from`. It costs a few looks, however long the index is, and checks that one entry only.
    ///
    /// # Errors
    /// `CorruptData` when the entry is damaged, or the index has a gap behind it.
    fn last(&self, partition: u32, from: u64) -> Result<Option<(u64, IndexEntry)>> {
        Ok((from..).zip(self.index(partition, from)?).last())
    }
    /// The number of the first entry that ends above `offset`: reading on from there needs no entry before it. The number
    /// after the last entry, when none does.
    ///
    /// # Errors
    /// `CorruptData` when an entry is damaged or missing.
    fn find(&self, partition: u32, offset: u64) -> Result<u64> {
        let index = self.index(partition, 0)?;
        Ok(index.partition_point(|e| e.to <= offset) as u64)
    }
    /// Writes and syncs a file of records `(batch of records, entries of it)` that all have this batch. Until an index entry
    /// names it, it is an orphan that nobody reads.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile>;
    /// Creates entry `number` exclusively: that is the commit (P18). `false`: the number is taken; read the index and go on
    /// behind it. (By another archiver, or by this one, in an attempt whose answer was lost.)
    ///
    /// # Errors
    /// When it cannot be written.
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> Result<bool>;
    /// Reads a file's records in offset order, about a thousand at a time. The checksum is compared first.
    ///
    /// # Errors
    /// `CorruptData` that names the file; or the first error of `f`.
    fn read(&self, partition: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()>;
}

//! What a realtime store shows of itself: for metrics and people, not for decisions that exactness rests on.

/// How a realtime store is, at one moment. What a kind of store does not have is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes of all its files, logs and files that wait for deletion included.
    pub disk_bytes: u64,
    /// Bytes of the files that hold the present state.
    pub table_bytes: u64,
    /// Bytes in memory that are in no such file yet.
    pub memtable_bytes: u64,
    /// Bytes of memory for blocks that were read, indexes and filters, [`memtable_bytes`](Self::memtable_bytes) included.
    pub cache_bytes: u64,
    /// The most that [`cache_bytes`](Self::cache_bytes) should be.
    pub cache_capacity: u64,
    /// Bytes that compaction still has to rewrite, an estimate.
    pub pending_compaction_bytes: u64,
    /// Rows (batch, key), an estimate: what is not merged yet counts more than once.
    pub keys: u64,
    /// How often values were merged since the start, by reads, flushes and compactions together.
    pub merges: u64,
    /// How many operands those had: [`operand_depth`](Self::operand_depth) over an interval is the ratio of the differences.
    pub operands: u64,
    /// Snapshots that are held.
    pub snapshots: u64,
    /// Failed flushes and compactions since the start.
    pub background_errors: u64,
    /// Writes are slowed down: compaction is behind.
    pub slowed: bool,
    /// Writes wait: compaction is far behind, or the disk takes nothing.
    pub stopped: bool,
    /// Damage was seen: nothing is written any more, and readers from other processes are refused until it is rebuilt.
    pub damaged: bool,
}

impl StoreStats {
    /// Operands of a merge, the mean since `before`: what a read pays for commits that are not compacted yet. `None`: nothing
    /// was merged since.
    pub fn operand_depth(&self, before: &Self) -> Option<f64> {
        let merges = self.merges.saturating_sub(before.merges);
        let operands = self.operands.saturating_sub(before.operands);
        (merges > 0).then(|| operands as f64 / merges as f64)
    }
}

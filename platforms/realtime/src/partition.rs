//! The engine's state of one partition between two commits.

use std::sync::Arc;

use rufous_core::{BatchId, CutSpec, SourcePartition, Timestamp};
use rufous_store_api::{Advance, Progress};

use crate::cutter::{Cuts, Cutter};
use crate::log::Position;
use crate::metrics::PartitionMetrics;
use crate::waiting::Held;

pub(crate) struct Partition {
    pub(crate) id: SourcePartition,
    /// The row as it was last written; the next commit starts from it.
    pub(crate) row: Progress,
    pub(crate) cutter: Cutter,
    /// The position after what was read.
    pub(crate) next: u64,
    /// Since the last swap.
    cuts: Vec<(BatchId, u64)>,
    last_time: Option<Timestamp>,
    /// The leader epoch of what lies before `next`, -1 when it is not known.
    leader_epoch: i32,
    /// Where the log ended when last asked.
    pub(crate) end: u64,
    /// Why it stands still, if it does.
    pub(crate) held: Option<Held>,
    /// What others see of it.
    pub(crate) meter: Arc<PartitionMetrics>,
}

impl Partition {
    pub(crate) fn acquired(id: SourcePartition, row: Progress, spec: CutSpec, end: u64) -> Self {
        let cutter = Cutter::new(spec, row.batch);
        Self {
            id,
            next: row.next,
            cutter,
            cuts: Vec::new(),
            last_time: None,
            leader_epoch: row.leader_epoch,
            end,
            held: None,
            meter: Arc::default(),
            row,
        }
    }
    pub(crate) fn read(&mut self, next: u64, leader_epoch: Option<i32>, cuts: &Cuts) {
        self.next = next;
        self.leader_epoch = leader_epoch.unwrap_or(-1);
        self.cuts.extend_from_slice(&cuts.cuts);
        self.last_time = self.last_time.max(cuts.last_time);
    }
    /// Where reading goes on.
    pub(crate) fn position(&self) -> Position {
        Position {
            partition: self.id.partition,
            offset: self.next,
            leader_epoch: self.leader_epoch,
        }
    }
    /// P14: cells of batches below this one are not written.
    pub(crate) fn retained_from(&self) -> BatchId {
        self.row.retained_from
    }
    /// The step since the last swap, if there is one. The row is moved as the commit will move it: when the commit fails,
    /// the partition is acquired anew.
    pub(crate) fn advance(&mut self) -> Option<Advance> {
        if self.next == self.row.next {
            return None;
        }
        let advance = Advance {
            partition: self.id.clone(),
            epoch: self.row.epoch,
            from: self.row.next,
            to: self.next,
            batch: self.cutter.batch(),
            cuts: std::mem::take(&mut self.cuts),
            holes: Vec::new(),
            leader_epoch: self.leader_epoch,
            last_time: self.last_time.take(),
        };
        self.row.next = advance.to;
        self.row.leader_epoch = advance.leader_epoch;
        self.row.batch = advance.batch;
        self.row.cuts.extend_from_slice(&advance.cuts);
        Some(advance)
    }
}

//! The engine's state of one partition between two commits.

use std::sync::Arc;

use rufous_core::{BatchId, CutSpec, SourcePartition, Timestamp};
use rufous_store_api::{Advance, Progress};

use crate::cutter::{Cuts, Cutter};
use crate::domain::Queue;
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
    /// What it has shown, where it has one order with other partitions.
    pub(crate) queue: Option<Box<Queue>>,
    /// Cells of batches below were dropped here, or in another partition of its domain.
    pub(crate) floor: BatchId,
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
            queue: None,
            floor: BatchId::MIN,
            meter: Arc::default(),
            row,
        }
    }
    pub(crate) fn read(&mut self, next: u64, leader_epoch: Option<i32>, cuts: &Cuts) {
        self.pass(next, leader_epoch);
        self.cuts.extend_from_slice(&cuts.cuts);
        self.last_time = self.last_time.max(cuts.last_time);
    }
    /// Nothing lies below `next` that was not taken.
    pub(crate) fn pass(&mut self, next: u64, leader_epoch: Option<i32>) {
        self.next = next;
        self.leader_epoch = leader_epoch.unwrap_or(-1);
        if let Some(queue) = &mut self.queue {
            queue.took(next);
        }
    }
    /// Whether the log is not to hand out more of it now.
    pub(crate) fn stands(&self) -> bool {
        self.held.is_some() || self.queue.as_ref().is_some_and(|q| q.full)
    }
    /// Whether everything below `end` was read, as far as it can be.
    pub(crate) fn is_read(&self, end: u64) -> bool {
        self.next >= end || self.queue.as_ref().is_some_and(|q| q.is_shown(end))
    }
    /// Where reading goes on.
    pub(crate) fn position(&self) -> Position {
        if let Some(queue) = &self.queue {
            return queue.position(self.id.partition);
        }
        Position {
            partition: self.id.partition,
            offset: self.next,
            leader_epoch: self.leader_epoch,
        }
    }
    /// P14: cells of batches below this one are not written.
    pub(crate) fn retained_from(&self) -> BatchId {
        self.row.retained_from.max(self.floor)
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
            running: self.queue.as_ref().and_then(|q| q.running()),
        };
        self.row.next = advance.to;
        self.row.leader_epoch = advance.leader_epoch;
        self.row.batch = advance.batch;
        self.row.running = advance.running;
        self.row.cuts.extend_from_slice(&advance.cuts);
        Some(advance)
    }
}

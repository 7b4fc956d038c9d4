//! The progress row of a shard: the realtime state of one source partition, beside its cells.

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Cut, Timestamp};
use serde::{Deserialize, Serialize};

/// Offsets that were deleted from the log before they were read (P33, P34).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The first lost offset.
    pub from: u64,
    /// The first offset after the loss.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// How far a shard is. Every field is persisted, used or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Counts owners: a commit with another epoch is refused (P11).
    pub epoch: u64,
    /// The consumer position: the next offset to read.
    pub next: u64,
    /// The running batch at `next` (P1).
    pub batch: BatchId,
    /// Cells of batches below this one were dropped (P26).
    pub retained_from: BatchId,
    /// Where batches began: ascending (batch, first offset with a batch at or above it), for batches from `retained_from` on.
    pub cuts: Vec<(BatchId, u64)>,
    /// Lost ranges, ascending.
    pub holes: Vec<Hole>,
    /// Identifies the log: the topic's id, or device, inode and first bytes of a file. A mismatch is refused (P42).
    pub topic_id: String,
    /// The leader epoch of what lies before `next`; -1 when the log has none or it is not known (P42).
    pub leader_epoch: i32,
    /// The greatest time that was applied: log time, or event time where that cuts; for freshness.
    pub last_time: Option<Timestamp>,
    /// How the log is cut (P8).
    pub cut_spec: String,
    /// The job's fingerprint.
    pub fingerprint: String,
    /// Another process reads the partition: the row is a prefix that nobody moves here, so no answer may rest on it. Who
    /// acquires the partition sets it back. Rows of before it existed read as `false`, and `false` is not written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// The running time within `batch` at `next` (O3), where the records of several sources have one order: by it rows that do
    /// not stand at one place of the order are noticed. `None`, which is not written: there is none, or a batch begins at
    /// `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Timestamp>,
}

/// Two layers that divide a partition at different offsets: an error with both, never a sum (P28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misalignment {
    /// The batch that the frontier names.
    pub batch: BatchId,
    /// Where the offline layer begins it.
    pub offline_cut: u64,
    /// Where the realtime layer begins it; `None`: not reached, though it read past `offline_cut`.
    pub realtime_cut: Option<u64>,
    /// How far the realtime layer has read.
    pub next: u64,
}

impl Progress {
    /// An empty shard that stands at `cut` (P32; for a new partition [`Cut::ORIGIN`] or the genesis cut).
    pub fn standing_at(cut: Cut, topic_id: String, cut_spec: String, fingerprint: String) -> Self {
        Self {
            epoch: 0,
            next: cut.cut,
            batch: if kept(Rule::BatchBefore) {
                cut.batch_before
            } else {
                BatchId::MIN
            },
            retained_from: cut.batch,
            cuts: vec![(cut.batch, cut.cut)],
            holes: Vec::new(),
            topic_id,
            leader_epoch: -1,
            last_time: None,
            cut_spec,
            fingerprint,
            released: false,
            running: None,
        }
    }

    /// The first offset whose batch is at or above `b`; `None` while no such record was read. Below `retained_from` it is
    /// not known any more and the oldest known cut is returned: readers check `retained_from` first.
    pub fn cut(&self, b: BatchId) -> Option<u64> {
        let i = self.cuts.partition_point(|(batch, _)| *batch < b);
        self.cuts.get(i).map(|(_, offset)| *offset)
    }

    /// P28: whether this shard and a frontier divide the partition in the same place.
    ///
    /// # Errors
    /// With both offsets when they do not.
    pub fn aligned(&self, f: Cut) -> Result<(), Misalignment> {
        let realtime_cut = self.cut(f.batch);
        let fits = match realtime_cut {
            Some(cut) => cut == f.cut,
            None => self.next <= f.cut,
        };
        if fits {
            Ok(())
        } else {
            Err(Misalignment {
                batch: f.batch,
                offline_cut: f.cut,
                realtime_cut,
                next: self.next,
            })
        }
    }

    /// P35: the least batch that a record at `offset` may have: the highest whose recorded cut is at or below it.
    pub fn floor(&self, offset: u64) -> BatchId {
        let i = self.cuts.partition_point(|(_, cut)| *cut <= offset);
        i.checked_sub(1)
            .and_then(|i| self.cuts.get(i))
            .map_or(BatchId::MIN, |(b, _)| *b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(batch: i64, cut: u64) -> Cut {
        Cut {
            batch: BatchId(batch),
            cut,
            batch_before: BatchId(batch - 1),
        }
    }

    /// P28, P32, P35 against the definitions.
    #[test]
    fn alignment_compares_offsets() {
        let mut r = Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
        assert!(r.aligned(Cut::ORIGIN).is_ok());
        assert!(r.aligned(at(5, 10)).is_ok(), "not reached: the offline part answers");
        r.cuts.extend([(BatchId(5), 10), (BatchId(8), 20)]);
        (r.next, r.batch) = (25, BatchId(8));
        for (f, ok) in [
            (at(5, 10), true),
            (at(5, 11), false),
            (at(6, 20), true),
            (at(8, 20), true),
            (at(9, 25), true),
            (at(9, 24), false),
        ] {
            assert_eq!(r.aligned(f).is_ok(), ok, "{f:?}");
        }
        assert_eq!(
            r.aligned(at(9, 24)).unwrap_err(),
            Misalignment {
                batch: BatchId(9),
                offline_cut: 24,
                realtime_cut: None,
                next: 25
            }
        );
        assert_eq!(
            [0, 9, 10, 19, 20, 99].map(|o| r.floor(o).0),
            [i64::MIN, i64::MIN, 5, 5, 8, 8]
        );
    }
}

//! Rules of the hand-over protocol that a test can drop, one at a time, to show that it would notice.
//!
//! The code asks [`kept`] where it follows a rule that is easy to lose in a later change. Without the feature `testing` the
//! answer is a constant and nothing is left of the question. With it a test drops a rule by `drop_in_this_process`; what it
//! then finds wrong is what the rule is there for.

/// A rule, by what the code does because of it. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Rule {
    /// P1: a batch never goes down within a partition.
    RunningMaximum,
    /// P5: the batch is fixed per record, before anything is combined.
    BatchPerRecord,
    /// P11, P13: a commit checks that the row stands where the chunk begins.
    CommitChecksOffset,
    /// P11, P13: a commit checks that its owner still is the owner.
    CommitChecksEpoch,
    /// P11: values and offsets are one write.
    OneWrite,
    /// P12: after a commit whose outcome is unknown the partition is acquired anew.
    AcquireAfterFailure,
    /// P18: an index entry begins where the last one ends, and is created once.
    ExclusiveIndex,
    /// P20: an open batch is never covered.
    SealedOnly,
    /// P21, P32: a shard is rebuilt with the running batch before its cut.
    BatchBefore,
    /// P23: cells are dropped below the drop permission, not below the frontier.
    DropPermission,
    /// P26: `retained_from` is raised when cells are deleted.
    RaiseRetained,
    /// P28: a reader compares the cuts of both layers.
    CompareCuts,
    /// Section 8: a reader compares `retained_from` with the frontier.
    CompareRetained,
    /// P31: a hole makes an answer an error.
    ShowHoles,
    /// P32: a shard that is not aligned is rebuilt.
    RebuildMisaligned,
    /// P32: a rebuilt shard stands at the drop permission, not at the frontier.
    RebuildAtPermission,
    /// P34: a lost range is recorded.
    RecordHole,
    /// P36: layers are compared only where both have read the same.
    ReconcileStable,
    /// O2: a key in two domains is an error.
    OneDomain,
    /// O7: the base of an operator's state is a generation that the shard has reached and whose cells it still has.
    BaseFits,
    /// O7, O8: the state of an operator holds what is in its base.
    StateOfBase,
    /// O9: the generation at the drop permission keeps its files.
    KeepDropPoint,
    /// O10: what a failed commit took back is forgotten by operators as well.
    ForgetAfterFailure,
    /// O12: an operator does not go on over a lost range.
    LostRangeStops,
    /// O7: what operators know of batches that were dropped unread is forgotten.
    ForgetDropped,
    /// O17: a join is asked as of no earlier than its horizon.
    ClampToHorizon,
    /// O18: a record does not see itself.
    NotItself,
    /// O23: what lies below a sink's mark is not written again.
    SinkMark,
    /// O10: sinks are written before the state.
    SinkFirst,
    /// O23: a state that is ahead of a sink is taken back.
    SinkTakesBack,
    /// O23: who opens a sink shuts out the writer before him.
    SinkFence,
    /// O25: a sink begins at the drop permission.
    SinkStartsAtPermission,
    /// O25: the drop permission does not pass what is written to sinks.
    SinkHoldsPermission,
    /// O26: a lost range is recorded in the sink.
    SinkRecordsHole,
    /// O4: a record of a joint domain waits until every other partition has shown one that stands after it.
    WaitForOthers,
    /// O5: the partitions of a joint domain are published up to one batch.
    LevelFrontier,
    /// O3, O10: rows of a domain that do not stand at one place of its order are noticed, also within a batch.
    KeepRunningTime,
    /// P35: after a lost range no record is below the batch that was there.
    Floor,
}

/// Whether the code follows this rule. Always, outside tests.
#[inline]
#[cfg(not(feature = "testing"))]
pub const fn kept(_: Rule) -> bool {
    true
}

#[cfg(feature = "testing")]
pub use switched::{Dropped, drop_in_this_process, kept};

#[cfg(feature = "testing")]
mod switched {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::Rule;

    static DROPPED: AtomicU64 = AtomicU64::new(0);

    /// Whether the code follows this rule.
    #[inline]
    pub fn kept(rule: Rule) -> bool {
        DROPPED.load(Relaxed) & (1 << rule as u8) == 0
    }

    /// The rules are followed again when this is dropped.
    #[must_use = "the rules are followed again when this is dropped"]
    pub struct Dropped(u64);

    impl Drop for Dropped {
        fn drop(&mut self) {
            DROPPED.fetch_and(!self.0, Relaxed);
        }
    }

    /// From here on the code of this process goes on without these rules. For tests that are alone in their process.
    pub fn drop_in_this_process(rules: &[Rule]) -> Dropped {
        let bits = rules.iter().fold(0, |bits, rule| bits | 1 << *rule as u8);
        DROPPED.fetch_or(bits, Relaxed);
        Dropped(bits)
    }
}

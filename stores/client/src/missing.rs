//! What an answer would lack: the four reasons for which a read is refused, and the sentences that say so.

use std::fmt;

use rufous_core::{BatchId, Error, ErrorKind, SourcePartition};
use rufous_store_api::Misalignment;
use serde::{Serialize, Serializer};

/// A part of the log that is in no layer, or that cannot be told apart between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "missing", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missing {
    /// The owner of the realtime state does not answer. Everything at or above the frontier is left out.
    Unavailable {
        /// The partition; `None` when not even the partitions are known.
        partition: Option<SourcePartition>,
        /// What was tried.
        reason: String,
    },
    /// Cells of batches `from..to` were dropped though no generation covers them: a bug or a foreign hand (P29). Everything
    /// at or above the frontier is left out.
    Gap {
        /// The partition.
        partition: SourcePartition,
        /// The frontier's batch.
        #[serde(serialize_with = "batch_json")]
        from: BatchId,
        /// The first batch that the shard still has.
        #[serde(serialize_with = "batch_json")]
        to: BatchId,
    },
    /// The layers divide the partition at different offsets (P28). Everything at or above the frontier is left out.
    Misaligned {
        /// The partition.
        partition: SourcePartition,
        /// The frontier's batch.
        #[serde(serialize_with = "batch_json")]
        batch: BatchId,
        /// Where the offline layer begins it.
        offline_cut: u64,
        /// Where the realtime layer begins it; `None`: not reached, though it read past `offline_cut`.
        realtime_cut: Option<u64>,
        /// How far the realtime layer has read.
        next: u64,
    },
    /// Offsets that were deleted before they were read (P31). All the rest is there.
    Hole {
        /// The partition.
        partition: SourcePartition,
        /// The first lost offset.
        from: u64,
        /// The first offset after the loss.
        to: u64,
        /// Why.
        reason: String,
    },
}

/// JSON for a batch: `null` before every batch, `"end"` after every batch.
pub(crate) fn batch_json<S: Serializer>(batch: &BatchId, s: S) -> Result<S::Ok, S::Error> {
    match *batch {
        BatchId::MIN => s.serialize_none(),
        BatchId::MAX => s.serialize_str("end"),
        BatchId(n) => s.serialize_i64(n),
    }
}

/// The same as a value.
pub(crate) fn batch_value(batch: BatchId) -> serde_json::Value {
    match batch {
        BatchId::MIN => serde_json::Value::Null,
        BatchId::MAX => "end".into(),
        BatchId(n) => n.into(),
    }
}

/// A partition in a sentence.
pub(crate) fn place(p: &SourcePartition) -> String {
    format!("partition {} of `{}`", p.partition, p.source)
}

impl Missing {
    pub(crate) fn misaligned(partition: SourcePartition, m: Misalignment) -> Self {
        let Misalignment {
            batch,
            offline_cut,
            realtime_cut,
            next,
        } = m;
        Self::Misaligned {
            partition,
            batch,
            offline_cut,
            realtime_cut,
            next,
        }
    }
    /// The partition it is about; `None` when it is about all of them.
    pub fn partition(&self) -> Option<&SourcePartition> {
        match self {
            Self::Unavailable { partition, .. } => partition.as_ref(),
            Self::Gap { partition, .. } | Self::Misaligned { partition, .. } | Self::Hole { partition, .. } => {
                Some(partition)
            }
        }
    }
    /// The kind of the error that a whole read is (P31).
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Gap { .. } | Self::Misaligned { .. } => ErrorKind::CorruptData,
            Self::Hole { .. } => ErrorKind::Incomplete,
            Self::Unavailable { .. } => ErrorKind::TryAgain,
        }
    }
    /// Most severe first.
    fn rank(&self) -> u8 {
        match self {
            Self::Misaligned { .. } => 0,
            Self::Gap { .. } => 1,
            Self::Hole { .. } => 2,
            Self::Unavailable { .. } => 3,
        }
    }
    /// What the caller can do about it.
    fn repair(&self) -> &'static str {
        match self {
            Self::Misaligned { .. } | Self::Gap { .. } => {
                "a restart of `stream` rebuilds it, `get_partial` answers without its realtime part"
            }
            Self::Hole { .. } => "a backfill from the archive repairs it, `accept_holes` answers without them",
            Self::Unavailable { .. } => "try again, or `get_partial` answers without it",
        }
    }
}

impl fmt::Display for Missing {
    /// What is wrong, as a clause without its repair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable {
                partition: Some(p),
                reason,
            } => {
                write!(f, "{} has no owner at present ({reason})", place(p))
            }
            Self::Unavailable {
                partition: None,
                reason,
            } => {
                write!(f, "the realtime state has no owner at present ({reason})")
            }
            Self::Gap { partition, from, to } => {
                let (p, from, to) = (place(partition), from.show(), to.show());
                write!(
                    f,
                    "{p} lacks what lies between {from}, up to where the offline part reaches, and {to}, where "
                )?;
                f.write_str("the realtime part begins")
            }
            Self::Misaligned {
                partition,
                batch,
                offline_cut,
                realtime_cut,
                next,
            } => {
                let (p, batch) = (place(partition), batch.show());
                write!(
                    f,
                    "{p} is divided in two places: {batch} begins at offset {offline_cut} offline and "
                )?;
                match realtime_cut {
                    Some(cut) => write!(f, "at offset {cut} in realtime, which has read up to {next}"),
                    None => write!(f, "nowhere in realtime, which has read up to {next}"),
                }
            }
            Self::Hole {
                partition, from, to, ..
            } => {
                write!(
                    f,
                    "offsets {from}..{to} of {} were deleted before they were read",
                    place(partition)
                )
            }
        }
    }
}

/// The error of a whole read that lacks all this: the most severe decides its kind, all are named.
pub(crate) fn refuse(store: &str, bad: &[Missing]) -> Error {
    let mut sorted: Vec<&Missing> = bad.iter().collect();
    sorted.sort_by_key(|m| m.rank());
    let kind = sorted.first().map_or(ErrorKind::Bug, |m| m.kind());
    let sentences: Vec<String> = sorted
        .chunk_by(|a, b| a.rank() == b.rank())
        .map(|same| {
            let what: Vec<String> = same.iter().map(ToString::to_string).collect();
            let repair = same.first().map_or("", |m| m.repair());
            format!("{}; {repair}", what.join(", "))
        })
        .collect();
    Error::new(kind, format!("store `{store}`: {}", sentences.join("; besides, ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_name_the_thing_and_the_repair() {
        let p = SourcePartition::new("lines", 3);
        let silent = Missing::Unavailable {
            partition: Some(p.clone()),
            reason: "asked for 2.0 s".into(),
        };
        let hole = Missing::Hole {
            partition: p.clone(),
            from: 8120,
            to: 9317,
            reason: "retention".into(),
        };
        let gap = Missing::Gap {
            partition: p,
            from: BatchId(5),
            to: BatchId(8),
        };
        let e = refuse("counts", std::slice::from_ref(&silent));
        assert_eq!(
            (e.kind(), e.to_string().as_str()),
            (
                ErrorKind::TryAgain,
                "store `counts`: partition 3 of `lines` has no owner at present (asked for 2.0 s); try again, or `get_partial` answers without it"
            )
        );
        let e = refuse("counts", std::slice::from_ref(&hole));
        assert_eq!(
            (e.kind(), e.to_string().as_str()),
            (
                ErrorKind::Incomplete,
                "store `counts`: offsets 8120..9317 of partition 3 of `lines` were deleted before they were read; a backfill from the archive repairs it, `accept_holes` answers without them"
            )
        );
        let e = refuse("counts", &[silent, hole, gap]);
        assert_eq!(e.kind(), ErrorKind::CorruptData);
        for named in ["batch 5", "batch 8", "8120..9317", "asked for 2.0 s"] {
            assert!(e.to_string().contains(named), "{e}");
        }
    }
}

//! The frontier: per source partition, up to where the offline layer reaches. It is a vector; an idle partition holds
//! nobody back.

use std::collections::BTreeMap;
use std::fmt;

use crate::batch::BatchId;

/// One partition of one source of the job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePartition {
    /// The source port's name.
    pub source: String,
    /// The partition's number in the log.
    pub partition: u32,
}

impl SourcePartition {
    /// Of these parts.
    pub fn new(source: impl Into<String>, partition: u32) -> Self {
        Self {
            source: source.into(),
            partition,
        }
    }
    /// Reads what `Display` prints.
    pub fn parse(text: &str) -> Option<Self> {
        let (source, p) = text.rsplit_once('/')?;
        Some(Self {
            source: source.into(),
            partition: p.parse().ok()?,
        })
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.partition)
    }
}

impl serde::Serialize for SourcePartition {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SourcePartition {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no source/partition")))
    }
}

/// Where one partition is cut: everything below offset `cut` is in batches below `batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cut {
    /// The first batch at or above the cut.
    pub batch: BatchId,
    /// The first offset whose batch is `>= batch`.
    pub cut: u64,
    /// The running batch just before `cut`.
    pub batch_before: BatchId,
}

impl Cut {
    /// Where a partition stands that a frontier does not name.
    pub const ORIGIN: Self = Self {
        batch: BatchId::MIN,
        cut: 0,
        batch_before: BatchId::MIN,
    };
}

/// A cut per source partition. A partition that is not named stands at [`Cut::ORIGIN`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Frontier(pub BTreeMap<SourcePartition, Cut>);

impl Frontier {
    /// The cut of `p`.
    pub fn of(&self, p: &SourcePartition) -> Cut {
        self.0.get(p).copied().unwrap_or(Cut::ORIGIN)
    }
    /// The partitions of a source that it knows.
    pub fn partitions_of(&self, source: &str) -> impl Iterator<Item = u32> {
        { self.0.keys() }
            .filter(move |p| p.source == source)
            .map(|p| p.partition)
    }
    /// Whether every partition's batch is at or above the other's (P22).
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(p, c)| self.of(p).batch >= c.batch)
    }
}

//! What comes back: a whole answer, or a part that says what it lacks; and what either rests on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rufous_core::{BatchId, Cut, Error, Result, SourcePartition, StoreFace, Timestamp};
use rufous_store_api::SourceHole;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::missing::{Missing, batch_json};
use crate::token::Token;

/// A whole answer: every record of every partition below [`Coverage::applied`], each once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<V> {
    /// The sum; `None`: surely absent.
    pub value: Option<V>,
    /// What it covers, and the holes that the caller accepted.
    pub coverage: Coverage,
    /// The least of the greatest times applied per partition; `None` where the realtime part has no time or read nothing.
    pub freshness: Option<Timestamp>,
    /// Lets anyone compute the same answer again.
    pub token: Token,
}

/// An answer that may lack something. Per partition it is the fold of a prefix of the log, less the holes listed: no record
/// is in it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial<V> {
    /// The sum of what is known; `None`: nothing is known of this key, which is not the same as absent.
    pub so_far: Option<V>,
    /// What it covers.
    pub coverage: Coverage,
    /// What it lacks; when this is empty the sum is whole.
    pub missing: Vec<Missing>,
}

/// An answer in canonical bytes.
pub type RawAnswer = Answer<Vec<u8>>;
/// A partial answer in canonical bytes.
pub type RawPartial = Partial<Vec<u8>>;

/// What all answers of one read rest on. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Basis {
    /// As in [`Answer`].
    pub coverage: Coverage,
    /// As in [`Answer`].
    pub freshness: Option<Timestamp>,
    /// As in [`Answer`].
    pub token: Token,
}

impl Basis {
    /// An answer that rests on this.
    pub fn answer<V>(&self, value: Option<V>) -> Answer<V> {
        let Self {
            coverage,
            freshness,
            token,
        } = self.clone();
        Answer {
            value,
            coverage,
            freshness,
            token,
        }
    }
}

impl<V> Answer<V> {
    /// Turns the value into another form.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn try_map<W>(self, f: impl FnOnce(V) -> Result<W>) -> Result<Answer<W>> {
        let Self {
            value,
            coverage,
            freshness,
            token,
        } = self;
        Ok(Answer {
            value: value.map(f).transpose()?,
            coverage,
            freshness,
            token,
        })
    }
}

impl<V> Partial<V> {
    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }
    /// Turns the value into another form.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn try_map<W>(self, f: impl FnOnce(V) -> Result<W>) -> Result<Partial<W>> {
        let Self {
            so_far,
            coverage,
            missing,
        } = self;
        Ok(Partial {
            so_far: so_far.map(f).transpose()?,
            coverage,
            missing,
        })
    }
}

fn key_json(face: &StoreFace, key: &[u8]) -> Result<Value> {
    face.key
        .json(key)
        .map_err(|e| Error::corrupt(format!("store `{}`: a key cannot be read: {e}", face.name)).caused_by(e))
}

fn value_json(face: &StoreFace, key: &[u8], value: Option<&[u8]>) -> Result<Value> {
    let Some(value) = value else { return Ok(Value::Null) };
    face.value.json(value).map_err(|e| {
        undecodable(face, key, &e)
            .at(format_args!("store `{}`", face.name))
            .caused_by(e)
    })
}

/// The error for a value that its own codec refuses.
pub(crate) fn undecodable(face: &StoreFace, key: &[u8], e: &dyn fmt::Display) -> Error {
    Error::corrupt(format!("the value of key {} cannot be read: {e}", key_text(face, key)))
}

/// A key for a message, whatever its bytes are.
pub(crate) fn key_text(face: &StoreFace, key: &[u8]) -> String {
    face.key
        .text(key)
        .map_or_else(|_| format!("{key:02x?}"), |text| format!("`{text}`"))
}

impl RawAnswer {
    /// One JSON object: `key`, `value` (`null`: surely absent), `covered_until`, `freshness`, `coverage`, `token`.
    ///
    /// # Errors
    /// `CorruptData` when key or value are not what the store's schema says.
    pub fn to_json(&self, face: &StoreFace, key: &[u8]) -> Result<Value> {
        let value = value_json(face, key, self.value.as_deref())?;
        Ok(self.json(key_json(face, key)?, value))
    }
    /// The same under a key that is not the store's own.
    pub(crate) fn to_json_of(&self, face: &StoreFace, key: Value) -> Result<Value> {
        let value = match self.value.as_deref() {
            None => Value::Null,
            Some(bytes) => face.value.json(bytes).map_err(|e| {
                Error::corrupt(format!(
                    "store `{}`: the sum of key {key} cannot be read: {e}",
                    face.name
                ))
                .caused_by(e)
            })?,
        };
        Ok(self.json(key, value))
    }
    /// The value for people.
    pub(crate) fn text(&self, face: &StoreFace) -> String {
        match self.value.as_deref().map(|v| face.value.json(v)) {
            None => "(absent)".into(),
            Some(Ok(value)) => value.to_string(),
            Some(Err(e)) => format!("cannot be read: {e}"),
        }
    }
    fn json(&self, key: Value, value: Value) -> Value {
        json!({
            "key": key,
            "value": value,
            "covered_until": self.coverage.covered_until(),
            "freshness": self.freshness.map(|t| t.to_string()),
            "coverage": self.coverage,
            "token": self.token,
        })
    }
}

impl RawPartial {
    /// One JSON object: `key`, `so_far`, `missing`, `covered_until`, `coverage`. There is no `value`: nobody takes it for one.
    ///
    /// # Errors
    /// `CorruptData` when key or value are not what the store's schema says.
    pub fn to_json(&self, face: &StoreFace, key: &[u8]) -> Result<Value> {
        Ok(json!({
            "key": key_json(face, key)?,
            "so_far": value_json(face, key, self.so_far.as_deref())?,
            "missing": self.missing,
            "covered_until": self.coverage.covered_until(),
            "coverage": self.coverage,
        }))
    }
}

/// How far an answer reaches in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionCoverage {
    /// Up to where the offline part reaches.
    pub frontier: Cut,
    /// The first offset that is not in the answer.
    pub applied: u64,
}

impl Serialize for PartitionCoverage {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        struct Batch(BatchId);
        impl Serialize for Batch {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                batch_json(&self.0, s)
            }
        }
        let mut out = s.serialize_struct("PartitionCoverage", 3)?;
        out.serialize_field("batch", &Batch(self.frontier.batch))?;
        out.serialize_field("cut", &self.frontier.cut)?;
        out.serialize_field("applied", &self.applied)?;
        out.end()
    }
}

/// What an answer covers: per source partition the frontier and the offset applied, and the holes that were accepted.
/// `Display` prints the summary for people. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage(Arc<CoverageParts>);

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(s)
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct CoverageParts {
    covered_until: String,
    partitions: BTreeMap<SourcePartition, PartitionCoverage>,
    holes: Vec<SourceHole>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_repeatable: Vec<String>,
}

impl Coverage {
    pub(crate) fn new(
        covered_until: String,
        partitions: BTreeMap<SourcePartition, PartitionCoverage>,
        holes: Vec<SourceHole>,
        not_repeatable: Vec<String>,
    ) -> Self {
        Self(Arc::new(CoverageParts {
            covered_until,
            partitions,
            holes,
            not_repeatable,
        }))
    }
    /// The services that were asked as of now (O19). Where there are any, each record counts once, but the answer is no function
    /// of the logs: computed again it may be another one.
    pub fn not_repeatable(&self) -> &[String] {
        &self.0.not_repeatable
    }
    /// The batch that the offline part reaches, with the partitions that are behind it: a summary for people, as the manifest
    /// has it.
    pub fn covered_until(&self) -> &str {
        &self.0.covered_until
    }
    /// Every partition that the manifest or the realtime part knows.
    pub fn partitions(&self) -> &BTreeMap<SourcePartition, PartitionCoverage> {
        &self.0.partitions
    }
    /// The first offset of `p` that is not in the answer; 0 for a partition nobody has seen.
    pub fn applied(&self, p: &SourcePartition) -> u64 {
        self.0.partitions.get(p).map_or(0, |c| c.applied)
    }
    /// The sum of the offsets applied: it grows as the answer does.
    pub fn applied_total(&self) -> u64 {
        self.0.partitions.values().fold(0, |n, c| n.saturating_add(c.applied))
    }
    /// The lost ranges that the caller accepted. Empty unless he said so.
    pub fn holes(&self) -> &[SourceHole] {
        &self.0.holes
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.covered_until.is_empty() {
            "the beginning"
        } else {
            &self.0.covered_until
        })?;
        for (i, h) in self.0.holes.iter().enumerate() {
            let word = if i == 0 { " without" } else { "," };
            write!(f, "{word} {} {}..{}", h.partition, h.hole.from, h.hole.to)?;
        }
        if !self.0.not_repeatable.is_empty() {
            write!(
                f,
                " (not repeatable: `{}` asked as of now)",
                self.0.not_repeatable.join("`, `")
            )?;
        }
        Ok(())
    }
}

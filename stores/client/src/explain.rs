//! What an answer was made of: each value that was merged, in the order of merging, and what was left out and why.

use std::fmt;

use rufous_core::{BatchId, Cut, Frontier, Result, SourcePartition, StoreFace};
use rufous_store_api::StoreGeneration;
use serde_json::{Value, json};

use crate::answer::{RawAnswer, key_text};
use crate::missing::batch_value;
use crate::view::{Fail, View};

/// Where a value lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a run of the generation.
    Offline {
        /// The manifest that names the run.
        manifest: u64,
        /// The run's file.
        run: String,
    },
    /// In a cell of the realtime state.
    Realtime {
        /// The cell's partition.
        partition: SourcePartition,
        /// The cell's batch.
        batch: BatchId,
    },
}

/// A value of one key in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Where it lies.
    pub place: Place,
    /// Its canonical bytes.
    pub value: Vec<u8>,
}

/// A cell that is there and was not merged: the generation has its records already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The cell.
    pub part: Part,
    /// The frontier of its partition, which lies above its batch.
    pub frontier: Cut,
}

/// The values of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// What was merged, in this order: their sum is the answer.
    pub merged: Vec<Part>,
    /// What was not.
    pub left_out: Vec<LeftOut>,
    /// The runs of the generation that do not hold the key, oldest first.
    pub runs_without: Vec<String>,
}

/// An answer with its parts, in canonical bytes. `Display` is for people.
#[derive(Clone)]
#[non_exhaustive]
pub struct RawExplained {
    /// The answer that [`get`](crate::RawStoreClient::get) gives at the same moment.
    pub answer: RawAnswer,
    /// What it was made of.
    pub parts: Parts,
    pub(crate) face: StoreFace,
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for RawExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawExplained")
            .field("answer", &self.answer)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl View {
    /// Every value of a key, by its place. Each run is asked by itself, and the cells from the oldest on that is there.
    pub(crate) fn parts(&self, key: &[u8]) -> Result<Parts, Fail> {
        let keys = [key.to_vec()];
        let mut parts = Parts::default();
        let generation = self.generation();
        for run in generation.iter().flat_map(|g| &g.runs) {
            self.on_time("a look at each run")?;
            let one = StoreGeneration {
                runs: vec![run.clone()],
                ..generation.cloned().unwrap_or_default()
            };
            match self.offline(&one, &keys)?.into_iter().next().flatten() {
                Some(value) => parts.merged.push(Part {
                    place: Place::Offline {
                        manifest: self.manifest.number,
                        run: run.path.clone(),
                    },
                    value,
                }),
                None => parts.runs_without.push(run.path.clone()),
            }
        }
        let cells = self.cells(&keys, &Frontier::default())?.into_iter().next();
        let (counted, rest) = self.divide(cells.unwrap_or_default()).map_err(Fail::Final)?;
        let part = |cell: rufous_store_api::Cell| -> Option<(SourcePartition, Part)> {
            let p = self.partition(&cell)?.clone();
            let place = Place::Realtime {
                partition: p.clone(),
                batch: cell.batch,
            };
            Some((
                p,
                Part {
                    place,
                    value: cell.value,
                },
            ))
        };
        parts
            .merged
            .extend(counted.into_iter().filter_map(part).map(|(_, part)| part));
        parts
            .left_out
            .extend(rest.into_iter().filter_map(part).map(|(p, part)| LeftOut {
                part,
                frontier: self.manifest.frontier.of(&p),
            }));
        Ok(parts)
    }
}

impl Part {
    fn json(&self, face: &StoreFace) -> Value {
        let mut all = match &self.place {
            Place::Offline { manifest, run } => json!({"layer": "offline", "manifest": manifest, "run": run}),
            Place::Realtime { partition, batch } => {
                json!({"layer": "realtime", "partition": partition, "batch": batch_value(*batch)})
            }
        };
        all["bytes"] = self.value.len().into();
        // One part may be damaged: the others are shown all the same.
        all["value"] = face.value.json(&self.value).unwrap_or(Value::Null);
        all
    }
    fn text(&self, face: &StoreFace) -> String {
        let value = face
            .value
            .json(&self.value)
            .map_or_else(|e| format!("cannot be read: {e}"), |v| v.to_string());
        format!("{}: {value} ({} bytes)", self.place, self.value.len())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline { manifest, run } => write!(f, "offline, manifest {manifest}, run {run}"),
            Self::Realtime { partition, batch } => write!(f, "realtime, {partition}, {}", batch.show()),
        }
    }
}

impl Parts {
    /// `parts`, in the order of merging, `left_out` with the reason, `runs_without`.
    pub(crate) fn add_json(&self, face: &StoreFace, all: &mut Value) {
        let left_out = |left: &LeftOut| {
            let mut json = left.part.json(face);
            json["why"] = left.why().into();
            json["frontier"] = json!({"batch": batch_value(left.frontier.batch), "cut": left.frontier.cut});
            json
        };
        all["parts"] = self.merged.iter().map(|part| part.json(face)).collect();
        all["left_out"] = self.left_out.iter().map(left_out).collect();
        all["runs_without"] = json!(self.runs_without);
    }

    pub(crate) fn write(&self, face: &StoreFace, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.merged.iter().enumerate() {
            let sign = if i == 0 { ' ' } else { '+' };
            writeln!(f, "  {sign} {}", part.text(face))?;
        }
        for left in &self.left_out {
            writeln!(f, "  left out: {}, {}", left.part.text(face), left.why())?;
        }
        if !self.runs_without.is_empty() {
            writeln!(f, "  not in runs {}", self.runs_without.join(", "))?;
        }
        Ok(())
    }
}

impl LeftOut {
    fn why(&self) -> String {
        format!(
            "below the frontier, {} at offset {}: the offline part has it",
            self.frontier.batch.show(),
            self.frontier.cut
        )
    }
}

impl RawExplained {
    /// One JSON object: that of [`RawAnswer::to_json`], and `parts` (`layer`, `manifest` and `run` or `partition` and `batch`, `bytes`,
    /// `value`), `left_out` (the same, with `why`), `runs_without`.
    ///
    /// # Errors
    /// `CorruptData` when key or value are not what the store's schema says.
    pub fn to_json(&self, face: &StoreFace, key: &[u8]) -> Result<Value> {
        let mut all = self.answer.to_json(face, key)?;
        self.parts.add_json(face, &mut all);
        Ok(all)
    }
}

impl fmt::Display for RawExplained {
    /// The answer, a line for each part, and what it rests on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}",
            key_text(&self.face, &self.key),
            self.answer.text(&self.face)
        )?;
        self.parts.write(&self.face, f)?;
        write!(
            f,
            "  offline until {}, token {}",
            self.answer.coverage, self.answer.token
        )
    }
}

//! The manifest: one numbered record for all stores of a job. A reader uses one manifest, so a read is one cut.

use std::collections::BTreeMap;

use rufous_core::{BatchId, Frontier, Reach, Result, SourcePartition, Timestamp};
use serde::{Deserialize, Serialize};

use crate::progress::Hole;
use crate::window::Window;

/// The version of [`Manifest`]'s form. Format 1 is frozen: a field more is format 2.
pub const MANIFEST_FORMAT: u32 = 1;

/// One published generation of all stores of a job, and all that a reader needs. Every field is persisted from the first
/// version on, used or not; [`window`](Self::window) where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// 0 is genesis (P10); every publish takes the next.
    pub number: u64,
    /// The job's name.
    pub job: String,
    /// The line of generations: those that extend each other.
    pub line: String,
    /// The fingerprint of the code that wrote the generation.
    pub fingerprint: String,
    /// Per source how its log is cut (P8).
    pub cut_specs: BTreeMap<String, String>,
    /// The namespace whose cells belong to this generation; `None`: a bounded input, no realtime part (P8a).
    pub realtime_namespace: Option<String>,
    /// The generation of each store.
    pub stores: BTreeMap<String, StoreGeneration>,
    /// Up to where the generation reaches.
    pub frontier: Frontier,
    /// Per namespace the only permission to drop cells; never goes down (P23).
    pub drop_before: BTreeMap<String, Frontier>,
    /// Ranges that the archive lost, too.
    pub holes: Vec<SourceHole>,
    /// What was read for it.
    pub input: Vec<InputRange>,
    /// When it was published.
    pub created_at: Timestamp,
    /// A batch for people: what the run covered, and who is behind.
    pub covered_until: String,
    /// The only event time that the generation holds records of; `None`: all of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// The files of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreGeneration {
    /// What key and value bytes mean: monoid types and parameters included.
    pub schema: String,
    /// Sorted runs, oldest first; a read adds them up.
    pub runs: Vec<RunFile>,
    /// The runs that this publish added, which share no key; kept for reconcile (P36).
    pub delta: Vec<RunFile>,
}

/// An immutable sorted file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Its name below the store's directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of the whole file, 16 hexadecimal digits.
    pub checksum: String,
    /// How many keys.
    pub keys: u64,
    /// The first key, hexadecimal.
    pub first_key: String,
    /// The last key, hexadecimal.
    pub last_key: String,
}

/// A lost range of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHole {
    /// Which.
    pub partition: SourcePartition,
    /// What.
    #[serde(flatten)]
    pub hole: Hole,
}

/// A piece of input that a generation was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRange {
    /// Which partition.
    pub partition: SourcePartition,
    /// The first offset.
    pub from: u64,
    /// The first offset after it.
    pub to: u64,
    /// The files that hold it, with their checksums; of a bounded input with what tells their contents from others.
    pub files: Vec<(String, String)>,
    /// How the files of a bounded input were read: `parquet`, or the format of their lines. Empty of archives, and where it was
    /// not noted yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub read_as: String,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the current manifest.
    Done,
    /// Its number was taken: read the current one and check again (P22).
    Conflict,
}

/// The manifests of one job.
pub trait ManifestLog: Send + Sync {
    /// The manifest of this number.
    ///
    /// # Errors
    /// `CorruptData` when its bytes are not what was written.
    fn get(&self, number: u64) -> Result<Option<Manifest>>;
    /// The newest manifest at or above `at_least`, if there is one. Who knows a number asks from there: no listing.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>>;
    /// Creates `manifest.number` exclusively: that is the publish.
    ///
    /// # Errors
    /// When it cannot be written; nothing is half-written.
    fn publish(&self, manifest: &Manifest) -> Result<Published>;
}

impl Manifest {
    /// P22: whether this manifest may follow `base`.
    ///
    /// # Errors
    /// A sentence that names the partition or the permission it would break.
    pub fn check_follows(&self, base: &Self) -> std::result::Result<(), String> {
        if self.number != base.number + 1 {
            return Err(format!(
                "manifest {} cannot follow manifest {}",
                self.number, base.number
            ));
        }
        let below = self.below_drop(base);
        if !below.is_empty() {
            let all: Vec<_> = below
                .iter()
                .map(|(p, to, dropped)| {
                    format!(
                        "partition {p} would go back to batch {} though cells below batch {} may be dropped already",
                        to.0, dropped.0
                    )
                })
                .collect();
            return Err(all.join("; "));
        }
        for (namespace, drop) in &base.drop_before {
            if !self.drop_before.get(namespace).is_some_and(|d| d.covers(drop))
                && self.realtime_namespace.as_ref() == Some(namespace)
            {
                return Err(format!("the drop permission of namespace {namespace} would go down"));
            }
        }
        Ok(())
    }

    /// How far things are for what a store may forget. Of a bounded input nothing is: it is summed anew.
    pub fn reach(&self, _store: &str) -> Reach {
        let batches = self.frontier.0.values().map(|cut| cut.batch);
        Reach {
            batch: batches.min().filter(|_| self.realtime_namespace.is_some()),
            dropped: Vec::new(),
        }
    }

    /// Whether this is `base` in another form: it covers the same records with the same code, by other files. The frontier of
    /// a bounded input says only how long its files were, so these must be the same, too.
    pub fn is_form_of(&self, base: &Self) -> bool {
        let of = |m: &Self| (m.realtime_namespace.clone(), m.line.clone());
        let same = self.realtime_namespace.is_some() || (!self.input.is_empty() && self.input == base.input);
        same && of(self) == of(base) && self.frontier == base.frontier
    }

    /// The partitions whose frontier is below what `current` permits to drop in this manifest's namespace, each with its
    /// batch here and the batch below which cells may be gone. With any of them it can be published no more (P22, P24).
    pub fn below_drop(&self, current: &Self) -> Vec<(SourcePartition, BatchId, BatchId)> {
        let drop = self
            .realtime_namespace
            .as_ref()
            .and_then(|n| current.drop_before.get(n));
        let cuts = drop.into_iter().flat_map(|drop| &drop.0);
        cuts.map(|(p, cut)| (p.clone(), self.frontier.of(p).batch, cut.batch))
            .filter(|(_, to, dropped)| to < dropped)
            .collect()
    }

    /// P24: the manifest that makes this generation the current one again, on top of `current`. It adds nothing, so it has no
    /// delta, and all drop permissions stay (P23).
    #[must_use]
    pub fn rolled_back(&self, current: &Self, now: Timestamp) -> Self {
        let mut manifest = self.clone();
        manifest.number = current.number + 1;
        manifest.created_at = now;
        manifest.drop_before.clone_from(&current.drop_before);
        for generation in manifest.stores.values_mut() {
            generation.delta.clear();
        }
        manifest
    }
}

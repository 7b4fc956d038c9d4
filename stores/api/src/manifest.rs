//! The manifest: one numbered record for all stores of a job. A reader uses one manifest, so a read is one cut.

use std::collections::BTreeMap;

use rufous_core::{
    BatchId, Cut, CutSpec, Frontier, Hop, HopSize, Reach, Result, SourcePartition, StoreFace, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::progress::Hole;
use crate::records::SinkGeneration;
use crate::window::Window;

/// The version of [`Manifest`]'s form that says all but what is dropped. Format 1 is frozen: a field more is format 2.
pub const MANIFEST_FORMAT: u32 = 1;
/// The version of a manifest that says which hops are dropped ([`StoreGeneration::dropped`]), or which answers are not repeatable
/// ([`Manifest::not_repeatable`]). One that says neither, and nothing of sinks, has format 1.
pub const MANIFEST_FORMAT_DROPPED: u32 = 2;
/// The version of a manifest that says what the generation has of sinks ([`Manifest::sinks`]).
pub const MANIFEST_FORMAT_SINKS: u32 = 3;

/// One published generation of all stores of a job, and all that a reader needs. Every field is persisted from the first
/// version on, used or not; [`window`](Self::window) where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`format_needed`](Self::format_needed).
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
    /// The services that the job asked as of now (O19): answers that rest on them are not repeatable, and say so. Not there in
    /// format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_repeatable: Vec<String>,
    /// The generation of each sink that batch runs write (O22): the records below the frontier, each once. Not there in formats 1
    /// and 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sinks: BTreeMap<String, SinkGeneration>,
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
    /// Of a windowed store per size of hops the instant up to which they are gone: hops that end there or before may be left out
    /// of runs, in part or all of them, and nobody reads them. Not there in format 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, Timestamp>,
}

impl StoreGeneration {
    /// [`dropped`](Self::dropped) by size. What is no size was refused when the manifest was read.
    pub fn dropped_hops(&self) -> Vec<(HopSize, Timestamp)> {
        let of = |(size, until): (&String, &Timestamp)| Some((HopSize::parse(size).ok()?, *until));
        self.dropped.iter().filter_map(of).collect()
    }

    /// The hop of a key if it may be gone: for readers that do not know the hops of the store, nor the time zone of units of the
    /// calendar, of which all count.
    pub fn may_be_dropped(&self, key: &[u8]) -> Option<Hop> {
        if self.dropped.is_empty() {
            return None;
        }
        let hop = Hop::of_key(key)?;
        let until = self.dropped.get(&hop.size().to_string())?;
        let end = hop.size().fixed_ms().and_then(|ms| {
            let next = hop.number().checked_add(1)?;
            next.checked_mul(i64::try_from(ms).ok()?)
        });
        end.is_none_or(|end| end <= until.0).then_some(hop)
    }
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

/// Partitions that a refusal names.
const MOST_NAMED: usize = 8;

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
            let mut all: Vec<_> = { below.iter().take(MOST_NAMED) }
                .map(|(p, to, dropped)| {
                    format!(
                        "partition {p} would go back to {} though cells below {} may be dropped already",
                        to.show(),
                        dropped.show()
                    )
                })
                .collect();
            if below.len() > MOST_NAMED {
                all.push(format!("and so would {} more", below.len() - MOST_NAMED));
            }
            return Err(all.join("; "));
        }
        // A rollback goes back, to runs that have them.
        if self.line == base.line && self.frontier.covers(&base.frontier) {
            for (name, generation) in &base.stores {
                let ours = self.stores.get(name).map(|g| &g.dropped);
                let back = |(size, until): &(&String, &Timestamp)| {
                    ours.is_some_and(|ours| ours.get(*size).is_none_or(|ours| ours < *until))
                };
                if let Some((size, until)) = generation.dropped.iter().find(back) {
                    return Err(format!(
                        "store `{name}` would have hops of {size} before {until} again, which are dropped"
                    ));
                }
            }
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

    /// The format that says what this one says.
    pub fn format_needed(&self) -> u32 {
        if !self.sinks.is_empty() {
            MANIFEST_FORMAT_SINKS
        } else if self.not_repeatable.is_empty() && self.stores.values().all(|g| g.dropped.is_empty()) {
            MANIFEST_FORMAT
        } else {
            MANIFEST_FORMAT_DROPPED
        }
    }

    /// Where the newest sealed batch ends, in any partition; `None`: nothing is sealed, or batches have no times.
    pub fn sealed_until(&self) -> Option<Timestamp> {
        let of = |(p, cut): (&SourcePartition, &Cut)| {
            let batcher = CutSpec::batcher_of(self.cut_specs.get(&p.source)?)?;
            batcher.start_of(cut.batch)
        };
        self.frontier.0.iter().filter_map(of).max()
    }

    /// Says of these stores, which are windowed, which hops nobody may ask for any more: those of sizes that are kept for a time
    /// which no window reads that ends where the newest sealed batch does, or later. It follows from the frontier alone (and
    /// from the clock where batches are ahead of it: of a time that has not come nothing is dropped), whatever was merged; what
    /// is dropped stays dropped.
    pub fn drop_hops<'a>(&mut self, stores: impl IntoIterator<Item = &'a StoreFace>) {
        if let Some(sealed) = self.sealed_until().map(|sealed| sealed.min(self.created_at)) {
            for face in stores {
                let sizes = face.windows.iter().flat_map(|w| w.sizes());
                let kept = sizes.filter_map(|size| Some((size, i64::try_from(size.keep_ms()?).ok()?)));
                for (size, keep) in kept {
                    let (Some(until), Some(generation)) = (sealed.0.checked_sub(keep), self.stores.get_mut(face.name))
                    else {
                        continue;
                    };
                    let dropped = generation.dropped.entry(size.to_string()).or_insert(Timestamp(until));
                    *dropped = Timestamp(until).max(*dropped);
                }
            }
        }
        self.format = self.format_needed();
    }

    /// How far things are for what a store may forget. Of a bounded input nothing is: it is summed anew.
    pub fn reach(&self, store: &str) -> Reach {
        let batches = self.frontier.0.values().map(|cut| cut.batch);
        Reach {
            batch: batches.min().filter(|_| self.realtime_namespace.is_some()),
            dropped: self
                .stores
                .get(store)
                .map(StoreGeneration::dropped_hops)
                .unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use rufous_core::{HopSize, WindowedStore};

    use super::*;

    const HOUR: i64 = 3_600_000;
    const VIEWS: WindowedStore<String, u64> = WindowedStore::new(
        "views",
        &[
            HopSize::minutes(5).keep_hours(2),
            HopSize::hours(1).keep_days(1),
            HopSize::days(1),
        ],
    );

    fn manifest(batches: &[i64], created_at: i64) -> Manifest {
        let cut = |batch: &i64| Cut {
            batch: BatchId(*batch),
            cut: 0,
            batch_before: BatchId(batch.saturating_sub(1)),
        };
        let cuts = batches.iter().map(cut).zip(0..);
        Manifest {
            format: MANIFEST_FORMAT,
            number: 0,
            job: "j".into(),
            line: "l".into(),
            fingerprint: "f".into(),
            cut_specs: BTreeMap::from([("s".to_string(), "event 1 hour".to_string())]),
            realtime_namespace: Some("n".into()),
            stores: BTreeMap::from([("views".to_string(), StoreGeneration::default())]),
            frontier: Frontier(cuts.map(|(cut, n)| (SourcePartition::new("s", n), cut)).collect()),
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(created_at),
            covered_until: String::new(),
            window: None,
            not_repeatable: Vec::new(),
            sinks: BTreeMap::new(),
        }
    }

    /// What a rollback is refused for is said in words: a partition that it would have nothing of has no number for that.
    #[test]
    fn a_rollback_to_the_beginning_is_refused_in_words() {
        let mut base = manifest(&[7, 7], 0);
        let mut permission = manifest(&[5, 5], 0).frontier;
        base.drop_before.insert("n".into(), permission.clone());
        let mut next = manifest(&[4], 0);
        next.number = 1;
        assert_eq!(
            next.check_follows(&base).unwrap_err(),
            "partition s/0 would go back to batch 4 though cells below batch 5 may be dropped already; \
             partition s/1 would go back to the beginning though cells below batch 5 may be dropped already"
        );
        permission.0.retain(|p, _| p.partition == 0);
        base.drop_before.insert("n".into(), permission);
        (next.frontier, next.drop_before) = (manifest(&[5], 0).frontier, base.drop_before.clone());
        assert_eq!(next.check_follows(&base), Ok(()));
    }

    /// A refusal names the first partitions that would go back, says of nothing that it is batch -9223372036854775808, and stays short.
    #[test]
    fn a_refusal_is_for_people() {
        let base = |partitions: usize| {
            let mut base = manifest(&vec![7; partitions], 1);
            base.drop_before = BTreeMap::from([("n".into(), base.frontier.clone())]);
            base
        };
        let refused = |batches: &[i64]| {
            let base = base(batches.len());
            let to = manifest(batches, 0).rolled_back(&base, Timestamp(2));
            to.check_follows(&base).unwrap_err()
        };
        let said = refused(&[3, i64::MIN, 7]);
        assert!(
            said.contains("partition s/0 would go back to batch 3 though cells below batch 7"),
            "{said}"
        );
        assert!(said.contains("partition s/1 would go back to the beginning"), "{said}");
        assert!(!said.contains("s/2") && !said.contains("more"), "{said}");
        let said = refused(&[3; 256]);
        assert!(
            said.contains("s/7 ") && said.contains("and so would 248 more") && said.len() < 1_000,
            "{said}"
        );
    }

    fn dropped(m: &Manifest) -> Vec<(String, i64)> {
        m.stores["views"]
            .dropped
            .iter()
            .map(|(s, t)| (s.clone(), t.0 / HOUR))
            .collect()
    }

    /// What is dropped follows from the frontier that is furthest, never goes back, and never runs ahead of the clock.
    #[test]
    fn hops_are_dropped_by_the_frontier() {
        let faces = [StoreFace::windowed(VIEWS)];
        let spec = CutSpec::new(rufous_core::Clock::Event, rufous_core::Batcher::of_hours(1)).text();
        let dropping = |batches: &[i64], created_at: i64, before: Option<&Manifest>| {
            let mut m = manifest(batches, created_at * HOUR);
            m.cut_specs.insert("s".into(), spec.clone());
            if let Some(before) = before {
                m.stores.clone_from(&before.stores);
            }
            m.drop_hops(&faces);
            m
        };
        let of = |five: i64, hour: i64| vec![("1h".to_string(), hour), ("5m".to_string(), five)];
        let first = dropping(&[100, 90], 1_000, None);
        assert_eq!(first.sealed_until(), Some(Timestamp(100 * HOUR)));
        assert_eq!((dropped(&first), first.format), (of(98, 76), 2));
        // A reader that knows no zone: of the first size up to the edge, of the last nothing.
        for (size, minute, gone) in [
            (300_000, 98 * 60 - 5, true),
            (300_000, 98 * 60, false),
            (3_600_000, 75 * 60, true),
            (3_600_000, 76 * 60, false),
            (86_400_000, 0, false),
            (60_000, 0, false),
        ] {
            let hop = Hop::from(rufous_core::TimeBucket::of(size, Timestamp(minute * 60_000)));
            let key = rufous_core::key::to_bytes(&("k", hop));
            assert_eq!(first.stores["views"].may_be_dropped(&key).is_some(), gone, "{hop}");
        }
        // On, and back.
        assert_eq!(dropped(&dropping(&[103], 1_000, Some(&first))), of(101, 79));
        assert_eq!(dropped(&dropping(&[99], 1_000, Some(&first))), of(98, 76));
        // Batches that have not come yet by the clock.
        assert_eq!(dropped(&dropping(&[100_000], 110, None)), of(108, 86));
        // Nothing is sealed, or batches have no end.
        for batch in [i64::MIN, i64::MAX] {
            let m = dropping(&[batch], 1_000, None);
            assert_eq!((dropped(&m), m.format), (vec![], 1));
        }
        // A store that is not named keeps all.
        let mut m = manifest(&[100], 1_000 * HOUR);
        m.cut_specs.insert("s".into(), spec.clone());
        m.drop_hops([]);
        assert_eq!((dropped(&m), m.format), (vec![], 1));
        // A later manifest of the line says at least as much; a rollback may say less.
        let mut next = dropping(&[101, 90], 1_000, Some(&first));
        next.number = 1;
        assert_eq!(next.check_follows(&first), Ok(()));
        next.stores.get_mut("views").unwrap().dropped.remove("5m");
        assert!(next.check_follows(&first).unwrap_err().contains("hops of 5m before"));
        next.frontier = manifest(&[80, 80], 0).frontier;
        assert_eq!(next.check_follows(&first), Ok(()));
    }
}

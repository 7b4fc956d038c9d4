//! The two layers compared where both hold the same records (P36): the sum over partitions of the cells that a
//! published run covers, against what that run added. Silent divergence is the disease of every pair of layers; here
//! it is measured.
//!
//! Modules: [`obstacle`] (why a run cannot be compared), `compare` (the comparison), `lists` (the cells of a run in
//! memory), [`report`] (what is kept of it).

mod compare;
mod lists;
pub mod obstacle;
pub mod report;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rufous_core::{BatchId, Cut, Error, Frontier, Result, SourcePartition, StoreFace};
use rufous_store_api::{Manifest, StoreGeneration, Until};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use compare::Compare;
use obstacle::{Obstacle, Why, unstable};

/// What a comparison of one store over one published run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reconciled {
    /// The store.
    pub store: String,
    /// The manifest whose run was compared.
    pub manifest: u64,
    /// The batches of the run, per partition: from this frontier, which is its base's ...
    pub from: Frontier,
    /// ... to this one.
    pub to: Frontier,
    /// What was found.
    pub outcome: Comparison,
}

/// What became of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Comparison {
    /// Every key of the run was compared, and every key of the cells.
    Compared {
        /// How many keys either side has.
        keys: u64,
        /// How many of them have other bytes, and values within the published bounds of each other: of approximate
        /// sums.
        within: u64,
        /// How many of them differ. 0: the layers agree.
        drifted: u64,
        /// The first of those.
        first: Vec<Drift>,
    },
    /// It cannot be known now. That is no drift of zero.
    NotComparable {
        /// What stands in the way.
        obstacle: Obstacle,
        /// With names and offsets.
        why: String,
    },
}

/// A key whose two sums differ, in canonical bytes; `None`: that side has no such key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The key.
    #[serde(with = "report::hex")]
    pub key: Vec<u8>,
    /// What the run added.
    #[serde(with = "report::some_hex")]
    pub offline: Option<Vec<u8>>,
    /// What the cells add up to.
    #[serde(with = "report::some_hex")]
    pub realtime: Option<Vec<u8>>,
}

impl Drift {
    /// What offline is ahead by, in the number by which "largest" is meant of such values ([`magnitude`]); nothing
    /// counts as
    /// 0. A number for people: values of one magnitude may differ.
    ///
    /// # Errors
    /// `CorruptData` when a side is no such value.
    ///
    /// [`magnitude`]: rufous_core::evidence::ValueFace::magnitude
    pub fn ahead(&self, face: &StoreFace) -> Result<f64> {
        let of = |side: &Option<Vec<u8>>| match side {
            Some(bytes) => face
                .value
                .magnitude(bytes)
                .map_err(|e| Error::corrupt(format!("store `{}`: {e}", face.name))),
            None => Ok(0.0),
        };
        Ok(of(&self.offline)? - of(&self.realtime)?)
    }
}

impl Reconciled {
    /// Whether the layers agree; `None` when it cannot be known.
    pub fn agrees(&self) -> Option<bool> {
        match &self.outcome {
            Comparison::Compared { drifted, .. } => Some(*drifted == 0),
            Comparison::NotComparable { .. } => None,
        }
    }
    /// Whether a later comparison of the same run may know more.
    pub fn may_change(&self) -> bool {
        matches!(&self.outcome, Comparison::NotComparable { obstacle, .. } if obstacle.passes())
    }
    /// The partitions that the run moved, with the cuts between which it read.
    pub fn moved(&self) -> impl Iterator<Item = (&SourcePartition, Cut, Cut)> {
        let all = self.to.0.iter().map(|(p, to)| (p, self.from.of(p), *to));
        all.filter(|(_, from, to)| from != to)
    }
}

/// How a comparison works.
#[derive(Clone, Debug)]
pub struct ReconcileOptions {
    /// Bytes for the cells of the run (64 MiB). A run with more is compared key by key, which takes longer.
    pub memory: usize,
    /// Set from outside: it ends with an error of kind `Closed`.
    pub stop: Arc<AtomicBool>,
}

impl Default for ReconcileOptions {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            stop: Arc::default(),
        }
    }
}

/// A run: what a manifest added to the one before it.
struct Run {
    base: Manifest,
    m: Arc<Manifest>,
}

impl Client {
    /// Compares one store over the run that manifest `number` published; over the newest run when it is `None`.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such manifest or it holds other types; what the stores return. That the run
    /// cannot be compared is no error but [`Comparison::NotComparable`].
    pub fn reconcile(&self, face: &StoreFace, number: Option<u64>) -> Result<Reconciled> {
        self.reconcile_with(face, number, &ReconcileOptions::default())
    }

    /// [`reconcile`](Self::reconcile) with options.
    ///
    /// # Errors
    /// As there; `Closed` when it was told to stop before it was done.
    pub fn reconcile_with(
        &self,
        face: &StoreFace,
        number: Option<u64>,
        options: &ReconcileOptions,
    ) -> Result<Reconciled> {
        let m = match number {
            None => self.newest_run()?,
            Some(number) => self.numbered(number)?,
        };
        self.raw(*face).check_schema(&m)?;
        let report = |from: &Frontier, outcome| Reconciled {
            store: face.name.into(),
            manifest: m.number,
            from: from.clone(),
            to: m.frontier.clone(),
            outcome,
        };
        let (from, outcome) = match self.run_of(&m)? {
            Ok(run) => {
                let outcome = match self.compare(face, &run, options)? {
                    Ok(outcome) => outcome,
                    Err((obstacle, why)) => Comparison::NotComparable { obstacle, why },
                };
                (run.base.frontier, outcome)
            }
            Err((from, (obstacle, why))) => (from, Comparison::NotComparable { obstacle, why }),
        };
        Ok(report(&from, outcome))
    }

    /// The manifests whose runs cover a batch: `batch` names it for each partition. Newest first; of runs that a
    /// rollback took back, those that came after it count. A partition whose run is not there any more has none.
    ///
    /// # Errors
    /// `InvalidRequest` when the job has never run; what the manifest log returns.
    pub fn runs_over(&self, batch: &dyn Fn(&SourcePartition) -> Option<BatchId>) -> Result<Vec<u64>> {
        let mut m = self.newest(0)?;
        let mut open: Vec<_> = m
            .frontier
            .0
            .keys()
            .filter_map(|p| Some((p.clone(), batch(p)?)))
            .collect();
        // What is not covered yet is in no run.
        open.retain(|(p, b)| *b < m.frontier.of(p).batch);
        let mut runs = Vec::new();
        while !open.is_empty() {
            let Some(base) = self.before(&m)? else { break };
            if base.line != m.line {
                // All that it covers came at once, from another line.
                break;
            }
            let before = open.len();
            open.retain(|(p, b)| !(base.frontier.of(p).batch..m.frontier.of(p).batch).contains(b));
            if open.len() < before {
                runs.push(m.number);
            }
            m = Arc::new(base);
        }
        Ok(runs)
    }

    fn numbered(&self, number: u64) -> Result<Arc<Manifest>> {
        let found = self.parts().manifests.get(number)?;
        found.map(Arc::new).ok_or_else(|| {
            Error::invalid(format!(
                "job `{}` has no manifest {number}: it was deleted, or was never published",
                self.parts().job
            ))
        })
    }

    /// The manifest before this one, if it is there.
    fn before(&self, m: &Manifest) -> Result<Option<Manifest>> {
        match m.number.checked_sub(1) {
            Some(before) => self.parts().manifests.get(before),
            None => Ok(None),
        }
    }

    /// The newest manifest that is no other form of the one before it: what [`reconcile`](Self::reconcile) compares
    /// when no manifest is named.
    ///
    /// # Errors
    /// `InvalidRequest` when the job has never run; what the manifest log returns.
    pub fn newest_run(&self) -> Result<Arc<Manifest>> {
        let mut m = self.newest(0)?;
        while let Some(base) = self.before(&m)?
            && m.is_form_of(&base)
        {
            m = Arc::new(base);
        }
        Ok(m)
    }

    /// The run that a manifest published, or where it would begin and why it is none.
    fn run_of(&self, m: &Arc<Manifest>) -> Result<Result<Run, (Frontier, Why)>> {
        let not = |from: &Frontier, obstacle, why: String| Ok(Err((from.clone(), (obstacle, why))));
        if m.realtime_namespace.is_none() {
            let why = "a bounded input has no realtime part".into();
            return not(&m.frontier, Obstacle::Bounded, why);
        }
        let Some(base) = self.before(m)? else {
            return match m.number {
                0 => not(&m.frontier, Obstacle::NoRun, "no run was published yet".into()),
                n => {
                    let why = format!("what manifest {n} was built on is not there any more");
                    not(&m.frontier, Obstacle::NoBase, why)
                }
            };
        };
        let from = base.frontier.clone();
        if base.line != m.line || base.realtime_namespace != m.realtime_namespace {
            let why = format!("manifest {} is a switch to another line, not a run", m.number);
            return not(&from, Obstacle::NoRun, why);
        }
        // A rollback goes back, by batches that may be empty, too.
        let back = |(p, to): (&SourcePartition, &Cut)| {
            let from = from.of(p);
            to.cut < from.cut || to.batch < from.batch
        };
        if from == m.frontier || m.frontier.0.iter().any(back) {
            let why = format!("manifest {} added no batches", m.number);
            return not(&from, Obstacle::NoRun, why);
        }
        // Nor does one that takes a rollback back: its runs are those of a generation before, and nothing of them is its delta.
        // (A run over records that give nothing has no delta either, and the runs of its base.)
        let other_runs =
            |(name, g): (&String, &StoreGeneration)| base.stores.get(name).is_none_or(|b| b.runs != g.runs);
        if m.stores.values().all(|g| g.delta.is_empty()) && m.stores.iter().any(other_runs) {
            let why = format!("manifest {} is an older generation again, not a run", m.number);
            return not(&from, Obstacle::NoRun, why);
        }
        Ok(Ok(Run { base, m: m.clone() }))
    }

    fn compare(&self, face: &StoreFace, run: &Run, options: &ReconcileOptions) -> Result<Result<Comparison, Why>> {
        let (base, m) = (&run.base, &run.m);
        let namespace = m.realtime_namespace.as_deref().unwrap_or_default();
        let Some(snapshot) = self.realtime(namespace, None, &Until::default())? else {
            return Ok(Err((Obstacle::NoState, "there is no realtime state".into())));
        };
        if snapshot.namespace() != namespace {
            let why = "the realtime state is that of another version of the job";
            return Ok(Err((Obstacle::OtherCode, why.into())));
        }
        let rows = snapshot.partitions(face.name)?;
        if let Some(why) = unstable(&rows, base, m) {
            return Ok(Err(why));
        }
        let range = |p: &SourcePartition| base.frontier.of(p).batch..m.frontier.of(p).batch;
        let compare = Compare {
            generations: &*self.parts().generations,
            face,
            snapshot: &*snapshot,
            stop: &options.stop,
            memory: options.memory,
            floor: &base.frontier,
            range: rows.iter().map(|(p, _)| range(p)).collect(),
            delta: StoreGeneration {
                runs: m.stores.get(face.name).map(|g| g.delta.clone()).unwrap_or_default(),
                ..StoreGeneration::default()
            },
        };
        compare.run().map(Ok)
    }
}

//! The sources of a job and the logs that they are bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rufous_core::{CutSpec, Error, Plan, Result, SourceDecoder};
use rufous_store_api::{Guarantee, RealtimeStore};

use crate::bad::{BadState, DeadLetters};
use crate::log::{Log, PartitionInfo};
use crate::metrics::SourceMetrics;
use crate::options::{OnBadRecord, StreamOptions};
use crate::partition::Partition;

/// A source of the job and the log that it is bound to.
pub struct BoundLog {
    /// The source port's name.
    pub source: String,
    /// Its log.
    pub log: Box<dyn Log>,
    /// Where bad records go under [`OnBadRecord::DeadLetter`].
    pub dead_letters: Option<Box<dyn DeadLetters>>,
}

impl BoundLog {
    /// Without a place for dead letters.
    pub fn new(source: impl Into<String>, log: Box<dyn Log>) -> Self {
        Self {
            source: source.into(),
            log,
            dead_letters: None,
        }
    }
}

/// A source that is being read.
pub(crate) struct Bound {
    /// The source's place in the plan.
    pub(crate) source: u32,
    pub(crate) name: String,
    pub(crate) log: Box<dyn Log>,
    pub(crate) spec: CutSpec,
    /// Whether records have an event time.
    pub(crate) timed: bool,
    pub(crate) decoder: Box<dyn SourceDecoder>,
    pub(crate) partitions: BTreeMap<u32, Partition>,
    /// Where `until_end` stops.
    pub(crate) targets: BTreeMap<u32, u64>,
    pub(crate) dead_letters: Option<Box<dyn DeadLetters>>,
    pub(crate) bad: BadState,
    /// What others see of it.
    pub(crate) meter: Arc<SourceMetrics>,
    /// Partitions that another process of the group reads; their rows say so.
    pub(crate) elsewhere: BTreeSet<u32>,
    /// Those of them that the log gave to this process, which leaves them alone (O6): nobody reads them.
    pub(crate) left_alone: BTreeSet<u32>,
    /// All partitions of the log, and whether it gives them to this process, which may have to leave them alone (O6).
    pub(crate) given: BTreeMap<u32, bool>,
    /// The source's place among those of the job by name.
    pub(crate) rank: u32,
}

impl Bound {
    /// What the log gives to this process.
    pub(crate) fn give(&mut self, infos: &[PartitionInfo]) {
        self.given = infos.iter().map(|info| (info.partition, info.owned)).collect();
    }
    /// Whether a partition that is read has shown nothing that was not taken.
    pub(crate) fn is_silent(&self) -> bool {
        let mut queues = self.partitions.values().filter_map(|p| p.queue.as_ref());
        queues.any(|q| q.is_silent())
    }
    /// Whether every partition that the start saw is this process's or another's. The group may have given one just now that
    /// nobody has looked at.
    pub(crate) fn is_settled(&self) -> bool {
        let known = |p: &u32| self.partitions.contains_key(p) || self.elsewhere.contains(p);
        !self.log.waits() && self.targets.keys().all(known)
    }
}

/// Whether a job may run live.
///
/// # Errors
/// `InvalidRequest` with the reason: it needs an order that logs do not keep, has an operator that would emit
/// something else in the other layer, or a service is not bound.
pub fn check(plan: &Plan) -> Result<()> {
    plan.check_services(false)?;
    if plan.in_order() {
        return Err(Error::invalid(format!(
            "job `{}` needs its values in order, which logs of several partitions do not keep: run it in memory or in bulk over \
             Parquet, or make the value commutative (`Latest<T>` keeps the newest) and drop `.in_order()`",
            plan.job()
        )));
    }
    plan.check_layers()
}

/// A store that cannot write values and offsets together adds some values twice after a crash.
///
/// # Errors
/// `InvalidRequest` with the first store of the job that this would falsify, unless the options accept it.
pub(crate) fn check_guarantee(plan: &Plan, store: &dyn RealtimeStore, options: &StreamOptions) -> Result<()> {
    if let Some(operator) = plan
        .operators()
        .first()
        .filter(|_| store.guarantee() != Guarantee::ExactlyOnce)
    {
        return Err(Error::invalid(format!(
            "{} reads its own state, and where that is kept values and offsets are not written together: after a crash it would \
             go on from values that it had added already. Keep the state in a store that writes both at once",
            operator.name
        )));
    }
    if store.guarantee() == Guarantee::ExactlyOnce || options.at_least_once {
        return Ok(());
    }
    match plan.stores().iter().find(|s| !s.idempotent) {
        None => Ok(()),
        Some(face) => Err(Error::invalid(format!(
            "store `{}` of job `{}` holds `{}`, and where its state is kept values and offsets are not written together: after a \
             crash some values are added twice. Keep the state in a store that writes both at once; or declare the port with \
             `Store::new(\"{0}\").idempotent()` if adding a value twice is adding it once; or accept double counts with \
             `StreamOptions {{ at_least_once: true, .. }}`",
            face.name,
            plan.job(),
            face.schema()
        ))),
    }
}

pub(crate) fn bind(plan: &Plan, logs: Vec<BoundLog>, options: &StreamOptions) -> Result<Vec<Bound>> {
    let mut logs: BTreeMap<String, BoundLog> = logs.into_iter().map(|b| (b.source.clone(), b)).collect();
    let mut bound = Vec::new();
    for (i, face) in plan.sources().iter().enumerate() {
        let BoundLog { log, dead_letters, .. } = logs.remove(face.name).ok_or_else(|| {
            Error::invalid(format!(
                "source `{}` is not bound: add `--source {}=LOCATION`",
                face.name, face.name
            ))
        })?;
        if options.of(face.name) == OnBadRecord::DeadLetter && dead_letters.is_none() {
            return Err(Error::invalid(format!(
                "source `{0}` sends bad records to the dead letters, but no place is named for them: add `--dead-letters \
                 {0}=kafka://HOST:PORT/TOPIC` (or file:PATH), or `dead_letters` to [sources.{0}] of the settings",
                face.name
            )));
        }
        bound.push(Bound {
            source: i as u32,
            name: face.name.to_string(),
            spec: face.cut_spec(log.has_time()),
            timed: face.timed,
            decoder: face.decoder(log.format())?,
            log,
            partitions: BTreeMap::new(),
            targets: BTreeMap::new(),
            dead_letters,
            bad: BadState::default(),
            meter: Arc::default(),
            elsewhere: BTreeSet::new(),
            left_alone: BTreeSet::new(),
            given: BTreeMap::new(),
            rank: plan.sources().iter().filter(|other| other.name < face.name).count() as u32,
        });
    }
    match logs.into_keys().next() {
        Some(name) => Err(Error::invalid(format!(
            "the job has no source `{name}` (it has: {})",
            plan.sources().iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
        ))),
        None => {
            let specs: Vec<_> = bound.iter().map(|b| b.spec.clone()).collect();
            plan.check_clocks(&specs)?;
            Ok(bound)
        }
    }
}

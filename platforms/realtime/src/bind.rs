//! The sources of a job and the logs that they are bound to.

use std::collections::BTreeMap;

use rufous_core::{CutSpec, Error, Plan, Result, SourceDecoder};

use crate::log::Log;
use crate::partition::Partition;

/// A source of the job and the log that it is bound to.
pub struct BoundLog {
    /// The source port's name.
    pub source: String,
    /// Its log.
    pub log: Box<dyn Log>,
}

/// A source that is being read.
pub(crate) struct Bound {
    /// The source's place in the plan.
    pub(crate) source: u32,
    pub(crate) name: String,
    pub(crate) log: Box<dyn Log>,
    pub(crate) spec: CutSpec,
    pub(crate) decoder: Box<dyn SourceDecoder>,
    pub(crate) partitions: BTreeMap<u32, Partition>,
    /// Where `until_end` stops.
    pub(crate) targets: BTreeMap<u32, u64>,
}

/// Whether a job may run live.
///
/// # Errors
/// `InvalidRequest` with the reason: it writes to a sink, or needs an order that logs do not keep.
pub fn check(plan: &Plan) -> Result<()> {
    if let Some((sink, _)) = plan.sinks().first() {
        return Err(Error::invalid(format!(
            "sink `{sink}`: live jobs cannot write to sinks yet; run it on the memory platform, or end it in a store"
        )));
    }
    if plan.in_order() {
        return Err(Error::invalid(format!(
            "job `{}` needs its values in order, which logs of several partitions do not keep: run it in memory or in bulk over \
             Parquet, or make the value commutative (`Latest<T>` keeps the newest) and drop `.in_order()`",
            plan.job()
        )));
    }
    if plan.stores().is_empty() {
        return Err(Error::invalid(format!(
            "job `{}` has no store, so there is nothing to keep live",
            plan.job()
        )));
    }
    Ok(())
}

pub(crate) fn bind(plan: &Plan, logs: Vec<BoundLog>) -> Result<Vec<Bound>> {
    let mut logs: BTreeMap<String, Box<dyn Log>> = logs.into_iter().map(|b| (b.source, b.log)).collect();
    let mut bound = Vec::new();
    for (i, face) in plan.sources().iter().enumerate() {
        let log = logs.remove(face.name).ok_or_else(|| {
            Error::invalid(format!(
                "source `{}` is not bound: add `--source {}=LOCATION`",
                face.name, face.name
            ))
        })?;
        bound.push(Bound {
            source: i as u32,
            name: face.name.to_string(),
            spec: face.cut_spec(log.has_time()),
            decoder: face.decoder(log.format())?,
            log,
            partitions: BTreeMap::new(),
            targets: BTreeMap::new(),
        });
    }
    match logs.into_keys().next() {
        Some(name) => Err(Error::invalid(format!(
            "the job has no source `{name}` (it has: {})",
            plan.sources().iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
        ))),
        None => Ok(bound),
    }
}

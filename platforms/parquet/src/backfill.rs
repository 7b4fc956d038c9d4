//! A line of generations beside the live one (P24, P40): the same job, or a changed one, over the whole history.
//!
//! A staged line is a manifest log of its own. It is filled by ordinary runs of a part of the history each, so whatever
//! kills a backfill, finished parts are published in their line and never done again, and nobody reads them before one publish
//! in the job's own log makes the line current ([`switch`](rufous_store_api::lines::switch)).

use std::collections::BTreeMap;

use rufous_core::{BatchId, Cut, Error, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::{Manifest, ManifestLog, StoreGeneration};

use crate::options::{BatchReport, BatchRun, BulkInput};

/// Creates the first manifest of a staged line, at the beginning of the archives; returns the newest when the line has begun.
/// `current`: the job's manifest, which knows where partitions begin of which nothing is archived yet.
///
/// # Errors
/// `InvalidRequest` when an input is no archive, or the line was begun by other code.
pub fn begin(
    plan: &Plan,
    inputs: &BTreeMap<String, BulkInput>,
    current: Option<&Manifest>,
    staged: &dyn ManifestLog,
    line: &str,
    now: Timestamp,
) -> Result<Manifest> {
    if let Some(newest) = staged.newest(0)? {
        if newest.fingerprint != plan.fingerprint() {
            return Err(Error::invalid(format!(
                "job `{}`: line `{line}` was begun by other code (fingerprint {}, now {}): begin a new one",
                plan.job(),
                newest.fingerprint,
                plan.fingerprint()
            )));
        }
        return Ok(newest);
    }
    // Of two who begin it at once one wins, and both go on from there.
    staged.publish(&first(plan, inputs, current, line, now)?)?;
    staged
        .newest(0)?
        .ok_or_else(|| Error::try_again(format!("line `{line}` was begun and is gone")))
}

/// The manifest that begins a line, which nobody sees yet.
///
/// # Errors
/// `InvalidRequest` when an input is no archive.
pub fn first(
    plan: &Plan,
    inputs: &BTreeMap<String, BulkInput>,
    current: Option<&Manifest>,
    line: &str,
    now: Timestamp,
) -> Result<Manifest> {
    let (mut frontier, mut cut_specs) = (Frontier::default(), BTreeMap::new());
    for face in plan.sources() {
        let Some(BulkInput::Archive { archive, cut_spec, .. }) = inputs.get(face.name) else {
            return Err(Error::invalid(format!(
                "source `{}`: a backfill reads the job's own archive; a bounded input is summed whole by `batch`",
                face.name
            )));
        };
        cut_specs.insert(face.name.to_string(), cut_spec.clone());
        for partition in archive.partitions()? {
            let Some(first) = archive.index(partition, 0)?.into_iter().next() else {
                continue;
            };
            frontier.0.insert(
                SourcePartition::new(face.name, partition),
                Cut {
                    batch: BatchId::MIN,
                    cut: first.from,
                    batch_before: BatchId::MIN,
                },
            );
        }
    }
    // Genesis (P10): a log may begin above 0, and nobody but the manifests remembers where it did.
    for (p, cut) in current.iter().flat_map(|m| &m.frontier.0) {
        if cut.batch == BatchId::MIN {
            frontier.0.entry(p.clone()).or_insert(*cut);
        }
    }
    let namespace = plan.fingerprint().to_string();
    let empty = |face: &rufous_core::StoreFace| StoreGeneration {
        schema: face.schema(),
        ..StoreGeneration::default()
    };
    let mut manifest = Manifest {
        format: MANIFEST_FORMAT,
        number: 0,
        job: plan.job().into(),
        line: line.into(),
        fingerprint: plan.fingerprint().into(),
        cut_specs,
        realtime_namespace: Some(namespace.clone()),
        stores: plan.stores().iter().map(|f| (f.name.to_string(), empty(f))).collect(),
        drop_before: BTreeMap::from([(namespace, frontier.clone())]),
        frontier,
        holes: Vec::new(),
        input: Vec::new(),
        created_at: now,
        covered_until: "the beginning".into(),
        window: None,
        not_repeatable: plan.not_repeatable().map(str::to_string).collect(),
        sinks: BTreeMap::new(),
    };
    manifest.format = manifest.format_needed();
    Ok(manifest)
}

/// Covers in parts all that is sealed now; `each` sees every part that was published. What is sealed meanwhile is left to
/// the next run: a history that grows faster than parts are published would have no end.
///
/// # Errors
/// As [`BatchRun::run`]; parts that are published stay.
pub fn fill(mut run: BatchRun<'_>, each: &mut dyn FnMut(&BatchReport)) -> Result<Manifest> {
    if let Some(open) = run.plan()?.open.into_values().max() {
        run.options.until = Some(run.options.until.map_or(open, |until| until.min(open)));
    }
    if !run.plan.operators().is_empty() {
        // A shard of this code is rebuilt at the drop permission, with the state there (O9), and of the line only its newest
        // generation becomes one of the job's.
        run.options.keep = 0;
    }
    loop {
        let report = run.run()?;
        if !report.published {
            return Ok(report.manifest);
        }
        each(&report);
    }
}

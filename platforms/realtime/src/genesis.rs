//! Where both layers begin (P10): manifest 0 names one start offset a partition, once and for all. Two layers that each ask
//! the log for its beginning would get two answers.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rufous_core::{BatchId, Cut, Error, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::{Manifest, ManifestLog, Published, StoreGeneration};

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64),
    )
}

/// Returns the current manifest; creates manifest 0 from `starts` when there is none. Checks that the job and its cut specs
/// are those that the manifests were made with.
///
/// # Errors
/// `InvalidRequest` when the code or the cutting changed, or the data directory belongs to a bounded input.
pub fn genesis(
    plan: &Plan,
    cut_specs: &BTreeMap<String, String>,
    manifests: &dyn ManifestLog,
    starts: impl FnOnce() -> Result<Vec<(SourcePartition, u64)>>,
) -> Result<Manifest> {
    let current = match manifests.newest(0)? {
        Some(m) => m,
        None => {
            let frontier = Frontier(
                starts()?
                    .into_iter()
                    .map(|(p, start)| {
                        (
                            p,
                            Cut {
                                batch: BatchId::MIN,
                                cut: start,
                                batch_before: BatchId::MIN,
                            },
                        )
                    })
                    .collect(),
            );
            let namespace = plan.fingerprint().to_string();
            let mut first = Manifest {
                format: MANIFEST_FORMAT,
                number: 0,
                job: plan.job().into(),
                line: namespace.clone(),
                fingerprint: plan.fingerprint().into(),
                cut_specs: cut_specs.clone(),
                realtime_namespace: Some(namespace.clone()),
                stores: plan
                    .stores()
                    .iter()
                    .map(|s| {
                        (
                            s.name.to_string(),
                            StoreGeneration {
                                schema: s.schema(),
                                ..Default::default()
                            },
                        )
                    })
                    .collect(),
                drop_before: BTreeMap::from([(namespace, frontier.clone())]),
                frontier,
                holes: Vec::new(),
                input: Vec::new(),
                created_at: now(),
                covered_until: "the beginning".into(),
                window: None,
                not_repeatable: plan.not_repeatable().map(str::to_string).collect(),
                sinks: BTreeMap::new(),
            };
            first.format = first.format_needed();
            match manifests.publish(&first)? {
                Published::Done => first,
                // Somebody else was first: his offsets count.
                Published::Conflict => manifests
                    .newest(0)?
                    .ok_or_else(|| Error::try_again("manifest 0 was there and is gone: try again"))?,
            }
        }
    };
    check(plan, cut_specs, &current)?;
    Ok(current)
}

/// Whether this job, cut this way, may go on with this manifest.
///
/// # Errors
/// `InvalidRequest` with both sides.
pub fn check(plan: &Plan, cut_specs: &BTreeMap<String, String>, m: &Manifest) -> Result<()> {
    let job = plan.job();
    if m.realtime_namespace.is_none() {
        return Err(Error::invalid(format!(
            "job `{job}`: this data directory holds a generation of a bounded input (manifest {}), which has no live part: use another --data or --instance",
            m.number
        )));
    }
    if m.fingerprint != plan.fingerprint() {
        let backfill = if plan.stores().is_empty() && plan.bulk_sinks().is_empty() {
            "it has no store, so there is nothing to backfill;"
        } else {
            "`backfill` makes a line of the new code; or"
        };
        return Err(Error::invalid(format!(
            "job `{job}` changed: its fingerprint is {}, the data directory was written by {}: {backfill} run the job with the arguments and the code of then, or start with another --instance",
            plan.fingerprint(),
            m.fingerprint
        )));
    }
    for (source, spec) in cut_specs {
        if let Some(other) = m.cut_specs.get(source).filter(|o| *o != spec) {
            return Err(Error::invalid(format!(
                "source `{source}` is cut by `{spec}`, the data directory was cut by `{other}`: a changed cut is a new job, start it with another --instance"
            )));
        }
    }
    Ok(())
}

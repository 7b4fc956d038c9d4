//! `reconcile`: the two layers compared where both hold the same records (P36); by hand, and after each `batch`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::cli::Reconcile;
use super::generations::now;
use super::open::Context;
use super::out;
use super::reports::Reports;
use super::settings::no_port;
use crate::client::reconcile::report::Report;
use crate::client::{Client, Comparison, Drift, ReconcileOptions, Reconciled};
use crate::core::{BatchId, Error, Plan, Result, SourcePartition, StoreFace, Timestamp};
use crate::store_api::{Manifest, ManifestLog};

pub(super) fn reconcile(context: &Context<'_>, options: &Reconcile) -> Result<()> {
    if let Some(service) = context.plan.not_repeatable().next() {
        return Err(Error::invalid(format!(
            "not comparable: `{service}` is looked up as of now, so the layers may have seen different values"
        )));
    }
    let client = context.client();
    let faces = faces(context.plan, options.store.as_deref())?;
    let numbers = match (&options.batch, options.manifest) {
        (Some(batch), _) => runs_over(context, &client, batch)?,
        (None, Some(number)) => vec![number],
        (None, None) => vec![client.newest_run()?.number],
    };
    let mut reports = Vec::new();
    for number in numbers {
        let report = compare(context, &client, &faces, number, &options_of(context, Arc::default()))?;
        for found in &report.stores {
            let face = face(context.plan, found)?;
            print(face, &report.batches, found)?;
        }
        if options.store.is_none() {
            keep(context, &report);
        }
        reports.push(report);
    }
    // Drift is the worse news.
    reports.iter().try_for_each(agree)?;
    let unknown: Vec<_> = reports.iter().flat_map(|r| &r.stores).filter_map(obstacle).collect();
    if !unknown.is_empty() {
        return Err(Error::try_again(format!("not comparable: {}", unknown.join("; "))));
    }
    Ok(())
}

/// The stores that are asked for.
fn faces(plan: &Plan, name: Option<&str>) -> Result<Vec<StoreFace>> {
    let mut faces = plan.stores().to_vec();
    if faces.is_empty() {
        return Err(Error::invalid(format!(
            "job `{}` has no store: it only writes, so there is nothing to compare",
            plan.job()
        )));
    }
    let Some(name) = name else { return Ok(faces) };
    faces.retain(|face| face.name == name);
    if faces.is_empty() {
        let known: Vec<_> = plan.stores().iter().map(|s| s.name).collect();
        return Err(no_port(plan.job(), "store", name, &known));
    }
    Ok(faces)
}

/// The runs that cover a batch: its number, or a time in it.
fn runs_over(context: &Context<'_>, client: &Client, text: &str) -> Result<Vec<u64>> {
    let number = text.parse::<i64>().ok().map(BatchId);
    let time = match number {
        Some(_) => None,
        None => Some(Timestamp::parse(text).map_err(|e| {
            Error::invalid(format!(
                "`--batch {text}`: write the number of a batch, or a time in it as in 2001-01-02T03:00 ({e})"
            ))
        })?),
    };
    let batch = |p: &SourcePartition| {
        let source = context.plan.sources().iter().find(|s| s.name == p.source)?;
        number.or_else(|| source.batcher().batch_of(time?))
    };
    let numbers = client.runs_over(&batch)?;
    if numbers.is_empty() {
        return Err(Error::try_again(format!(
            "not comparable: no run that is still there covers batch {text}: it is open, its manifest is deleted, or it came with \
             another line"
        )));
    }
    Ok(numbers)
}

/// A process that does nothing else gives it a quarter of its memory.
pub(super) fn options_of(context: &Context<'_>, stop: Arc<AtomicBool>) -> ReconcileOptions {
    ReconcileOptions {
        memory: context.budget.bytes() / 4,
        stop,
    }
}

/// These stores over one run.
pub(super) fn compare(
    context: &Context<'_>,
    client: &Client,
    faces: &[StoreFace],
    number: u64,
    options: &ReconcileOptions,
) -> Result<Report> {
    let all = faces.iter().map(|f| client.reconcile_with(f, Some(number), options));
    let stores = all.collect::<Result<Vec<_>>>()?;
    let batches = match (context.manifests.get(number)?, stores.first()) {
        (Some(m), Some(found)) => batches(context.plan, &m, found),
        _ => String::new(),
    };
    Ok(Report::new(number, batches, now(), stores))
}

/// The batches of a run as people name them: from the least to the greatest of any partition.
fn batches(plan: &Plan, m: &Manifest, found: &Reconciled) -> String {
    let of_source = |source: &crate::core::SourceFace| {
        let moved = || found.moved().filter(|(p, ..)| p.source == source.name);
        let from = moved().map(|(_, from, _)| from).min_by_key(|c| c.batch)?;
        let to = moved().map(|(_, _, to)| to).max_by_key(|c| c.batch)?;
        let by_offset = m.cut_specs.get(source.name).is_some_and(|s| s.contains("clock=offset"));
        let range = if by_offset {
            format!("offset {}..{}", from.cut, to.cut)
        } else {
            let batcher = source.batcher();
            format!("{}..{}", batcher.show(from.batch), batcher.show(to.batch))
        };
        Some(match plan.sources().len() {
            1 => range,
            _ => format!("{} {range}", source.name),
        })
    };
    plan.sources()
        .iter()
        .filter_map(of_source)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Puts a report where others find it. It is a report only: that it cannot be kept is no failure.
pub(super) fn keep(context: &Context<'_>, report: &Report) {
    if let Err(e) = Reports::of(&context.offline).put(report) {
        tracing::warn!(error = %e, "what was compared cannot be kept");
    }
}

/// # Errors
/// `CorruptData` when the layers do not agree.
pub(super) fn agree(report: &Report) -> Result<()> {
    let drifted: Vec<_> = report.drifted().map(|s| format!("`{}`", s.store)).collect();
    if drifted.is_empty() {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "generation {}: the layers do not agree in {}: find out which one is wrong (`rebuild` makes the live part anew, `backfill` the \
         offline part)",
        report.manifest,
        drifted.join(", ")
    )))
}

/// The face of a store that was compared.
pub(super) fn face<'a>(plan: &'a Plan, found: &Reconciled) -> Result<&'a StoreFace> {
    let unknown = || Error::bug(format!("the job has no store `{}`", found.store));
    plan.store(&found.store).ok_or_else(unknown)
}

fn obstacle(found: &Reconciled) -> Option<String> {
    match &found.outcome {
        Comparison::NotComparable { why, .. } => Some(format!("store `{}`: {why}", found.store)),
        _ => None,
    }
}

/// The offsets that were compared.
fn reach(found: &Reconciled) -> String {
    let parts: Vec<_> = found
        .moved()
        .map(|(p, from, to)| format!("{p} offsets {}..{}", from.cut, to.cut))
        .collect();
    parts.join(", ")
}

/// A line a store, and one a key that differs; or an object a store.
pub(super) fn print(face: &StoreFace, batches: &str, found: &Reconciled) -> Result<()> {
    if out::is_json() {
        out::line(as_json(face, batches, found)?);
        return Ok(());
    }
    let (store, manifest) = (&found.store, found.manifest);
    match &found.outcome {
        Comparison::NotComparable { why, .. } => {
            out::line(format_args!("{store}: generation {manifest}: not comparable: {why}"));
        }
        Comparison::Compared {
            keys,
            within,
            drifted,
            first,
        } => {
            let within = match within {
                0 => String::new(),
                n => format!(", {n} within their bounds"),
            };
            out::line(format_args!(
                "{store}: generation {manifest}: {keys} keys compared, {drifted} differ{within} ({})",
                reach(found)
            ));
            for drift in first {
                let (key, offline, realtime) = shown(face, drift)?;
                let ahead = drift.ahead(face)?;
                out::line(format_args!(
                    "  {key}: offline {offline}, realtime {realtime}: {ahead:+} offline"
                ));
            }
            if *drifted > first.len() as u64 {
                out::line(format_args!("  and {} more", drifted - first.len() as u64));
            }
        }
        other => drop(out::line(format_args!("{store}: {other:?}"))),
    }
    Ok(())
}

fn shown(face: &StoreFace, drift: &Drift) -> Result<(String, Value, Value)> {
    let bad = |e: crate::algebra::DecodeError| Error::corrupt(format!("store `{}`: {e}", face.name));
    let value = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => face.value.json(bytes).map_err(bad),
        None => Ok(Value::Null),
    };
    let key = face.key.text(&drift.key).map_err(bad)?;
    Ok((key, value(&drift.offline)?, value(&drift.realtime)?))
}

fn as_json(face: &StoreFace, batches: &str, found: &Reconciled) -> Result<Value> {
    let common = json!({ "event": "compared", "store": found.store, "generation": found.manifest, "batches": batches });
    let more = match &found.outcome {
        Comparison::NotComparable { obstacle, why } => json!({ "not_comparable": why, "obstacle": obstacle.name() }),
        Comparison::Compared {
            keys,
            within,
            drifted,
            first,
        } => {
            let first = first.iter().map(|drift| {
                let (key, offline, realtime) = shown(face, drift)?;
                let ahead = drift.ahead(face)?;
                Ok(json!({ "key": key, "offline": offline, "realtime": realtime, "ahead": ahead }))
            });
            let first = first.collect::<Result<Vec<_>>>()?;
            json!({ "compared": reach(found), "keys": keys, "within": within, "drifted": drifted, "first": first })
        }
        other => json!({ "outcome": format!("{other:?}") }),
    };
    let (Value::Object(mut common), Value::Object(more)) = (common, more) else {
        return Err(Error::bug("a report is no object"));
    };
    common.extend(more);
    Ok(Value::Object(common))
}

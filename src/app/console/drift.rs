//! What comparing the layers found: the reports that `batch`, `reconcile` and the live part keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Seen;
use crate::app::open::Context;
use crate::app::reports::Reports;
use crate::client::reconcile::report::Report;
use crate::client::{Comparison, Reconciled};
use crate::core::{BatchId, Batcher, CutSpec, Result, StoreFace};
use crate::store_api::Manifest;

/// Reports that are shown, the newest.
const MOST: usize = 50;

pub(super) fn drift(context: &Context<'_>, seen: &Seen) -> Result<Value> {
    let reports = Reports::of(&context.offline);
    let files = reports.files()?;
    let numbers: Vec<u64> = files.keys().rev().take(MOST).copied().collect();
    let found = seen.reports.get(&files, &numbers, &|some| reports.get_many(some))?;
    // One that is deleted meanwhile is none.
    let found: Vec<Arc<Report>> = found.into_iter().flatten().collect();
    let manifests = match found.is_empty() {
        true => Vec::new(),
        false => {
            let of: Vec<u64> = found.iter().map(|report| report.manifest).collect();
            seen.known
                .manifests(&context.manifests, &context.manifests.files()?, &of)?
        }
    };
    let batches: Vec<Value> = { found.iter().zip(manifests) }
        .map(|(report, manifest)| object(context, report, manifest.as_deref()))
        .collect();
    let note = batches.is_empty().then_some(
        "nothing was compared yet: `batch` compares what it published with the live part, and `reconcile` does it again",
    );
    Ok(json!({ "batches": batches, "note": note }))
}

fn object(context: &Context<'_>, report: &Report, manifest: Option<&Manifest>) -> Value {
    let (mut compared, mut differing, mut within) = (0_u64, 0_u64, 0_u64);
    let mut any = false;
    let mut worst: Option<(f64, Value)> = None;
    let mut stores = Vec::new();
    for found in &report.stores {
        stores.push(match &found.outcome {
            Comparison::Compared {
                keys,
                within: near,
                drifted,
                first,
            } => {
                any = true;
                compared += keys;
                differing += drifted;
                within += near;
                if let Some(face) = context.plan.store(&found.store) {
                    for one in first {
                        let ahead = one.ahead(face).unwrap_or(f64::NAN);
                        let size = if ahead.is_nan() { f64::INFINITY } else { ahead.abs() };
                        if worst.as_ref().is_none_or(|(least, _)| *least < size) {
                            worst = Some((size, differs(face, one, ahead)));
                        }
                    }
                }
                json!({ "store": found.store, "compared": keys, "within": near, "differing": drifted, "why": null })
            }
            Comparison::NotComparable { why, .. } => {
                json!({ "store": found.store, "compared": null, "within": null, "differing": null, "why": why })
            }
            _ => json!({ "store": found.store, "compared": null, "within": null, "differing": null, "why": "it is not known" }),
        });
    }
    let (first, last) = span(&report.stores);
    let specs = manifest.map(|m| &m.cut_specs);
    let batcher = specs.and_then(|specs| batcher(&report.stores, specs));
    let start = batcher.and_then(|b| b.start_of(BatchId(last?))).map(|t| t.0);
    json!({
        "batch": last, "first": first, "start_ms": start, "batches": report.batches, "generation": report.manifest,
        "at_ms": report.at.0, "compared": any.then_some(compared), "within": any.then_some(within),
        "differing": any.then_some(differing), "worst": worst.map(|(_, worst)| worst), "stores": stores,
    })
}

fn differs(face: &StoreFace, one: &crate::client::reconcile::Drift, ahead: f64) -> Value {
    let value = |side: &Option<Vec<u8>>| side.as_ref().and_then(|bytes| face.value.json(bytes).ok());
    let key = face.key.text(&one.key).unwrap_or_else(|_| format!("{:02x?}", one.key));
    json!({
        "store": face.name, "key": key, "offline": value(&one.offline), "realtime": value(&one.realtime), "ahead": ahead,
    })
}

/// How the batches that a run moved were cut, where all its sources cut them alike: a number is another time by another clock.
fn batcher(stores: &[Reconciled], specs: &BTreeMap<String, String>) -> Option<Batcher> {
    let moved = stores.iter().flat_map(Reconciled::moved);
    let sources: BTreeSet<&str> = moved.map(|(p, ..)| p.source.as_str()).collect();
    let mut found = sources
        .into_iter()
        .map(|source| CutSpec::batcher_of(specs.get(source)?));
    let first = found.next()??;
    found.all(|other| other == Some(first)).then_some(first)
}

/// The first batch of a run and the last, over all partitions that it moved.
fn span(stores: &[Reconciled]) -> (Option<i64>, Option<i64>) {
    let moved = stores.iter().flat_map(Reconciled::moved);
    let is_one = |b: &BatchId| *b != BatchId::MIN && *b != BatchId::MAX;
    let ends: Vec<(BatchId, BatchId)> = moved.map(|(_, from, to)| (from.batch, to.batch)).collect();
    let first = ends.iter().map(|(from, _)| *from).filter(is_one).min();
    let last = ends.iter().map(|(_, to)| *to).filter(is_one).max();
    (first.map(|b| b.0), last.map(|b| b.0 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Clock, Cut, Frontier, SourcePartition};

    fn spec(hours: u32) -> String {
        CutSpec::new(Clock::Log, Batcher::of_hours(hours)).text()
    }

    /// A run's batches have a time where all sources that it moved are cut alike: those of a source that stood still do not count, and of two
    /// clocks none is taken for the other.
    #[test]
    fn batches_have_the_time_of_their_own_source() {
        let cut = |batch: i64| Cut {
            batch: BatchId(batch),
            cut: batch.unsigned_abs() * 10,
            batch_before: BatchId(batch - 1),
        };
        let moved = |sources: &[(&str, i64, i64)]| -> Vec<Reconciled> {
            let at = |(source, batch): (&str, i64)| (SourcePartition::new(source, 0), cut(batch));
            let from = Frontier(sources.iter().map(|(source, from, _)| at((source, *from))).collect());
            let to = Frontier(sources.iter().map(|(source, _, to)| at((source, *to))).collect());
            let report = json!([{ "store": "counts", "manifest": 3, "from": from, "to": to,
                "outcome": { "compared": { "keys": 1, "within": 0, "drifted": 0, "first": [] } } }]);
            serde_json::from_value(report.clone()).unwrap_or_else(|e| panic!("{e}: {report}"))
        };
        let specs = BTreeMap::from([("a".into(), spec(1)), ("b".into(), spec(24)), ("c".into(), spec(1))]);
        let by = |sources: &[(&str, i64, i64)]| batcher(&moved(sources), &specs);
        assert_eq!(by(&[("b", 4, 6), ("a", 9, 9)]), Some(Batcher::of_hours(24)));
        assert_eq!(by(&[("a", 4, 6), ("c", 7, 9)]), Some(Batcher::of_hours(1)));
        assert_eq!(by(&[("a", 4, 6), ("b", 7, 9)]), None);
        assert_eq!(by(&[("a", 4, 4)]), None, "nothing was moved");
        assert_eq!(by(&[("a", 4, 6), ("unknown", 1, 2)]), None);
    }
}

//! What `batch` does behind its publish: it compares the layers, merges runs where reads would suffer, and deletes
//! what nobody can read any more. Nothing here undoes the publish or fails it: what does not work is said, and the
//! next `batch` (or the live process) does it again.

use super::cli::Upkeep;
use super::gc::{collect, summary, totals};
use super::open::Context;
use super::out;
use super::reconcile::{agree, compare, face, keep, options_of, print};
use super::reports::Reports;
use super::settings::LogFormat;
use crate::client::reconcile::report::Report;
use crate::core::{Error, ErrorKind, Result};
use crate::platform_parquet::{BatchRun, Phase};
use serde_json::json;

/// After a publish, and also when there was nothing to publish: a run that was killed behind its publish left this
/// undone.
///
/// # Errors
/// `CorruptData` when the layers do not agree and `--fail-on-drift` was said; `Closed` when it is to stop.
pub(super) fn after(context: &Context<'_>, options: &Upkeep, run: &BatchRun<'_>, format: LogFormat) -> Result<()> {
    let mut compared = None;
    if options.reconcile {
        compared = went(
            reconcile(context, run, format),
            "the layers could not be compared; what is published is published all the same",
        )?
        .flatten();
    }
    let shown = super::bulk::Shown::start(run.options.progress.clone(), format);
    let merged = run.merge();
    drop(shown);
    if let Some(merged) = went(merged, "runs could not be merged: reads go through more of them")?.flatten() {
        out::say(
            || format!("generation {} is the same with fewer runs", merged.number),
            || json!({ "event": "merged", "generation": merged.number }),
        );
    }
    super::views::follow(context);
    if options.gc {
        let deleted = went(
            collect(context, false, false, None),
            "old generations could not be deleted",
        )?;
        if let Some(deleted) = deleted.filter(|all| !all.is_empty()) {
            out::say(
                || format!("old generations: {}", summary(&deleted, false)),
                || totals(&deleted, false),
            );
        }
    }
    match compared {
        Some(report) if options.fail_on_drift => agree(&report),
        _ => Ok(()),
    }
}

/// What did not work is said.
fn went<T>(result: Result<T>, otherwise: &str) -> Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(e) if e.kind() == ErrorKind::Closed => Err(e),
        Err(e) => {
            say(&e, otherwise);
            Ok(None)
        }
    }
}

fn say(error: &Error, otherwise: &str) {
    tracing::warn!(%error, "{otherwise}");
}

/// P36 over the newest run. What was compared before and stays as it is, is not compared again.
fn reconcile(context: &Context<'_>, run: &BatchRun<'_>, format: LogFormat) -> Result<Option<Report>> {
    let (plan, client) = (context.plan, context.client());
    let newest = client.newest_run()?;
    if newest.realtime_namespace.is_none() || newest.number == 0 {
        return Ok(None);
    }
    let known = Reports::of(&context.offline).get(newest.number)?;
    if let Some(known) = known.filter(|r| !r.may_change()) {
        return Ok(Some(known));
    }
    let progress = &run.options.progress;
    let options = options_of(context, run.options.stop.clone());
    progress.enter(Phase::Comparing);
    let shown = super::bulk::Shown::start(progress.clone(), format);
    let report = compare(context, &client, plan.stores(), newest.number, &options);
    drop(shown);
    let report = report?;
    for found in &report.stores {
        print(face(plan, found)?, &report.batches, found)?;
    }
    if let Err(e) = agree(&report) {
        tracing::error!("{e}");
    }
    keep(context, &report);
    Ok(Some(report))
}

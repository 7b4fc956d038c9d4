//! `gc`, by hand and behind each `batch`: what nobody can read any more goes (P25): old generations, lines that were
//! current once, the realtime state of code that no manifest names, and reports on comparisons of what is gone.
//!
//! A file goes after the last manifest that names it, and a manifest after it left the keep window. So a process that
//! is killed anywhere leaves what is readable readable, and the next gc finds the rest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use rufous_store_offline::Gc;
use rufous_store_offline::gc::{Deleted, Kind, Lines};

use super::cli;
use super::open::Context;
use super::out;
use super::reports::Reports;
use super::state::Found;
use crate::core::Result;

/// How many generations before the current one stay.
pub(super) fn keep(context: &Context<'_>) -> u64 {
    context.settings.keep.unwrap_or(Gc::default().keep)
}

pub(super) fn rules(context: &Context<'_>, dry_run: bool) -> Gc {
    let minutes = context.settings.grace_minutes;
    Gc {
        keep: keep(context),
        grace: minutes.map_or(Gc::default().grace, |m| Duration::from_secs(m.saturating_mul(60))),
        dry_run,
    }
}

/// Where staged lines are.
pub(super) fn lines(context: &Context<'_>) -> Lines {
    Lines {
        place: Arc::clone(&context.offline),
        dir: "lines".into(),
    }
}

pub(super) fn gc(context: &Context<'_>, options: &cli::Gc) -> Result<()> {
    let deleted = collect(context, options.stopped, options.dry_run, None)?;
    for file in &deleted {
        let what = match file.kind {
            Kind::Manifest => "manifest",
            Kind::Run => "run",
            Kind::Temporary => "temporary file",
            Kind::Namespace => "realtime state",
        };
        out::say(
            || format!("{what} {} ({} bytes)", file.name, file.bytes),
            || json!({ "event": "file", "kind": what, "name": file.name, "bytes": file.bytes }),
        );
    }
    out::say(
        || summary(&deleted, options.dry_run),
        || totals(&deleted, options.dry_run),
    );
    Ok(())
}

/// The same for programs.
pub(super) fn totals(deleted: &[Deleted], dry_run: bool) -> Value {
    let bytes: u64 = deleted.iter().map(|d| d.bytes).sum();
    json!({ "event": "deleted", "files": deleted.len(), "bytes": bytes, "dry_run": dry_run })
}

pub(super) fn summary(deleted: &[Deleted], dry_run: bool) -> String {
    let bytes: u64 = deleted.iter().map(|d| d.bytes).sum();
    let done = if dry_run { "would be deleted" } else { "deleted" };
    format!("{} files, {bytes} bytes: {done}", deleted.len())
}

/// Deletes what may go, or says what would. `stopped`: no process runs that would write a namespace of a server.
/// `only`: nothing but what is in this list.
pub(super) fn collect(
    context: &Context<'_>,
    stopped: bool,
    dry_run: bool,
    only: Option<&BTreeSet<String>>,
) -> Result<Vec<Deleted>> {
    let (rules, lines) = (rules(context, dry_run), lines(context));
    let may = |name: &str| only.is_none_or(|only| only.contains(name));
    let mut deleted = rules.collect_of(&context.manifests, Some(&lines), &context.generations, &may)?;
    // Nobody knows whether a process writes a namespace of a server.
    if stopped || !context.state.is_shared() {
        deleted.extend(namespaces(context, &rules, &lines, &may)?);
    }
    if let Some(lowest) = context.manifests.numbers()?.first().filter(|_| !dry_run) {
        Reports::of(&context.offline).tidy(*lowest, rules.grace)?;
    }
    Ok(deleted)
}

/// P26: the state of code that no manifest names that is there, and that no process keeps. It becomes unreachable at
/// once, and is deleted then. Code that comes back begins anew from the log (P32).
fn namespaces(context: &Context<'_>, rules: &Gc, lines: &Lines, may: &dyn Fn(&str) -> bool) -> Result<Vec<Deleted>> {
    // First what is there, then who names it: one that begins in between is not in the list.
    let found = context.state.namespaces()?;
    let mut named = rules.namespaces(&context.manifests, Some(lines))?;
    named.insert(context.plan.fingerprint().to_string());
    let mut deleted = Vec::new();
    for Found { name, bytes, whole } in found {
        if whole && named.contains(&name) {
            continue;
        }
        // A rollback may have gone back to it meanwhile.
        if whole && rules.namespaces(&context.manifests, Some(lines))?.contains(&name) {
            continue;
        }
        if !may(&context.state.show(&name)) {
            continue;
        }
        if rules.dry_run || context.state.discard(&name)? {
            deleted.push(Deleted {
                kind: Kind::Namespace,
                name: context.state.show(&name),
                bytes,
            });
        }
    }
    Ok(deleted)
}

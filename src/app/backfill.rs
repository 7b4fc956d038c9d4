//! `backfill` and `switch`: history computed anew beside the live job, and one publish that makes it current.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::json;

use super::cli::Backfill;
use super::generations::now;
use super::inputs::{bulk_inputs, bulk_options};
use super::open::Context;
use super::out;
use super::recut;
use super::write::stop_on_signal;
use crate::core::{Error, ErrorKind, Result, SourcePartition};
use crate::platform_parquet::{BatchRun, backfill};
use crate::store_api::{Manifest, ManifestLog, Progress, Published, lines};
use rufous_store_offline::Manifests;

/// Where the lines are, below the place of the job's generations.
const LINES: &str = "lines";

/// The staged lines of this code, newest last. A line's name is the fingerprint and the time of its begin.
fn staged(context: &Context<'_>) -> Result<Vec<String>> {
    let mut names = context.offline.dirs(LINES)?;
    names.retain(|name| name.starts_with(&format!("{}-", context.plan.fingerprint())));
    names.sort();
    Ok(names)
}

fn manifests(context: &Context<'_>, line: &str) -> Manifests {
    Manifests::on(context.offline.clone(), &format!("{LINES}/{line}/manifests"))
}

/// The newest staged line of this code, unless it is the current one. What was begun before it was switched to or given up: who
/// goes on with that would not compute history anew.
fn open_line(context: &Context<'_>) -> Result<Option<String>> {
    let current = context.manifests.newest(0)?.map(|m| m.line);
    let retired = super::gc::lines(context).retired(&context.manifests)?;
    newest_line(context, current.as_deref(), &retired)
}

/// The newest line, unless it is current, or retired: what gc is about to delete is no line to go on with.
fn newest_line(context: &Context<'_>, current: Option<&str>, retired: &BTreeSet<String>) -> Result<Option<String>> {
    let newest = staged(context)?.pop();
    Ok(newest.filter(|line| Some(line.as_str()) != current && !retired.contains(line)))
}

/// What a live process of this code goes by: the job's own manifests, or those of its staged line while other code is current
/// (P40).
pub(super) fn followed(context: &Context<'_>) -> Result<(Arc<dyn ManifestLog>, bool)> {
    let main: Arc<dyn ManifestLog> = context.manifests.clone();
    let other = main
        .newest(0)?
        .is_some_and(|m| m.realtime_namespace.is_some() && m.fingerprint != context.plan.fingerprint());
    if !other {
        return Ok((main, false));
    }
    Ok(match open_line(context)? {
        Some(line) if manifests(context, &line).newest(0)?.is_some() => {
            let staged: Arc<dyn ManifestLog> = Arc::new(manifests(context, &line));
            let followed = lines::Followed::new(main, staged, context.plan.fingerprint());
            (Arc::new(followed), true)
        }
        _ => (main, false),
    })
}

/// Whether this code began as a staged line: then it has consumer groups of its own.
#[cfg(feature = "kafka")]
pub(super) fn was_staged(context: &Context<'_>) -> Result<bool> {
    Ok(!staged(context)?.is_empty())
}

pub(super) fn backfill(context: &Context<'_>, options: &Backfill) -> Result<()> {
    let stop = stop_on_signal()?;
    let line = match open_line(context)?.filter(|_| !options.new) {
        Some(line) => line,
        None => {
            format!("{}-{:x}", context.plan.fingerprint(), now().0)
        }
    };
    let staged = manifests(context, &line);
    if options.bulk.dry_run {
        return look(context, options, &line, &staged);
    }
    super::bulk::come_after_others(options.bulk.nice);
    for face in context.plan.sources() {
        recut::catch_up(context, face, &Arc::default(), &stop)?;
    }
    let inputs = bulk_inputs(context, None)?;
    let current = context.manifests.newest(0)?;
    let first = backfill::begin(context.plan, &inputs, current.as_ref(), &staged, &line, now())?;
    out::say(
        || format!("line {line}: covered until {}", first.covered_until),
        || json!({ "event": "line", "line": line, "covered_until": first.covered_until }),
    );
    let mut batch = bulk_options(context, &options.bulk);
    batch.part_rows = Some(options.part_rows);
    batch.rate = options.rate;
    batch.stop = stop.clone();
    #[cfg(feature = "server")]
    let _told = super::bulk::tell(context, "backfill", &batch.progress);
    let run = BatchRun {
        plan: context.plan,
        inputs,
        manifests: &staged,
        generations: &*context.generations,
        options: batch,
    };
    let _shown = super::bulk::Shown::start(run.options.progress.clone(), context.settings.log.format);
    let filled = backfill::fill(run, &mut |part| {
        let (number, until) = (part.manifest.number, &part.manifest.covered_until);
        out::say(
            || {
                format!(
                    "part {number}: {} records, {} skipped, covered until {until}",
                    part.records, part.bad
                )
            },
            || json!({ "event": "part", "part": number, "records": part.records, "skipped": part.bad, "covered_until": until }),
        );
    });
    match filled {
        Ok(end) => {
            let until = &end.covered_until;
            out::say(
                || {
                    format!(
                        "line {line} covers all that was sealed when this began, until {until}: `switch` makes it current"
                    )
                },
                || json!({ "event": "filled", "line": line, "covered_until": until }),
            );
        }
        Err(e) => {
            if e.kind() == ErrorKind::Closed && stop.load(Relaxed) {
                out::people(|| "stopped; what was finished stays: run `backfill` again to go on".into());
            }
            return Err(e);
        }
    }
    Ok(())
}

/// What a backfill would do, and nothing of it: a line that is only looked at is not begun.
fn look(context: &Context<'_>, options: &Backfill, line: &str, staged: &Manifests) -> Result<()> {
    let mut behind = false;
    for face in context.plan.sources() {
        behind |= recut::announce(context, face)?;
    }
    if behind {
        return Ok(());
    }
    let inputs = bulk_inputs(context, None)?;
    let log: Box<dyn ManifestLog> = match staged.newest(0)? {
        Some(_) => Box::new(staged.clone()),
        None => {
            let current = context.manifests.newest(0)?;
            let first = backfill::first(context.plan, &inputs, current.as_ref(), line, now())?;
            Box::new(Begun(first))
        }
    };
    let mut batch = bulk_options(context, &options.bulk);
    batch.part_rows = Some(options.part_rows);
    let run = BatchRun {
        plan: context.plan,
        inputs,
        manifests: &*log,
        generations: &*context.generations,
        options: batch,
    };
    let plan = run.plan()?;
    out::say(
        || format!("line {line}:\n{plan}"),
        || json!({ "event": "plan", "line": line, "plan": plan.to_string() }),
    );
    Ok(())
}

/// A line as it would be begun.
struct Begun(Manifest);

impl ManifestLog for Begun {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        Ok((number == self.0.number).then(|| self.0.clone()))
    }
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        self.get(at_least.max(self.0.number))
    }
    fn publish(&self, _: &Manifest) -> Result<Published> {
        Err(Error::bug("what was only looked at was to be published"))
    }
}

/// A staged line that can become current.
pub(super) struct ToSwitch {
    pub(super) line: String,
    pub(super) manifests: Manifests,
    /// What it has.
    pub(super) newest: Manifest,
}

/// The line that a switch makes current: looked at, not done.
pub(super) fn to_switch(context: &Context<'_>, behind: bool) -> Result<ToSwitch> {
    let line = open_line(context)?.ok_or_else(|| {
        Error::invalid(format!(
            "job `{}` has no staged line of this code (fingerprint {}): run `backfill` first",
            context.plan.job(),
            context.plan.fingerprint()
        ))
    })?;
    let staged = manifests(context, &line);
    if !behind {
        caught_up(context, &staged)?;
    }
    let newest = staged
        .newest(0)?
        .ok_or_else(|| Error::invalid("the staged line is empty: run `backfill` first"))?;
    context
        .generations
        .check_files(&newest)
        .map_err(|e| e.at(format_args!("line `{line}`: run `backfill --new` for another one")))?;
    Ok(ToSwitch {
        line,
        manifests: staged,
        newest,
    })
}

/// Makes the newest of `staged` current, over what `main` says is.
pub(super) fn make_current(
    context: &Context<'_>,
    main: &dyn ManifestLog,
    staged: &dyn ManifestLog,
) -> Result<Manifest> {
    let m = lines::switch(main, staged)?;
    // A gc may have been about to delete what a line that was just begun had replaced.
    context.generations.check_files(&m).map_err(|e| {
        e.at(format_args!(
            "generation {} is published, but its files went at the same time; run `rollback`",
            m.number
        ))
    })?;
    Ok(m)
}

/// The line that is not current yet, and up to where it is covered. `named`: the lines of all manifests of the job.
#[cfg(feature = "server")]
pub(super) fn staged_line(
    context: &Context<'_>,
    current: Option<&str>,
    named: &BTreeSet<String>,
) -> Result<Option<(String, String)>> {
    let mut retired = super::gc::lines(context).switched()?;
    retired.retain(|line| !named.contains(line));
    let Some(line) = newest_line(context, current, &retired)? else {
        return Ok(None);
    };
    let newest = manifests(context, &line).newest(0)?;
    Ok(Some((line, newest.map_or_else(String::new, |m| m.covered_until))))
}

pub(super) fn switch(context: &Context<'_>, behind: bool) -> Result<()> {
    let staged = to_switch(context, behind)?;
    let m = make_current(context, &*context.manifests, &staged.manifests)?;
    let line = &staged.line;
    out::say(
        || {
            let (number, until) = (m.number, &m.covered_until);
            format!("generation {number}: line {line} is current, covered until {until}; `rollback` goes back")
        },
        || json!({ "event": "switched", "generation": m.number, "line": line, "covered_until": m.covered_until }),
    );
    super::views::follow(context);
    Ok(())
}

/// A partition in which the new code has read less than the one before it.
pub(super) struct Behind {
    pub(super) p: SourcePartition,
    /// Up to where it has.
    pub(super) reached: u64,
    /// And that one.
    pub(super) applied: u64,
}

/// Where answers would go back in time when the newest of `staged` became current, and of how many partitions.
pub(super) fn behind(context: &Context<'_>, staged: &Manifests) -> Result<(Vec<Behind>, usize)> {
    let (Some(new), Some(old)) = (staged.newest(0)?, context.manifests.newest(0)?) else {
        return Ok((Vec::new(), 0));
    };
    let (Some(theirs), Some(ours)) = (&old.realtime_namespace, &new.realtime_namespace) else {
        return Ok((Vec::new(), 0));
    };
    if theirs == ours {
        return Ok((Vec::new(), 0));
    }
    let stores = context.plan.live_stores();
    let store = stores.first().map_or("", |s| s.name);
    let theirs = context.rows(theirs, store)?;
    let ours: BTreeMap<SourcePartition, Progress> = context.rows(ours, store)?.iter().cloned().collect();
    let all = theirs.len();
    let place = |(p, row): &(SourcePartition, Progress)| {
        let applied = row.next.max(old.frontier.of(p).cut);
        let next = ours.get(p).map_or(0, |row| row.next);
        let reached = next.max(new.frontier.of(p).cut);
        (reached < applied).then(|| Behind {
            p: p.clone(),
            reached,
            applied,
        })
    };
    Ok((theirs.iter().filter_map(place).collect(), all))
}

/// P40: other code takes over when it has read as far as the code before it, or answers would go back in time.
fn caught_up(context: &Context<'_>, staged: &Manifests) -> Result<()> {
    match behind(context, staged)?.0.first() {
        None => Ok(()),
        Some(Behind { p, reached, applied }) => Err(Error::try_again(format!(
            "the new code has read {p} up to offset {reached}, the current one up to {applied}: answers would go back in time; \
             start `stream` of the new code and try again when it has caught up, or add `--behind`"
        ))),
    }
}

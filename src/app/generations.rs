//! `generations`, `rollback`: what is published, and which of it is current (P24).

use std::time::{SystemTime, UNIX_EPOCH};

use super::open::Context;
use crate::core::{BatchId, Cut, Error, Result, Timestamp};
use crate::store_api::{Manifest, ManifestLog, Published};

/// Publishes may collide with a batch run's this often.
const MAX_CONFLICTS: usize = 5;

pub(super) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn current(context: &Context<'_>) -> Result<Manifest> {
    context.manifests.newest(0)?.ok_or_else(|| {
        Error::invalid(format!(
            "job `{}` has no generation yet: start `stream` or `batch`",
            context.plan.job()
        ))
    })
}

/// Why this generation cannot be made the current one; `None`: it can.
fn obstacle(context: &Context<'_>, target: &Manifest, current: &Manifest) -> Option<Error> {
    if let Err(why) = target.rolled_back(current, now()).check_follows(current) {
        return Some(Error::invalid(why));
    }
    files(context, target).err()
}

/// All its files are there, as long as they were.
pub(super) fn files(context: &Context<'_>, manifest: &Manifest) -> Result<()> {
    manifest.stores.iter().try_for_each(|(store, generation)| {
        // A rollback has no delta.
        let mut runs = generation.clone();
        runs.delta.clear();
        context
            .generations
            .check(store, &runs)
            .map_err(|e| e.at(format_args!("store `{store}`")))
    })?;
    manifest.sinks.iter().try_for_each(|(sink, generation)| {
        let checked = context.generations.check_sink(sink, generation);
        checked.map_err(|e| e.at(format_args!("sink `{sink}`")))
    })
}

/// A line a manifest, newest last.
pub(super) fn generations(context: &Context<'_>) -> Result<()> {
    let current = current(context)?;
    let mut last: Option<Manifest> = None;
    for number in context.manifests.numbers()? {
        // One that gc deletes meanwhile is no more.
        let Some(m) = context.manifests.get(number)? else {
            continue;
        };
        let form = match last.as_ref().filter(|last| m.is_form_of(last)) {
            Some(last) => format!(" (generation {} with fewer runs)", last.number),
            None => String::new(),
        };
        let runs = || m.stores.values().flat_map(|s| &s.runs);
        let state = if number == current.number {
            "current".to_string()
        } else if number > current.number {
            "published just now".into()
        } else {
            match obstacle(context, &m, &current) {
                None => "rollback can reach it".into(),
                Some(e) => format!("out of reach: {e}"),
            }
        };
        println!(
            "{number}{form}: covered until {}, {} keys and {} bytes in {} runs, created {}, line {}: {state}",
            if m.covered_until.is_empty() {
                "nothing"
            } else {
                &m.covered_until
            },
            runs().map(|r| r.keys).sum::<u64>(),
            runs().map(|r| r.bytes).sum::<u64>(),
            runs().count(),
            m.created_at,
            m.line,
        );
        for (sink, generation) in &m.sinks {
            println!(
                "    sink {sink}: {} records in {} files",
                generation.records(),
                generation.files.len()
            );
        }
        for (p, cut) in &m.frontier.0 {
            println!("    {p}: {}", reach(cut));
        }
        last = Some(m);
    }
    Ok(())
}

/// The generation before this one: not another form of it.
fn before(context: &Context<'_>, current: &Manifest) -> Result<Option<u64>> {
    let mut at = current.clone();
    while let Some(number) = at.number.checked_sub(1) {
        match context.manifests.get(number)? {
            Some(before) if at.is_form_of(&before) => at = before,
            // Whether it is still there is seen then.
            _ => return Ok(Some(number)),
        }
    }
    Ok(None)
}

/// How far a partition is covered.
fn reach(cut: &Cut) -> String {
    match cut.batch {
        BatchId::MIN => format!("nothing yet, from offset {} on", cut.cut),
        // A bounded input: rows of a Parquet file, bytes of a file of lines.
        BatchId::MAX => format!("whole, {} rows or bytes", cut.cut),
        batch => format!("below batch {}, offset {}", batch.0, cut.cut),
    }
}

pub(super) fn rollback(context: &Context<'_>, to: Option<u64>) -> Result<()> {
    for _ in 0..MAX_CONFLICTS {
        let current = current(context)?;
        let before = match to {
            None => before(context, &current)?,
            to => to,
        };
        let to = match before {
            Some(to) if to < current.number => to,
            Some(to) if to > current.number => {
                return Err(Error::invalid(format!(
                    "there is no generation {to}: the newest is {}",
                    current.number
                )));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "generation {} is the current one, and there is no other to go back to by default",
                    current.number
                )));
            }
        };
        let at = |e: Error| e.at(format_args!("rollback to generation {to}"));
        let target = context.manifests.get(to)?.ok_or_else(|| {
            Error::invalid(format!(
                "generation {to} was deleted: `generations` lists those that are there"
            ))
        })?;
        if let Some(e) = obstacle(context, &target, &current) {
            return Err(at(e));
        }
        let manifest = target.rolled_back(&current, now());
        if context.manifests.publish(&manifest)? == Published::Conflict {
            continue;
        }
        // A gc may have been about to delete what nobody named.
        files(context, &manifest).map_err(|e| {
            at(e.at(format_args!(
                "generation {} is published, but its files went at the same time; run `rollback --to {}`",
                manifest.number, current.number
            )))
        })?;
        println!(
            "generation {} is generation {to} again: covered until {}",
            manifest.number, manifest.covered_until
        );
        super::views::follow(context);
        return Ok(());
    }
    Err(Error::try_again(format!(
        "job `{}`: others published {MAX_CONFLICTS} times meanwhile",
        context.plan.job()
    )))
}

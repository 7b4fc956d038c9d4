//! `generations`, `rollback`: what is published, and which of it is current (P24).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::known::{AT_ONCE, Known};
use super::open::Context;
use super::out;
use crate::core::{BatchId, Cut, Error, Result, Timestamp};
use crate::store_api::{Manifest, ManifestLog, Published, RunFile};

/// Publishes may collide with a batch run's this often.
const MAX_CONFLICTS: usize = 5;

pub(super) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn current(context: &Context<'_>) -> Result<Manifest> {
    context.manifests.newest(0)?.ok_or_else(|| none_yet(context))
}

fn none_yet(context: &Context<'_>) -> Error {
    Error::invalid(format!(
        "job `{}` has no generation yet: start `stream` or `batch`",
        context.plan.job()
    ))
}

/// Why this generation may not follow the current one, whatever its files are.
fn cannot_follow(target: &Manifest, current: &Manifest) -> Option<Error> {
    let followed = target.rolled_back(current, now()).check_follows(current);
    followed.err().map(Error::invalid)
}

/// Why this generation cannot be made the current one; `None`: it can.
fn obstacle(context: &Context<'_>, target: &Manifest, current: &Manifest) -> Option<Error> {
    if let Some(why) = cannot_follow(target, current) {
        return Some(why);
    }
    context.generations.check_files(target).err()
}

/// A manifest as it is listed.
pub(super) struct Listed {
    pub(super) manifest: Arc<Manifest>,
    /// The generation of which it is another form, with fewer runs.
    pub(super) form_of: Option<u64>,
    /// Whether it is the current one, or could be.
    pub(super) stands: Stands,
}

/// How a manifest stands to the current one.
pub(super) enum Stands {
    Current,
    /// After what is taken for current here.
    Newer,
    /// A rollback can reach it.
    InReach,
    /// It cannot, and why.
    OutOfReach(Error),
}

impl Listed {
    fn runs(&self) -> impl Iterator<Item = &RunFile> {
        self.manifest.stores.values().flat_map(|s| &s.runs)
    }
    /// Keys, bytes and files of all stores.
    pub(super) fn size(&self) -> (u64, u64, usize) {
        let (keys, bytes) = (self.runs().map(|r| r.keys).sum(), self.runs().map(|r| r.bytes).sum());
        (keys, bytes, self.runs().count())
    }
    fn state(&self) -> (&'static str, Option<String>) {
        match &self.stands {
            Stands::Current => ("current", None),
            Stands::Newer => ("published just now", None),
            Stands::InReach => ("rollback can reach it", None),
            Stands::OutOfReach(e) => ("out of reach", Some(e.to_string())),
        }
    }
}

/// Every manifest that is there, newest last, until it is not wanted any more. `false`: there is none.
pub(super) fn each(context: &Context<'_>, known: &Known, wanted: &mut dyn FnMut(&Listed) -> bool) -> Result<bool> {
    let there = context.manifests.files()?;
    let Some(current) = known.newest_of(&context.manifests, &there)? else {
        return Ok(false);
    };
    let files = known.files.look(&context.generations)?;
    let mut last: Option<Arc<Manifest>> = None;
    let numbers: Vec<u64> = there.keys().copied().collect();
    for some in numbers.chunks(AT_ONCE) {
        // One that gc deletes meanwhile is no more.
        let found: Vec<Arc<Manifest>> = known
            .manifests(&context.manifests, &there, some)?
            .into_iter()
            .flatten()
            .collect();
        let older = found.iter().filter(|m| m.number < current.number);
        let (may_not, may): (Vec<_>, Vec<_>) = older
            .map(|m| (&**m, cannot_follow(m, &current)))
            .partition(|(_, why)| why.is_some());
        let may: Vec<&Manifest> = may.into_iter().map(|(m, _)| m).collect();
        let checked = may
            .iter()
            .zip(files.check(&may))
            .map(|(m, checked)| (*m, checked.err()));
        let mut out_of_reach: BTreeMap<u64, Error> = { may_not.into_iter().chain(checked) }
            .filter_map(|(m, why)| Some((m.number, why?)))
            .collect();
        for manifest in &found {
            let listed = Listed {
                form_of: { last.as_ref() }
                    .filter(|last| manifest.is_form_of(last))
                    .map(|last| last.number),
                stands: match manifest.number.cmp(&current.number) {
                    Ordering::Equal => Stands::Current,
                    Ordering::Greater => Stands::Newer,
                    Ordering::Less => {
                        { out_of_reach.remove(&manifest.number) }.map_or(Stands::InReach, Stands::OutOfReach)
                    }
                },
                manifest: manifest.clone(),
            };
            if !wanted(&listed) {
                return Ok(true);
            }
            last = Some(listed.manifest);
        }
    }
    Ok(true)
}

/// A line a manifest, newest last.
pub(super) fn generations(context: &Context<'_>) -> Result<()> {
    match each(context, &Known::default(), &mut |listed| {
        out::say(|| text(listed), || object(listed))
    })? {
        true => Ok(()),
        false => Err(none_yet(context)),
    }
}

fn text(listed: &Listed) -> String {
    let m = &listed.manifest;
    let form = { listed.form_of }.map_or_else(String::new, |of| format!(" (generation {of} with fewer runs)"));
    let until = match m.covered_until.as_str() {
        "" => "nothing",
        until => until,
    };
    let (state, why) = listed.state();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let (keys, bytes, runs) = listed.size();
    let mut text = format!(
        "{}{form}: covered until {until}, {keys} keys and {bytes} bytes in {runs} runs, created {}, line {}: {state}{why}",
        m.number, m.created_at, m.line,
    );
    for (sink, written) in &m.sinks {
        let (records, files) = (written.records(), written.files.len());
        text += &format!("\n    sink {sink}: {records} records in {files} files");
    }
    for (p, cut) in &m.frontier.0 {
        text += &format!("\n    {p}: {}", reach(cut));
    }
    text
}

fn object(listed: &Listed) -> Value {
    let m = &listed.manifest;
    let sinks = m
        .sinks
        .iter()
        .map(|(sink, written)| json!({ "sink": sink, "records": written.records(), "files": written.files.len() }));
    let frontier = m.frontier.0.iter().map(|(p, cut)| {
        let batch = match cut.batch {
            BatchId::MIN => Value::Null,
            BatchId::MAX => json!("end"),
            batch => json!(batch.0),
        };
        json!({ "source": p.source, "partition": p.partition, "batch": batch, "offset": cut.cut })
    });
    let (state, why) = listed.state();
    let (keys, bytes, runs) = listed.size();
    json!({
        "generation": m.number, "form_of": listed.form_of, "covered_until": m.covered_until, "keys": keys, "bytes": bytes,
        "runs": runs, "created_at": m.created_at.to_string(), "line": m.line, "fingerprint": m.fingerprint,
        "state": state.replace(' ', "_"), "why": why, "sinks": sinks.collect::<Vec<_>>(),
        "frontier": frontier.collect::<Vec<_>>(),
    })
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
        batch => format!("below {}, offset {}", batch.show(), cut.cut),
    }
}

/// Where a rollback goes, and from where: looked at, not done.
pub(super) fn back_to(context: &Context<'_>, to: Option<u64>) -> Result<(Manifest, Manifest)> {
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
    let target = context.manifests.get(to)?.ok_or_else(|| {
        Error::invalid(format!(
            "generation {to} was deleted: `generations` lists those that are there"
        ))
    })?;
    if let Some(e) = obstacle(context, &target, &current) {
        return Err(e.at(format_args!("rollback to generation {to}")));
    }
    Ok((target, current))
}

/// Makes `target` current again, unless something was published after `current`: then `None`.
pub(super) fn go_back(context: &Context<'_>, target: &Manifest, current: &Manifest) -> Result<Option<Manifest>> {
    let manifest = target.rolled_back(current, now());
    if context.manifests.publish(&manifest)? == Published::Conflict {
        return Ok(None);
    }
    // A gc may have been about to delete what nobody named.
    context.generations.check_files(&manifest).map_err(|e| {
        e.at(format_args!(
            "generation {} is published, but its files went at the same time; run `rollback --to {}`",
            manifest.number, current.number
        ))
        .at(format_args!("rollback to generation {}", target.number))
    })?;
    Ok(Some(manifest))
}

pub(super) fn rollback(context: &Context<'_>, to: Option<u64>) -> Result<()> {
    for _ in 0..MAX_CONFLICTS {
        let (target, current) = back_to(context, to)?;
        let Some(manifest) = go_back(context, &target, &current)? else {
            continue;
        };
        let to = target.number;
        out::say(
            || {
                let (number, until) = (manifest.number, &manifest.covered_until);
                format!("generation {number} is generation {to} again: covered until {until}")
            },
            || {
                let (number, until) = (manifest.number, &manifest.covered_until);
                json!({ "event": "rolled_back", "generation": number, "to": to, "covered_until": until })
            },
        );
        super::views::follow(context);
        return Ok(());
    }
    Err(Error::try_again(format!(
        "job `{}`: others published {MAX_CONFLICTS} times meanwhile",
        context.plan.job()
    )))
}

//! What was published: by the code of the command `generations`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::app::gc;
use crate::app::generations::{Listed, Stands, each};
use crate::app::known::Known;
use crate::app::open::Context;
use crate::app::processes::asked;
use crate::core::{ErrorKind, Result, Timestamp};
use crate::store_api::InputRange;

/// The lines of the manifests that are there.
#[derive(Default)]
struct Lines {
    current: Option<String>,
    named: BTreeSet<String>,
}

pub(super) fn generations(context: &Context<'_>, known: &Known) -> Result<Value> {
    let mut listed = Vec::new();
    let mut current = None;
    let mut lines = Lines::default();
    each(context, known, &mut |one| {
        if matches!(one.stands, Stands::Current) {
            current = Some(one.manifest.number);
            lines.current = Some(one.manifest.line.clone());
        }
        lines.named.insert(one.manifest.line.clone());
        listed.push((object(one), one.manifest.created_at));
        true
    })?;
    keep(context, &mut listed);
    let found: Vec<Value> = listed.into_iter().map(|(object, _)| object).collect();
    Ok(json!({ "current": current, "generations": found, "backfill": backfill(context, &lines)? }))
}

fn object(listed: &Listed) -> Value {
    let m = &listed.manifest;
    let (rows, bytes, files) = listed.size();
    let (reaches, why) = match &listed.stands {
        Stands::InReach => (true, None),
        Stands::Current => (false, Some("it is the current one".to_string())),
        Stands::Newer => (false, Some("it was published just now".to_string())),
        Stands::OutOfReach(e) => (false, Some(e.to_string())),
    };
    json!({
        "number": m.number, "made_ms": m.created_at.0, "current": matches!(listed.stands, Stands::Current), "code": m.fingerprint,
        "line": m.line, "form_of": listed.form_of, "covered_until": m.covered_until, "inputs": inputs(&m.input),
        "rows": rows, "bytes": bytes, "files": files, "rollback": why, "rollback_allowed": reaches, "kept_until_ms": null,
    })
}

/// What a generation was made from, by source: there may be many partitions.
fn inputs(ranges: &[InputRange]) -> Vec<Value> {
    let mut by_source: BTreeMap<&str, (u64, u64, usize, u64)> = BTreeMap::new();
    for range in ranges {
        let (from, to, partitions, offsets) =
            by_source
                .entry(range.partition.source.as_str())
                .or_insert((u64::MAX, 0, 0, 0));
        *from = range.from.min(*from);
        *to = range.to.max(*to);
        *partitions += 1;
        *offsets = offsets.saturating_add(range.to.saturating_sub(range.from));
    }
    let object = |(source, (from, to, partitions, offsets)): (&str, (u64, u64, usize, u64))| json!({ "source": source, "from": from, "to": to, "partitions": partitions, "offsets": offsets });
    by_source.into_iter().map(object).collect()
}

/// Until when those stay that `gc` does not keep for a rollback: readers may still be at work with them.
fn keep(context: &Context<'_>, listed: &mut [(Value, Timestamp)]) {
    let rules = gc::rules(context, true);
    let at = listed
        .iter()
        .position(|(object, _)| object["current"] == true)
        .unwrap_or(listed.len());
    let kept = at.saturating_sub(usize::try_from(rules.keep).unwrap_or(usize::MAX));
    let grace = i64::try_from(rules.grace.as_millis()).unwrap_or(i64::MAX);
    let replaced: Vec<i64> = listed.iter().skip(1).map(|(_, at)| at.0).collect();
    for ((object, _), at) in listed.iter_mut().take(kept).zip(replaced) {
        if let Value::Object(members) = object {
            members.insert("kept_until_ms".into(), json!(at.saturating_add(grace)));
        }
    }
}

/// History that is computed anew: how far a process is, and what a line has that is not current yet.
fn backfill(context: &Context<'_>, lines: &Lines) -> Result<Value> {
    let running = asked::status(context).into_iter().find(|p| p.note.kind == "backfill");
    let progress = running
        .and_then(|p| p.found.ok())
        .map(|mut found| found["progress"].take());
    let staged = match staged(context, lines) {
        // A line that is being made or deleted is seen at the next look.
        Err(e) if e.kind() == ErrorKind::TryAgain => None,
        staged => staged?,
    };
    let line = staged.map(|(line, until)| match until.as_str() {
        "" => format!("line {line}: nothing is covered yet"),
        until => format!("line {line}: covered until {until}"),
    });
    Ok(match (progress.filter(|p| !p.is_null()), line) {
        (None, None) => Value::Null,
        (Some(mut progress), line) => {
            if let (Value::Object(members), Some(line)) = (&mut progress, line) {
                members.insert("line".into(), json!(line));
            }
            progress
        }
        (None, Some(line)) => {
            json!({ "text": format!("no backfill runs here; {line}"), "done": null, "total": null, "line": line })
        }
    })
}

#[cfg(feature = "parquet")]
fn staged(context: &Context<'_>, lines: &Lines) -> Result<Option<(String, String)>> {
    crate::app::backfill::staged_line(context, lines.current.as_deref(), &lines.named)
}

#[cfg(not(feature = "parquet"))]
fn staged(_: &Context<'_>, _: &Lines) -> Result<Option<(String, String)>> {
    Ok(None)
}

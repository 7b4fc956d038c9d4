//! `get` and `top`.

use serde_json::Value;

use super::cli::{Get, Reads, Top};
use super::open::Context;
use super::out;
use super::settings::no_port;
use crate::client::{Answer, Basis, RawStoreClient};
use crate::core::{COUNTERS, Error, Result, StoreFace, Timestamp};

pub(super) fn show_time(t: Option<Timestamp>) -> String {
    t.map_or_else(|| "(no time known)".into(), |t| t.to_string())
}

/// How far an answer reaches: by time, or by offsets where the source has no times.
pub(super) fn fresh<V>(answer: &Answer<V>) -> String {
    match answer.freshness {
        Some(t) => t.to_string(),
        None => format!("offset {}", answer.coverage.applied_total()),
    }
}

/// Whether there is anything that could be read.
///
/// # Errors
/// `InvalidRequest` with what the job does instead.
pub(super) fn has_stores(context: &Context<'_>) -> Result<()> {
    if !context.plan.stores().is_empty() {
        return Ok(());
    }
    let sinks: Vec<_> = context.plan.sinks().iter().map(|(name, _)| *name).collect();
    Err(Error::invalid(format!(
        "job `{}` has no store: it only writes ({}); `sink list` says how far, `sink read NAME` shows what",
        context.plan.job(),
        sinks.join(", ")
    )))
}

/// The store that is named.
///
/// # Errors
/// `InvalidRequest` with those that the job has, and the nearest.
pub(super) fn named<'a>(context: &Context<'a>, name: &str) -> Result<&'a StoreFace> {
    let known: Vec<_> = context.plan.stores().iter().map(|s| s.name).collect();
    let found = context.plan.store(name);
    found.ok_or_else(|| no_port(context.plan.job(), "store", name, &known))
}

/// The store that is meant.
pub(super) fn store(context: &Context<'_>, reads: &Reads) -> Result<RawStoreClient> {
    has_stores(context)?;
    let face = match (&reads.store, context.plan.stores()) {
        (Some(name), _) => *named(context, name)?,
        (None, [one]) => *one,
        // The counters are asked for by name.
        (None, [one, counters]) if counters.name == COUNTERS.name() => *one,
        (None, all) => return Err(which(all.iter().map(|s| s.name))),
    };
    context.check_data()?;
    let mut client = context.client().raw(face);
    if reads.accept_holes {
        client = client.accept_holes();
    }
    if let Some(token) = &reads.at_least {
        client = client.at_least(token.offsets());
    }
    if let Some(deadline) = reads.deadline {
        client = client.until(deadline);
    }
    Ok(client)
}

/// Several stores, and none is named.
pub(super) fn which<'a>(names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<_> = names.collect();
    Error::invalid("which store?").repaired_by(format!("add `--store NAME` (one of: {})", names.join(", ")))
}

pub(super) fn key_bytes(face: &StoreFace, text: &str, prefix: bool) -> Result<Vec<u8>> {
    face.key.parse(text, prefix).map_err(|e| {
        let hint = if face.windows.is_some() {
            "; `window` adds hops up, `--under` lists them"
        } else {
            ""
        };
        Error::invalid(format!(
            "store `{}`: {} `{text}`: {e} (keys are {}{hint})",
            face.name,
            if prefix { "prefix" } else { "key" },
            face.key.schema()
        ))
    })
}

pub(super) fn get(context: &Context<'_>, get: &Get) -> Result<()> {
    let client = store(context, &get.reads)?;
    let face = *client.face();
    let lines = Lines { face };
    let keys = get
        .keys
        .iter()
        .map(|k| key_bytes(&face, k, false))
        .collect::<Result<Vec<_>>>()?;
    let mut failed = None;
    if !keys.is_empty() {
        for (key, answer) in keys.iter().zip(client.multi_get(&keys)) {
            match answer {
                Ok(answer) => drop(lines.answer(key, &answer)?),
                Err(e) => {
                    out::complain(&e);
                    failed = Some(e);
                }
            }
        }
    }
    for prefix in &get.under {
        let (rows, basis) = client.under(&key_bytes(&face, prefix, true)?)?;
        lines.rows(rows, &basis)?;
    }
    match failed {
        // It was printed with its key's turn; the exit code is its kind's.
        Some(e) => std::process::exit(i32::from(e.kind().exit_code())),
        None => Ok(()),
    }
}

pub(super) fn top(context: &Context<'_>, top: &Top) -> Result<()> {
    let client = store(context, &top.reads)?;
    let (rows, basis) = client.top(top.n)?;
    Lines { face: *client.face() }.rows(rows, &basis)
}

pub(super) struct Lines {
    pub(super) face: StoreFace,
}

impl Lines {
    fn rows(&self, rows: Vec<(Vec<u8>, Vec<u8>)>, basis: &Basis) -> Result<()> {
        if rows.is_empty() {
            out::people(|| format!("(no keys)  offline until {}", basis.coverage));
        }
        for (key, value) in rows {
            if !self.answer(&key, &basis.answer(Some(value)))? {
                break;
            }
        }
        Ok(())
    }
    /// Says whether another one is wanted.
    pub(super) fn answer(&self, key: &[u8], answer: &Answer<Vec<u8>>) -> Result<bool> {
        if out::is_json() {
            return Ok(out::line(answer.to_json(&self.face, key)?));
        }
        let bad = |e: crate::algebra::DecodeError| Error::corrupt(format!("store `{}`: {e}", self.face.name));
        let value = show_value(&self.face, answer.value.as_deref())?;
        Ok(out::line(format_args!(
            "{}  {value}  offline until {}, fresh until {}",
            self.face.key.text(key).map_err(bad)?,
            answer.coverage,
            fresh(answer)
        )))
    }
}

/// A value for people.
pub(super) fn show_value(face: &StoreFace, value: Option<&[u8]>) -> Result<String> {
    let Some(bytes) = value else {
        return Ok("(absent)".into());
    };
    let value = face
        .value
        .json(bytes)
        .map_err(|e| Error::corrupt(format!("store `{}`: {e}", face.name)))?;
    Ok(match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, v)| format!("{name}={}", brief(v)))
            .collect::<Vec<_>>()
            .join(" "),
        other => brief(&other),
    })
}

/// A value in a few characters: a sketch by its estimate, quantiles by their medians.
fn brief(v: &Value) -> String {
    match v {
        Value::Object(o) => match (o.get("estimate"), o.get("p50"), o.get("p99")) {
            (Some(e), ..) => format!("~{e}"),
            (_, Some(p50), Some(p99)) => format!("p50:{} p99:{}", p50["value"], p99["value"]),
            _ => v.to_string(),
        },
        other => other.to_string(),
    }
}

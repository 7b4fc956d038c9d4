//! `get` and `top`.

use serde_json::Value;

use super::cli::{Get, Reads, Top};
use super::open::Context;
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

fn store(context: &Context<'_>, reads: &Reads) -> Result<RawStoreClient> {
    let names = || {
        context
            .plan
            .stores()
            .iter()
            .map(|s| s.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    has_stores(context)?;
    let face = match (&reads.store, context.plan.stores()) {
        (Some(name), _) => *context.plan.store(name).ok_or_else(|| {
            Error::invalid(format!(
                "job `{}` has no store `{name}` (it has: {})",
                context.plan.job(),
                names()
            ))
        })?,
        (None, [one]) => *one,
        // The counters are asked for by name.
        (None, [one, counters]) if counters.name == COUNTERS.name() => *one,
        (None, _) => {
            return Err(Error::invalid(format!(
                "which store? add `--store NAME` (one of: {})",
                names()
            )));
        }
    };
    let client = context.client().raw(face);
    Ok(if reads.accept_holes {
        client.accept_holes()
    } else {
        client
    })
}

fn key_bytes(face: &StoreFace, text: &str, prefix: bool) -> Result<Vec<u8>> {
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
    let mut out = Lines {
        face,
        json: super::out::is_json(),
    };
    let keys = get
        .keys
        .iter()
        .map(|k| key_bytes(&face, k, false))
        .collect::<Result<Vec<_>>>()?;
    let mut failed = None;
    if !keys.is_empty() {
        for (key, answer) in keys.iter().zip(client.multi_get(&keys)) {
            match answer {
                Ok(answer) => out.answer(key, &answer)?,
                Err(e) => {
                    eprintln!("error: {e}");
                    failed = Some(e);
                }
            }
        }
    }
    for prefix in &get.under {
        let (rows, basis) = client.under(&key_bytes(&face, prefix, true)?)?;
        out.rows(rows, &basis)?;
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
    Lines {
        face: *client.face(),
        json: super::out::is_json(),
    }
    .rows(rows, &basis)
}

struct Lines {
    face: StoreFace,
    json: bool,
}

impl Lines {
    fn rows(&mut self, rows: Vec<(Vec<u8>, Vec<u8>)>, basis: &Basis) -> Result<()> {
        if rows.is_empty() && !self.json {
            println!("(no keys)  offline until {}", basis.coverage);
        }
        rows.into_iter()
            .try_for_each(|(key, value)| self.answer(&key, &basis.answer(Some(value))))
    }
    fn answer(&mut self, key: &[u8], answer: &Answer<Vec<u8>>) -> Result<()> {
        use std::io::Write;
        let line = if self.json {
            answer.to_json(&self.face, key)?.to_string()
        } else {
            let bad = |e: crate::algebra::DecodeError| Error::corrupt(format!("store `{}`: {e}", self.face.name));
            let value = show_value(&self.face, answer.value.as_deref())?;
            format!(
                "{}  {value}  offline until {}, fresh until {}",
                self.face.key.text(key).map_err(bad)?,
                answer.coverage,
                fresh(answer)
            )
        };
        // A reader that closed its end (`| head`) is no error.
        let _ = writeln!(std::io::stdout(), "{line}");
        Ok(())
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

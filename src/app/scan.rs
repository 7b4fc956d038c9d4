//! `scan`: the keys of a store in order, each with its whole value.

use serde_json::json;

use super::open::Context;
use super::out;
use super::read::{Lines, key_bytes, store};
use crate::core::{Error, Result};

/// What is asked for.
pub(super) struct Scan {
    pub(super) reads: super::cli::Reads,
    /// Only keys whose first parts are these.
    pub(super) under: Option<String>,
    /// Only keys behind this one.
    pub(super) after: Option<String>,
    pub(super) limit: u64,
}

/// Lines as they are found; all are of one snapshot and one generation. Where the scan ended before the last key, the last line says
/// where the next one goes on.
pub(super) fn scan(context: &Context<'_>, asked: &Scan) -> Result<()> {
    let client = store(context, &asked.reads)?;
    let face = *client.face();
    let lines = Lines { face };
    let prefix = asked
        .under
        .as_deref()
        .map(|under| key_bytes(&face, under, true))
        .transpose()?;
    let after = asked
        .after
        .as_deref()
        .map(|after| key_bytes(&face, after, false))
        .transpose()?;
    let (mut shown, mut last, mut more) = (0_u64, Vec::new(), false);
    let basis = client.scan_while(
        &prefix.unwrap_or_default(),
        after.as_deref(),
        &mut |basis, key, value| {
            if shown == asked.limit {
                more = true;
                return Ok(false);
            }
            shown += 1;
            if shown == asked.limit {
                last.extend_from_slice(key);
            }
            lines.answer(key, &basis.answer(Some(value.to_vec())))
        },
    )?;
    if shown == 0 && !more {
        out::people(|| format!("(no keys)  offline until {}", basis.coverage));
    }
    if more {
        let bad = |e: crate::algebra::DecodeError| Error::corrupt(format!("store `{}`: {e}", face.name));
        let key = face.key.text(&last).map_err(bad)?;
        out::say(
            || format!("(there are more: --after '{key}')"),
            || json!({ "event": "more", "after": key }),
        );
    }
    Ok(())
}

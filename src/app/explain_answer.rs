//! `explain-answer`: what an answer was made of, each value by its layer, run, partition and batch.

use super::cli::WindowArgs;
use super::open::Context;
use super::read::{key_bytes, store};
use super::{out, window};
use crate::client::key_of_windows;
use crate::core::{Error, Result};

/// Each key in turn: the answer, what was merged, what was left out and why.
pub(super) fn explain_answer(context: &Context<'_>, asked: &WindowArgs) -> Result<()> {
    if asked.says_window() {
        return of_window(context, asked);
    }
    if asked.end != "now" {
        return Err(Error::invalid("--end is of a window, and none is asked for")
            .repaired_by("say how long it is (--last, --last-hops or --since), or leave --end out"));
    }
    let client = store(context, &asked.reads)?;
    let face = *client.face();
    let keys = asked.keys.iter().map(|text| key_bytes(&face, text, false));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    each(&keys, |key| {
        let found = client.explain_answer(key)?;
        Ok(if out::is_json() {
            found.to_json(&face, key)?.to_string()
        } else {
            found.to_string()
        })
    })
}

/// The same of the hops that cover a window.
fn of_window(context: &Context<'_>, asked: &WindowArgs) -> Result<()> {
    let span = window::asked(asked)?;
    let client = window::store(context, asked)?;
    let face = *client.raw().face();
    let keys = asked.keys.iter().map(|text| key_of_windows(&face, text));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    each(&keys, |(key, shown)| {
        let found = client.explain_answer(key, &span)?;
        Ok(if out::is_json() {
            found.to_json(&face, shown.clone())?.to_string()
        } else {
            found.to_string()
        })
    })
}

/// A key that fails says so with its turn; the exit code is its kind's.
fn each<K>(keys: &[K], explain: impl Fn(&K) -> Result<String>) -> Result<()> {
    let mut failed: Option<Error> = None;
    for key in keys {
        match explain(key) {
            Ok(text) if !out::line(&text) => break,
            Ok(_) => {}
            Err(e) => {
                if let Some(before) = failed.replace(e) {
                    out::complain(&before);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

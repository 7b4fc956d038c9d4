//! What commands print on standard output: lines for people, or with `--json` one JSON object a line. A reader that closed its end
//! (`| head`) is no error of any command.
//!
//! The members of the objects are listed in `JSON.md` beside this file.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::core::{Error, ErrorKind};

/// The form of a process's output, like its standard output itself, is one.
static JSON: AtomicBool = AtomicBool::new(false);

/// `--json` was said.
pub(super) fn as_json() {
    JSON.store(true, Relaxed);
}

pub(super) fn is_json() -> bool {
    JSON.load(Relaxed)
}

/// Writes a line; `false`: nobody reads any more. Those who only report go on, those who list end.
pub(super) fn line(text: impl Display) -> bool {
    writeln!(std::io::stdout().lock(), "{text}").is_ok()
}

/// Writes lines for people, or an object for programs.
pub(super) fn say(text: impl FnOnce() -> String, object: impl FnOnce() -> Value) -> bool {
    if is_json() { line(object()) } else { line(text()) }
}

/// What programs need no line of.
pub(super) fn people(text: impl FnOnce() -> String) {
    if !is_json() {
        line(text());
    }
}

/// An error for programs: its kind, what it says, what repairs it where that is known, and the exit code of its kind.
pub(super) fn error(e: &Error) -> Value {
    object(kind(e.kind()), &e.to_string(), e.repair(), e.kind().exit_code())
}

/// A usage error of the command line.
pub(super) fn usage(text: &str, exit_code: u8) -> Value {
    // What the parser says over several lines: what is wrong, then what was probably meant.
    let mut parts = text.trim_start_matches("error: ").split("\n\n");
    let message = parts
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let repair = parts.find_map(|part| part.trim().strip_prefix("tip: "));
    object("usage", &message, repair, exit_code)
}

fn object(kind: &str, message: &str, repair: Option<&str>, exit_code: u8) -> Value {
    let mut error = json!({ "kind": kind, "message": message, "exit_code": exit_code });
    if let (Some(repair), Value::Object(members)) = (repair, &mut error) {
        members.insert("repair".into(), json!(repair));
    }
    json!({ "error": error })
}

/// The names of kinds that programs compare.
pub(super) fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TryAgain => "try_again",
        ErrorKind::Incomplete => "incomplete",
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::CorruptData => "corrupt_data",
        ErrorKind::Closed => "closed",
        _ => "bug",
    }
}

/// One line on standard error, whoever reads it.
pub(super) fn complaint(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error on standard error, as it is asked for.
pub(super) fn complain(e: &Error) {
    if is_json() {
        complaint(error(e));
    } else {
        complaint(format_args!("error: {e}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stable: programs compare them.
    #[test]
    fn errors_for_programs() {
        let e = Error::invalid("job `j` has no store `count`").repaired_by("did you mean `counts`?");
        assert_eq!(
            error(&e).to_string(),
            r#"{"error":{"kind":"invalid_request","message":"job `j` has no store `count`: did you mean `counts`?","exit_code":1,"repair":"did you mean `counts`?"}}"#
        );
        assert_eq!(
            error(&Error::try_again("later").at("store")).to_string(),
            r#"{"error":{"kind":"try_again","message":"store: later","exit_code":3}}"#
        );
        let said =
            "error: unexpected argument '--stor' found\n\n  tip: a similar argument exists: '--store'\n\nUsage: ...\n";
        assert_eq!(
            usage(said, 2).to_string(),
            r#"{"error":{"kind":"usage","message":"unexpected argument '--stor' found","exit_code":2,"repair":"a similar argument exists: '--store'"}}"#
        );
    }
}

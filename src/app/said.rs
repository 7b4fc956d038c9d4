//! What the command line says of settings: flags of their own, and `--set`.

use std::ffi::OsStr;
use std::fmt::Display;

use clap::ArgMatches;

use super::settings::{Flagged, NAMES, PORT, no_port};
use crate::core::{Error, Plan, Result};

/// All of it; the last of a name counts.
///
/// # Errors
/// `InvalidRequest` with the flag and how it is written.
pub(super) fn said(m: &ArgMatches, plan: &Plan) -> Result<Vec<Flagged>> {
    let mut all = Vec::new();
    for name in NAMES {
        let Some(flag) = name.flag else { continue };
        for value in values(m, flag)? {
            match name.path {
                [section, PORT, option] if flag == "source" || flag == "dead-letters" => {
                    let (port, value) = of_source(flag, &value)?;
                    check_source(plan, &port).map_err(|e| e.at(format_args!("--{flag} {port}=...")))?;
                    all.push(Flagged::flag(&[section, &port, option], value, flag));
                }
                // One flag for all of them.
                [section, PORT, option] => all.extend(
                    plan.sources()
                        .iter()
                        .map(|s| Flagged::flag(&[section, s.name, option], value.clone(), flag)),
                ),
                path => all.push(Flagged::flag(path, value, flag)),
            }
        }
    }
    for text in values(m, "set")? {
        all.push(Flagged::set(&text)?);
    }
    Ok(all)
}

/// As it was typed. A command may lack the flag.
fn values(m: &ArgMatches, flag: &str) -> Result<Vec<String>> {
    match m.try_get_raw(flag) {
        // A default is not said by anybody.
        Ok(Some(values)) if m.value_source(flag) == Some(clap::parser::ValueSource::CommandLine) => {
            values.map(|v| text(v, format_args!("flag --{flag}"))).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// What is no text would name another file than was meant, if it were made one. It is not shown: it may be a secret.
///
/// # Errors
/// `InvalidRequest` with the place where it was said.
pub(super) fn text(said: &OsStr, place: impl Display) -> Result<String> {
    said.to_str().map(str::to_string).ok_or_else(|| {
        Error::invalid(format!("{place}: its value is no UTF-8"))
            .repaired_by("write it in UTF-8; a file or directory of another name can be reached by a link")
    })
}

fn of_source(flag: &str, text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, place)) if !name.is_empty() && !place.is_empty() => Ok((name.into(), place.into())),
        _ => Err(
            // What was said may hold a password.
            Error::invalid(format!("--{flag}: no name, or no place")).repaired_by(if flag == "source" {
                "write NAME=LOCATION, for instance lines=file:lines.txt"
            } else {
                "write SOURCE=PLACE, for instance lines=file:letters.jsonl"
            }),
        ),
    }
}

fn check_source(plan: &Plan, name: &str) -> Result<()> {
    let known: Vec<_> = plan.sources().iter().map(|s| s.name).collect();
    if known.contains(&name) {
        return Ok(());
    }
    Err(no_port(plan.job(), "source", name, &known))
}

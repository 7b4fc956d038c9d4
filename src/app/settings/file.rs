//! Settings in a file: each value with its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::{ANY, Found, Kind, find};
use super::secret::Kept;
use super::value::{Origin, Said};
use crate::core::{Error, Result};

/// What it is called when none is named.
pub(in crate::app) const USUAL: &str = "rufous.toml";

/// A value of a file.
#[derive(Debug)]
pub(in crate::app) struct InFile {
    pub(in crate::app) path: Vec<String>,
    pub(in crate::app) said: Said,
    pub(in crate::app) origin: Origin,
}

/// All values of the file that is named, or of `rufous.toml` if that is there.
///
/// # Errors
/// When it cannot be read, or is no TOML: with the line, and without its text, which may hold a password.
pub(in crate::app) fn read(path: Option<&Path>) -> Result<Vec<InFile>> {
    let (path, asked) = path.map_or((Path::new(USUAL), false), |p| (p, true));
    match std::fs::read_to_string(path) {
        Ok(text) => values(&text, &path.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !asked => Ok(Vec::new()),
        Err(e) => Err(Error::io("cannot read settings", path, e)),
    }
}

fn values(text: &str, file: &str) -> Result<Vec<InFile>> {
    let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|e| {
        let at = e
            .span()
            .map_or(String::new(), |at| format!(", line {}", line(at.start)));
        Error::invalid(format!("settings {file}{at}: {}", e.message()))
    })?;
    let mut found = Vec::new();
    let origin = |at: usize| Origin::File {
        path: file.into(),
        line: line(at),
    };
    walk(table.get_ref(), &mut Vec::new(), &origin, &mut found);
    Ok(found)
}

fn walk(table: &DeTable<'_>, path: &mut Vec<String>, origin: &dyn Fn(usize) -> Origin, found: &mut Vec<InFile>) {
    for (name, value) in table {
        path.push(name.get_ref().to_string());
        let at = origin(name.span().start);
        match value.get_ref() {
            // The place of a secret is a table, too: where a setting stands, and not a section.
            DeValue::Table(inner) => match kept(inner) {
                Some(kept) if is_setting(path) => found.push(InFile {
                    path: path.clone(),
                    said: Said::Kept(kept),
                    origin: at,
                }),
                _ => {
                    // An unknown section is an error also where it is empty.
                    if inner.is_empty() || (!is_free(path) && !matches!(find(path), Ok(Found::Section))) {
                        found.push(InFile {
                            path: path.clone(),
                            said: Said::Other("a table"),
                            origin: at,
                        });
                    }
                    walk(inner, path, origin, found);
                }
            },
            other => found.push(InFile {
                path: path.clone(),
                said: said(other),
                origin: at,
            }),
        }
        path.pop();
    }
}

fn is_setting(path: &[String]) -> bool {
    matches!(find(path), Ok(Found::Setting(name, _)) if matches!(name.kind, Kind::Url | Kind::Named))
}

/// Whether dots in a name that somebody else gives made tables of it: `sasl.password` without quotes.
fn is_free(path: &[String]) -> bool {
    matches!(find(path), Ok(Found::Setting(name, _)) if name.path.last() == Some(&ANY))
}

fn said(value: &DeValue<'_>) -> Said {
    match value {
        DeValue::String(text) => Said::Text(text.to_string()),
        DeValue::Boolean(on) => Said::Switch(*on),
        DeValue::Integer(n) => Said::Number(n.to_string()),
        DeValue::Float(n) => Said::Number(n.to_string()),
        DeValue::Array(all) => {
            let text = |v: &Spanned<DeValue<'_>>| v.get_ref().as_str().map(str::to_string);
            let texts: Option<Vec<String>> = all.iter().map(text).collect();
            texts.map_or(Said::Other("a list of other things"), Said::Texts)
        }
        DeValue::Datetime(_) => Said::Other("a time"),
        DeValue::Table(_) => Said::Other("a table"),
    }
}

/// `{ env = "NAME" }` or `{ file = "/path" }`.
fn kept(table: &DeTable<'_>) -> Option<Kept> {
    let mut entries = table.iter();
    let (name, value) = entries.next()?;
    let text = value.get_ref().as_str()?.to_string();
    match (name.get_ref().as_ref(), entries.next()) {
        ("env", None) => Some(Kept::Env(text)),
        ("file", None) => Some(Kept::File(text)),
        _ => None,
    }
}

/// A value on the command line or in a variable: a text, or the place of a secret as a file has it.
pub(in crate::app) fn inline(text: &str) -> Said {
    let as_kept = || {
        let line = format!("v = {text}");
        let table = DeTable::parse(&line).ok()?;
        match table.get_ref().iter().next()?.1.get_ref() {
            DeValue::Table(inner) => kept(inner),
            _ => None,
        }
    };
    let place = text.starts_with('{').then(as_kept).flatten();
    place.map_or_else(|| Said::Text(text.to_string()), Said::Kept)
}

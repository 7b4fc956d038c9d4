//! One setting as it was said: its value, and where.

use std::fmt;

use super::names::Kind;
use super::secret::{Env, Kept, is_secret};
use crate::core::secret::HIDDEN;
use crate::core::{Error, Result};

/// Where a value was said; the least first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Origin {
    Default,
    /// The program itself: `App::source`, `App::sink`.
    Main,
    File {
        path: String,
        line: usize,
    },
    Variable(String),
    /// A flag of its own, or `--set`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Main => f.write_str("main"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Origin {
    /// In front of a message.
    pub(in crate::app) fn place(&self) -> String {
        match self {
            Self::File { .. } => format!("settings {self}"),
            other => other.to_string(),
        }
    }
    /// One word, for programs.
    pub(in crate::app) fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Main => "main",
            Self::File { .. } => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

/// A value of the kind that its name has.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::app) enum Value {
    Text(String),
    Number(u64),
    Switch(bool),
    Texts(Vec<String>),
    /// It is looked up where it is kept; what stands in the way is said to the one who needs it.
    Secret(Kept, Result<String, String>),
    /// A secret that was said by a variable.
    Hidden(String),
}

/// A secret is never shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(n) => write!(f, "{n}"),
            Self::Switch(on) => write!(f, "{on}"),
            Self::Texts(all) => f.write_str(&all.join(",")),
            Self::Secret(kept, Ok(_)) => write!(f, "{HIDDEN} {kept}"),
            Self::Secret(kept, Err(why)) => write!(f, "{HIDDEN} {kept}, but {why}"),
            Self::Hidden(_) => f.write_str(HIDDEN),
        }
    }
}

impl Value {
    /// For programs. Of a secret it is said where it is kept, and no more.
    pub(in crate::app) fn json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Text(text) => json!(text),
            Self::Number(n) => json!(n),
            Self::Switch(on) => json!(on),
            Self::Texts(all) => json!(all),
            Self::Secret(Kept::Env(name), _) => json!({ "env": name }),
            Self::Secret(Kept::File(path), _) => json!({ "file": path }),
            Self::Hidden(_) => json!({}),
        }
    }
    pub(in crate::app) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(..) | Self::Hidden(_))
    }
}

/// What was said, before it is known whether it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Said {
    /// On the command line, in a variable, or a text of a file.
    Text(String),
    /// Of a file: it knows numbers, switches and lists from texts.
    Number(String),
    Switch(bool),
    Texts(Vec<String>),
    Kept(Kept),
    /// What no setting is; what it is called.
    Other(&'static str),
}

impl Said {
    fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Switch(_) => "a switch",
            Self::Texts(_) => "a list",
            Self::Kept(_) => "the place of a secret",
            Self::Other(what) => what,
        }
    }
}

/// A value of a setting, from what was said.
///
/// # Errors
/// `InvalidRequest` with the place, the name and the repair; never with a value that may be a secret.
pub(in crate::app) fn check(path: &[String], kind: Kind, said: Said, origin: &Origin, env: &Env<'_>) -> Result<Value> {
    let at = |why: String| Error::invalid(format!("{}: `{}` {why}", origin.place(), path.join(".")));
    let is_file = matches!(origin, Origin::File { .. });
    let wrong = |what: &str| at(format!("is {}, and {what} is said", kind.show()));
    let text = match (kind, said) {
        (Kind::Url | Kind::Named, Said::Kept(kept)) => {
            let value = kept.read(env);
            return Ok(Value::Secret(kept, value));
        }
        (Kind::Number(least), Said::Number(text)) => return number(&text, least).ok_or_else(|| wrong(&text)),
        (Kind::Number(least), Said::Text(text)) if !is_file => {
            return number(&text, least).ok_or_else(|| wrong(&format!("`{text}`")));
        }
        (Kind::Switch, Said::Switch(on)) => return Ok(Value::Switch(on)),
        (Kind::Switch, Said::Text(text)) if !is_file => {
            return text.parse().map(Value::Switch).map_err(|_| wrong(&format!("`{text}`")));
        }
        (Kind::Texts, Said::Texts(all)) => return Ok(Value::Texts(all)),
        (Kind::Texts, Said::Text(text)) if !is_file => {
            let all = text.split(',').map(str::trim).filter(|t| !t.is_empty());
            return Ok(Value::Texts(all.map(str::to_string).collect()));
        }
        (Kind::Text | Kind::Url | Kind::Named | Kind::Choice(_), Said::Text(text)) => text,
        // The value itself is not shown: it may be a password of digits.
        (Kind::Text | Kind::Url | Kind::Named | Kind::Choice(_), Said::Number(_) | Said::Switch(_)) => {
            return Err(wrong("something else").repaired_by("write it in quotes"));
        }
        (Kind::Number(_) | Kind::Switch, Said::Text(_)) => {
            return Err(wrong("a text").repaired_by("write it without quotes"));
        }
        (_, said) => return Err(wrong(said.what())),
    };
    if let Kind::Choice(of) = kind
        && !of.contains(&text.as_str())
    {
        return Err(wrong(&format!("`{text}`")));
    }
    let option = path.last().map_or("", String::as_str);
    match (kind, origin) {
        _ if !is_secret(kind, option, &text) => Ok(Value::Text(text)),
        (Kind::Url | Kind::Named, Origin::Variable(_)) => Ok(Value::Hidden(text)),
        (Kind::Url | Kind::Named, _) => Err(at(format!(
            "{} a secret, and it is written out where others see it",
            if kind == Kind::Url { "holds" } else { "is" }
        ))
        .repaired_by(format!(
            "write {{ env = \"VARIABLE\" }} or {{ file = \"/path\" }} in its place, or set {}",
            super::names::variable(path)
        ))),
        _ => Err(at("has a password in it, and no location of its kind has one".into()).repaired_by("leave it out")),
    }
}

fn number(text: &str, least: u64) -> Option<Value> {
    let n = text.parse::<u64>().ok()?;
    (n >= least).then_some(Value::Number(n))
}

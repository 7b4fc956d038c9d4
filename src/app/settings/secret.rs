//! Secrets: which settings are, where they are looked up, and that nobody sees them.
//!
//! A secret is `{ env = "NAME" }` or `{ file = "/path" }`, or the value of a variable. Written out in a file or on the command line
//! it is refused: files are copied and committed, and command lines are shown to every user of the machine.

use std::fmt;

use super::names::Kind;
use crate::core::secret::is_secret as is_option_secret;

/// Whether a text has a password in it as URLs have one: `scheme://user:password@host`, or `?password=`.
pub(in crate::app) fn in_url(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    // Drivers take all before the last `@` for user and password, whatever marks are in it.
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let in_user = user.split_once(':').is_some_and(|(_, password)| !password.is_empty());
    let query = [place, rest]
        .map(|text| text.split_once('?').map_or("", |(_, query)| query))
        .join("&");
    let in_query = query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_option_secret(name) && !value.is_empty()
    });
    in_user || in_query
}

/// Whether this value of a setting may not be seen. `option` is the last level of its path.
pub(in crate::app) fn is_secret(kind: Kind, option: &str, value: &str) -> bool {
    (kind == Kind::Named && is_option_secret(option)) || in_url(value)
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Kept {
    /// In a variable of the environment.
    Env(String),
    /// In a file, without the end of its line.
    File(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "{{ env = \"{name}\" }}"),
            Self::File(path) => write!(f, "{{ file = \"{path}\" }}"),
        }
    }
}

/// What a variable holds: `None`: it is not set; `Some(None)`: that is no text.
pub(in crate::app) type Env<'a> = dyn Fn(&str) -> Option<Option<String>> + 'a;

impl Kept {
    /// Looks it up.
    ///
    /// # Errors
    /// Why it is not there, and what to do.
    pub(in crate::app) fn read(&self, env: &Env<'_>) -> Result<String, String> {
        match self {
            Self::Env(name) => match env(name) {
                Some(Some(value)) if !value.is_empty() => Ok(value),
                Some(None) => Err(format!(
                    "the variable {name}, which is to hold it, is no UTF-8: set it to a text, or keep it in a file"
                )),
                _ => Err(format!("the variable {name}, which is to hold it, is not set: set it")),
            },
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => {
                    let text = text.strip_suffix('\n').unwrap_or(&text);
                    let text = text.strip_suffix('\r').unwrap_or(text);
                    if text.is_empty() {
                        return Err(format!(
                            "the file {path}, which is to hold it, is empty: write it there"
                        ));
                    }
                    Ok(text.to_string())
                }
                // The kind alone: bytes that are no text are not shown.
                Err(e) => Err(format!(
                    "the file {path}, which is to hold it, cannot be read: {}",
                    e.kind()
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_in_urls() {
        for secret in [
            "postgres://me:s3cr3t@h:5432/d",
            "redis://:s3cr3t@h/0",
            "postgres://me:a@b@h/d",
            "postgres://me:pa?ss@h:5432/d",
            "kafka://u:p?w=x@h/t",
            "postgres://me@h/d?password=a@b",
            "postgres://me@h/d?sslmode=require&password=s3cr3t",
        ] {
            assert!(in_url(secret), "{secret}");
        }
        for plain in [
            "postgres://me@h:5432/d",
            "redis://h:1/0",
            "kafka://h:9092,i:9092/t",
            "s3://bucket/a@b",
            "file:a:b@c",
            "",
            "postgres://me:@h/d",
        ] {
            assert!(!in_url(plain), "{plain}");
        }
    }
}

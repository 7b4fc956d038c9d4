//! Secrets: which settings are, where they are looked up, and that nobody sees them.
//!
//! A secret is `{ env = "NAME" }` or `{ file = "/path" }`, or the value of a variable. Written out in a file or on the command line
//! it is refused: files are copied and committed, and command lines are shown to every user of the machine.

use std::fmt;

use super::names::Kind;

/// In place of a secret.
pub(in crate::app) const HIDDEN: &str = "(hidden)";

/// Names of librdkafka and of object stores that look like a secret's, and are a place or an identity.
const PLAIN_ENDS: [&str; 7] = ["location", "_file", ".file", "_uri", "_id", "keytab", "endpoint"];

/// Whether the value of an option of this name is shown to nobody. Rather too many than one too few: an unknown name may be a
/// misspelt one.
pub(in crate::app) fn by_name(option: &str) -> bool {
    let name = option.to_ascii_lowercase();
    !PLAIN_ENDS.iter().any(|end| name.ends_with(end))
        && [
            "password",
            "passphrase",
            "secret",
            "jaas",
            "pem",
            "token",
            "credential",
            "oauthbearer.config",
            ".key",
            "_key",
        ]
        .iter()
        .any(|part| name.contains(part))
}

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
        by_name(name) && !value.is_empty()
    });
    in_user || in_query
}

/// Whether this value of a setting may not be seen. `option` is the last level of its path.
pub(in crate::app) fn is_secret(kind: Kind, option: &str, value: &str) -> bool {
    (kind == Kind::Named && by_name(option)) || in_url(value)
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

impl Kept {
    /// Looks it up.
    ///
    /// # Errors
    /// Why it is not there, and what to do.
    pub(in crate::app) fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        match self {
            Self::Env(name) => env(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the variable {name}, which is to hold it, is not set: set it")),
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

    /// By the names in librdkafka's CONFIGURATION.md and in the documentation of object stores.
    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in [
            "sasl.password",
            "SASL.PASSWORD",
            "sasl.password.typo",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.certificate.pem",
            "sasl.jaas.config",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "aws_secret_access_key",
            "secret_access_key",
            "aws_session_token",
            "aws_sse_customer_key_base64",
        ] {
            assert!(by_name(secret), "{secret}");
        }
        for plain in [
            "sasl.username",
            "ssl.ca.location",
            "ssl.key.location",
            "ssl.keystore.location",
            "sasl.kerberos.keytab",
            "sasl.oauthbearer.assertion.private.key.file",
            "client.id",
            "aws_access_key_id",
            "aws_sse_kms_key_id",
            "aws_web_identity_token_file",
            "aws_container_credentials_relative_uri",
            "aws_endpoint",
            "aws_region",
        ] {
            assert!(!by_name(plain), "{plain}");
        }
    }

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

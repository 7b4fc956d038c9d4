//! Who may ask: bearer tokens, of which only digests are kept; and without them, by which name this machine asks itself.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use rufous_core::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A token of fewer characters is guessed.
const SHORTEST: usize = 16;

/// Tokens, any of which opens the door. Their digests are kept and not their texts, so nothing can print them.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Tokens {
    /// One a line; empty lines and lines that begin with `#` are skipped. `from` says in errors where they were.
    ///
    /// # Errors
    /// `InvalidRequest` when there is none, or one is short or cannot be sent in a header. No error shows a token.
    pub fn parse(text: &str, from: &str) -> Result<Self> {
        let mut digests = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| Error::invalid(format!("{from}: the token in line {} {why}", n + 1));
            if token.len() < SHORTEST {
                return Err(wrong(&format!(
                    "is shorter than {SHORTEST} characters: `openssl rand -hex 32` makes a good one"
                )));
            }
            if !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(wrong("has spaces or other characters that a header cannot carry"));
            }
            digests.push(Sha256::digest(token.as_bytes()).into());
        }
        if digests.is_empty() {
            return Err(Error::invalid(format!("{from} has no token: write one a line")));
        }
        Ok(Self(digests))
    }
    /// Those of a file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("the file of tokens", path, e))?;
        Self::parse(&text, &format!("the file of tokens {}", path.display()))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Which of them a request has. All are compared, each in the same time whatever it is.
    pub(crate) fn open(&self, headers: &HeaderMap) -> Option<usize> {
        let given = headers.get(header::AUTHORIZATION).map(|v| v.as_bytes());
        let given = given.and_then(|v| {
            let (scheme, token) = v.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        })?;
        let digest: [u8; 32] = Sha256::digest(given).into();
        let mut known = None;
        for (n, token) in self.0.iter().enumerate() {
            // Who sends it knows already that it is one.
            if token.ct_eq(&digest).into() {
                known = Some(n);
            }
        }
        known
    }
}

/// The name by which a request asks this server, unless it is one of this machine: `localhost` or a loopback address. A browser sends
/// the name of the page, so a page whose name was bound anew to this machine (DNS rebinding) is known by it. A request without a
/// name is of no browser.
pub(crate) fn foreign_host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = headers.get_all(header::HOST).into_iter().map(|v| v.as_bytes());
    let mut named = uri.authority().map(|a| a.as_str().as_bytes()).into_iter().chain(named);
    let foreign = named.find(|host| !is_own(host))?;
    Some(String::from_utf8_lossy(foreign).chars().take(100).collect())
}

fn is_own(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else {
        return false;
    };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let address = address.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn any_of_the_tokens_opens_and_nothing_else() {
        let tokens = Tokens::parse("# of ann\nabcdefghijklmnop\n\n0123456789abcdef0123\n", "f").unwrap();
        for (good, which) in [
            ("Bearer abcdefghijklmnop", 0),
            ("bearer 0123456789abcdef0123", 1),
            ("BEARER  abcdefghijklmnop", 0),
        ] {
            assert_eq!(tokens.open(&with(good)), Some(which), "{good}");
        }
        for bad in [
            "Bearer abcdefghijklmno",
            "Bearer abcdefghijklmnopq",
            "Basic abcdefghijklmnop",
            "Bearer ",
            "Bearer",
            "Bearer # of ann",
            "abcdefghijklmnop",
        ] {
            assert_eq!(tokens.open(&with(bad)), None, "{bad}");
        }
        assert_eq!(tokens.open(&HeaderMap::new()), None);
        assert_eq!(format!("{tokens:?}"), "2 tokens");
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for (text, says) in [
            ("", "has no token"),
            ("secret", "shorter than 16"),
            ("a secret with some spaces", "has spaces"),
        ] {
            let e = Tokens::parse(text, "the file of tokens t").unwrap_err().to_string();
            assert!(e.contains(says) && !e.contains("secret"), "{e}");
        }
    }
}

//! The token of an answer: what it was computed from, to be carried elsewhere and read back.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rufous_core::{Error, Result, SourcePartition};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::answer::PartitionCoverage;

/// Lets anyone compute the same answer again: which manifest, which code, which offsets. Cheap to clone.
///
/// It can be carried as text or as JSON, and demanded of a later read: [`at_least`](crate::StoreClient::at_least).
///
/// ```
/// use rufous_client::Token;
///
/// let token: Token = "7@f00d:lines/0=8120,lines/1=900".parse()?;
/// assert_eq!((token.manifest(), token.offsets().len()), (7, 2));
/// assert_eq!(token.to_string(), "7@f00d:lines/0=8120,lines/1=900");
/// # Ok::<(), rufous_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(Arc<TokenParts>);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        TokenParts::deserialize(d).map(|parts| Self(Arc::new(parts)))
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenParts {
    manifest: u64,
    fingerprint: String,
    offsets: BTreeMap<SourcePartition, u64>,
}

impl Token {
    pub(crate) fn new(
        manifest: u64,
        fingerprint: String,
        partitions: &BTreeMap<SourcePartition, PartitionCoverage>,
    ) -> Self {
        let offsets = partitions.iter().map(|(p, c)| (p.clone(), c.applied)).collect();
        Self(Arc::new(TokenParts {
            manifest,
            fingerprint,
            offsets,
        }))
    }
    /// The manifest's number.
    pub fn manifest(&self) -> u64 {
        self.0.manifest
    }
    /// The fingerprint of the code that wrote the generation.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }
    /// Per partition the first offset that is not in the answer.
    pub fn offsets(&self) -> &BTreeMap<SourcePartition, u64> {
        &self.0.offsets
    }
}

impl fmt::Display for Token {
    /// `7@fingerprint:lines/0=8120,lines/1=900`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.manifest, self.0.fingerprint)?;
        for (i, (p, offset)) in self.0.offsets.iter().enumerate() {
            write!(f, "{}{p}={offset}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// Whether a piece of a token can be what stands in it: names, numbers and fingerprints have no marks between them.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['@', ':', ',', '=', '/']) && !text.contains(char::is_whitespace)
}

/// The number as it is printed: no sign, no zeros before it.
fn number<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|n: &N| n.to_string() == text)
}

impl FromStr for Token {
    type Err = Error;

    /// Reads what `Display` prints.
    ///
    /// # Errors
    /// `InvalidRequest` that names the piece that cannot be read.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |what: &str, piece: &str| {
            // Of what a stranger sent only the beginning is repeated.
            let piece: String = piece.chars().take(80).collect();
            Error::invalid(format!(
                "`{piece}` is no {what} of a token: a token is `MANIFEST@FINGERPRINT:SOURCE/PARTITION=OFFSET,..`, as an answer prints it"
            ))
        };
        let (head, offsets) = text.split_once(':').map_or((text, None), |(h, o)| (h, Some(o)));
        let (manifest, fingerprint) = head.split_once('@').ok_or_else(|| refuse("beginning", head))?;
        let manifest = number(manifest).ok_or_else(|| refuse("manifest number", manifest))?;
        if !is_name(fingerprint) {
            return Err(refuse("fingerprint", fingerprint));
        }
        let mut all = BTreeMap::new();
        for piece in offsets.into_iter().flat_map(|o| o.split(',')) {
            let parse = || {
                let (p, offset) = piece.split_once('=')?;
                let (source, partition) = p.split_once('/')?;
                let p = SourcePartition::new(Some(source).filter(|s| is_name(s))?, number(partition)?);
                Some((p, number(offset)?))
            };
            let (p, offset) = parse().ok_or_else(|| refuse("offset", piece))?;
            if all.insert(p, offset).is_some() {
                return Err(refuse("offset that is said once", piece));
            }
        }
        Ok(Self(Arc::new(TokenParts {
            manifest,
            fingerprint: fingerprint.into(),
            offsets: all,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(offsets: &[(&str, u32, u64)]) -> Token {
        Token(Arc::new(TokenParts {
            manifest: 7,
            fingerprint: "f00d".into(),
            offsets: offsets
                .iter()
                .map(|(s, p, o)| (SourcePartition::new(*s, *p), *o))
                .collect(),
        }))
    }

    #[test]
    fn a_token_is_read_back_from_text_and_from_json() {
        for t in [
            token(&[]),
            token(&[("lines", 0, 0)]),
            token(&[("lines", 0, u64::MAX), ("lines-2", u32::MAX, 9)]),
        ] {
            assert_eq!(t.to_string().parse::<Token>().unwrap(), t);
            let json = serde_json::to_string(&t).unwrap();
            assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), t, "{json}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_by_the_piece() {
        for (text, piece) in [
            ("", "``"),
            ("7", "`7`"),
            ("+7@f", "`+7`"),
            ("07@f", "`07`"),
            ("7@", "``"),
            ("7@a b", "`a b`"),
            ("7@f:", "``"),
            ("7@f:lines", "`lines`"),
            ("7@f:lines/0", "`lines/0`"),
            ("7@f:lines/0=", "`lines/0=`"),
            ("7@f:lines/0=-1", "`lines/0=-1`"),
            ("7@f:lines/x=1", "`lines/x=1`"),
            ("7@f:/0=1", "`/0=1`"),
            ("7@f:lines/0=1,", "``"),
            ("7@f:lines/0=1,lines/0=2", "`lines/0=2`"),
            ("7@f:lines/0=18446744073709551616", "`lines/0=18446744073709551616`"),
        ] {
            let e = text.parse::<Token>().unwrap_err();
            assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
            assert!(e.to_string().starts_with(piece), "{text}: {e}");
        }
        assert!("x".repeat(1 << 20).parse::<Token>().unwrap_err().to_string().len() < 300);
        for json in [
            "{}",
            r#"{"manifest":7,"fingerprint":"f","offsets":{"lines":1}}"#,
            r#"{"manifest":-7,"fingerprint":"f","offsets":{}}"#,
            r#"{"manifest":7,"fingerprint":"f","offsets":{},"more":1}"#,
        ] {
            assert!(serde_json::from_str::<Token>(json).is_err(), "{json}");
        }
    }
}

//! Answers as JSON. What all answers of one read rest on is written once.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use rufous_client::{Answer, Basis, Coverage, Token};
use rufous_core::{Error, Result, StoreFace, Timestamp};
use serde::Serialize;
use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

const COVERED_UNTIL: HeaderName = HeaderName::from_static("rufous-covered-until");
const FRESHNESS: HeaderName = HeaderName::from_static("rufous-freshness");
const TOKEN: HeaderName = HeaderName::from_static("rufous-token");
const HOLES: HeaderName = HeaderName::from_static("rufous-holes");
/// How many keys of a batch have errors of their own.
pub(crate) const FAILED: HeaderName = HeaderName::from_static("rufous-failed");
/// How many things a partial answer lacks.
pub(crate) const MISSING: HeaderName = HeaderName::from_static("rufous-missing");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The token of a job with many partitions is longer than what clients take as a header: then it is in the body only.
const LONGEST_HEADER: usize = 4096;

/// Headers of a reply at most, as a rule.
const OF_A_REPLY: usize = 12;

/// Appends a value as JSON.
pub(crate) fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<()> {
    serde_json::to_writer(out, value).map_err(|e| Error::bug(format!("an answer cannot be written as JSON: {e}")))
}

/// What all answers of one read rest on, as members of a JSON object and as headers.
#[derive(Clone, Debug)]
pub(crate) struct Rests {
    /// `"covered_until":..,"freshness":..,"coverage":..,"token":..`
    pub(crate) members: Bytes,
    headers: Arc<HeaderMap>,
    /// Of the token: the beginning of every entity tag.
    seed: u64,
    token: Arc<str>,
}

fn value(text: &str) -> Option<HeaderValue> {
    (text.len() <= LONGEST_HEADER)
        .then(|| HeaderValue::from_str(text).ok())
        .flatten()
}

impl Rests {
    pub(crate) fn new(coverage: &Coverage, freshness: Option<Timestamp>, token: Option<&Token>) -> Result<Self> {
        let freshness = freshness.map(|t| t.to_string());
        let mut members = Vec::with_capacity(256);
        members.extend_from_slice(b"\"covered_until\":");
        put(&mut members, coverage.covered_until())?;
        if let Some(token) = token {
            members.extend_from_slice(b",\"freshness\":");
            put(&mut members, &freshness)?;
            members.extend_from_slice(b",\"coverage\":");
            put(&mut members, coverage)?;
            members.extend_from_slice(b",\"token\":");
            put(&mut members, token)?;
        } else {
            members.extend_from_slice(b",\"coverage\":");
            put(&mut members, coverage)?;
        }
        let token = token.map_or_else(String::new, ToString::to_string);
        let mut headers = HeaderMap::with_capacity(8);
        headers.extend(value(coverage.covered_until()).map(|v| (COVERED_UNTIL, v)));
        headers.extend(freshness.as_deref().and_then(value).map(|v| (FRESHNESS, v)));
        if !token.is_empty() {
            headers.extend(value(&token).map(|v| (TOKEN, v)));
        }
        if !coverage.holes().is_empty() {
            headers.insert(HOLES, HeaderValue::from(coverage.holes().len()));
        }
        Ok(Self {
            seed: xxh3_64(token.as_bytes()),
            members: members.into(),
            headers: Arc::new(headers),
            token: token.into(),
        })
    }
    pub(crate) fn of<V>(answer: &Answer<V>) -> Result<Self> {
        Self::new(&answer.coverage, answer.freshness, Some(&answer.token))
    }
    pub(crate) fn basis(basis: &Basis) -> Result<Self> {
        Self::new(&basis.coverage, basis.freshness, Some(&basis.token))
    }

    /// The entity tag of what was computed from `content` under this token. Weak: the same answer may be written in other
    /// bytes, since `window.asked` of a window that ends now moves with the clock, and as Arrow.
    pub(crate) fn tag(&self, content: &[u8]) -> String {
        format!("W/\"{:016x}{:016x}\"", self.seed, xxh3_64_with_seed(content, self.seed))
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    /// A body that says by itself what it rests on.
    pub(crate) fn bytes(&self, body: Vec<u8>) -> Reply {
        Reply {
            tag: Some(self.tag(&body)),
            body: body.into(),
            headers: self.headers.clone(),
            token: self.token.clone(),
        }
    }
    /// A JSON object: `members`, and what it rests on.
    pub(crate) fn reply(&self, members: &[u8]) -> Reply {
        let mut body = Vec::with_capacity(members.len() + self.members.len() + 3);
        body.push(b'{');
        body.extend_from_slice(members);
        body.push(b',');
        body.extend_from_slice(&self.members);
        body.push(b'}');
        Reply {
            body: body.into(),
            tag: Some(self.tag(members)),
            headers: self.headers.clone(),
            token: self.token.clone(),
        }
    }
}

/// An answer, whole: nothing of it is computed later.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) body: Bytes,
    pub(crate) tag: Option<String>,
    /// Those of all answers of a read are the same ones.
    headers: Arc<HeaderMap>,
    /// As `at_least` takes it; empty of a partial answer.
    pub(crate) token: Arc<str>,
}

impl Reply {
    /// A body that rests on no read of the stores.
    pub(crate) fn plain(body: Bytes) -> Self {
        Self {
            tag: Some(format!("W/\"{:032x}\"", xxh3_128(&body))),
            body,
            headers: Arc::default(),
            token: "".into(),
        }
    }
    /// Says one thing more.
    pub(crate) fn say(&mut self, name: HeaderName, value: HeaderValue) {
        Arc::make_mut(&mut self.headers).insert(name, value);
    }
    /// An object with these members, that rests on the same as this one.
    pub(crate) fn around(self, members: &[u8]) -> Self {
        let tag = format!("W/\"{:032x}\"", xxh3_128(members));
        Self {
            body: [b"{", members, b"}"].concat().into(),
            tag: Some(tag),
            ..self
        }
    }
    /// Lets the headers of this one speak for another part of the same answer as well: what is counted is added up, the rest stays
    /// where both say the same.
    pub(crate) fn speak_for(&mut self, other: &Self) {
        for name in [COVERED_UNTIL, FRESHNESS, TOKEN] {
            if self.headers.get(&name) != other.headers.get(&name) {
                Arc::make_mut(&mut self.headers).remove(&name);
            }
        }
        let count = |reply: &Self, name: &HeaderName| {
            let text = reply.headers.get(name).and_then(|v| v.to_str().ok());
            text.and_then(|t| t.parse::<u64>().ok()).unwrap_or(0)
        };
        for name in [FAILED, HOLES] {
            let sum = count(self, &name).saturating_add(count(other, &name));
            if sum > 0 {
                self.say(name, sum.into());
            }
        }
    }
    /// As a response to a question that was sent as a body: it is never known already.
    pub(crate) fn sent(self) -> Response {
        self.response(&HeaderMap::new())
    }
    /// As a response to a GET with these headers: 304 when the client has it already.
    pub(crate) fn response(self, asked: &HeaderMap) -> Response {
        let known = self.tag.as_deref().is_some_and(|tag| knows(asked, tag));
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.body) });
        let headers = response.headers_mut();
        // Room for all, with those that the connection adds: a map that grows is written anew each time.
        *headers = HeaderMap::with_capacity(OF_A_REPLY);
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        headers.extend(
            self.tag
                .and_then(|t| HeaderValue::from_str(&t).ok())
                .map(|t| (header::ETAG, t)),
        );
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.entry(header::CONTENT_TYPE).or_insert(JSON);
        }
        response
    }
}

/// Whether `If-None-Match` names the tag; weak tags are the same without their `W/`.
pub(crate) fn knows(asked: &HeaderMap, tag: &str) -> bool {
    let plain = |t: &str| t.trim().trim_start_matches("W/").to_string();
    let lists = asked.get_all(header::IF_NONE_MATCH).into_iter();
    lists
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|t| t.trim() == "*" || plain(t) == plain(tag))
}

/// A key as JSON.
pub(crate) fn key_json(face: &StoreFace, key: &[u8]) -> Result<Value> {
    face.key
        .json(key)
        .map_err(|e| Error::corrupt(format!("store `{}`: a key cannot be read: {e}", face.name)).caused_by(e))
}

/// A value as JSON; `null` of none.
pub(crate) fn value_json(face: &StoreFace, key: &[u8], value: Option<&[u8]>) -> Result<Value> {
    let Some(value) = value else { return Ok(Value::Null) };
    face.value.json(value).map_err(|e| {
        let key = face.key.text(key).unwrap_or_else(|_| format!("{key:02x?}"));
        Error::corrupt(format!(
            "store `{}`: the value of key `{key}` cannot be read: {e}",
            face.name
        ))
        .caused_by(e)
    })
}

/// Appends `"key":..,"value":..`.
pub(crate) fn put_pair(out: &mut Vec<u8>, face: &StoreFace, key: &[u8], value: Option<&[u8]>) -> Result<()> {
    let value = value_json(face, key, value)?;
    out.extend_from_slice(b"\"key\":");
    put(out, &key_json(face, key)?)?;
    out.extend_from_slice(b",\"value\":");
    put(out, &value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers of an answer of several parts are true of each of them.
    #[test]
    fn headers_speak_for_all_parts() {
        let part = |freshness: Option<&'static str>, counts: [u64; 2]| {
            let mut headers = HeaderMap::new();
            headers.insert(COVERED_UNTIL, HeaderValue::from_static("batch 2"));
            headers.extend(freshness.map(|f| (FRESHNESS, HeaderValue::from_static(f))));
            for (name, count) in [FAILED, HOLES].into_iter().zip(counts).filter(|(_, n)| *n > 0) {
                headers.insert(name, count.into());
            }
            Reply {
                body: Bytes::new(),
                tag: None,
                headers: Arc::new(headers),
                token: "".into(),
            }
        };
        let mut first = part(Some("1"), [0, 2]);
        first.speak_for(&part(Some("1"), [3, 1]));
        assert_eq!(first.headers, part(Some("1"), [3, 3]).headers);
        first.speak_for(&part(Some("2"), [1, 0]));
        assert_eq!(first.headers, part(None, [4, 3]).headers);
        // It does not come back.
        first.speak_for(&part(Some("2"), [0, 0]));
        assert_eq!(first.headers, part(None, [4, 3]).headers);
        let mut none = part(None, [0, 0]);
        none.speak_for(&part(Some("1"), [0, 0]));
        assert_eq!(none.headers, part(None, [0, 0]).headers);
    }
}

//! What a request asks for: its path, its question and its body, checked before anything is read.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rufous_client::Token;
use rufous_core::{SourcePartition, StoreFace};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use crate::options::ServerOptions;
use crate::problem::Problem;
use crate::state::State;

/// Offsets that an answer must have applied: "read my writes" (P30).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtLeast(pub(crate) BTreeMap<SourcePartition, u64>);

impl AtLeast {
    /// A token, or only its offsets: `7@fingerprint:lines/0=8120,lines/1=900` or `lines/0=8120`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        if text.contains('@') {
            let token: Token = text.parse().map_err(|e| {
                Problem::invalid(
                    format!("`at_least`: {e}"),
                    "give the token of an earlier answer as it is",
                )
            })?;
            return Ok(Self(token.offsets().clone()));
        }
        let wrong = |part: &str| {
            let part: String = part.chars().take(100).collect();
            Problem::invalid(
                format!("`at_least` has `{part}`, which is no offset of a partition"),
                "write SOURCE/PARTITION=OFFSET, with commas between, or the token of an earlier answer",
            )
        };
        let one = |part: &str| -> Result<_, Problem> {
            let (partition, offset) = part.split_once('=').ok_or_else(|| wrong(part))?;
            let partition = SourcePartition::parse(partition).ok_or_else(|| wrong(part))?;
            Ok((partition, offset.parse().map_err(|_| wrong(part))?))
        };
        let parts = text.split(',').filter(|part| !part.is_empty());
        let found = Self(parts.map(one).collect::<Result<_, Problem>>()?);
        if found.0.is_empty() {
            return Err(wrong(text));
        }
        Ok(found)
    }
    pub(crate) fn of(text: Option<&str>) -> Result<Self, Problem> {
        text.map_or_else(|| Ok(Self::default()), Self::parse)
    }
}

/// How a read is done.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Reading {
    /// Answer with what is known, as `so_far`, and list what is missing.
    pub(crate) partial: bool,
    /// Answer without ranges that were lost, and list them.
    pub(crate) accept_holes: bool,
    /// The least that must be applied: the token of an answer, or `SOURCE/PARTITION=OFFSET,..`. Else 503.
    pub(crate) at_least: Option<String>,
}

/// The parts of a path, decoded.
pub(crate) struct Names<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(e) => Err(Problem::invalid(
                format!("the path cannot be read: {}", e.body_text()),
                "percent-encode keys as UTF-8",
            )),
        }
    }
}

/// The question behind the path.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(e) => Err(Problem::invalid(
                format!("the question in the URL cannot be read: {}", e.body_text()),
                "/openapi.json lists what may be asked",
            )),
        }
    }
}

/// Whether a form of the answer is asked for by its name. Forms that are not are not given: `*/*` is JSON.
pub(crate) fn accepts(headers: &HeaderMap, form: &str) -> bool {
    let lists = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|v| v.to_str().ok());
    lists.flat_map(|v| v.split(',')).any(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|k| k.trim().eq_ignore_ascii_case(form))
    })
}

/// The bytes of a key as typed; of its first parts when `prefix`.
pub(crate) fn key_bytes(
    face: &StoreFace,
    text: &str,
    prefix: bool,
    options: &ServerOptions,
) -> Result<Vec<u8>, Problem> {
    let what = if prefix { "prefix" } else { "key" };
    check_length(what, text, options)?;
    face.key.parse(text, prefix).map_err(|e| {
        let hint = if face.windows.is_some() && !prefix {
            "; sums over hops are asked for at `/windows/KEY`, and `keys?under=KEY` lists hops"
        } else {
            ""
        };
        Problem::invalid(
            format!("store `{}`: {what} `{text}`: {e}", face.name),
            format!("keys are {}, parts with commas between{hint}", face.key.schema()),
        )
    })
}

/// A key that is longer than a key may be is not even read.
pub(crate) fn check_length(what: &str, text: &str, options: &ServerOptions) -> Result<(), Problem> {
    if text.len() <= options.key_bytes {
        return Ok(());
    }
    let detail = format!(
        "a {what} of {} bytes is asked for; at most {} are taken",
        text.len(),
        options.key_bytes
    );
    Err(Problem::beyond(StatusCode::PAYLOAD_TOO_LARGE, "key_bytes", detail))
}

/// Not more keys than a request may have.
pub(crate) fn check_count(keys: usize, options: &ServerOptions) -> Result<(), Problem> {
    if keys <= options.keys {
        return Ok(());
    }
    let detail = format!("{keys} keys are asked for; at most {} are taken", options.keys);
    Err(Problem::beyond(StatusCode::PAYLOAD_TOO_LARGE, "keys", detail))
}

/// Keys of a body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    /// Keys as text, parts with commas between.
    pub(crate) keys: Vec<String>,
    /// As in the question of a single key.
    #[serde(default)]
    pub(crate) accept_holes: bool,
    /// As in the question of a single key.
    #[serde(default)]
    pub(crate) at_least: Option<String>,
}

/// Why a body was not taken.
enum Cut {
    Busy,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Takes a body as it comes. Those of all requests together have a budget, which counts what has come and not what was announced: a
/// flood of them is refused, and who announces much and sends nothing takes nothing.
async fn taken(mut body: Limited<Body>, state: &State) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Cut> {
    let (mut bytes, mut room): (_, Option<OwnedSemaphorePermit>) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Cut::Failed)?.into_data() else {
            continue;
        };
        let had = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = state.bodies.grow(had, bytes.len() + data.len()) else {
            return Err(Cut::Busy);
        };
        match &mut room {
            None => room = Some(more),
            Some(room) => room.merge(more),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, room))
}

/// Reads a body of JSON within the limits of size and time.
pub(crate) async fn body<T: DeserializeOwned>(headers: &HeaderMap, body: Body, state: &State) -> Result<T, Problem> {
    let options = &state.options;
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(Problem::invalid(
            "the body must be JSON",
            "send `Content-Type: application/json`",
        ));
    }
    let most = options.body_bytes;
    let too_large = || {
        let detail = format!("the body is larger than {most} bytes");
        Problem::beyond(StatusCode::PAYLOAD_TOO_LARGE, "body_bytes", detail)
    };
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|n| n > most as u64) {
        return Err(too_large());
    }
    // Its room is given back when it is understood.
    let (bytes, _room) = match tokio::time::timeout(options.body_time, taken(Limited::new(body, most), state)).await {
        Err(_) => {
            let detail = format!("the body was not there within {} ms", options.body_time.as_millis());
            return Err(Problem::slow_body(detail));
        }
        Ok(Err(Cut::Busy)) => return Err(Problem::busy("the bodies of other requests are still being read")),
        Ok(Err(Cut::Failed(e))) if e.downcast_ref::<LengthLimitError>().is_some() => return Err(too_large()),
        Ok(Err(Cut::Failed(e))) => {
            return Err(Problem::invalid(
                format!("the body cannot be read: {e}"),
                "send it whole",
            ));
        }
        Ok(Ok(taken)) => taken,
    };
    serde_json::from_slice(&bytes)
        .map_err(|e| Problem::invalid(format!("the body cannot be read: {e}"), "/openapi.json shows its form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P30: what an answer says of itself is what a later read may demand.
    #[test]
    fn tokens_and_offsets_are_read() {
        let p = |n| SourcePartition::new("lines", n);
        let both = AtLeast([(p(0), 8120), (p(1), 900)].into());
        for text in ["7@f00d:lines/0=8120,lines/1=900", "lines/0=8120,lines/1=900"] {
            assert_eq!(AtLeast::parse(text).unwrap(), both);
        }
        assert_eq!(AtLeast::parse("7@f00d").unwrap(), AtLeast::default());
        for bad in [
            "7",
            "lines/0",
            "lines/x=1",
            "lines/0=-1",
            "7@f:lines/0",
            "lines=4",
            "lines/0=1;lines/1=2",
        ] {
            assert_eq!(AtLeast::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}

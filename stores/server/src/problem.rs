//! What went wrong, as `application/problem+json`: the kind, and what repairs it.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rufous_core::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

/// An error of this server (RFC 9457), which says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[must_use]
pub(crate) struct Problem {
    /// `urn:rufous:problem:` and a name that stays the same.
    #[serde(rename = "type")]
    of_type: String,
    /// The same for people.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What it is about: key, store, partition, offsets, option.
    detail: String,
    /// What the caller should do: `invalid_request`, `try_again`, `incomplete`, `corrupt_data`, `closed`, `bug`.
    kind: &'static str,
    /// How it is repaired.
    repair: Cow<'static, str>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &'static str, detail: String, kind: &'static str) -> Self {
        Self {
            of_type: format!("urn:rufous:problem:{name}"),
            title,
            status: status.as_u16(),
            detail,
            kind,
            repair: Cow::Borrowed(""),
            retry_after: None,
        }
    }
    fn repaired(mut self, repair: impl Into<Cow<'static, str>>) -> Self {
        self.repair = repair.into();
        self
    }
    fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A question that cannot be understood.
    pub(crate) fn invalid(detail: impl Into<String>, repair: impl Into<Cow<'static, str>>) -> Self {
        let title = "the request cannot be answered as it is";
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            title,
            detail.into(),
            "invalid_request",
        )
        .repaired(repair)
    }
    /// Something that is not there.
    pub(crate) fn not_found(name: &str, detail: String, repair: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            name,
            "there is no such thing",
            detail,
            "invalid_request",
        )
        .repaired(repair)
    }
    /// A method that a path does not have.
    pub(crate) fn method(method: &str, path: &str) -> Self {
        let detail = format!("`{path}` is not asked by {method}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "another method",
            detail,
            "invalid_request",
        )
        .repaired("the header `allow` and /openapi.json say which methods there are")
    }
    /// A request that goes beyond a limit of this server.
    pub(crate) fn beyond(status: StatusCode, limit: &str, detail: String) -> Self {
        let repair = format!("ask for less at a time; the limit is the option `{limit}` of `[serve]`");
        Self::new(
            status,
            "limit",
            "more than this server takes",
            detail,
            "invalid_request",
        )
        .repaired(repair)
    }
    /// No token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        let detail = "the request has no token that this server knows".to_string();
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "who asks is not known",
            detail,
            "invalid_request",
        )
        .repaired("send `Authorization: Bearer TOKEN` with a token of the server's file of tokens")
    }
    /// What this server does not do, or not for who asks.
    pub(crate) fn forbidden(detail: &str, repair: &'static str) -> Self {
        let title = "who asks may not do this";
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            title,
            detail.to_string(),
            "invalid_request",
        )
        .repaired(repair)
    }
    /// A console of a server that was given nothing to show.
    pub(crate) fn unobserved() -> Self {
        let detail = "this server was given nothing to show but the answers of its stores".to_string();
        Self::not_found(
            "no-console",
            detail,
            "`serve` of a job binary has a console; in a program, fill `Served.observed`",
        )
    }
    /// What was planned is not what would be done now.
    pub(crate) fn moved(detail: String) -> Self {
        let title = "the state has moved since this was planned";
        Self::new(StatusCode::CONFLICT, "moved", title, detail, "try_again").repaired("plan it again, and confirm that")
    }
    /// A name that is not of this machine, where nobody is asked for a token.
    pub(crate) fn misdirected(host: &str) -> Self {
        let detail = format!("the request asks `{host}`, which is no name that this machine has for itself");
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host",
            "only this machine is answered",
            detail,
            "invalid_request",
        )
        .repaired(
            "ask 127.0.0.1, [::1] or localhost; where others ask as well, start `serve` with a file of tokens (`--token-file`), or with \
             `--insecure` where another server asks who it is",
        )
    }
    /// The server has as much to do as it takes.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        let title = "the server has as much to do as it takes";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            title,
            detail.into(),
            "try_again",
        )
        .repaired("ask again after `retry-after` seconds")
        .after(1)
    }
    /// The client has as much under way as one may have; others are answered.
    pub(crate) fn flooding(detail: impl Into<String>, limit: &str, option: &str) -> Self {
        let title = "one client asks for more at a time than it may";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            title,
            detail.into(),
            "try_again",
        )
        .repaired(format!(
            "ask again after `retry-after` seconds, and for less at a time; {limit} the option `{option}` of `[serve]`"
        ))
        .after(1)
    }
    /// It took too long.
    pub(crate) fn late(detail: impl Into<String>) -> Self {
        let title = "the answer was not there in time";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "late",
            title,
            detail.into(),
            "try_again",
        )
        .repaired("ask again after `retry-after` seconds, or for less at a time")
        .after(1)
    }
    /// The body did not come.
    pub(crate) fn slow_body(detail: String) -> Self {
        let title = "the request was not there in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow-body", title, detail, "try_again")
            .repaired("send the body at once")
    }
    /// The server ends.
    pub(crate) fn ending() -> Self {
        let title = "the server ends";
        let detail = "this server is ending and begins no new reads".to_string();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ending", title, detail, "closed")
            .repaired("ask again after `retry-after` seconds, or another server")
            .after(2)
    }
    /// A mistake of ours.
    pub(crate) fn bug(detail: impl Into<String>) -> Self {
        let title = "a mistake of Rufous itself";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", title, detail.into(), "bug")
            .repaired("the server's log says more: please report it with this text")
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<&Error> for Problem {
    fn from(e: &Error) -> Self {
        let problem = Self::of_kind(e);
        // What the error itself says of its repair is nearer to it than what is said of its kind.
        match (e.repair(), e.kind()) {
            (Some(repair), ErrorKind::InvalidRequest) => problem.repaired(repair.to_string()),
            _ => problem,
        }
    }
}

impl Problem {
    fn of_kind(e: &Error) -> Self {
        let detail = match e.kind() {
            ErrorKind::InvalidRequest => e.message().to_string(),
            _ => e.to_string(),
        };
        match e.kind() {
            ErrorKind::InvalidRequest => Self::invalid(detail, "change the request as `detail` says"),
            ErrorKind::TryAgain => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "try-again",
                "no answer at present",
                detail,
                "try_again",
            )
            .repaired("ask again after `retry-after` seconds; `partial=true` answers with what is known and names what is missing")
            .after(1),
            ErrorKind::Incomplete => Self::new(
                StatusCode::CONFLICT,
                "incomplete",
                "a part of the answer was lost",
                detail,
                "incomplete",
            )
            .repaired("a backfill from the archive repairs it; `accept_holes=true` answers without the lost ranges and lists them"),
            ErrorKind::CorruptData => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "corrupt-data",
                "stored data contradicts itself",
                detail,
                "corrupt_data",
            )
            .repaired("the command `doctor` says what to do; `partial=true` answers without the realtime part where that is at fault"),
            ErrorKind::Closed => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "closed",
                "the state was closed",
                detail,
                "closed",
            )
            .repaired("start `serve` again")
            .after(5),
            _ => Self::bug(detail),
        }
    }
}

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        Self::from(&e)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

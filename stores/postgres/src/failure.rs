//! What an error of the server means to the caller.

use std::fmt;

use deadpool_postgres::{PoolError, TimeoutType};
use rufous_core::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

use crate::options::Location;

/// Why a step failed, before it is told.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server or the connection.
    Server(tokio_postgres::Error),
    /// No answer within this many milliseconds.
    Silent(u128),
    /// No connection.
    Pool(PoolError, usize),
    /// The end of a transaction.
    Commit(Box<Failure>),
    /// Our own.
    Own(Error),
}

/// The result of a step.
pub(crate) type Step<T> = Result<T, Failure>;

impl From<tokio_postgres::Error> for Failure {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Server(e)
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Own(e)
    }
}

/// What cannot be read back.
pub(crate) fn corrupt(what: impl fmt::Display) -> Failure {
    Failure::Own(Error::corrupt(what.to_string()))
}

/// What a step waited for or failed at, as an error: `what` says what was to be done.
pub(crate) fn told(at: &Location, schema: &str, what: &dyn fmt::Display, failure: Failure) -> Error {
    match failure {
        Failure::Own(e) => e,
        Failure::Commit(inner) => {
            let e = told(at, schema, what, *inner);
            let text =
                format!("{e}; it is not known whether this was written: acquire or read again before it is sent again");
            Error::new(e.kind(), text).caused_by(e)
        }
        Failure::Silent(ms) => Error::try_again(format!(
            "{what}: {at} did not answer within {ms} ms: see whether the server hangs"
        )),
        Failure::Pool(PoolError::Timeout(TimeoutType::Wait), n) => Error::try_again(format!(
            "{what}: all {n} connections to {at} are in use, and none came back in time: end snapshots sooner, or allow more connections"
        )),
        Failure::Pool(PoolError::Timeout(_), _) => Error::try_again(format!(
            "{what}: no connection to {at} could be made in time: see whether the server runs and answers"
        )),
        Failure::Pool(PoolError::Backend(e), _) => server(at, schema, &format_args!("{what}: cannot connect"), e),
        Failure::Pool(e, _) => Error::try_again(format!("{what}: no connection to {at}: {e}")),
        Failure::Server(e) => server(at, schema, what, e),
    }
}

fn server(at: &Location, schema: &str, what: &dyn fmt::Display, e: tokio_postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else {
        return without_answer(at, what, e);
    };
    let code = db.code();
    let said = db.message();
    let (kind, repair) = match code {
        c if *c == SqlState::INVALID_PASSWORD => (
            ErrorKind::InvalidRequest,
            format!("correct the password of user `{}` in the location", at.user()),
        ),
        c if *c == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            ErrorKind::InvalidRequest,
            format!(
                "let user `{}` log in to database `{}` (role, pg_hba.conf)",
                at.user(),
                at.database()
            ),
        ),
        c if *c == SqlState::INVALID_CATALOG_NAME => (
            ErrorKind::InvalidRequest,
            format!("create database `{}`, or correct the location", at.database()),
        ),
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE => (
            ErrorKind::InvalidRequest,
            format!(
                "grant user `{}` the right: who writes needs USAGE and CREATE on schema `{schema}` and owns its tables; who reads needs USAGE and SELECT",
                at.user()
            ),
        ),
        c if *c == SqlState::READ_ONLY_SQL_TRANSACTION => (
            ErrorKind::InvalidRequest,
            "the server only reads (a standby): name the primary".into(),
        ),
        c if *c == SqlState::FOREIGN_KEY_VIOLATION => (
            ErrorKind::Closed,
            "the namespace was deleted meanwhile (`gc --stopped`, `rebuild --delete`): start this process again".into(),
        ),
        c if *c == SqlState::UNDEFINED_TABLE
            || *c == SqlState::UNDEFINED_COLUMN
            || *c == SqlState::INVALID_SCHEMA_NAME =>
        {
            (
                ErrorKind::InvalidRequest,
                format!("schema `{schema}` was changed or the namespace deleted meanwhile: open it again"),
            )
        }
        c if *c == SqlState::UNTRANSLATABLE_CHARACTER || *c == SqlState::CHARACTER_NOT_IN_REPERTOIRE => (
            ErrorKind::InvalidRequest,
            "PostgreSQL keeps no text with a zero byte: change the name that has one".into(),
        ),
        c if *c == SqlState::DATA_CORRUPTED || *c == SqlState::INDEX_CORRUPTED => (
            ErrorKind::CorruptData,
            "restore the database, or rebuild the namespace".into(),
        ),
        c if *c == SqlState::DEPENDENT_OBJECTS_STILL_EXIST => (
            ErrorKind::InvalidRequest,
            "something of yours is made of these tables: drop it first".into(),
        ),
        c if *c == SqlState::DISK_FULL => (ErrorKind::TryAgain, "give the server's disk room".into()),
        c if *c == SqlState::QUERY_CANCELED || *c == SqlState::LOCK_NOT_AVAILABLE => (
            ErrorKind::TryAgain,
            "the time for a statement or a lock was over".into(),
        ),
        c if *c == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => (
            ErrorKind::TryAgain,
            "a snapshot was kept unused for too long: take another one".into(),
        ),
        // Of all of these nothing is left behind, and the same may succeed: connections, resources, an operator, the system,
        // a conflict of transactions.
        c if ["08", "53", "57", "58", "40", "55", "25"]
            .iter()
            .any(|class| c.code().starts_with(class)) =>
        {
            (ErrorKind::TryAgain, "nothing was left half-done".into())
        }
        c if *c == SqlState::SYNTAX_ERROR => (ErrorKind::Bug, "report it".into()),
        c if ["28", "3D", "3F", "0A", "42"]
            .iter()
            .any(|class| c.code().starts_with(class)) =>
        {
            (ErrorKind::InvalidRequest, "see what the server says".into())
        }
        _ => (ErrorKind::Bug, "see what the server says".into()),
    };
    Error::new(kind, format!("{what}: {at} says: {said} ({}); {repair}", code.code())).caused_by(e)
}

/// Whether TLS came as far as the certificate.
fn certificate(e: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(e);
    while let Some(e) = cause {
        // An I/O error gives its inner one by another way only.
        let inner = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = { inner }.map_or_else(|| e.downcast_ref(), |inner| inner.downcast_ref::<rustls::Error>());
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = e.source();
    }
    false
}

/// The connection, or what came over it.
fn without_answer(at: &Location, what: &dyn fmt::Display, e: tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(&e).map_or_else(String::new, |cause| format!(": {cause}"));
    if certificate(&e) {
        return Error::invalid(format!(
            "{what}: {at} shows a certificate that is not trusted{cause}: name the file of its authority with sslrootcert=FILE, and the \
             server as the certificate does"
        ))
        .caused_by(e);
    }
    if e.is_closed() || std::error::Error::source(&e).is_some_and(|c| c.is::<std::io::Error>()) {
        return Error::try_again(format!(
            "{what}: the connection to {at} failed ({e}{cause}): see whether the server runs"
        ))
        .caused_by(e);
    }
    if cause.contains("does not support TLS") {
        return Error::invalid(format!(
            "{what}: {at} does not support TLS, which sslmode asks for: turn it on there (ssl = on), or leave sslmode out"
        ))
        .caused_by(e);
    }
    let text = format!("{what}: {at}: {e}{cause}");
    // The driver tells these apart by their texts only.
    let shown = e.to_string();
    let kind = if shown.starts_with("error connecting") || shown.contains("timeout") {
        ErrorKind::TryAgain
    } else if shown.starts_with("invalid configuration") || shown.contains("TLS") || shown.contains("authentication") {
        ErrorKind::InvalidRequest
    } else if shown.starts_with("error deserializing") {
        ErrorKind::CorruptData
    } else if shown.starts_with("error serializing") {
        ErrorKind::Bug
    } else {
        ErrorKind::TryAgain
    };
    Error::new(kind, text).caused_by(e)
}

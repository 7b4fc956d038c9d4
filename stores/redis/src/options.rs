//! How a server is reached, and what it must promise.

use std::time::Duration;

use redis::{Client, IntoConnectionInfo};
use rufous_core::{Error, Result};

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// How long connecting and signing in may take.
    pub connect_timeout: Duration,
    /// How long an answer may take. A script that writes a large chunk keeps the server busy for about a second a million cells.
    pub response_timeout: Duration,
    /// Take a server that has no append-only file: a restart loses what it held since its last dump, or everything. What is lost
    /// is read again from the log, as far as the log reaches.
    pub accept_volatile: bool,
    /// How long a snapshot may rest between two reads. While one is held, writers keep what it sees.
    pub snapshot_lease: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            accept_volatile: false,
            snapshot_lease: Duration::from_secs(60),
        }
    }
}

/// A location as messages show it: without the password.
///
/// # Errors
/// `InvalidRequest` when it names no server.
pub fn shown(url: &str) -> Result<String> {
    Ok(client(url)?.1)
}

/// A client, and what messages call its server: never with a password.
pub(crate) fn client(url: &str) -> Result<(Client, String)> {
    let refused = |why: &str| {
        Error::invalid(format!(
            "`{}` names no Redis server ({why}): write redis://HOST:PORT/DATABASE, with USER:PASSWORD@ before the host if it asks for them",
            without_password(url)
        ))
    };
    if !url.starts_with("redis://") && !url.starts_with("redis+unix://") {
        return Err(refused(match url.split_once("://") {
            Some(("rediss", _)) => "this build has no TLS: use a tunnel, or a socket of this machine",
            _ => "it begins with neither redis:// nor redis+unix://",
        }));
    }
    // The driver's own words may have parts of the URL in them: only its category is shown.
    let info = url.into_connection_info().map_err(|e| refused(e.category()))?;
    let settings = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_tcp_settings(settings);
    // Answers are read as the older protocol has them, whatever the URL says.
    let spoken = info
        .redis_settings()
        .clone()
        .set_protocol(redis::ProtocolVersion::RESP2);
    let info = info.set_redis_settings(spoken);
    let location = match info.addr() {
        redis::ConnectionAddr::Unix(path) => {
            format!("redis+unix://{}?db={}", path.display(), info.redis_settings().db())
        }
        addr => format!("redis://{addr}/{}", info.redis_settings().db()),
    };
    let client = Client::open(info).map_err(|e| refused(e.category()))?;
    Ok((client, location))
}

/// What may be shown of a text that should be a URL.
fn without_password(url: &str) -> String {
    let shown = match url.rsplit_once('@') {
        Some((before, host)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://...@{host}"),
            None => format!("...@{host}"),
        },
        None => url.to_string(),
    };
    match shown.split_once('?') {
        Some((shown, _)) => format!("{shown}?..."),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_password() {
        let (_, location) = client("redis://me:s3cr3t@h.example:7000/4").unwrap();
        assert_eq!(location, "redis://h.example:7000/4");
        assert_eq!(client("redis://h/").unwrap().1, "redis://h:6379/0");
        let (_, location) = client("redis+unix:///run/r.sock?db=2&pass=s3cr3t").unwrap();
        assert_eq!(location, "redis+unix:///run/r.sock?db=2");
        for bad in [
            "",
            "me:s3cr3t@h",
            "http://me:s3cr3t@h",
            "redis://me:s3cr3t@h/x",
            "redis://me:s3cr3t@h:99999",
            "redis://me:s3@cr3t@/0?a=s3cr3t",
            "redis+unix://?pass=s3cr3t&db=s3cr3t",
            "rediss://me:s3cr3t@h",
        ] {
            let e = client(bad).err().unwrap();
            assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
            assert!(!e.to_string().contains("cr3t"), "{e}");
            assert!(e.to_string().contains("write redis://HOST:PORT/DATABASE"), "{e}");
        }
    }
}

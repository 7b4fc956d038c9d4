//! How a server is reached, and what it must promise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::{Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates};
use rufous_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

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
    /// Over TLS (`rediss://`): a file of certificates, in PEM, in place of the system's.
    pub root_certificates: Option<PathBuf>,
    /// How long a snapshot may rest between two reads. While one is held, writers keep what it sees.
    pub snapshot_lease: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            accept_volatile: false,
            root_certificates: None,
            snapshot_lease: Duration::from_secs(60),
        }
    }
}

/// A location as messages show it: without the password.
///
/// # Errors
/// `InvalidRequest` when it names no server, or its certificates are none.
pub fn shown(url: &str, options: &RedisOptions) -> Result<String> {
    Ok(client(url, options.root_certificates.as_deref())?.1)
}

/// A client, and what messages call its server: never with a password.
pub(crate) fn client(url: &str, root_certificates: Option<&Path>) -> Result<(Client, String)> {
    let refused = |why: &str| {
        Error::invalid(format!(
            "`{}` names no Redis server ({why}): write redis://HOST:PORT/DATABASE, with USER:PASSWORD@ before the host if it asks for them",
            without_password(url)
        ))
    };
    if !["redis://", "rediss://", "redis+unix://"]
        .iter()
        .any(|form| url.starts_with(form))
    {
        return Err(refused("it begins with none of redis://, rediss:// and redis+unix://"));
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
        ConnectionAddr::Unix(path) => {
            format!("redis+unix://{}?db={}", path.display(), info.redis_settings().db())
        }
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(refused(
                "a certificate that nobody checks says nothing: leave #insecure out",
            ));
        }
        addr @ ConnectionAddr::TcpTls { .. } => format!("rediss://{addr}/{}", info.redis_settings().db()),
        addr => format!("redis://{addr}/{}", info.redis_settings().db()),
    };
    let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let client = match root_certificates {
        Some(file) if !encrypted => {
            return Err(Error::invalid(format!(
                "{location} is no place for TLS, and certificates are named ({}): write rediss://, or leave them out",
                file.display()
            )));
        }
        None if !encrypted => Client::open(info),
        file => {
            // The driver asks for the one of the process; two might be compiled in. It fails when there is one already.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: file.map(|file| authorities(file, &location)).transpose()?,
            };
            Client::build_with_tls(info, certificates)
        }
    };
    Ok((client.map_err(|e| refused(e.category()))?, location))
}

/// The certificates in a file, which the driver takes for none when it finds none.
fn authorities(file: &Path, location: &str) -> Result<Vec<u8>> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "the certificates for {location} cannot be read in {}: {why}; name a file of certificates in PEM (`root_certificates`)",
            file.display()
        ))
    };
    let pem = std::fs::read(file).map_err(|e| unreadable(&e))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|e| unreadable(&e))?;
        found += 1;
    }
    if found == 0 {
        return Err(unreadable(&"there are none"));
    }
    Ok(pem)
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

    fn client_of(url: &str) -> Result<(Client, String)> {
        client(url, None)
    }

    #[test]
    fn no_message_shows_a_password() {
        let (_, location) = client_of("redis://me:s3cr3t@h.example:7000/4").unwrap();
        assert_eq!(location, "redis://h.example:7000/4");
        assert_eq!(client_of("redis://h/").unwrap().1, "redis://h:6379/0");
        assert_eq!(client_of("rediss://me:s3cr3t@h/2").unwrap().1, "rediss://h:6379/2");
        let (_, location) = client_of("redis+unix:///run/r.sock?db=2&pass=s3cr3t").unwrap();
        assert_eq!(location, "redis+unix:///run/r.sock?db=2");
        for bad in [
            "",
            "me:s3cr3t@h",
            "http://me:s3cr3t@h",
            "redis://me:s3cr3t@h/x",
            "redis://me:s3cr3t@h:99999",
            "redis://me:s3@cr3t@/0?a=s3cr3t",
            "redis+unix://?pass=s3cr3t&db=s3cr3t",
            "rediss://me:s3cr3t@h/0#insecure",
        ] {
            let e = client_of(bad).err().unwrap();
            assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
            assert!(!e.to_string().contains("cr3t"), "{e}");
            assert!(e.to_string().contains("write redis://HOST:PORT/DATABASE"), "{e}");
        }
    }
}

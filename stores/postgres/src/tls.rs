//! TLS, where a location asks for it. Who asks gets a server whose certificate was checked, with its name, or an error: encryption
//! alone would not say who answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The options of a location that are ours to read: the driver knows neither.
const MODE: &str = "sslmode";
const ROOTS: &str = "sslrootcert";

/// What a location says of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whether a connection without it is refused.
    pub(crate) tls: bool,
    /// A file of certificates in place of the system's.
    pub(crate) roots: Option<PathBuf>,
}

/// Takes what it says of TLS out of a location.
///
/// # Errors
/// `InvalidRequest` for a mode that there is not.
pub(crate) fn split(url: &str) -> Result<(String, Asked)> {
    let mut asked = Asked::default();
    let Some((before, query)) = url.split_once('?') else {
        return Ok((url.into(), asked));
    };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((MODE, mode)) => {
                asked.tls = match mode {
                    "disable" | "allow" | "prefer" => false,
                    "require" | "verify-ca" | "verify-full" => true,
                    _ => {
                        return Err(Error::invalid(
                            "the location of a PostgreSQL database has an sslmode that there is not: use verify-full, or disable",
                        ));
                    }
                }
            }
            Some((ROOTS, file)) => asked.roots = Some(decoded(file)),
            _ => rest.push(pair),
        }
    }
    if asked.roots.is_some() && !asked.tls {
        return Err(Error::invalid(
            "the location of a PostgreSQL database names certificates (sslrootcert), and does not ask for TLS: add sslmode=verify-full",
        ));
    }
    let url = match rest.is_empty() {
        true => before.into(),
        false => format!("{before}?{}", rest.join("&")),
    };
    Ok((url, asked))
}

/// A path as a URL has it.
fn decoded(text: &str) -> PathBuf {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match (first, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = more;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&out).into_owned())
}

/// What connects with certificates of this file, or the system's.
///
/// # Errors
/// `InvalidRequest` when there are none that could be trusted.
pub(crate) fn connector(roots: Option<&Path>) -> Result<MakeRustlsConnect> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(file) => {
            let unreadable = |why: &dyn std::fmt::Display| {
                Error::invalid(format!(
                    "the certificates in {} (sslrootcert) cannot be read: {why}; name a file of certificates in PEM",
                    file.display()
                ))
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(&e))? {
                let certificate = certificate.map_err(|e| unreadable(&e))?;
                trusted.add(certificate).map_err(|e| unreadable(&e))?;
            }
            if trusted.is_empty() {
                return Err(unreadable(&"there are none"));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            trusted.add_parsable_certificates(found.certs);
            if trusted.is_empty() {
                return Err(Error::invalid(
                    "this system has no trusted certificates: install them (ca-certificates), or add sslrootcert=FILE to the location",
                ));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::bug(format!("no version of TLS is there: {e}")).caused_by(e))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_tls_is_taken_out() {
        let of = |url: &str| split(url).unwrap();
        let plain = Asked::default();
        assert_eq!(of("postgres://u@h/d"), ("postgres://u@h/d".into(), plain.clone()));
        assert_eq!(
            of("postgres://u@h/d?sslmode=prefer&connect_timeout=3"),
            ("postgres://u@h/d?connect_timeout=3".into(), plain)
        );
        let (url, asked) = of("postgres://u@a,b/d?options=-c%20x&sslrootcert=/etc/%C3%A9%20x.pem&sslmode=verify-full");
        assert_eq!(url, "postgres://u@a,b/d?options=-c%20x");
        assert_eq!(
            (asked.tls, asked.roots),
            (true, Some(PathBuf::from("/etc/\u{e9} x.pem")))
        );
        assert!(of("postgres://u@h/d?sslmode=require").1.tls);
        for wrong in [
            "postgres://u:s3cr3t@h/d?sslmode=s3cr3t",
            "postgres://u:s3cr3t@h/d?sslrootcert=/s3cr3t",
        ] {
            let e = split(wrong).unwrap_err().to_string();
            assert!(!e.contains("s3cr3t") && e.contains("verify-full"), "{e}");
        }
        assert_eq!(decoded("%zz%4"), PathBuf::from("%zz%4"));
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for file in [empty, dir.path().join("missing.pem")] {
            let e = connector(Some(&file)).err().unwrap().to_string();
            assert!(
                e.contains("sslrootcert") && e.contains(&*file.display().to_string()),
                "{e}"
            );
        }
    }
}

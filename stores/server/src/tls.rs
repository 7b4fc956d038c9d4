//! TLS by certificate and key files.

use std::sync::Arc;

use rufous_core::{Error, Result};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::options::TlsFiles;

/// Greets clients.
pub(crate) type Tls = TlsAcceptor;

/// Reads certificate and key, once.
///
/// # Errors
/// `InvalidRequest` with the file when one cannot be used.
pub(crate) fn tls(files: &TlsFiles) -> Result<Tls> {
    let wrong = |what: &str, path: &std::path::Path, e: &dyn std::fmt::Display| {
        Error::invalid(format!("the TLS {what} {}: {e}; give a PEM file", path.display()))
    };
    let certificate = |e: &dyn std::fmt::Display| wrong("certificate", &files.certificate, e);
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(|e| certificate(&e))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|e| certificate(&e))?;
    if chain.is_empty() {
        return Err(certificate(&"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong("key", &files.key, &e))?;
    // Said here: another crate of the program may have another provider.
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::bug(format!("TLS cannot begin: {e}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| wrong("key", &files.key, &e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

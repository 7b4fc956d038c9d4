//! Certificates of an authority that exists for one test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's own: who has it trusts the server.
    pub authority: PathBuf,
    /// The server's, for the address 127.0.0.1 and no name.
    pub server: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Makes an authority and a certificate of a server at 127.0.0.1, in files of a directory.
///
/// # Errors
/// When they cannot be written.
pub fn of_loopback(dir: &Path) -> io::Result<Certificates> {
    let failed = |e: rcgen::Error| io::Error::other(e.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let its_own = authority.self_signed(&key).map_err(failed)?;
    let issuer = Issuer::new(authority, key);
    let server_key = KeyPair::generate().map_err(failed)?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_string()]).map_err(failed)?;
    let server = server.signed_by(&server_key, &issuer).map_err(failed)?;
    let made = Certificates {
        authority: dir.join("authority.pem"),
        server: dir.join("server.pem"),
        key: dir.join("server.key"),
    };
    fs::write(&made.authority, its_own.pem())?;
    fs::write(&made.server, server.pem())?;
    fs::write(&made.key, server_key.serialize_pem())?;
    Ok(made)
}

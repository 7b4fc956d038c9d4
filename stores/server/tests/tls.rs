//! The same answers over TLS, and nothing without it.
#![cfg(feature = "tls")]

mod support;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rufous_server::{ServerOptions, TlsFiles};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::*;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls_files")
        .join(name)
}

fn options(certificate: &str, key: &str) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.tls = Some(TlsFiles {
        certificate: file(certificate),
        key: file(key),
    });
    options
}

#[test]
fn answers_over_tls() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let bound = w.server(options("certificate.pem", "key.pem")).bind("0").unwrap();
    assert!(bound.url().starts_with("https://127.0.0.1:"));
    drop(bound);
    let s = w.serve(options("certificate.pem", "key.pem"));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("certificate.pem")).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, http::connect(s.address));
    for _ in 0..3 {
        stream
            .write_all(&http::request("GET", "/v1/stores/counts/keys/a", &[], b""))
            .unwrap();
        assert_eq!(http::read(&mut BufReader::new(&mut stream)).unwrap().fine()["value"], 1);
    }
    // Who does not speak it gets no answer, and keeps nobody from one.
    let mut plain = TcpStream::connect(s.address).unwrap();
    plain
        .write_all(&http::request("GET", "/v1/stores/counts/keys/a", &[], b""))
        .unwrap();
    assert!(http::head(&mut BufReader::new(plain)).is_none());
    stream.write_all(&http::request("GET", "/healthz", &[], b"")).unwrap();
    http::read(&mut BufReader::new(&mut stream)).unwrap().fine();
}

#[test]
fn files_that_are_none_are_named() {
    let w = World::default();
    for (certificate, key, named) in [
        ("none.pem", "key.pem", "none.pem"),
        ("certificate.pem", "none.pem", "none.pem"),
        ("key.pem", "key.pem", "key.pem"),
        ("certificate.pem", "certificate.pem", "certificate.pem"),
    ] {
        let e = w.server(options(certificate, key)).bind("0").map(|_| ()).unwrap_err();
        assert!(e.to_string().contains(named), "{e}");
        assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
    }
}

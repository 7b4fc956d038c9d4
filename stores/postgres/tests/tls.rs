//! TLS: who asks for it gets a server that was checked, or an error; never one that was not.

mod bed;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use bed::{List, acquire, commit, counts, open, part, step};
use rufous_core::{BatchId, ErrorKind, Frontier, key};
use rufous_store_api::RealtimeReader;
use rufous_test_servers::certificates::{Certificates, of_loopback};
use rufous_test_servers::postgres;

/// A server with certificates; over the network it takes only who speaks TLS.
fn server() -> (postgres::Server, Certificates, tempfile::TempDir) {
    let mut server = postgres::Server::start(&[("fsync", "off")]).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let made = of_loopback(outside.path()).unwrap();
    let inside = |file: &Path| {
        let to = server.dir().join(file.file_name().unwrap());
        fs::copy(file, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(uid) = server.uid() {
            chown(&to, Some(uid), None).unwrap();
        }
        to.display().to_string()
    };
    let (certificate, key) = (inside(&made.server), inside(&made.key));
    for setting in [
        format!("ssl_cert_file = '{certificate}'"),
        format!("ssl_key_file = '{key}'"),
        "ssl = on".into(),
    ] {
        server.sql("postgres", &format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    server.restart().unwrap();
    (server, made, outside)
}

#[test]
fn who_asks_for_tls_gets_it_or_an_error() {
    let (server, made, _files) = server();
    let url = server.database("tls").unwrap();
    let trusting = format!("{url}?sslmode=verify-full&sslrootcert={}", made.authority.display());
    let store = open(&trusting, &counts()).unwrap();
    let row = acquire(&store, &["counts"], &part(0));
    commit(
        &store,
        &[step(&part(0), &row, 1, 0)],
        &[("counts", &List::of(&[(0, 0, "a", 7u64)]))],
    )
    .unwrap();
    let cells = store
        .snapshot()
        .unwrap()
        .cells("counts", &[key::to_bytes("a")], &Frontier::default());
    assert_eq!(cells.unwrap()[0][0].batch, BatchId(0));
    let how = "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'rufous'";
    assert_eq!(server.sql_at(&url, how).unwrap(), "t");

    // An authority that the server's certificate is not of.
    let other = tempfile::tempdir().unwrap();
    let other = of_loopback(other.path())
        .map(|c| fs::read(c.authority).unwrap())
        .unwrap();
    let file = made.authority.with_file_name("other.pem");
    fs::write(&file, other).unwrap();
    let wrong = format!("{url}?sslmode=verify-full&sslrootcert={}", file.display());
    let by_name = trusting.replace("127.0.0.1", "localhost");
    for (what, url) in [
        ("authority", &wrong),
        ("name", &by_name),
        ("system", &format!("{url}?sslmode=require")),
    ] {
        let e = open(url, &counts()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{what}: {e}");
        assert!(e.to_string().contains("sslrootcert"), "{what}: {e}");
        assert!(!format!("{e} {e:?}").contains(postgres::PASSWORD), "{e:?}");
    }
}

/// A server without TLS is not spoken to in the clear by one who asked for it.
#[test]
fn a_server_without_tls_is_refused() {
    let url = postgres::shared().database("clear").unwrap();
    let files = tempfile::tempdir().unwrap();
    let made = of_loopback(files.path()).unwrap();
    let asks = format!("{url}?sslmode=require&sslrootcert={}", made.authority.display());
    let e = open(&asks, &counts()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
    assert!(e.to_string().contains("does not support TLS"), "{e}");
    open(&url, &counts()).unwrap();
}

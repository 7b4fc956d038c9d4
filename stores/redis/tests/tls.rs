//! TLS: who asks for it gets a server that was checked, or an error; never one that was not.

mod bed;

use std::fs;

use bed::*;
use rufous_core::ErrorKind;
use rufous_store_api::RealtimeReader;
use rufous_store_redis::RedisOptions;
use rufous_test_servers::certificates::of_loopback;
use rufous_test_servers::free_port;
use rufous_test_servers::redis::RedisSetup;

const SECRET: &str = "s3cr3t-of-a-test";

#[test]
fn who_asks_for_tls_gets_it_or_an_error() {
    let files = tempfile::tempdir().unwrap();
    let made = of_loopback(files.path()).unwrap();
    let port = free_port().unwrap();
    let server = RedisSetup::durable("no")
        .with(&format!("tls-port {port}"))
        .with(&format!("tls-cert-file {}", made.server.display()))
        .with(&format!("tls-key-file {}", made.key.display()))
        .with(&format!("tls-ca-cert-file {}", made.authority.display()))
        .with("tls-auth-clients no")
        .with(&format!("requirepass {SECRET}"))
        .signed_in_as("default", SECRET)
        .start()
        .unwrap();
    let url = format!("rediss://default:{SECRET}@127.0.0.1:{port}/0");
    let with = |file: &std::path::Path| RedisOptions {
        root_certificates: Some(file.into()),
        ..options()
    };
    let store = try_open(&url, &with(&made.authority)).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a", "b", "a"]);
    assert_eq!(total(&*store.snapshot().unwrap(), "a"), 2);
    // The same server, in the clear.
    let clear = open(&server);
    assert_eq!(total(&*clear.snapshot().unwrap(), "a"), 2);

    let elsewhere = tempfile::tempdir().unwrap();
    let other = of_loopback(elsewhere.path()).unwrap();
    let none = files.path().join("none.pem");
    fs::write(&none, "no certificate").unwrap();
    let in_the_clear = server.url();
    for (what, url, options, words) in [
        ("another authority", url.as_str(), with(&other.authority), "certificate"),
        ("the system's", &url, options(), "certificate"),
        (
            "another name",
            &url.replace("127.0.0.1", "localhost"),
            with(&made.authority),
            "certificate",
        ),
        (
            "no certificate",
            &url,
            with(&none),
            "name a file of certificates in PEM",
        ),
        ("no file", &url, with(&files.path().join("missing")), "missing"),
        ("no TLS", &in_the_clear, with(&made.authority), "write rediss://"),
        (
            "unchecked",
            &format!("{url}#insecure"),
            options(),
            "leave #insecure out",
        ),
    ] {
        let e = try_open(url, &options).err().expect(what);
        assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{what}: {e}");
        assert!(e.to_string().contains(words), "{what}: {e}");
        assert!(!format!("{e} {e:?}").contains(SECRET), "{e:?}");
    }
}

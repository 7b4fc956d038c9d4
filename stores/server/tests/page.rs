//! The console's page: anybody who may speak to the server gets its files, and nothing of the job.

mod support;

use rufous_server::{ServerOptions, Tokens};
use support::*;

const TOKEN: &str = "0123456789abcdef";

fn with_tokens() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.tokens = Some(Tokens::parse(TOKEN, "test").unwrap());
    options
}

#[test]
fn the_page_needs_no_token_and_what_it_asks_does() {
    let s = World::default().serve(with_tokens());
    let page = s.get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let text = String::from_utf8(page.body).unwrap();
    for file in ["/console/app.js", "/console/theme.css"] {
        assert!(text.contains(file), "{text}");
        assert_eq!(s.get(file).status, 200);
    }
    for asked in [
        "/v1/stores",
        "/openapi.json",
        "/v1/console/job",
        "/metrics",
        "//",
        "/console",
    ] {
        s.get(asked).problem(401);
    }
}

#[test]
fn the_page_runs_its_own_files_only() {
    let s = World::default().serve(ServerOptions::default());
    for path in ["/", "/console/app.js", "/console/theme.css", "/console/icon.svg"] {
        let file = s.get(path);
        let policy = file.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(file.header("referrer-policy"), Some("no-referrer"));
    }
    assert_eq!(
        s.get("/console/app.js").header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
}

#[test]
fn a_file_that_is_known_is_not_sent_again() {
    let s = World::default().serve(ServerOptions::default());
    let first = s.get("/console/app.js");
    let tag = first.header("etag").unwrap();
    let again = http::ask(s.address, "GET", "/console/app.js", &[("if-none-match", tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag));
    assert_ne!(s.get("/console/dom.js").header("etag"), Some(tag));
    let other = http::ask(s.address, "GET", "/console/app.js", &[("if-none-match", "\"0\"")], b"");
    assert_eq!((other.status, other.body), (200, first.body));
}

#[test]
fn what_is_no_file_is_named() {
    let s = World::default().serve(ServerOptions::default());
    for path in [
        "/console/app.mjs",
        "/console/..%2fCargo.toml",
        "/console/index.html%00",
        "/console/%2e%2e",
    ] {
        let problem = s.get(path).problem(404);
        assert!(problem["repair"].as_str().unwrap().contains('/'), "{problem}");
    }
    http::ask(s.address, "POST", "/", &[], b"").problem(405);
}

/// A page whose name was bound anew to this machine gets not even the files.
#[test]
fn a_foreign_name_gets_no_page() {
    let s = World::default().serve(ServerOptions::default());
    let request = b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let mut stream = http::connect(s.address);
    std::io::Write::write_all(&mut stream, request).unwrap();
    let answer = http::read(&mut std::io::BufReader::new(stream)).unwrap();
    answer.problem(421);
}

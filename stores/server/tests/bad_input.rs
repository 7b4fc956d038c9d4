//! Whatever is sent gets an answer that says what is wrong and how it is repaired, at the cost of one request.

mod support;

use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

use rufous_core::key::to_bytes;
use rufous_server::{ServerOptions, Tokens};
use serde_json::json;
use support::*;

fn small() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.head_time = Duration::from_millis(300);
    options.body_time = Duration::from_millis(300);
    options
}

fn world() -> World {
    let mut w = World::default();
    w.count(&[("a", 1), ("b", 2)]);
    w
}

fn still_answers(s: &Running) {
    assert_eq!(s.get("/v1/stores/counts/keys/a").fine()["value"], 1);
}

#[test]
fn what_is_not_there_is_named_with_its_nearest() {
    let w = world();
    let s = w.serve(small());
    let problem = s.get("/v1/stores/count/keys/a").problem(404);
    assert!(problem["detail"].as_str().unwrap().contains("`count`"), "{problem}");
    assert!(
        problem["repair"].as_str().unwrap().contains("did you mean `counts`?"),
        "{problem}"
    );
    let problem = s.get("/v2/anything").problem(404);
    assert!(
        problem["detail"].as_str().unwrap().contains("`/v2/anything`"),
        "{problem}"
    );
    let answer = http::ask(s.address, "DELETE", "/v1/stores/counts/keys/a", &[], b"");
    answer.problem(405);
    assert!(answer.header("allow").is_some_and(|a| a.contains("GET")));
    for path in [
        "/v1/stores/../../../etc/passwd",
        "/v1/stores/..%2f..%2fetc%2fpasswd/keys/a",
        "/v1/stores/counts/../../etc/passwd",
        "/../etc/passwd",
        "//etc/passwd",
        "/v1/stores/%00/keys/a",
    ] {
        s.get(path).problem(404);
    }
    assert!(s.get("/v1/stores/counts/keys/..%2f..%2fetc%2fpasswd").fine()["value"].is_null());
}

#[test]
fn keys_that_are_none_say_what_keys_are() {
    let w = world();
    let s = w.serve(small());
    for path in ["x", "x,y", "x,1,2", "x,-1", "x,4294967296", ",", "%2C"] {
        let problem = s.get(&format!("/v1/stores/hours/keys/{path}")).problem(400);
        assert!(problem["repair"].as_str().unwrap().contains("(text,u32)"), "{problem}");
    }
    let problem = s.get("/v1/stores/views/keys/home").problem(400);
    assert!(problem["repair"].as_str().unwrap().contains("/windows/"), "{problem}");
    s.get("/v1/stores/counts/keys/%ff%fe").problem(400);
    s.get("/v1/stores/counts/windows/a?last=1h").problem(400);
    s.get("/v1/stores/views/sum").problem(400);
    s.get("/v1/stores/counts/keys/a?partial=maybe").problem(400);
    let problem = s.get("/v1/stores/counts/keys/a?accept_hole=true").problem(400);
    assert!(
        problem["detail"].as_str().unwrap().contains("accept_holes"),
        "{problem}"
    );
    s.get("/v1/stores/counts/keys?limit=-1").problem(400);
    s.get("/v1/stores/counts/keys?limit=0").problem(400);
    s.get("/v1/stores/counts/keys?cursor=***").problem(400);
    s.get("/v1/stores/counts/top?n=99999999999999999999").problem(400);
}

#[test]
fn bodies_that_are_none_say_so() {
    let w = world();
    let s = w.serve(small());
    let path = "/v1/stores/counts/get";
    let json = [("content-type", "application/json")];
    for body in [
        &b"{"[..],
        b"[]",
        b"{\"keys\": \"a\"}",
        b"{\"keys\": [1]}",
        b"{\"keys\": [\"a\"], \"what\": 1}",
        b"{\"keys\": []}",
        b"{\"keys\": [\"\xff\"]}",
        b"null",
    ] {
        http::ask(s.address, "POST", path, &json, body).problem(400);
    }
    http::ask(s.address, "POST", path, &[], b"{\"keys\": [\"a\"]}").problem(400);
    http::ask(
        s.address,
        "POST",
        path,
        &[("content-type", "text/plain")],
        b"{\"keys\": [\"a\"]}",
    )
    .problem(400);
    let deep = "[".repeat(100_000);
    http::ask(s.address, "POST", path, &json, deep.as_bytes()).problem(400);
    still_answers(&s);
}

/// Every limit is named by its option.
#[test]
fn what_is_too_much_is_refused() {
    let w = world();
    let s = w.serve(small());
    let path = "/v1/stores/counts/get";
    let names = |answer: http::Answer, status: u16, option: &str| {
        let problem = answer.problem(status);
        assert!(
            problem["repair"].as_str().unwrap().contains(&format!("`{option}`")),
            "{problem}"
        );
    };
    let long = "k".repeat(5000);
    names(s.get(&format!("/v1/stores/counts/keys/{long}")), 413, "key_bytes");
    names(s.post(path, &json!({ "keys": [long] })), 413, "key_bytes");
    names(
        s.get(&format!("/v1/stores/counts/keys/{}", "k".repeat(9000))),
        414,
        "uri_bytes",
    );
    let many = vec!["k"; 100_000];
    names(s.post(path, &json!({ "keys": many })), 413, "keys");
    // A million keys, a key of 10 MB: more than a body may have.
    names(
        s.post(path, &json!({ "keys": vec!["k"; 1_000_000] })),
        413,
        "body_bytes",
    );
    names(
        s.post(path, &json!({ "keys": ["k".repeat(10 << 20)] })),
        413,
        "body_bytes",
    );
    let answer = s.get(&format!("/v1/stores/counts/keys/{}", "k".repeat(10 << 20)));
    assert!(matches!(answer.status, 414 | 431), "{answer:?}");
    names(s.get("/v1/stores/counts/keys?limit=10001"), 413, "rows");
    names(s.get("/v1/stores/counts/top?n=10001"), 413, "rows");
    let answer = s.get("/v1/stores/views/windows/a?since=1970-01-01&end=1975-01-01&every=1h");
    names(answer, 413, "rows");
    // Without a length it is counted as it comes.
    let mut stream = http::connect(s.address);
    let head = http::request(
        "POST",
        path,
        &[("content-type", "application/json"), ("transfer-encoding", "chunked")],
        b"",
    );
    stream.write_all(&head).unwrap();
    let chunk = [
        format!("{:x}\r\n", 1 << 16).into_bytes(),
        vec![b' '; 1 << 16],
        b"\r\n".to_vec(),
    ]
    .concat();
    for _ in 0..17 {
        // It may have been refused before all is sent.
        let _ = stream.write_all(&chunk);
    }
    names(http::read(&mut BufReader::new(stream)).unwrap(), 413, "body_bytes");
    still_answers(&s);
}

/// Any of the tokens opens every door but that of `/healthz`; what is no token opens none, and is nowhere repeated.
#[test]
fn who_has_no_token_is_not_answered() {
    let w = world();
    let mut options = small();
    options.tokens = Some(Tokens::parse("correct-horse-battery\nanother-good-token", "test").unwrap());
    let s = w.serve(options);
    for path in [
        "/v1/stores/counts/keys/a",
        "/v1/stores",
        "/openapi.json",
        "/metrics",
        "/readyz",
        "/nothing",
    ] {
        let answer = s.get(path);
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        for wrong in [
            "Bearer correct-horse-batterz",
            "Bearer",
            "Basic Y29ycmVjdA==",
            "correct-horse-battery",
        ] {
            let answer = s.get_with(path, &[("authorization", wrong)]);
            assert!(!answer.problem(401).to_string().contains("horse"));
        }
    }
    for right in ["Bearer correct-horse-battery", "bearer another-good-token"] {
        let answer = s.get_with("/v1/stores/counts/keys/a", &[("authorization", right)]);
        assert_eq!(answer.fine()["value"], 1);
    }
    s.get("/healthz").fine();
}

/// A page of another origin whose name was bound anew to this machine reads nothing: without tokens a host is answered only
/// when it is this machine by its own name. Who sends a token, or is let in by somebody's word, is asked for no name.
#[test]
fn a_name_that_is_not_of_this_machine_is_not_answered() {
    let w = world();
    let by = |s: &Running, line: &str, hosts: &[&str]| {
        let mut stream = http::connect(s.address);
        let hosts: String = hosts.iter().map(|h| format!("host: {h}\r\n")).collect();
        let token = "authorization: Bearer correct-horse-battery\r\n";
        write!(stream, "GET {line} HTTP/1.1\r\n{hosts}{token}connection: close\r\n\r\n").unwrap();
        http::read(&mut BufReader::new(stream)).unwrap()
    };
    let path = "/v1/stores/counts/keys/a";
    let own = [
        "127.0.0.1",
        "127.9.8.7:80",
        "localhost",
        "LocalHost:8080",
        "[::1]",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
    ];
    let foreign = [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[2001:db8::1]:80",
        "localhost@evil.example",
        "evil.example@",
        "",
    ];
    let s = w.serve(small());
    for host in own {
        assert_eq!(by(&s, path, &[host]).fine()["value"], 1, "{host}");
    }
    for host in foreign {
        let problem = by(&s, path, &[host]).problem(421);
        assert!(
            problem["repair"].as_str().unwrap().contains("--token-file"),
            "{problem}"
        );
        for other in ["/v1/stores", "/metrics", "/openapi.json", "/nothing"] {
            by(&s, other, &[host]).problem(421);
        }
    }
    // Wherever the name stands.
    by(&s, &format!("http://evil.example{path}"), &["localhost"]).problem(421);
    by(&s, path, &["localhost", "evil.example"]).problem(421);
    by(&s, "/healthz", &["evil.example"]).fine();
    let (mut insecure, mut closed) = (small(), small());
    insecure.insecure = true;
    closed.tokens = Some(Tokens::parse("correct-horse-battery", "test").unwrap());
    for options in [insecure, closed] {
        let s = w.serve(options);
        assert_eq!(by(&s, path, &["counts.example"]).fine()["value"], 1);
    }
}

/// Others than this machine are let in only by tokens, or where somebody says so.
#[test]
fn an_open_address_is_meant() {
    let w = world();
    let bind = |options: ServerOptions| w.server(options).bind("0.0.0.0:0").map(|b| b.address());
    let e = bind(ServerOptions::default()).unwrap_err().to_string();
    assert!(e.contains("--token-file") && e.contains("--insecure"), "{e}");
    let mut options = ServerOptions::default();
    options.insecure = true;
    assert!(bind(options.clone()).is_ok());
    options.insecure = false;
    options.tokens = Some(Tokens::parse("correct-horse-battery", "test").unwrap());
    assert!(bind(options).is_ok());
    let first = w.server(ServerOptions::default()).bind("127.0.0.1:0").unwrap();
    let taken = first.address().to_string();
    for bad in [taken.as_str(), "nowhere", "127.0.0.1:99999", ""] {
        let e = w.server(ServerOptions::default()).bind(bad).map(|_| ()).unwrap_err();
        assert!(e.to_string().contains(&format!("address `{bad}`")), "{e}");
    }
}

/// A head that comes a byte at a time, one that never ends, a body that never comes: each has its time, and then its place is free.
#[test]
fn who_is_slow_is_let_go() {
    let w = world();
    let mut options = small();
    options.connections = 5;
    let s = w.serve(options);
    let began = Instant::now();
    let mut idle = http::connect(s.address);
    let mut drips = http::connect(s.address);
    drips.write_all(b"GET /healthz HT").unwrap();
    let mut body = http::connect(s.address);
    let head = b"POST /v1/stores/counts/get HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    body.write_all(head).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    // One more than a client has places for.
    let refused = s.get("/healthz");
    refused.problem(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let mut body = BufReader::new(body);
    http::read(&mut body).unwrap().problem(408);
    let mut rest = Vec::new();
    for stream in [&mut idle, &mut drips] {
        // Closed: with an answer, or without one.
        let _ = stream.read_to_end(&mut rest);
    }
    drop(body);
    assert!(began.elapsed() < Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(50));
    still_answers(&s);
}

/// Answers that nobody takes are bounded in bytes and in time, though their clients take a byte now and then: others are answered
/// meanwhile, and then there is room again.
#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut w = World::default();
    let long = "x".repeat(4000);
    let adds: Vec<_> = (0..2000u32)
        .map(|i| ("counts", to_bytes(&format!("{long}{i:05}")), 1))
        .collect();
    w.commit(&adds);
    w.publish();
    let mut options = ServerOptions::default();
    options.answer_bytes = 9 << 20;
    options.write_time = Duration::from_secs(6);
    options.write_rate = 1 << 20;
    let s = w.serve(options);
    // 8 MB: there is room for one.
    let path = "/v1/stores/counts/keys?limit=2000";
    let mut slow = http::connect(s.address);
    slow.write_all(&http::request("GET", path, &[], b"")).unwrap();
    let mut first = [0; 12];
    slow.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let began = Instant::now();
    let refused = s.get(path).problem(503);
    assert!(
        refused["detail"].as_str().unwrap().contains("wait for their clients"),
        "{refused}"
    );
    assert_eq!(s.get(&format!("/v1/stores/counts/keys/{long}00001")).fine()["value"], 1);
    let mut taken = 0;
    loop {
        taken += slow.read(&mut [0; 1]).unwrap_or(0);
        let answer = s.get(path);
        if answer.status == 200 {
            assert!(answer.whole);
            break;
        }
        answer.problem(503);
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "a byte now and then keeps the room"
        );
    }
    assert!(
        began.elapsed() > Duration::from_secs(3),
        "its patience was not that short"
    );
    assert!(taken > 0);
    // Who was let go has not got it whole.
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < 8_000_000, "{}", rest.len());
}

/// What was announced and does not come takes no room from what comes.
#[test]
fn slow_bodies_keep_nobody_out() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let head = b"POST /v1/stores/counts/get HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n{";
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = http::connect(s.address);
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let json = s.post("/v1/stores/counts/get", &json!({"keys": ["a"]})).fine();
    assert_eq!(json["answers"][0]["value"], 1);
    drop(slow);
}

/// One window of one key is read where single keys are as long as it is short: a longer one waits where long reads do.
#[test]
fn long_windows_are_long_reads() {
    let mut w = world();
    w.view("home", HOUR, 1);
    let mut options = ServerOptions::default();
    options.long_queue = 0;
    let s = w.serve(options);
    let window = |end: &str| s.get(&format!("/v1/stores/views/windows/home?since=1970-01-01&end={end}"));
    assert_eq!(window("1975-01-01").fine()["windows"][0]["value"], 1);
    assert!(
        window("1999-01-01").problem(503)["detail"]
            .as_str()
            .unwrap()
            .contains("wait already")
    );
    let s = w.serve(ServerOptions::default());
    let long = s.get("/v1/stores/views/windows/home?since=1970-01-01&end=1999-01-01");
    assert_eq!(long.fine()["windows"][0]["value"], 1);
}

/// Too many windows are refused by their number, which is known before any of them is read.
#[test]
fn windows_are_counted_before_they_are_read() {
    let mut w = world();
    w.view("home", HOUR, 1);
    let mut options = ServerOptions::default();
    options.rows = 3;
    // Nothing of the realtime state can be held, so whatever is read is refused by that.
    options.live_bytes = 0;
    let s = w.serve(options);
    let problem = s
        .get("/v1/stores/views/windows/home?since=1970-01-01&end=1970-01-05&every=1d")
        .problem(413);
    assert!(
        problem["detail"].as_str().unwrap().starts_with("4 windows"),
        "{problem}"
    );
    let asked = json!({"keys": ["a", "b", "c", "d"], "window": {"since": "1970-01-01", "end": "1970-01-02"}});
    s.post("/v1/stores/views/windows", &asked).problem(413);
    s.get("/v1/stores/views/windows/home?since=1970-01-01&end=1970-01-02")
        .problem(400);
}

/// When a client goes away its read is given up, whatever it asked for: the next one does not wait for it.
#[test]
fn who_goes_away_is_not_read_for() {
    let mut w = world();
    w.view("home", HOUR, 1);
    let mut options = ServerOptions::default();
    options.long_readers = 1;
    let s = w.serve(options);
    let keys: Vec<String> = (0..25).map(|i| format!("k{i}")).collect();
    let asked = json!({"keys": keys, "window": {"since": "1970-01-01", "end": "2370-01-01"}}).to_string();
    let headers = [("content-type", "application/json")];
    let request = http::request("POST", "/v1/stores/views/windows", &headers, asked.as_bytes());
    // How long it takes when somebody waits for it.
    let began = Instant::now();
    s.post("/v1/stores/views/windows", &serde_json::from_str(&asked).unwrap())
        .fine();
    let whole = began.elapsed();
    let began = Instant::now();
    let mut gone = http::connect(s.address);
    gone.write_all(&request).unwrap();
    std::thread::sleep(whole / 10);
    drop(gone);
    assert_eq!(s.get("/v1/stores/counts/sum").fine()["value"], 3);
    assert!(began.elapsed() < whole * 2 / 3, "{:?}, {whole:?}", began.elapsed());
}

/// Whoever asks an owner that hangs, and goes away, leaves the reader to others at once: a key that several asked for together, a partial
/// answer, a window, streams of events, a list, several stores.
#[test]
fn who_leaves_a_hanging_owner_frees_the_reader() {
    use std::sync::atomic::Ordering::Relaxed;
    let w = world();
    let mut options = ServerOptions::default();
    // Also where the thread that asks reads first.
    options.local = true;
    options.readers = 1;
    options.long_readers = 1;
    options.bulk_readers = 1;
    let s = w.serve(options);
    still_answers(&s);
    let arrow = [("accept", "application/vnd.apache.arrow.stream")];
    let events = [("accept", "text/event-stream")];
    let several = r#"{"stores": {"counts": ["a"], "hours": []}}"#.as_bytes();
    let json = [("content-type", "application/json")];
    let get = |path: &str, headers: &[(&str, &str)]| http::request("GET", path, headers, b"");
    for (again, request) in [
        ("/v1/stores/counts/keys/a", get("/v1/stores/counts/keys/a", &[])),
        (
            "/v1/stores/counts/keys/a",
            get("/v1/stores/counts/keys/a?partial=true", &[]),
        ),
        (
            "/v1/stores/counts/keys/a",
            get("/v1/stores/views/windows/x?last=1d", &[]),
        ),
        ("/v1/stores/counts/keys/a", get("/v1/stores/counts/keys/a", &events)),
        (
            "/v1/stores/counts/keys/a",
            get("/v1/stores/views/windows/x?last=1d", &events),
        ),
        ("/v1/stores/counts/keys", get("/v1/stores/counts/keys", &[])),
        (
            "/v1/stores/counts/sum",
            http::request("POST", "/v1/get", &json, several),
        ),
    ] {
        w.hangs.store(true, Relaxed);
        let mut asked: Vec<_> = (0..3).map(|_| http::connect(s.address)).collect();
        for stream in &mut asked {
            stream.write_all(&request).unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
        w.hangs.store(false, Relaxed);
        drop(asked);
        let began = Instant::now();
        s.get(again).fine();
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{} kept the reader for {took:?}",
            String::from_utf8_lossy(&request)
        );
    }
    w.hangs.store(true, Relaxed);
    let mut asked = http::connect(s.address);
    asked.write_all(&get("/v1/stores/counts/keys", &arrow)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    w.hangs.store(false, Relaxed);
    drop(asked);
    let began = Instant::now();
    assert_eq!(s.get_with("/v1/stores/counts/keys", &arrow).status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "a list as Arrow kept the reader"
    );
}

/// A flood is answered by 503 with `retry-after`, each at once, and by the right value; what had waited too long is not read.
#[test]
fn a_flood_is_answered() {
    // Each limit by itself.
    for (queue, requests) in [(4, 512), (4096, 4)] {
        let mut options = ServerOptions::default();
        options.queue = queue;
        options.readers = 1;
        options.requests = requests;
        flood(options);
    }
}

fn flood(options: ServerOptions) {
    let w = world();
    let s = w.serve(options);
    w.slow.store(20, std::sync::atomic::Ordering::Relaxed);
    let outcomes: Vec<(u16, u16, u16)> = std::thread::scope(|scope| {
        let client = || {
            let mut stream = BufReader::new(http::connect(s.address));
            let (mut good, mut busy, mut other) = (0, 0, 0);
            for _ in 0..20 {
                stream
                    .get_mut()
                    .write_all(&http::request("GET", "/v1/stores/counts/keys/b", &[], b""))
                    .unwrap();
                let answer = http::read(&mut stream).unwrap();
                match answer.status {
                    200 => {
                        assert_eq!(answer.json()["value"], 2);
                        good += 1;
                    }
                    503 => {
                        assert_eq!(answer.problem(503)["kind"], "try_again");
                        assert_eq!(answer.header("retry-after"), Some("1"));
                        busy += 1;
                    }
                    _ => other += 1,
                }
            }
            (good, busy, other)
        };
        let clients: Vec<_> = (0..32).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|c| c.join().unwrap()).collect()
    });
    let sum = outcomes
        .iter()
        .fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    assert!(sum.0 > 0 && sum.1 > 0 && sum.2 == 0 && sum.0 + sum.1 == 640, "{sum:?}");
    w.slow.store(0, std::sync::atomic::Ordering::Relaxed);
    still_answers(&s);
}

/// A request that takes too long is 503; the next one is answered.
#[test]
fn an_answer_has_its_time() {
    let w = world();
    let mut options = ServerOptions::default();
    options.request_time = Duration::from_millis(100);
    let s = w.serve(options);
    w.slow.store(400, std::sync::atomic::Ordering::Relaxed);
    for path in ["/v1/stores/counts/keys/a", "/v1/stores/counts/keys"] {
        assert_eq!(s.get(path).problem(503)["kind"], "try_again");
    }
    w.slow.store(0, std::sync::atomic::Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    still_answers(&s);
}

/// Who goes away leaves nothing behind: no place, no thread.
#[test]
fn cut_connections_leave_their_places() {
    let w = world();
    let mut options = ServerOptions::default();
    options.requests = 4;
    options.connections = 8;
    let s = w.serve(options);
    w.slow.store(30, std::sync::atomic::Ordering::Relaxed);
    for i in 0..40 {
        let mut stream = http::connect(s.address);
        let path = [
            "/v1/stores/counts/keys/a",
            "/v1/stores/counts/keys",
            "/v1/stores/counts/sum",
        ][i % 3];
        let request = http::request("GET", path, &[], b"");
        let some = if i % 2 == 0 { request.len() } else { request.len() / 2 };
        let _ = stream.write_all(&request[..some]);
    }
    w.slow.store(0, std::sync::atomic::Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..10 {
        still_answers(&s);
    }
    let began = Instant::now();
    loop {
        // This question is on a connection as well.
        let text = String::from_utf8(s.get("/metrics").body).unwrap();
        if text.contains("rufous_http_connections 1\n") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A read that panics is a 500 that says so, and is counted; the reader lives on.
#[test]
fn a_panic_is_answered() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    w.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    for path in ["/v1/stores/counts/keys/a", "/v1/stores/counts/keys"] {
        for _ in 0..5 {
            let problem = s.get(path).problem(500);
            assert_eq!(problem["kind"], "bug");
            assert!(
                problem["detail"].as_str().unwrap().contains("told to panic"),
                "{problem}"
            );
        }
    }
    w.panics.store(false, std::sync::atomic::Ordering::Relaxed);
    still_answers(&s);
    let text = String::from_utf8(s.get("/metrics").body).unwrap();
    assert!(text.contains("rufous_http_panics_total 10\n"), "{text}");
}

/// Damaged bytes are named, and are no number.
#[test]
fn damage_is_named() {
    let mut w = world();
    w.publish();
    let s = w.serve(ServerOptions::default());
    still_answers(&s);
    w.damage_value("counts", "a");
    let problem = s.get("/v1/stores/counts/keys/a").problem(500);
    assert_eq!(problem["kind"], "corrupt_data");
    assert!(problem["detail"].as_str().unwrap().contains("`counts`"), "{problem}");
    let answer = s.post("/v1/stores/counts/get", &json!({"keys": ["a", "b"]}));
    let json = answer.fine();
    assert_eq!(json["answers"][0]["error"]["kind"], "corrupt_data");
    assert_eq!(
        (&json["answers"][1]["value"], answer.header("rufous-failed")),
        (&json!(2), Some("1"))
    );
}

/// The end finishes what is on its way, and begins nothing.
#[test]
fn the_end_finishes_answers() {
    let w = world();
    let mut s = w.serve(ServerOptions::default());
    w.slow.store(300, std::sync::atomic::Ordering::Relaxed);
    let address = s.address;
    let asked = std::thread::spawn(move || http::ask(address, "GET", "/v1/stores/counts/keys/a", &[], b""));
    std::thread::sleep(Duration::from_millis(100));
    let idle = http::connect(address);
    s.end();
    assert_eq!(asked.join().unwrap().fine()["value"], 1);
    drop(idle);
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
}

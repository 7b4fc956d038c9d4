//! A hundred thousand requests made of a seed: raw bytes over a socket, and questions that are nearly right. Whatever comes, nothing
//! panics, what is 200 is right, and every other answer says what is wrong.

mod support;

use std::io::{BufReader, Write};

use rufous_server::ServerOptions;
use serde_json::{Value, json};
use support::*;

const STRUCTURED: u64 = 80_000;
const RAW: u64 = 20_000;
const THREADS: u64 = 4;

fn world() -> World {
    let mut w = World::default();
    w.count(&[("a", 1), ("b", 2), ("", 4), ("%", 8)]);
    w.view("home", HOUR, 1);
    w.publish();
    w.count(&[("a", 16)]);
    w
}

const STORES: &[&str] = &[
    "counts", "counts", "counts", "hours", "views", "count", "", "..", "%2e%2e", "%00", "\u{fc}",
];
const KEYS: &[&str] = &[
    "a",
    "b",
    "none",
    "x,1",
    "home",
    "%",
    "%25",
    "%2",
    "%zz",
    "%ff",
    "..",
    "%2F..%2F",
    ",",
    "\\",
    "a%5C,b",
    "%00",
    "1970-01-01",
    "home,1h:3",
    "-1",
    "999999999999999999999999",
    "a b",
    "\u{1f426}",
];
const WORDS: &[&str] = &[
    "keys",
    "get",
    "sum",
    "top",
    "windows",
    "stores",
    "explain",
    "",
    "v1",
    "metrics",
    "readyz",
    "openapi.json",
    "watch",
];
const NAMES: &[&str] = &[
    "partial",
    "accept_holes",
    "at_least",
    "under",
    "limit",
    "cursor",
    "n",
    "from",
    "to",
    "last",
    "last_hops",
    "since",
    "end",
    "every",
    "aligned",
    "what",
    "",
];
const VALUES: &[&str] = &[
    "true",
    "false",
    "1",
    "0",
    "-1",
    "10000",
    "99999999999999999999",
    "a",
    "home",
    "x",
    "7d",
    "1h",
    "3:1d",
    "3:month",
    "0:1h",
    "now",
    "sealed",
    "1970-01-01",
    "9999-12-31T23:59:59Z",
    "-9999-01-01",
    "lines/0=1",
    "lines/0=99999",
    "1@f00d:lines/0=2",
    "eA",
    "%",
    "%ff",
    "%00",
    "999999999999999999999d",
    "",
    "calendar-day",
    "1y",
    "1ms",
];
const BODIES: &[&str] = &[
    r#"{"keys":["a","b","none"]}"#,
    r#"{"keys":[]}"#,
    r#"{"keys":["a"],"at_least":"lines/0=1"}"#,
    r#"{"keys":["\ud800"]}"#,
    r#"{"keys":[null]}"#,
    r#"{"keys":{"a":1}}"#,
    "{",
    "",
    "[]",
    "null",
    "1e999",
    r#"{"keys":["x,1"],"accept_holes":1}"#,
    r#"{"keys":["home"],"window":{"last":"7d"}}"#,
    r#"{"keys":["home"],"window":{"since":"1970-01-01","end":"1970-02-01","every":"1d"}}"#,
    r#"{"keys":["home"],"window":{}}"#,
    r#"{"keys":["home"],"window":{"last":"7d","last_hops":"1:1d"}}"#,
];
const ACCEPTS: &[&str] = &[
    "*/*",
    "application/json",
    "application/vnd.apache.arrow.stream",
    "text/html;q=0",
    ";;,",
    "\u{e9}",
];

fn structured(rng: &mut Rng) -> Vec<u8> {
    // Half of them are right in all but one thing.
    let good = rng.below(2) == 0;
    let store = if good { "counts" } else { *rng.of(STORES) };
    let mut path = match rng.below(10) {
        0 => format!("/v1/stores/{store}"),
        1 => format!("/{}/{}/{store}", rng.of(WORDS), rng.of(WORDS)),
        2 => format!("/v1/stores/{store}/{}", rng.of(WORDS)),
        3 => format!("/v1/stores/{store}/{}/{}", rng.of(WORDS), rng.of(KEYS)),
        4 => format!("/v1/stores/views/windows/{}?last=7d", rng.of(KEYS)),
        5 => "/v1/stores/counts/get".to_string(),
        _ => format!("/v1/stores/{store}/keys/{}", rng.of(KEYS)),
    };
    for _ in 0..if good {
        rng.below(2) * rng.below(2)
    } else {
        rng.below(4)
    } {
        let sign = if path.contains('?') { '&' } else { '?' };
        path.push_str(&format!("{sign}{}={}", rng.of(NAMES), rng.of(VALUES)));
    }
    let other = *rng.of(&["POST", "HEAD", "PUT", "OPTIONS", "BREW"]);
    let method = match rng.below(8) {
        0 => other,
        _ if path.ends_with("/get") => "POST",
        _ => "GET",
    };
    let body = if method == "POST" { *rng.of(BODIES) } else { "" };
    let kind = *rng.of(&["application/json", "application/json", "text/plain", ""]);
    let mut headers = vec![("content-type", kind), ("accept", *rng.of(ACCEPTS))];
    if rng.below(4) == 0 {
        headers.push(("if-none-match", *rng.of(&["*", "W/\"0\"", "\"", ",,", "\u{e9}"])));
    }
    // Spaces in a path make no request: that is for the raw ones.
    http::request(method, &path.replace(' ', "+"), &headers, body.as_bytes())
}

/// What a 200 says of the counts is what is in the collection.
fn check(answer: &http::Answer, counts: &std::collections::BTreeMap<String, u64>, sent: &[u8]) {
    let text = || {
        format!(
            "{}\n->\n{:?}\n{}",
            String::from_utf8_lossy(sent),
            answer,
            String::from_utf8_lossy(&answer.body)
        )
    };
    assert_ne!(answer.status, 500, "{}", text());
    let empty = answer.body.is_empty();
    match answer.status {
        200 if sent.starts_with(b"HEAD") => {}
        200 => {
            let Ok(json) = serde_json::from_slice::<Value>(&answer.body) else {
                return;
            };
            if sent.windows(20).any(|w| w == b"/v1/stores/counts/ke")
                && json["key"].is_string()
                && json.get("value").is_some()
            {
                let key = json["key"].as_str().unwrap();
                assert_eq!(
                    json["value"],
                    counts.get(key).map_or(Value::Null, |n| json!(n)),
                    "{}",
                    text()
                );
            }
        }
        304 => assert!(empty, "{}", text()),
        // hyper's own, before there is a request.
        400 | 414 | 431 if empty => {}
        400..=499 | 503 if sent.starts_with(b"HEAD") => assert!(empty),
        400..=499 | 503 => {
            answer.problem(answer.status);
        }
        _ => panic!("{}", text()),
    }
}

#[test]
fn questions_that_are_nearly_right() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let counts = w.sums["counts"].iter();
    let counts = counts
        .map(|(k, v)| (rufous_core::key::decode_all::<String>(k).unwrap(), *v))
        .collect();
    let ask = |seed: u64| {
        let mut rng = Rng(0x9E37_79B9 + seed * 7919);
        let mut stream = BufReader::new(http::connect(s.address));
        let mut statuses = std::collections::BTreeMap::<u16, u64>::new();
        for _ in 0..STRUCTURED / THREADS {
            let sent = structured(&mut rng);
            if stream.get_mut().write_all(&sent).is_err() {
                stream = BufReader::new(http::connect(s.address));
                continue;
            }
            let head = sent.starts_with(b"HEAD");
            let answer = if head {
                http::head(&mut stream)
            } else {
                http::read(&mut stream)
            };
            let Some(answer) = answer else {
                stream = BufReader::new(http::connect(s.address));
                continue;
            };
            check(&answer, &counts, &sent);
            *statuses.entry(answer.status).or_default() += 1;
            if answer.header("connection") == Some("close") || !head && !answer.whole {
                stream = BufReader::new(http::connect(s.address));
            }
        }
        statuses
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || ask(n + 1))).collect();
        let mut all = std::collections::BTreeMap::<u16, u64>::new();
        for (status, n) in threads.into_iter().flat_map(|t| t.join().unwrap()) {
            *all.entry(status).or_default() += n;
        }
        all
    });
    assert!(all.values().sum::<u64>() > STRUCTURED * 9 / 10, "{all:?}");
    for status in [200, 304, 400, 404, 405] {
        assert!(
            all.get(&status).is_some_and(|n| *n > 100),
            "too few of {status}: {all:?}"
        );
    }
    assert_eq!(s.get("/v1/stores/counts/keys/a").fine()["value"], 17);
    let metrics = String::from_utf8(s.get("/metrics").body).unwrap();
    assert!(metrics.contains("rufous_http_panics_total 0\n"), "{metrics}");
}

/// Bytes, and requests with bytes changed.
fn raw(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = match rng.below(3) {
        0 => (0..rng.below(200)).map(|_| rng.below(256) as u8).collect(),
        _ => structured(rng),
    };
    for _ in 0..1 + rng.below(6) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(4) {
            0 => bytes[at] = rng.below(256) as u8,
            1 => bytes.insert(at, *rng.of(b" \r\n\0:/%?\xff")),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

#[test]
fn raw_bytes() {
    let w = world();
    let mut options = ServerOptions::default();
    options.head_time = std::time::Duration::from_millis(500);
    options.body_time = std::time::Duration::from_millis(500);
    let s = w.serve(options);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let s = &s;
            scope.spawn(move || {
                let mut rng = Rng(0xC0FF_EE00 + n);
                for _ in 0..RAW / THREADS {
                    let sent = raw(&mut rng);
                    let mut stream = http::connect(s.address);
                    if stream.write_all(&sent).is_err() || stream.shutdown(std::net::Shutdown::Write).is_err() {
                        continue;
                    }
                    let mut stream = BufReader::new(stream);
                    while let Some(answer) = http::head(&mut stream) {
                        assert_ne!(answer.status, 500, "{}", String::from_utf8_lossy(&sent));
                        assert!((200..=505).contains(&answer.status), "{answer:?}");
                        if sent.starts_with(b"HEAD") || answer.status >= 400 {
                            break;
                        }
                        let length = answer
                            .header("content-length")
                            .and_then(|n| n.parse().ok())
                            .unwrap_or(0);
                        let mut body = vec![0; if answer.status == 304 { 0 } else { length }];
                        if std::io::Read::read_exact(&mut stream, &mut body).is_err() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(s.get("/v1/stores/counts/keys/a").fine()["value"], 17);
    let metrics = String::from_utf8(s.get("/metrics").body).unwrap();
    assert!(metrics.contains("rufous_http_panics_total 0\n"), "{metrics}");
}

//! Streams of events: every change of the answer once, the newest always, whoever else watches and however slowly.

mod support;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rufous_server::ServerOptions;
use serde_json::{Value, json};
use support::*;

fn options() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.watch_every = Duration::from_millis(10);
    options.heartbeat = Duration::from_millis(100);
    options
}

#[derive(Debug)]
struct Event {
    kind: String,
    /// `None`: the event has none, and the client keeps that of the event before.
    id: Option<String>,
    data: Value,
}

/// A stream of events as its client sees it.
struct Events {
    stream: BufReader<TcpStream>,
    text: String,
    heartbeats: usize,
}

impl Events {
    fn open(s: &Running, path: &str, last: Option<&str>) -> Self {
        let mut stream = http::connect(s.address);
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|id| ("last-event-id", id)));
        stream.write_all(&http::request("GET", path, &headers, b"")).unwrap();
        let mut stream = BufReader::new(stream);
        let head = http::head(&mut stream).unwrap();
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, Some("text/event-stream"))
        );
        Self {
            stream,
            text: String::new(),
            heartbeats: 0,
        }
    }
    /// The next event; `None` when the stream ends.
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (mut found, event, rest) = (None, event.to_string(), rest.to_string());
                self.text = rest;
                for line in event.lines() {
                    let event = found.get_or_insert(Event {
                        kind: String::new(),
                        id: None,
                        data: Value::Null,
                    });
                    match line.split_once(": ").or_else(|| line.split_once(':')).unwrap() {
                        ("event", kind) => event.kind = kind.into(),
                        ("id", id) => event.id = Some(id.into()),
                        ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                        ("", _) => {
                            self.heartbeats += 1;
                            found = None;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let chunk = http::chunk(&mut self.stream).filter(|c| !c.is_empty())?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
    /// The first event that has this value.
    fn until(&mut self, value: u64) -> Event {
        loop {
            let event = self.next().expect("the stream ended");
            let found = event
                .data
                .get("value")
                .or_else(|| event.data["windows"][0].get("value"));
            if found == Some(&json!(value)) {
                return event;
            }
        }
    }
}

fn metric(s: &Running, name: &str) -> u64 {
    let text = String::from_utf8(s.get("/metrics").body).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

/// The present answer comes first, then one event for each change of it, whose id is its token.
#[test]
fn each_change_is_an_event() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let mut events = Events::open(&s, "/v1/stores/counts/keys/a", None);
    let first = events.next().unwrap();
    assert_eq!((first.kind.as_str(), &first.data["value"]), ("answer", &json!(1)));
    assert_eq!(first.id.as_deref(), Some("0@f00d:lines/0=1"));
    assert_eq!(first.data["token"]["offsets"]["lines/0"], 1);
    for n in 2..20u64 {
        w.count(&[("a", 1)]);
        let event = events.next().unwrap();
        assert_eq!(
            (&event.data["value"], event.id),
            (&json!(n), Some(format!("0@f00d:lines/0={n}")))
        );
    }
    // The token moves on though the value does not: what is covered is news.
    w.count(&[("b", 1)]);
    let event = events.next().unwrap();
    assert_eq!(
        (&event.data["value"], event.id.as_deref()),
        (&json!(19), Some("0@f00d:lines/0=20"))
    );
    std::thread::sleep(Duration::from_millis(350));
    w.count(&[("a", 1)]);
    assert_eq!(events.next().unwrap().data["value"], 20);
    assert!(events.heartbeats >= 2, "{}", events.heartbeats);
}

/// Who comes back with the id of what he saw is not told it again.
#[test]
fn what_was_seen_is_not_repeated() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let path = "/v1/stores/counts/keys/a";
    let id = Events::open(&s, path, None).next().unwrap().id.unwrap();
    let mut same = Events::open(&s, path, Some(&id));
    std::thread::sleep(Duration::from_millis(100));
    w.count(&[("a", 1)]);
    assert_eq!(same.next().unwrap().data["value"], 2, "the first event is the news");
    let mut older = Events::open(&s, path, Some(&id));
    assert_eq!(
        older.next().unwrap().data["value"],
        2,
        "what changed in between comes at once"
    );
}

/// Many who watch one key share its reads.
#[test]
fn watchers_share_a_read() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let path = "/v1/stores/counts/keys/a";
    let mut all: Vec<Events> = (0..50).map(|_| Events::open(&s, path, None)).collect();
    for events in &mut all {
        events.until(1);
    }
    assert_eq!(
        (metric(&s, "rufous_http_streams"), metric(&s, "rufous_http_watched")),
        (50, 1)
    );
    w.count(&[("a", 41)]);
    for events in &mut all {
        events.until(42);
    }
    let before = metric(&s, "rufous_http_read_together_count");
    std::thread::sleep(Duration::from_millis(300));
    let reads = metric(&s, "rufous_http_read_together_count") - before;
    assert!(reads <= 60, "{reads} reads in 30 rounds of one question");
    drop(all);
    let began = Instant::now();
    while metric(&s, "rufous_http_watched") + metric(&s, "rufous_http_streams") > 0 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "what nobody watches is not forgotten"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Who takes nothing for a while misses what came between, not the last; and others are told at once.
#[test]
fn a_slow_watcher_gets_the_newest_and_holds_up_nobody() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let path = "/v1/stores/counts/keys/a";
    let mut slow = Events::open(&s, path, None);
    let mut quick = Events::open(&s, path, None);
    for n in 2..200u64 {
        w.count(&[("a", 1)]);
        if n % 20 == 0 {
            let began = Instant::now();
            quick.until(n);
            assert!(began.elapsed() < Duration::from_secs(5));
        }
    }
    slow.until(199);
    quick.until(199);
}

/// What is no whole answer is an event as well, and the stream goes on when it is one again.
#[test]
fn problems_are_events() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let mut events = Events::open(&s, "/v1/stores/counts/keys/a", None);
    events.until(1);
    w.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let problem = events.next().unwrap();
    assert_eq!(
        (problem.kind.as_str(), &problem.data["kind"]),
        ("problem", &json!("try_again"))
    );
    w.count(&[("a", 1)]);
    w.silent.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(events.next().unwrap().data["value"], 2);
}

/// Who was told of a problem is told the answer again, though it is the one that he saw before: on the same stream, and on the
/// next one, since an event `problem` makes his client forget the id of that answer.
#[test]
fn an_answer_after_a_problem_is_told_again() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let s = w.serve(options());
    let path = "/v1/stores/counts/keys/a";
    let silent = |yes| w.silent.store(yes, std::sync::atomic::Ordering::Relaxed);
    let id = Events::open(&s, path, None).next().unwrap().id.unwrap();
    silent(true);
    let mut back = Events::open(&s, path, Some(&id));
    let problem = back.next().unwrap();
    assert_eq!((problem.kind.as_str(), problem.id.as_deref()), ("problem", Some("")));
    silent(false);
    let again = back.next().unwrap();
    assert_eq!(
        (again.kind.as_str(), &again.data["value"], again.id.as_deref()),
        ("answer", &json!(1), Some(id.as_str()))
    );
    let mut forgotten = Events::open(&s, path, problem.id.as_deref());
    assert_eq!(forgotten.next().unwrap().data["value"], 1);
}

#[test]
fn a_window_is_watched() {
    let mut w = World::default();
    w.view("home", HOUR, 1);
    let s = w.serve(options());
    let path = "/v1/stores/views/windows/home?since=1970-01-01&end=1970-01-02";
    let mut events = Events::open(&s, path, None);
    events.until(1);
    w.view("home", 2 * HOUR, 2);
    assert_eq!(
        events.until(3).data["windows"][0]["window"]["covered"]["end"],
        "1970-01-02T00:00:00Z"
    );
}

#[test]
fn streams_are_limited_and_end_with_the_server() {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    let mut options = options();
    options.streams = 3;
    let mut s = w.serve(options);
    let path = "/v1/stores/counts/keys/a";
    let events = [("accept", "text/event-stream")];
    let mut both: Vec<Events> = (0..2).map(|_| Events::open(&s, path, None)).collect();
    s.get_with(path, &events).problem(429);
    s.get_with(&format!("{path}?partial=true"), &events).problem(400);
    s.get_with("/v1/stores/none/keys/a", &events).problem(404);
    assert_eq!(s.get(path).fine()["value"], 1, "answers have places of their own");
    for events in &mut both {
        events.until(1);
    }
    let began = Instant::now();
    s.end();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(both[0].next().is_none());
}

/// So many questions about windows are watched; everybody may watch one of those.
#[test]
fn watched_windows_are_limited() {
    let mut w = World::default();
    w.view("home", HOUR, 1);
    let mut options = options();
    options.watched_windows = 3;
    options.long_queue = 1;
    let s = w.serve(options);
    let path = |day: u32| format!("/v1/stores/views/windows/home?since=1970-01-01&end=1970-01-0{day}");
    let mut two: Vec<Events> = [2, 3].map(|day| Events::open(&s, &path(day), None)).into();
    // Only its head: one that is not refused has no end.
    let mut third = http::connect(s.address);
    let accept = [("accept", "text/event-stream")];
    third.write_all(&http::request("GET", &path(4), &accept, b"")).unwrap();
    assert_eq!(http::head(&mut BufReader::new(third)).unwrap().status, 429);
    two.push(Events::open(&s, &path(3), None));
    for events in &mut two {
        events.until(1);
    }
    Events::open(&s, "/v1/stores/counts/keys/a", None).next().unwrap();
}

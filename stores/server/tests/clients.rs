//! One client that asks without end gets 429, and everybody else his answer: over real sockets, from two addresses of this machine and with
//! two tokens.

mod support;

use std::io::{BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_server::{ServerOptions, Tokens};
use socket2::{Domain, Socket, Type};
use support::*;

const POLITE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const GREEDY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const KEY: &str = "/v1/stores/counts/keys/a";
const EVENTS: &[(&str, &str)] = &[("accept", "text/event-stream")];

/// A connection from this address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn ask(stream: &mut BufReader<TcpStream>, headers: &[(&str, &str)]) -> http::Answer {
    let request = http::request("GET", KEY, headers, b"");
    stream.get_mut().write_all(&request).unwrap();
    http::read(stream).unwrap()
}

fn small() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.requests = 8;
    options.requests_per_client = 4;
    options
}

fn world() -> World {
    let mut w = World::default();
    w.count(&[("a", 1)]);
    w
}

/// 24 connections of one client ask as fast as they can, with reads that take long; another one asks one question after the other.
fn flood(options: ServerOptions, greedy: (Ipv4Addr, &[(&str, &str)]), polite: (Ipv4Addr, &[(&str, &str)])) {
    let w = world();
    let s = w.serve(options);
    w.slow.store(30, Relaxed);
    let done = AtomicBool::new(false);
    let (good, refused) = std::thread::scope(|scope| {
        let client = || {
            let mut stream = BufReader::new(connect(greedy.0, s.address));
            let (mut good, mut refused) = (0, 0);
            while !done.load(Relaxed) {
                let answer = ask(&mut stream, greedy.1);
                if answer.status == 200 {
                    assert_eq!(answer.json()["value"], 1);
                    good += 1;
                    continue;
                }
                let problem = answer.problem(429);
                assert_eq!(answer.header("retry-after"), Some("1"));
                assert_eq!(problem["type"], "urn:rufous:problem:too-many-requests");
                assert_eq!(problem["kind"], "try_again");
                assert!(
                    problem["repair"].as_str().unwrap().contains("`requests_per_client`"),
                    "{problem}"
                );
                refused += 1;
            }
            (good, refused)
        };
        let clients: Vec<_> = (0..24).map(|_| scope.spawn(client)).collect();
        let mut stream = BufReader::new(connect(polite.0, s.address));
        for n in 0..20 {
            let answer = ask(&mut stream, polite.1);
            if answer.status != 200 {
                done.store(true, Relaxed);
                panic!(
                    "question {n} of the polite client: {}",
                    String::from_utf8_lossy(&answer.body)
                );
            }
        }
        done.store(true, Relaxed);
        let all = clients.into_iter().map(|c| c.join().unwrap());
        all.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert!(good > 0 && refused > 0, "{good} answered, {refused} refused");
}

#[test]
fn a_flood_from_one_address_keeps_no_other_out() {
    flood(small(), (GREEDY, &[]), (POLITE, &[]));
}

#[test]
fn a_flood_with_one_token_keeps_no_other_out() {
    let mut options = small();
    options.tokens = Some(Tokens::parse("token-of-the-greedy\ntoken-of-the-polite\n", "here").unwrap());
    flood(
        options,
        (POLITE, &[("authorization", "Bearer token-of-the-greedy")]),
        (POLITE, &[("authorization", "Bearer token-of-the-polite")]),
    );
}

/// A stream of this client: its status, and what keeps it open.
fn stream(s: &Running, from: Ipv4Addr, path: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = BufReader::new(connect(from, s.address));
    let request = http::request("GET", path, EVENTS, b"");
    stream.get_mut().write_all(&request).unwrap();
    (http::head(&mut stream).unwrap().status, stream)
}

/// One question on a connection of its own: the head of the answer, and what brings the rest.
fn begin(s: &Running, from: Ipv4Addr, path: &str, headers: &[(&str, &str)]) -> (http::Answer, BufReader<TcpStream>) {
    let mut stream = BufReader::new(connect(from, s.address));
    let request = http::request("GET", path, headers, b"");
    // A connection that is refused may be closed already.
    let _ = stream.get_mut().write_all(&request);
    (http::head(&mut stream).unwrap(), stream)
}

/// What one question on a connection of its own gets.
fn one(s: &Running, from: Ipv4Addr, path: &str, headers: &[(&str, &str)]) -> http::Answer {
    let (head, mut stream) = begin(s, from, path, headers);
    http::body(head, &mut stream).unwrap()
}

/// That one is refused, with this status. A stream that is not refused has no end that could be waited for.
#[track_caller]
fn problem(s: &Running, from: Ipv4Addr, path: &str, headers: &[(&str, &str)], status: u16) -> http::Answer {
    let (head, mut stream) = begin(s, from, path, headers);
    assert_eq!(head.status, status, "{path}: {:?}", head.headers);
    let answer = http::body(head, &mut stream).unwrap();
    answer.problem(status);
    answer
}

/// That one has too much of what this option limits.
#[track_caller]
fn refused(s: &Running, from: Ipv4Addr, path: &str, headers: &[(&str, &str)], option: &str) {
    let answer = problem(s, from, path, headers, 429);
    let said = answer.json();
    let repair = said["repair"].as_str().unwrap();
    assert!(repair.contains(&format!("of the option `{option}`")), "{said}");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// Waits until it is so.
fn in_time(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Half of all streams is one client's, as long as they are open. They are none of its questions: who watches as much as he may is answered.
#[test]
fn streams_have_a_count_of_their_own() {
    let w = world();
    let mut options = small();
    options.streams = 8;
    options.requests_per_client = 1;
    let s = w.serve(options);
    let mut open: Vec<_> = (0..4).map(|_| stream(&s, GREEDY, KEY)).collect();
    assert!(open.iter().all(|(status, _)| *status == 200));
    refused(&s, GREEDY, KEY, EVENTS, "streams");
    for path in [KEY, "/readyz", "/metrics"] {
        assert_eq!(one(&s, GREEDY, path, &[]).status, 200, "{path}");
    }
    open.extend((0..4).map(|_| stream(&s, POLITE, KEY)));
    assert!(open.iter().all(|(status, _)| *status == 200));
    // Of all that there may be.
    problem(&s, Ipv4Addr::new(127, 0, 0, 3), KEY, EVENTS, 503);
    open.remove(0);
    in_time("the place of a stream that was closed is free", || {
        stream(&s, GREEDY, KEY).0 == 200
    });
}

/// Who has as many requests under way as he may is still told how the server is.
#[test]
fn who_asks_too_much_is_still_watched_over() {
    let w = world();
    let mut options = ServerOptions::default();
    (options.requests, options.requests_per_client) = (16, 8);
    let s = w.serve(options);
    w.slow.store(1500, Relaxed);
    let request = http::request("GET", KEY, &[], b"");
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = connect(GREEDY, s.address);
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    problem(&s, GREEDY, KEY, &[], 429);
    for path in ["/metrics", "/readyz"] {
        assert_eq!(one(&s, GREEDY, path, &[]).status, 200, "{path}");
    }
    drop(waiting);
}

/// Half of the places where long reads and lists as Arrow wait is one client's, however many requests it may have.
#[test]
fn one_client_leaves_room_in_the_queues() {
    let w = world();
    for (path, headers, option) in [
        ("/v1/stores/counts/sum", &[][..], "long_queue"),
        (
            "/v1/stores/counts/keys",
            &[("accept", "application/vnd.apache.arrow.stream")][..],
            "bulk_queue",
        ),
    ] {
        let mut options = ServerOptions::default();
        (options.long_readers, options.long_queue) = (1, 4);
        (options.bulk_readers, options.bulk_queue) = (1, 4);
        let s = w.serve(options);
        // All have asked before the first is answered, also on a busy machine.
        w.slow.store(800, Relaxed);
        let request = http::request("GET", path, headers, b"");
        let mut asked: Vec<_> = (0..12)
            .map(|_| {
                let mut stream = connect(GREEDY, s.address);
                stream.write_all(&request).unwrap();
                stream
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        refused(&s, GREEDY, path, headers, option);
        assert_eq!(one(&s, POLITE, path, headers).status, 200, "{path}");
        let answered = asked
            .drain(..)
            .filter(|stream| {
                let mut stream = BufReader::new(stream);
                http::head(&mut stream).unwrap().status == 200
            })
            .count();
        assert!((2..=3).contains(&answered), "{answered} of {path}");
        w.slow.store(0, Relaxed);
        assert_eq!(one(&s, GREEDY, path, headers).status, 200, "{path}");
    }
}

/// Half of the windows that are watched at a time is what one client began; it may watch those of others.
#[test]
fn one_client_leaves_room_for_watched_windows() {
    let w = world();
    let mut options = ServerOptions::default();
    options.watched_windows = 4;
    let s = w.serve(options);
    let path = |day: u32| format!("/v1/stores/views/windows/home?since=1970-01-01&end=1970-01-0{day}");
    let mut open: Vec<_> = [2, 3, 2, 3].map(|day| stream(&s, GREEDY, &path(day))).into();
    refused(&s, GREEDY, &path(4), EVENTS, "watched_windows");
    open.push(stream(&s, POLITE, &path(4)));
    open.push(stream(&s, GREEDY, &path(4)));
    assert!(open.iter().all(|(status, _)| *status == 200));
    drop(open);
    in_time("the places of windows that nobody watches are free", || {
        stream(&s, GREEDY, &path(5)).0 == 200
    });
}

/// Half of all connections is one address's.
#[test]
fn one_address_leaves_connections_to_others() {
    let w = world();
    let mut options = ServerOptions::default();
    options.connections = 8;
    let s = w.serve(options);
    let idle: Vec<_> = (0..4).map(|_| connect(GREEDY, s.address)).collect();
    refused(&s, GREEDY, KEY, &[], "connections");
    assert_eq!(one(&s, POLITE, KEY, &[]).status, 200);
    drop(idle);
    in_time("the places of connections that were closed are free", || {
        one(&s, GREEDY, KEY, &[]).status == 200
    });
}

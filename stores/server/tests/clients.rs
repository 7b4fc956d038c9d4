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

/// Streams are among what a client has at a time, for as long as they are open.
#[test]
fn streams_count_as_long_as_they_are_open() {
    let w = world();
    let s = w.serve(small());
    let stream = || {
        let mut stream = BufReader::new(connect(GREEDY, s.address));
        let request = http::request("GET", KEY, &[("accept", "text/event-stream")], b"");
        stream.get_mut().write_all(&request).unwrap();
        (http::head(&mut stream).unwrap().status, stream)
    };
    let mut open: Vec<_> = (0..4).map(|_| stream()).collect();
    assert!(open.iter().all(|(status, _)| *status == 200));
    assert_eq!(stream().0, 429);
    let one = |from| ask(&mut BufReader::new(connect(from, s.address)), &[]).status;
    assert_eq!((one(GREEDY), one(POLITE)), (429, 200));
    open.pop();
    let began = Instant::now();
    while one(GREEDY) != 200 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the place of a stream that was closed is free"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

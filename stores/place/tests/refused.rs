//! A store of objects that refuses, as it does for a clock that is wrong: it tells the time all the same.
#![cfg(feature = "s3")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, UNIX_EPOCH};

use rufous_core::ErrorKind;
use rufous_place::Place;

/// Answers so many requests by this head, each on a connection of its own, then is gone.
fn answers(listener: TcpListener, head: &'static str, times: usize) {
    for _ in 0..times {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let head = format!("{head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        lines.get_mut().write_all(head.as_bytes()).unwrap();
    }
}

/// The example of RFC 9110, in an answer to a request whose time is wrong. Who is not answered later is told no time of before.
#[test]
fn a_refusal_tells_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = [
        ("aws_endpoint", format!("http://{}", listener.local_addr().unwrap())),
        ("aws_region", "us-east-1".into()),
        ("aws_access_key_id", "id".into()),
        ("aws_secret_access_key", "key".into()),
    ];
    let options = options.map(|(name, value)| (name.to_string(), value)).into();
    let place = rufous_place::s3::open("s3://bucket/prefix", &options, "offline").unwrap();
    let server = std::thread::spawn(|| {
        let head = "HTTP/1.1 403 Forbidden\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT";
        answers(listener, head, 2);
    });
    assert_eq!(place.size("object").unwrap_err().kind(), ErrorKind::InvalidRequest);
    let told = place.clock().unwrap().unwrap();
    assert_eq!(told.duration_since(UNIX_EPOCH).unwrap().as_millis(), 784_111_777_500);
    server.join().unwrap();
    assert_eq!(place.clock().unwrap_err().kind(), ErrorKind::TryAgain);
}

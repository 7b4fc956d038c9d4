//! HTTP/1.1 by hand: what is sent is just what is written here.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
    /// The answer is a problem of this status, which says all that a problem says.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(json["status"], status);
        for member in ["type", "title", "detail", "kind", "repair"] {
            assert!(json[member].as_str().is_some_and(|t| !t.is_empty()), "{member}: {json}");
        }
        json
    }
    #[track_caller]
    pub fn fine(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = connect(address);
    let mut with = headers.to_vec();
    with.push(("connection", "close"));
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(&request(method, path, &with, body));
    read(&mut BufReader::new(stream)).expect("no answer")
}

/// Status line and headers; `None` when the connection ended before.
pub fn head(from: &mut impl BufRead) -> Option<Answer> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        from.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    Some(Answer {
        status,
        headers,
        body: Vec::new(),
        whole: false,
    })
}

pub fn read(from: &mut impl BufRead) -> Option<Answer> {
    let answer = head(from)?;
    body(answer, from)
}

/// The rest of an answer whose head was read.
pub fn body(mut answer: Answer, from: &mut impl BufRead) -> Option<Answer> {
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.whole = loop {
            match chunk(from) {
                None => break false,
                Some(chunk) if chunk.is_empty() => break true,
                Some(chunk) => answer.body.extend(chunk),
            }
        };
    } else {
        let length = answer.header("content-length").map_or(0, |n| n.parse().unwrap());
        answer.body.resize(if answer.status == 304 { 0 } else { length }, 0);
        answer.whole = from.read_exact(&mut answer.body).is_ok();
    }
    Some(answer)
}

/// The next chunk of a body; `None` when the connection ended before its end.
pub fn chunk(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
    let mut chunk = vec![0; length + 2];
    from.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(chunk)
}

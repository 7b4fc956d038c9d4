//! What hostile peers send.

use super::frame::*;
use super::*;
use crate::realtime::{Cell, ProgressRows, RealtimeReader, Snapshot};
use rufous_core::{BatchId, Error, ErrorKind, Frontier, Result};
use std::io::{Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A peer that has said all it has to say.
struct Script {
    says: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.says.read(buf)
    }
}
impl Write for Script {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.heard.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn limit(&self, _: Duration) -> std::io::Result<()> {
        Ok(())
    }
}

struct Nothing;
impl RealtimeReader for Nothing {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Err(Error::try_again("no snapshot today"))
    }
}

fn serve(says: &[u8]) -> (Result<()>, Vec<u8>) {
    let mut script = Script {
        says: Cursor::new(says.to_vec()),
        heard: Vec::new(),
    };
    let served = serve_connection(&mut script, &Nothing);
    (served, script.heard)
}

fn remote(says: Vec<u8>) -> Error {
    RemoteReader::connect("n", "process 17", move |_| {
        Ok(Box::new(Script {
            says: Cursor::new(says.clone()),
            heard: Vec::new(),
        }))
    })
    .err()
    .unwrap()
}

#[test]
fn hostile_frames_are_errors() {
    assert!(serve(b"").0.is_ok(), "a client that leaves at once");
    for says in [
        &b"\x00"[..],
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xffH",
        b"\x05\x00\x00\x00HRf",
        b"\x01\x00\x00\x00H",
        b"\x05\x00\x00\x00HHTTP",
        b"\x0a\x00\x00\x00HRfRd\x01\xff\xff\xff\x7f",
    ] {
        assert!(serve(says).0.is_err(), "{}", says.escape_ascii());
        assert_eq!(remote(says.to_vec()).to_string().split(':').next(), Some("process 17"));
    }
    let e = remote(b"\xff\xff\xff\xffO".to_vec());
    assert_eq!(
        (e.kind(), e.to_string()),
        (
            ErrorKind::CorruptData,
            "process 17: a message claims 4294967295 bytes; 1 to 268435456 are allowed".into()
        )
    );
}

#[test]
fn errors_keep_their_kind() {
    let (served, heard) = serve(b"\x0b\x00\x00\x00HRfRd\x01\x01\x00\x00\x00n");
    assert_eq!(served.unwrap_err().to_string(), "no snapshot today");
    let e = remote(heard);
    assert_eq!(
        (e.kind(), e.to_string()),
        (ErrorKind::TryAgain, "process 17: no snapshot today".into())
    );
    let e = serve(b"\x0b\x00\x00\x00HRfRd\x09\x01\x00\x00\x00n").0.unwrap_err();
    assert!(e.to_string().contains("version 9"), "{e}");
    assert_eq!(remote(Vec::new()).kind(), ErrorKind::TryAgain);
}

#[test]
fn long_messages_are_cut() {
    let e = Error::corrupt("\u{e4}".repeat(100_000));
    assert!(error_out(&e).len() < 140_000);
}

/// Takes its time for each key.
struct Slow;
impl Snapshot for Slow {
    fn namespace(&self) -> &str {
        "n"
    }
    fn partitions(&self, _: &str) -> Result<ProgressRows> {
        Ok(ProgressRows::default())
    }
    fn cells(&self, _: &str, keys: &[Vec<u8>], _: &Frontier) -> Result<Vec<Vec<Cell>>> {
        std::thread::sleep(Duration::from_millis(keys.len() as u64));
        let cell = |key: &Vec<u8>| Cell {
            partition: 0,
            batch: BatchId(7),
            value: key.clone(),
        };
        Ok(keys.iter().map(|key| vec![cell(key)]).collect())
    }
    fn scan(&self, _: &str, _: &[u8], _: &Frontier, _: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        Ok(())
    }
}
impl RealtimeReader for Slow {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(Slow))
    }
}

/// Many keys take longer than an owner may be silent: they are asked for piece by piece, and it is silent for one piece at most.
#[test]
fn many_keys_are_no_silence() {
    let connect = |_: &crate::Until| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || serve_connection(theirs, &Slow));
        Ok(Box::new(ours) as Box<dyn Stream>)
    };
    let reader = RemoteReader::connect("n", "process 17", connect).unwrap();
    let keys: Vec<Vec<u8>> = (0..3000u32).map(|i| i.to_be_bytes().to_vec()).collect();
    let found = reader
        .snapshot()
        .unwrap()
        .cells("s", &keys, &Frontier::default())
        .unwrap();
    let found: Vec<Vec<u8>> = found.into_iter().flatten().map(|cell| cell.value).collect();
    assert_eq!(found, keys);
}

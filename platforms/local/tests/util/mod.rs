//! What the tests share: a directory of logs with its registry, and the oracle: lines as `std` splits them.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rufous_core::{Error, Format, RecordBatch, Result};
use rufous_platform_local::{LocalLog, LocalOptions, Place};
use rufous_realtime::{Log, Polled};

/// Offset and value.
pub type Records = Vec<(u64, Vec<u8>)>;

pub struct Bed {
    pub dir: tempfile::TempDir,
}

impl Bed {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        Self { dir }
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }
    pub fn registry(&self) -> PathBuf {
        self.dir.path().join("registry")
    }
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }
    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.path(name), bytes.as_ref());
    }
    pub fn open(&self) -> Result<LocalLog> {
        self.open_with(LocalOptions::default())
    }
    pub fn open_with(&self, options: LocalOptions) -> Result<LocalLog> {
        LocalLog::open(Place::Dir(self.dir.path().join("logs")), &self.registry(), options)
    }
    /// Opens, asks for partitions and reads them from their starts until nothing comes.
    pub fn read_all(&self, options: LocalOptions) -> Result<BTreeMap<u32, Records>> {
        let mut log = self.open_with(options)?;
        let starts: Vec<_> = log.partitions()?.iter().map(|p| (p.partition, p.start)).collect();
        log.assign(&starts)?;
        drain(&mut log)
    }
}

pub fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

pub fn bounded() -> LocalOptions {
    LocalOptions {
        bounded: true,
        ..LocalOptions::default()
    }
}

/// A log that reads everything from the start.
pub fn from_start(mut log: LocalLog) -> LocalLog {
    let starts: Vec<_> = log
        .partitions()
        .unwrap()
        .iter()
        .map(|p| (p.partition, p.start))
        .collect();
    log.assign(&starts).unwrap();
    log
}

/// All records that are there now. Checks that positions follow one another.
pub fn drain(log: &mut LocalLog) -> Result<BTreeMap<u32, Records>> {
    let mut all: BTreeMap<u32, Records> = BTreeMap::new();
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    let mut batch = RecordBatch::default();
    loop {
        match log.poll(Duration::ZERO, &mut batch)? {
            Polled::Records => {
                assert!(batch.entries.len() <= 4096);
                let from = next.insert(batch.partition, batch.next).unwrap_or(0);
                assert!(from < batch.next);
                let records = all.entry(batch.partition).or_default();
                for e in &batch.entries {
                    assert!((from..batch.next).contains(&e.offset));
                    records.push((e.offset, batch.value(e).unwrap().to_vec()));
                }
            }
            Polled::Idle => return Ok(all),
            Polled::PartitionsChanged | Polled::Revoked => {}
            Polled::Lost { .. } | Polled::Truncated { .. } => panic!("files lose nothing"),
        }
    }
}

/// Polls until the log says something else than `Records` or `Idle`.
pub fn outcome(log: &mut LocalLog) -> Result<Polled> {
    let mut batch = RecordBatch::default();
    for _ in 0..20 {
        match log.poll(Duration::from_millis(50), &mut batch)? {
            Polled::Records | Polled::Idle => {}
            other => return Ok(other),
        }
    }
    Ok(Polled::Idle)
}

/// The oracle: whole lines with their offsets; with what follows the last newline when the bytes are complete.
pub fn lines(bytes: &[u8], complete: bool) -> Records {
    let mut offset = 0;
    let mut records = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if line.ends_with(b"\n") || complete {
            let value = line.strip_suffix(b"\n").unwrap_or(line);
            records.push((offset, value.strip_suffix(b"\r").unwrap_or(value).to_vec()));
        }
        offset += line.len() as u64;
    }
    records
}

/// Lines of many lengths, some empty, some with CR LF, without randomness that changes.
pub fn sample(count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut x = 88172645463325252_u64;
    for i in 0..count {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let len = if x.is_multiple_of(97) { x % 5000 } else { x % 40 };
        bytes.extend((0..len).map(|j| b'a' + ((x >> (j % 50)) % 26) as u8));
        bytes.extend_from_slice(if i % 5 == 0 { b"\r\n" } else { b"\n" });
    }
    bytes
}

#[track_caller]
pub fn refused<T>(result: Result<T>, parts: &[&str]) -> Error {
    let Err(e) = result else {
        panic!("should be refused: {parts:?}")
    };
    assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest, "{e}");
    for part in parts {
        assert!(e.to_string().contains(part), "`{part}` is not in: {e}");
    }
    e
}

pub const TEXT: Format = Format::Text;

//! Row 12: a place that takes no more bytes, at any of them. What was published before is served, nothing of the failed run is
//! left or visible, and once there is room the next one is whole.

mod support;

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use rufous_core::{Error, ErrorKind, Result};
use rufous_place::{Encode, Listed, Local, Open, Pending, Place, Steps};
use rufous_store_api::{GenerationStore, StoreGeneration};
use rufous_store_offline::Generations;
use support::{Pairs, face, key, pairs};

/// A directory on a disk with so many bytes left.
#[derive(Debug)]
struct Small {
    inner: Local,
    left: Arc<AtomicU64>,
}

struct Writing(Box<dyn Pending>, Arc<AtomicU64>);

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.1.load(SeqCst).min(bytes.len() as u64);
        if left == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.fetch_sub(left, SeqCst);
        self.0.write(&bytes[..left as usize])
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Pending for Writing {
    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish()
    }
}

impl Place for Small {
    fn show(&self, path: &str) -> String {
        self.inner.show(path)
    }
    fn is_far(&self) -> bool {
        false
    }
    fn check(&self) -> Result<()> {
        self.inner.check()
    }
    fn read(&self, path: &str) -> Result<Option<bytes::Bytes>> {
        self.inner.read(path)
    }
    fn open(&self, path: &str) -> Result<Option<Box<dyn Open>>> {
        self.inner.open(path)
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Option<bytes::Bytes>> {
        self.inner.read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.inner.size(path)
    }
    fn begin(&self, path: &str, steps: &'static Steps) -> Result<Box<dyn Pending>> {
        Ok(Box::new(Writing(self.inner.begin(path, steps)?, self.left.clone())))
    }
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        self.inner.put(path, encode)
    }
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        if self.left.load(SeqCst) < bytes.len() as u64 {
            return Err(Error::try_again("the disk is full"));
        }
        self.inner.create(path, bytes)
    }
    fn dirs(&self, dir: &str) -> Result<Vec<String>> {
        self.inner.dirs(dir)
    }
    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        self.inner.list(dir)
    }
    fn delete(&self, path: &str) -> Result<bool> {
        self.inner.delete(path)
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let place: Arc<dyn Place> = Arc::new(Small {
        inner: Local::new(dir.path()),
        left: left.clone(),
    });
    let g = Generations::on(place.clone(), "offline");
    let write = |pairs: &Pairs| {
        let mut run = g.begin_run(&face())?;
        let mut failed = None;
        for (k, v) in pairs {
            if let Err(e) = run.push(k, &v.to_le_bytes()) {
                // It takes nothing more, and says so.
                assert_eq!(run.push(b"\xff\xff", b"").unwrap_err().kind(), ErrorKind::Closed);
                failed = Some(e);
                break;
            }
        }
        match failed {
            Some(e) => {
                assert_eq!(run.finish().unwrap_err().kind(), ErrorKind::Closed);
                Err(e)
            }
            None => run.finish(),
        }
    };
    let all = pairs(60_000, 1);
    let old = StoreGeneration {
        runs: write(&all).unwrap().into_iter().collect(),
        ..Default::default()
    };
    let size = old.runs[0].bytes;
    assert!(size > 1 << 20, "two partitions");
    for room in (0..size).step_by(100_003).chain([size - 1, size - 49]) {
        left.store(room, SeqCst);
        let e = write(&pairs(60_000, 1)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{room}: {e}");
        assert!(e.to_string().contains("/offline/counts/run-"), "{e}");
        let listed = place.list("offline/counts").unwrap();
        assert_eq!(listed.len(), 1, "{room}: {listed:?}");
        let got = g.get(&face(), &old, &[key("key-0000007")]).unwrap();
        assert_eq!(got, [Some(8u64.to_le_bytes().to_vec())]);
    }
    left.store(size, SeqCst);
    let run = write(&all).unwrap().unwrap();
    assert_eq!((run.bytes, &run.checksum), (size, &old.runs[0].checksum));
    g.verify(&face(), &old).unwrap();
}

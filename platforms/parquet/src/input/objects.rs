//! Objects of a store. A read names the tag that the object had when it was looked at, so the store itself refuses to hand out
//! bytes of another content.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rufous_core::{Error, Result};
use rufous_place::Remote;
use rufous_place::remote::{Object, Seen};

use super::storage::{Found, Opened, Storage, Version};

/// So much is asked for at least: a request costs a round trip, however little it brings.
const LEAST: u64 = 64 << 10;
/// Reads that go on where the last one ended ask for twice as much each time, and never for more than this.
const MOST: u64 = 4 << 20;

/// The objects of a bucket; paths are their names, verbatim.
#[derive(Clone, Debug)]
pub struct Objects {
    bucket: Arc<Remote>,
}

impl Objects {
    /// Of a bucket. A [`Remote`] with a prefix makes all paths relative to that.
    pub fn new(bucket: Remote) -> Self {
        Self {
            bucket: Arc::new(bucket),
        }
    }
}

fn name(path: &Path) -> Result<&str> {
    let name = path.to_str();
    name.ok_or_else(|| Error::invalid(format!("`{}` is no name of an object: it is no UTF-8", path.display())))
}

fn version(object: &Object) -> Version {
    Version {
        bytes: object.bytes,
        tag: object.tag.clone(),
    }
}

impl Storage for Objects {
    fn list(&self, path: &Path) -> Result<Vec<Found>> {
        let dir = name(path)?.trim_end_matches('/');
        let below = self.bucket.objects(dir)?;
        if !dir.is_empty()
            && let Some(object) = self.bucket.look(dir)?
        {
            // What marks a directory has no bytes.
            if !below.is_empty() && object.bytes > 0 {
                return Err(Error::invalid(format!(
                    "{0} is an object, and there are others below {0}/: say which is meant, by the name of a file or by another \
                     directory",
                    self.show(path)
                )));
            }
            if below.is_empty() {
                return Ok(vec![Found {
                    version: Some(version(&object)),
                    path: dir.into(),
                    names: Vec::new(),
                }]);
            }
        }
        let found = |object: Object| {
            let names = object.path.strip_prefix(dir).unwrap_or(&object.path);
            Found {
                names: names.trim_start_matches('/').split('/').map(str::to_string).collect(),
                version: Some(version(&object)),
                path: PathBuf::from(object.path),
            }
        };
        Ok(below.into_iter().map(found).collect())
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Opened>> {
        Ok(Box::new(OpenObject {
            bucket: self.bucket.clone(),
            path: name(path)?.into(),
            seen: OnceLock::new(),
            held: Mutex::default(),
        }))
    }

    fn show(&self, path: &Path) -> String {
        self.bucket.show_object(&path.to_string_lossy())
    }
}

#[derive(Debug)]
struct OpenObject {
    bucket: Arc<Remote>,
    path: String,
    /// What it was when it was asked for the first time.
    seen: OnceLock<Object>,
    held: Mutex<Held>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Held {
    at: u64,
    bytes: Bytes,
    /// How much a read that goes on behind it brings.
    ahead: u64,
}

impl Held {
    fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes.len() as u64)
    }
    /// What it has from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let skipped = at.checked_sub(self.at).and_then(|n| usize::try_from(n).ok());
        skipped.and_then(|n| self.bytes.get(n..)).unwrap_or_default()
    }
}

impl OpenObject {
    fn show(&self) -> String {
        self.bucket.show_object(&self.path)
    }

    fn look(&self) -> Result<Object> {
        self.bucket.look(&self.path)?.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        Error::invalid(format!(
            "{} does not exist, or no more: name what is there, and let nobody delete it while it is read",
            self.show()
        ))
    }

    fn seen(&self) -> Result<&Object> {
        if let Some(seen) = self.seen.get() {
            return Ok(seen);
        }
        let now = self.look()?;
        Ok(self.seen.get_or_init(|| now))
    }

    /// The bytes from `at` on, at least `n` of them.
    fn fetch(&self, held: &mut Held, object: &Object, at: u64, n: u64) -> Result<()> {
        let goes_on = at == held.end() && !held.bytes.is_empty();
        held.ahead = match goes_on {
            true => held.ahead.saturating_mul(2).clamp(LEAST, MOST),
            false => LEAST,
        };
        let to = at.saturating_add(n.max(held.ahead)).min(object.bytes);
        // A look at the end of a file is followed by one at what is before it: Parquet has its footer there.
        let from = match to == object.bytes && !goes_on {
            true => at.min(object.bytes.saturating_sub(LEAST)),
            false => at,
        };
        match self.bucket.read_as(object, from..to)? {
            Seen::Bytes(bytes) => {
                (held.at, held.bytes) = (from, bytes);
                Ok(())
            }
            Seen::Changed => Err(Error::try_again(format!(
                "{}: it was written to while it was read: let its writer end, then run again",
                self.show()
            ))),
            Seen::Gone => Err(self.gone()),
        }
    }
}

impl Opened for OpenObject {
    fn version(&self) -> Result<Version> {
        match self.seen.get() {
            None => Ok(version(self.seen()?)),
            Some(_) => Ok(version(&self.look()?)),
        }
    }

    fn read_range(&self, mut at: u64, mut into: &mut [u8]) -> Result<()> {
        let object = self.seen()?;
        if at.checked_add(into.len() as u64).is_none_or(|end| end > object.bytes) {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(Error::io("cannot read", Path::new(&self.show()), short));
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while !into.is_empty() {
            let bytes = held.from(at);
            if bytes.is_empty() {
                self.fetch(&mut held, object, at, into.len() as u64)?;
                continue;
            }
            let n = bytes.len().min(into.len());
            let (now, later) = into.split_at_mut(n);
            now.copy_from_slice(bytes.get(..n).unwrap_or_default());
            (at, into) = (at + n as u64, later);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rufous_core::ErrorKind;
    use rufous_place::Place;
    use rufous_place::object_store::memory::InMemory;

    use super::*;

    /// Reads of any length at any place, in one go and back and forth, are those of the bytes; none goes over the end, and none
    /// is of a content that came later.
    #[test]
    fn reads_are_the_bytes() {
        let remote = || Remote::new(Arc::new(InMemory::new()), "test://memory", "p").unwrap();
        let bytes: Vec<u8> = (0..1_500_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let place = remote();
        let put = |place: &Remote, bytes: &[u8]| {
            place
                .put("a", &mut |out| {
                    out.write_all(bytes).map_err(|e| Error::bug(e.to_string()))
                })
                .unwrap();
        };
        put(&place, &bytes);
        let objects = Objects::new(place);
        let file = objects.open(Path::new("a")).unwrap();
        assert_eq!(file.version().unwrap().bytes, 1_500_000);
        let mut state = 7u64;
        let mut below = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        let mut at = 0;
        for step in 0..2_000 {
            let length = match below(20) {
                0 => below(1_000_000),
                1..10 => below(300_000),
                _ => below(40),
            };
            if at + length > 1_500_000 || step % 7 == 0 {
                at = below(1_500_000);
            }
            let length = length.min(1_500_000 - at);
            let mut into = vec![0; length as usize];
            file.read_range(at, &mut into).unwrap();
            assert!(
                into == bytes[at as usize..(at + length) as usize],
                "{length} bytes at {at}"
            );
            at += length;
        }
        let e = file.read_range(1_499_999, &mut [0; 2]).unwrap_err();
        assert!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains("test://memory/p/a"),
            "{e}"
        );

        let before = file.version().unwrap();
        let mut later = bytes.clone();
        later[3] ^= 1;
        put(&objects.bucket, &later);
        let e = objects.open(Path::new("b")).unwrap().version().unwrap_err();
        assert!(e.to_string().contains("test://memory/p/b does not exist"), "{e}");
        assert_ne!(file.version().unwrap(), before);
        // What is held may be handed out: it is the content of before.
        let mut into = vec![0; 1_400_000];
        let e = file.read_range(0, &mut into).unwrap_err();
        assert!(
            e.kind() == ErrorKind::TryAgain && e.to_string().contains("written to"),
            "{e}"
        );
    }
}

//! What a file is: device, inode and a hash of its first bytes. Its name may change.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// At most so many first bytes are hashed.
pub(crate) const HEAD: u64 = 1024;

/// A hash of the first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) len: u64,
    pub(crate) hash: u64,
}

impl Head {
    /// Of the first `len` bytes, at most [`HEAD`] of them; `None` when the file has fewer.
    pub(crate) fn read(file: &File, len: u64) -> io::Result<Option<Self>> {
        let len = len.min(HEAD);
        let mut bytes = [0; HEAD as usize];
        let bytes = &mut bytes[..len as usize];
        Ok((read_at(file, bytes, 0)? == bytes.len()).then(|| Self {
            len,
            hash: xxh3_64(bytes),
        }))
    }
}

/// Device and inode.
pub(crate) type Id = (u64, u64);

/// A file as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// The name in its directory.
    pub(crate) name: String,
    pub(crate) stat: Stat,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: Id,
    pub(crate) len: u64,
    /// When it was written to last, in nanoseconds.
    pub(crate) changed: i128,
    /// When it was created, where the file system says so: an inode number may be used again.
    pub(crate) born: Option<u64>,
}

impl From<&Metadata> for Stat {
    fn from(m: &Metadata) -> Self {
        let born = m
            .created()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            id: (m.dev(), m.ino()),
            len: m.len(),
            changed: i128::from(m.mtime()) * 1_000_000_000 + i128::from(m.mtime_nsec()),
            born: born.and_then(|d| u64::try_from(d.as_nanos()).ok()),
        }
    }
}

impl Stat {
    /// Of an open file.
    pub(crate) fn of(file: &File, path: &Path) -> Result<Self> {
        file.metadata()
            .map(|m| Self::from(&m))
            .map_err(|e| Error::io("cannot look at", path, e))
    }
}

impl Found {
    /// Opens the file; `None` when another one, or none, has its name by now.
    pub(crate) fn open(&self) -> Result<Option<Arc<File>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", &self.path, e)),
        };
        Ok((Stat::of(&file, &self.path)?.id == self.stat.id).then(|| Arc::new(file)))
    }

    /// How it is packed, by the ending of its name.
    pub(crate) fn packing(&self) -> Option<Packing> {
        Packing::of(&self.name).map(|(packing, _)| packing)
    }
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// By the ending of a name; with what is in front of the ending.
    pub(crate) fn of(name: &str) -> Option<(Self, &str)> {
        name.strip_suffix(".gz")
            .map(|s| (Self::Gzip, s))
            .or_else(|| name.strip_suffix(".zst").map(|s| (Self::Zstd, s)))
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// The position after the last newline before `len`, looked for down to `floor`; `None` when there is none.
pub(crate) fn after_last_newline(file: &File, floor: u64, len: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; 64 << 10];
    let mut to = len;
    while to > floor {
        let from = to.saturating_sub(block.len() as u64).max(floor);
        let part = &mut block[..(to - from) as usize];
        let got = read_at(file, part, from)?;
        if let Some(i) = memchr::memrchr(b'\n', &part[..got]) {
            return Ok(Some(from + i as u64 + 1));
        }
        to = from;
    }
    Ok(None)
}

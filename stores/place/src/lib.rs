//! Where files lie that are written once and never changed: a directory, or an object store. Paths are below the place and
//! have `/` between names.
//!
//! Files are whole and durable when they get their names. [`create`](Place::create) is exclusive (a hard link; a conditional
//! put), so numbered records need no lock. Calls block, and may come from inside an async runtime: an object store is spoken
//! to by a thread of its own. Errors that pass by themselves are of kind `TryAgain`.
//!
//! Modules in reading order: [`local`], `remote` (feature `remote`; its `objects` are files of others, that may change), `s3`
//! (feature `s3`).
//!
//! ```
//! use std::io::Write;
//! use rufous_place::{FILE_STEPS, Local, Place};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let place = Local::open(dir.path())?;
//! let mut file = place.begin("a/b", &FILE_STEPS)?;
//! file.write_all(b"hello").unwrap();
//! assert_eq!(place.read("a/b")?, None, "it has no name yet");
//! file.finish()?;
//! assert_eq!(place.read_range("a/b", 1..4)?.as_deref(), Some(&b"ell"[..]));
//! assert!(place.create("entries/0", b"mine".to_vec())? && !place.create("entries/0", b"yours".to_vec())?);
//! # Ok::<(), rufous_core::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod local;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "s3")]
pub mod s3;

use std::fmt::Debug;
use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use rufous_core::Result;

pub use local::Local;
#[cfg(feature = "remote")]
pub use object_store;
#[cfg(feature = "remote")]
pub use remote::Remote;

/// The prefix of temporary names.
pub const TEMPORARY: &str = ".tmp-";
/// The prefix of objects that show whether a store creates exclusively.
pub const PROBE: &str = ".probe-";

/// Names of the points of a write (see [`rufous_store_api::points`]): created, written, synced, renamed, durable.
pub type Steps = [&'static str; 5];
/// Those of any file.
pub const FILE_STEPS: Steps = [
    "file.created",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.durable",
];

/// What a file's writer is given.
pub type Encode<'a> = &'a mut dyn FnMut(&mut (dyn Write + Send)) -> Result<()>;

/// A file as a listing shows it.
///
/// Two that are equal are of one file, unchanged: who kept what he read need not read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Below the place.
    pub path: String,
    /// When it was last written.
    pub changed: SystemTime,
    /// How long it is.
    pub bytes: u64,
    /// What another file of the same name has otherwise (an entity tag, the number of a file), as far as the place says it.
    pub tag: Option<String>,
}

/// A file that is being written. When it is dropped unfinished, nothing is left.
pub trait Pending: Write + Send {
    /// Makes the file durable and gives it its name: it is whole and there when this returns, not there before.
    ///
    /// # Errors
    /// When it cannot be written; the name is not there then, or (object stores) whole.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// All bytes that were asked for.
    Whole,
    /// The file ends before.
    Short,
    /// The file was deleted.
    Gone,
}

/// A file that is open for reading.
pub trait Open: Debug + Send + Sync {
    /// Its length in bytes when it was opened.
    fn size(&self) -> u64;
    /// Fills `bytes` from offset `at` on.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<Filled>;
    /// Fills each buffer from its offset on. A file far away is asked for several at the same time; what comes of the worst
    /// of them is told.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn read_many(&self, reads: &mut [(u64, Vec<u8>)]) -> Result<Filled> {
        for (at, bytes) in reads {
            match self.read_at(bytes, *at)? {
                Filled::Whole => {}
                other => return Ok(other),
            }
        }
        Ok(Filled::Whole)
    }
    /// Whether the open file holds space that its name no longer shows.
    fn is_deleted(&self) -> bool;
}

/// Few ways to touch files, and listings for those who tidy up.
pub trait Place: Debug + Send + Sync {
    /// A path as messages name it.
    fn show(&self, path: &str) -> String;
    /// Whether a question costs a round trip, and an answer may be lost after it was carried out.
    fn is_far(&self) -> bool;
    /// What time it is there, as far as it says; `None`: it has no clock of its own, or does not tell.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn clock(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }
    /// Whether files can be created exclusively here. Asked before the first one is.
    ///
    /// # Errors
    /// `InvalidRequest` when they cannot.
    fn check(&self) -> Result<()>;
    /// The whole file; `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> Result<Option<Bytes>>;
    /// Files in the order of their paths; a store far away is asked for several at once.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Bytes>>> {
        paths.iter().map(|p| self.read(p)).collect()
    }
    /// How many files one [`read_many`](Place::read_many) should ask for.
    fn width(&self) -> u64 {
        1
    }
    /// Opens a file for reads at any offset; `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, path: &str) -> Result<Option<Box<dyn Open>>>;
    /// The bytes of a range, fewer when the file ends before; `None`: there is no such file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let n = range.end.min(file.size()).saturating_sub(range.start);
        // No file is longer than what it says, and a range beyond memory is one that cannot be asked for.
        let mut bytes = vec![0; usize::try_from(n).unwrap_or(usize::MAX)];
        match file.read_at(&mut bytes, range.start)? {
            Filled::Whole => Ok(Some(bytes.into())),
            Filled::Short => Ok(Some(Bytes::new())),
            Filled::Gone => Ok(None),
        }
    }
    /// The length of a file; `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn size(&self, path: &str) -> Result<Option<u64>>;
    /// Whether there is such a file.
    ///
    /// # Errors
    /// As [`size`](Self::size).
    fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.size(path)?.is_some())
    }
    /// Begins a file under a name that nobody else uses.
    ///
    /// # Errors
    /// When it cannot be created.
    fn begin(&self, path: &str, steps: &'static Steps) -> Result<Box<dyn Pending>>;
    /// Writes a file under a name that nobody else uses: durable and whole when this returns, not there before.
    ///
    /// # Errors
    /// The first of `encode`, or when it cannot be written.
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()>;
    /// Creates a file durably unless it exists: `false` then. Of many who try at once, one gets `true`.
    ///
    /// # Errors
    /// When it cannot be written, or not be created exclusively.
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool>;
    /// The names directly below a directory that have something below them.
    ///
    /// # Errors
    /// When it cannot be listed.
    fn dirs(&self, dir: &str) -> Result<Vec<String>>;
    /// Every file below a directory (P19: for sweeping only, never for what the archive holds). Names that are not UTF-8 are
    /// left out. A listing is no snapshot.
    ///
    /// # Errors
    /// When it cannot be listed.
    fn list(&self, dir: &str) -> Result<Vec<Listed>>;
    /// Deletes a file; `false`: there was none. Object stores do not tell, and say `true`.
    ///
    /// # Errors
    /// When it cannot be deleted.
    fn delete(&self, path: &str) -> Result<bool>;
}

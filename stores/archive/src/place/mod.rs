//! Where an archive's files lie: a directory, or an object store. Paths are below the archive and have `/` between names.

pub(crate) mod local;
pub(crate) mod remote;
#[cfg(feature = "s3")]
pub(crate) mod s3;

use std::fmt::Debug;
use std::io::Write;
use std::time::SystemTime;

use bytes::Bytes;
use rufous_core::Result;

/// What a file's writer is given.
pub(crate) type Encode<'a> = &'a mut dyn FnMut(&mut (dyn Write + Send)) -> Result<()>;

/// A file as a listing shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) changed: SystemTime,
    pub(crate) bytes: u64,
}

/// Four ways to touch files, and listings for those who tidy up. Errors that pass by themselves are of kind `TryAgain`.
pub(crate) trait Place: Debug + Send + Sync {
    /// A path as messages name it.
    fn show(&self, path: &str) -> String;
    /// Whether entries can be created exclusively here. Asked before the first one is.
    fn check(&self) -> Result<()>;
    /// The whole file; `None`: there is none.
    fn read(&self, path: &str) -> Result<Option<Bytes>>;
    /// Files in the order of their paths; a store far away is asked for several at once.
    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Bytes>>> {
        paths.iter().map(|p| self.read(p)).collect()
    }
    /// How many files one [`read_many`](Place::read_many) should ask for.
    fn width(&self) -> u64 {
        1
    }
    /// Whether there is such a file.
    fn exists(&self, path: &str) -> Result<bool>;
    /// Writes a file under a name that nobody else uses: durable and whole when this returns, not there before.
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()>;
    /// Creates a file durably unless it exists: `false` then. Of many who try at once, one gets `true`.
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool>;
    /// The names directly below a directory that have something below them.
    fn dirs(&self, dir: &str) -> Result<Vec<String>>;
    /// Every file below a directory (P19: for sweeping only, never for what the archive holds).
    fn list(&self, dir: &str) -> Result<Vec<Listed>>;
    /// Deletes a file; `false`: there was none.
    fn delete(&self, path: &str) -> Result<bool>;
}

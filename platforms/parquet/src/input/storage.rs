//! What an input's files may lie in.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use rufous_core::Result;

/// A place of files: the file system, or a store of objects. Nothing is written to it.
///
/// Errors name the file. Those that pass by themselves are of kind `TryAgain`.
pub trait Storage: Debug + Send + Sync {
    /// Every file at or below `path`, in any order, with the names below it that lead there: none if `path` is a file itself.
    ///
    /// # Errors
    /// When there is no such path, or it cannot be listed.
    fn list(&self, path: &Path) -> Result<Vec<Found>>;
    /// Opens a file to be read.
    ///
    /// # Errors
    /// When it cannot be read, or is a directory.
    fn open(&self, path: &Path) -> Result<Box<dyn Opened>>;
    /// A path as messages and manifests name it.
    fn show(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

/// A file that a listing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What [`Storage::open`] is given.
    pub path: PathBuf,
    /// Its name below the listed directory, with the directories before it.
    pub names: Vec<String>,
    /// What it was when it was listed, where that cost nothing: what did not change since need not be opened.
    pub version: Option<Version>,
}

/// A file that is open. Several threads may read it, each with a handle of its own.
pub trait Opened: Debug + Send + Sync {
    /// Length and whatever else tells this content from another one under the same name, as it is now.
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn version(&self) -> Result<Version>;
    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// When they cannot be read; `UnexpectedEof` below an error when the file ends before.
    fn read_range(&self, at: u64, into: &mut [u8]) -> Result<()>;
}

/// What tells a file's content from another one under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its bytes.
    pub bytes: u64,
    /// The rest: a time of change, or the tag of an object. It is kept in manifests together with the length.
    pub tag: String,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.bytes, self.tag)
    }
}

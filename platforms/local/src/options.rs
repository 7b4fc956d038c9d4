//! The settings of a local log.

use std::path::{Path, PathBuf};

use rufous_core::{Error, Format, Result};

/// Where the user's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One file.
    File(PathBuf),
    /// All files of a directory, one partition each. Left out are directories, hidden files, and names that end in `~` or
    /// `.tmp`: a file that is written elsewhere or under such a name and then renamed appears whole.
    Dir(PathBuf),
}

impl Place {
    /// The path of the file or directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Dir(path) => path,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Dir(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

/// How a [`LocalLog`](crate::LocalLog) reads.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// How records are written.
    pub format: Format,
    /// How many bytes are read at a time.
    pub block: usize,
    /// The longest record, in bytes.
    pub max_record: usize,
    /// Whether the files are complete and given once. A last line without a newline is a record then, and a directory
    /// without files is an error.
    pub bounded: bool,
    /// Whether new files get their numbers in the registry. One who only looks leaves that to those who read.
    pub registers: bool,
}

impl Default for LocalOptions {
    /// [`LocalOptions::new`] for text.
    fn default() -> Self {
        Self::new(Format::Text)
    }
}

impl LocalOptions {
    /// Blocks of 256 KiB, records up to 64 MiB, files that may grow.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            block: 256 << 10,
            max_record: 64 << 20,
            bounded: false,
            registers: true,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, bytes) in [("block", self.block), ("max_record", self.max_record)] {
            if !(1..=1 << 30).contains(&bytes) {
                return Err(Error::invalid(format!(
                    "option `{name}` is {bytes} bytes: give 1 to {} (1 GiB)",
                    1 << 30
                )));
            }
        }
        Ok(())
    }
}

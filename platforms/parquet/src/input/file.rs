//! One file of an input, and the same open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{Error, Result};

use super::local::LocalFiles;
use super::storage::{Opened, Storage, Version};

/// One file of a bounded input.
#[derive(Clone, Debug)]
pub struct InputFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    /// Columns that the names of its directories give to every row: name and value.
    pub(crate) named: Vec<(String, Option<String>)>,
    /// What it was when it was listed.
    listed: Option<Version>,
}

impl InputFile {
    /// A file of a storage, with the columns that the names of its directories give to every row (`None`: null).
    pub fn new(storage: Arc<dyn Storage>, path: impl Into<PathBuf>, named: Vec<(String, Option<String>)>) -> Self {
        Self {
            storage,
            path: path.into(),
            named,
            listed: None,
        }
    }
    /// The same file, as a listing saw it.
    #[must_use]
    pub fn listed_as(mut self, version: Option<Version>) -> Self {
        self.listed = version;
        self
    }
    /// What it is, or was when it was listed.
    ///
    /// # Errors
    /// When it was not listed and cannot be opened.
    pub(crate) fn version(&self) -> Result<Version> {
        match &self.listed {
            Some(version) => Ok(version.clone()),
            None => Ok(self.open()?.version),
        }
    }
    /// What tells its rows from others, as manifests note it: its content, and the columns that its directories give to them.
    /// Below another directory the same content has other rows.
    pub(crate) fn identity(&self, version: &Version) -> String {
        let mut identity = version.to_string();
        for (column, value) in &self.named {
            identity.push_str(&format!(";{column}={}", value.as_deref().unwrap_or("null")));
        }
        identity
    }
    /// Its path in its storage.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// As messages and manifests name it.
    pub(crate) fn show(&self) -> String {
        self.storage.show(&self.path)
    }
    /// Opens it as it is now.
    pub(crate) fn open(&self) -> Result<OpenFile> {
        let opened = self.storage.open(&self.path)?;
        let version = opened.version()?;
        Ok(OpenFile {
            opened,
            version,
            name: self.show(),
        })
    }
    /// Opens it as it was.
    ///
    /// # Errors
    /// When it is another one now.
    pub(crate) fn open_as(&self, version: &Version) -> Result<OpenFile> {
        let file = self.open()?;
        if file.version != *version {
            return Err(changed(&file.name, version, &file.version));
        }
        Ok(file)
    }
}

/// A file of the file system, without columns from the names of directories.
impl From<PathBuf> for InputFile {
    fn from(path: PathBuf) -> Self {
        Self::new(Arc::new(LocalFiles), path, Vec::new())
    }
}

impl From<&Path> for InputFile {
    fn from(path: &Path) -> Self {
        path.to_path_buf().into()
    }
}

/// An open file, with what it was when it was opened.
#[derive(Debug)]
pub(crate) struct OpenFile {
    opened: Box<dyn Opened>,
    pub(crate) version: Version,
    pub(crate) name: String,
}

impl OpenFile {
    pub(crate) fn bytes(&self) -> u64 {
        self.version.bytes
    }
    pub(crate) fn read_range(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.opened.read_range(at, into)
    }
    /// Whether it still is what it was when it was opened. Asked after it was read: then all that was read is one content.
    ///
    /// # Errors
    /// `TryAgain` when somebody wrote to it.
    pub(crate) fn check(&self) -> Result<()> {
        let now = self.opened.version()?;
        if now == self.version {
            return Ok(());
        }
        Err(changed(&self.name, &self.version, &now))
    }
    /// What went wrong while it was read, unless somebody wrote to it: then that did.
    pub(crate) fn blame(&self, e: Error) -> Error {
        self.check().err().unwrap_or(e)
    }
}

fn changed(name: &str, was: &Version, now: &Version) -> Error {
    Error::try_again(format!(
        "file {name}: it was written to while it was read ({} bytes, now {}): let its writer end, or write files under another \
         name and rename them, then run again",
        was.bytes, now.bytes
    ))
}

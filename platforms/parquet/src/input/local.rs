//! Files of the file system.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rufous_core::{Error, Result};

use super::storage::{Found, Opened, Storage, Version};

/// The file system. Links are followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

impl Storage for LocalFiles {
    fn list(&self, path: &Path) -> Result<Vec<Found>> {
        let meta = stat(path)?;
        let mut found = Vec::new();
        if meta.is_dir() {
            walk(path, &mut Vec::new(), &mut vec![(meta.dev(), meta.ino())], &mut found)?;
        } else {
            found.push(Found {
                path: path.into(),
                names: Vec::new(),
                version: version_of(&meta),
            });
        }
        Ok(found)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Opened>> {
        // Asked before it is opened: opening a pipe would wait for its writer.
        let meta = stat(path)?;
        if meta.is_dir() {
            return Err(Error::invalid(format!(
                "{} is a directory, and a file is needed here: name the directory as the source's location, or a file in it",
                path.display()
            )));
        }
        if !meta.is_file() {
            return Err(Error::invalid(format!(
                "{} is no file (but a pipe, a socket or a device), and a bounded input is read more than once: write it to a \
                 file first",
                path.display()
            )));
        }
        let file = File::open(path).map_err(|e| Error::io("cannot open", path, e))?;
        Ok(Box::new(LocalFile {
            file,
            path: path.into(),
        }))
    }
}

fn stat(path: &Path) -> Result<Metadata> {
    fs::metadata(path).map_err(|e| Error::io("cannot read", path, e))
}

/// The files below a directory. `above` are the directories on the way: a link may lead back to one of them.
fn walk(dir: &Path, names: &mut Vec<String>, above: &mut Vec<(u64, u64)>, found: &mut Vec<Found>) -> Result<()> {
    let fail = |e| Error::io("cannot list", dir, e);
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if super::listing::is_left_out(&name) {
            continue;
        }
        let path = entry.path();
        let meta = stat(&path)?;
        names.push(name);
        if meta.is_dir() {
            let id = (meta.dev(), meta.ino());
            if above.contains(&id) {
                return Err(Error::invalid(format!(
                    "{} links to a directory that it lies in: remove the link",
                    path.display()
                )));
            }
            above.push(id);
            walk(&path, names, above, found)?;
            above.pop();
        } else {
            found.push(Found {
                path,
                names: names.clone(),
                version: version_of(&meta),
            });
        }
        names.pop();
    }
    Ok(())
}

fn version(meta: &Metadata) -> Version {
    let changed = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    Version {
        bytes: meta.len(),
        tag: changed.map_or(0, |d| d.as_nanos()).to_string(),
    }
}

/// `None` of what is no file: opening it says why.
fn version_of(meta: &Metadata) -> Option<Version> {
    meta.is_file().then(|| version(meta))
}

#[derive(Debug)]
struct LocalFile {
    file: File,
    path: PathBuf,
}

impl Opened for LocalFile {
    fn version(&self) -> Result<Version> {
        let meta = self
            .file
            .metadata()
            .map_err(|e| Error::io("cannot read", &self.path, e))?;
        Ok(version(&meta))
    }

    fn read_range(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(into, at)
            .map_err(|e| Error::io("cannot read", &self.path, e))
    }
}

//! A directory. Files are written under a temporary name, synced and renamed; entries are linked into place.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rufous_core::{Error, Result};
use rufous_store_api::exclusive::{create, sync_dir, unique_name};
use rufous_store_api::points::reach;

use super::{Encode, Listed, Place};
use crate::write::TEMPORARY;

#[derive(Debug)]
pub(crate) struct Local {
    dir: PathBuf,
}

impl Local {
    /// A missing directory is an empty archive.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        match fs::read_dir(dir) {
            Err(e) if e.kind() != Io::NotFound => Err(Error::io("cannot open archive", dir, e)),
            _ => Ok(Self { dir: dir.into() }),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// Creates the directory of a file and makes every name on the way durable. Names that exist are synced too: who
    /// created them may not have come to it yet.
    fn create_dir(&self, file: &Path) -> Result<PathBuf> {
        let dir = file
            .parent()
            .ok_or_else(|| Error::bug(format!("{} has no directory", file.display())))?;
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        for d in dir.ancestors().skip(1) {
            sync_dir(d)?;
            if d == self.dir {
                if let Some(parent) = d.parent().filter(|p| !p.as_os_str().is_empty()) {
                    sync_dir(parent)?;
                }
                break;
            }
        }
        Ok(dir.into())
    }
}

impl Place for Local {
    fn show(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    /// Hard links are exclusive wherever they exist; a file system without them answers the first `create` with an error.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let path = self.path(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(e) if e.kind() == Io::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot read", &path, e)),
        }
    }

    fn exists(&self, path: &str) -> Result<bool> {
        let path = self.path(path);
        path.try_exists().map_err(|e| Error::io("cannot look for", &path, e))
    }

    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        let path = self.path(path);
        let dir = self.create_dir(&path)?;
        let temporary = dir.join(format!("{TEMPORARY}{}", unique_name()));
        let mut write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&temporary)
                .map_err(|e| Error::io("cannot create", &temporary, e))?;
            reach("file.created");
            encode(&mut file)?;
            reach("file.written");
            file.sync_all().map_err(|e| Error::io("cannot sync", &temporary, e))?;
            reach("file.synced");
            fs::rename(&temporary, &path).map_err(|e| Error::io("cannot rename to", &path, e))?;
            reach("file.renamed");
            sync_dir(&dir)?;
            reach("file.durable");
            Ok(())
        };
        write().inspect_err(|_| {
            // It is of no use to anybody, and a sweep would find it.
            let _ = fs::remove_file(&temporary);
        })
    }

    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        let path = self.path(path);
        self.create_dir(&path)?;
        create(&path, &bytes)
    }

    fn dirs(&self, dir: &str) -> Result<Vec<String>> {
        let dir = self.path(dir);
        let fail = |e| Error::io("cannot list", &dir, e);
        let names = match fs::read_dir(&dir) {
            Ok(names) => names,
            Err(e) if e.kind() == Io::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fail(e)),
        };
        let mut dirs = Vec::new();
        for name in names {
            dirs.extend(name.map_err(fail)?.file_name().to_str().map(str::to_string));
        }
        Ok(dirs)
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        walk(&self.dir, &self.path(dir), &mut found)?;
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<bool> {
        let path = self.path(path);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == Io::NotFound => Ok(false),
            Err(e) => Err(Error::io("cannot delete", &path, e)),
        }
    }
}

/// All files below a directory whose names are UTF-8; others are not ours.
fn walk(root: &Path, dir: &Path, found: &mut Vec<Listed>) -> Result<()> {
    let fail = |e| Error::io("cannot list", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == Io::NotFound => return Ok(()),
        Err(e) => return Err(fail(e)),
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            walk(root, &entry.path(), found)?;
            continue;
        }
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // Somebody sweeps too, or a writer renamed its temporary name.
            Err(e) if e.kind() == Io::NotFound => continue,
            Err(e) => return Err(fail(e)),
        };
        let path = entry.path();
        if let Some(path) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(Listed {
                path: path.into(),
                changed: meta.modified().map_err(fail)?,
                bytes: meta.len(),
            });
        }
    }
    Ok(())
}

//! A directory. Files are written under a temporary name, synced and renamed; entries are linked into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind as Io, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rufous_core::{Error, Result};
use rufous_store_api::exclusive::{create, sync_dir, unique_name};
use rufous_store_api::points::reach;

use super::{Encode, FILE_STEPS, Filled, Listed, Open, Pending, Place, Steps, TEMPORARY};

/// A directory as a place.
#[derive(Clone, Debug)]
pub struct Local {
    dir: PathBuf,
}

/// Under its temporary name.
struct Writing {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    dir: PathBuf,
    steps: &'static Steps,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Pending for Writing {
    fn finish(self: Box<Self>) -> Result<()> {
        let [_, written, synced, renamed, durable] = self.steps;
        reach(written);
        self.file
            .sync_all()
            .map_err(|e| Error::io("cannot sync", &self.temporary, e))?;
        reach(synced);
        fs::rename(&self.temporary, &self.path).map_err(|e| Error::io("cannot rename to", &self.path, e))?;
        reach(renamed);
        sync_dir(&self.dir)?;
        reach(durable);
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // After a finish the name is gone already; otherwise it is of no use to anybody, and a sweep would find it.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[derive(Debug)]
struct Opened {
    file: File,
    path: PathBuf,
    size: u64,
}

impl Open for Opened {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<Filled> {
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Ok(Filled::Short);
        }
        match self.file.read_exact_at(bytes, at) {
            Ok(()) => Ok(Filled::Whole),
            Err(e) if e.kind() == Io::UnexpectedEof => Ok(Filled::Short),
            Err(e) => Err(Error::io(&format!("cannot read byte {at} of"), &self.path, e)),
        }
    }
    fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|m| m.nlink() == 0)
    }
}

impl Local {
    /// A missing directory is an empty place.
    ///
    /// # Errors
    /// `InvalidRequest` when it is a file or must not be read.
    pub fn open(dir: &Path) -> Result<Self> {
        match fs::read_dir(dir) {
            Err(e) if e.kind() != Io::NotFound => Err(Error::io("cannot open directory", dir, e)),
            _ => Ok(Self::new(dir)),
        }
    }

    /// The place without a look at it: what is wrong shows at the first use.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// Creates the directory of a file and makes every name on the way durable. Names below the place that exist are synced
    /// too: who created them may not have come to it yet.
    fn create_dir(&self, file: &Path) -> Result<PathBuf> {
        let dir = file
            .parent()
            .ok_or_else(|| Error::bug(format!("{} has no directory", file.display())))?;
        create_durably(&self.dir)?;
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        for d in dir.ancestors().take_while(|d| d.starts_with(&self.dir)) {
            sync_dir(parent(d))?;
        }
        Ok(dir.into())
    }
}

fn parent(dir: &Path) -> &Path {
    dir.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Creates `dir` and what is missing above it, each name synced in its parent: a file must not outlive its directory.
fn create_durably(dir: &Path) -> Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    create_durably(parent(dir))?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != Io::AlreadyExists || !dir.is_dir() => Err(Error::io("cannot create directory", dir, e)),
        _ => sync_dir(parent(dir)),
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

    fn is_far(&self) -> bool {
        false
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        let path = self.path(path);
        match fs::metadata(&path) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(e) if e.kind() == Io::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot look for", &path, e)),
        }
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Open>>> {
        let path = self.path(path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == Io::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot open", &path, e)),
        };
        let size = file.metadata().map_err(|e| Error::io("cannot read", &path, e))?.len();
        Ok(Some(Box::new(Opened { file, path, size })))
    }

    fn begin(&self, path: &str, steps: &'static Steps) -> Result<Box<dyn Pending>> {
        let path = self.path(path);
        let dir = self.create_dir(&path)?;
        let temporary = dir.join(format!("{TEMPORARY}{}", unique_name()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|e| Error::io("cannot create", &temporary, e))?;
        reach(steps[0]);
        Ok(Box::new(Writing {
            file,
            temporary,
            path,
            dir,
            steps,
        }))
    }

    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        let mut file = self.begin(path, &FILE_STEPS)?;
        encode(&mut file)?;
        file.finish()
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
                tag: Some(meta.ino().to_string()),
            });
        }
    }
    Ok(())
}

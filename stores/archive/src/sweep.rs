//! Deleting what nobody reads (P19).

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rufous_core::{Error, Result};
use rufous_store_api::Archive;

use crate::ParquetArchive;
use crate::write::TEMPORARY;

/// Files are listed before the index is read: a file that is committed in between is then found to be named.
pub(crate) fn sweep(archive: &ParquetArchive, older_than: Duration) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    list(&archive.dir.join("files"), &mut |path, name| {
        if name.ends_with(".parquet") || name.starts_with(TEMPORARY) {
            found.push(path);
        }
    })?;
    list(&archive.dir.join("index"), &mut |path, name| {
        if name.starts_with(TEMPORARY) {
            found.push(path);
        }
    })?;
    let mut named = HashSet::new();
    for partition in archive.partitions()? {
        for file in archive.index(partition, 0)?.iter().flat_map(|e| &e.files) {
            named.insert(archive.file_path(partition, file)?);
        }
    }
    let now = SystemTime::now();
    let mut swept = Vec::new();
    for path in found.into_iter().filter(|p| !named.contains(p)) {
        let fail = |e| Error::io("cannot sweep", &path, e).at(format_args!("archive of source `{}`", archive.source));
        let changed = match fs::metadata(&path).and_then(|m| m.modified()) {
            Ok(changed) => changed,
            // Somebody sweeps too, or a writer renamed its temporary name.
            Err(e) if e.kind() == Io::NotFound => continue,
            Err(e) => return Err(fail(e)),
        };
        // A file from the future is young.
        if now.duration_since(changed).is_ok_and(|age| age >= older_than) {
            match fs::remove_file(&path) {
                Ok(()) => swept.push(path),
                Err(e) if e.kind() == Io::NotFound => {}
                Err(e) => return Err(fail(e)),
            }
        }
    }
    swept.sort();
    Ok(swept)
}

/// All files below a directory, with their names.
fn list(dir: &Path, f: &mut dyn FnMut(PathBuf, &str)) -> Result<()> {
    let fail = |e| Error::io("cannot list", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == Io::NotFound => return Ok(()),
        Err(e) => return Err(fail(e)),
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            list(&entry.path(), f)?;
        } else if let Some(name) = entry.file_name().to_str() {
            f(entry.path(), name);
        }
    }
    Ok(())
}

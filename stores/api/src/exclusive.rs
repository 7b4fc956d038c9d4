//! Files that are created once: whole or not at all, and by one of many who try.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rufous_core::{Error, Result};

use crate::points::reach;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A name that no other process or thread uses at this time.
pub fn unique_name() -> String {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos());
    format!("{:x}-{:x}-{n:x}", nanos, std::process::id())
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the directory cannot be synced.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| Error::io("cannot sync", dir, e))
}

/// Creates `path` with these bytes, synced, unless it exists: `false` then. The bytes are written under a temporary name
/// and linked into place, so nobody ever sees a part of them.
///
/// # Errors
/// When it cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let dir = path
        .parent()
        .ok_or_else(|| Error::bug(format!("{} has no directory", path.display())))?;
    fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
    let temporary = dir.join(format!(".tmp-{}", unique_name()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        reach("entry.written");
        file.sync_all()?;
        reach("entry.synced");
        Ok(())
    };
    let linked = write()
        .map_err(|e| Error::io("cannot write", &temporary, e))
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("cannot create", path, e)),
        });
    reach("entry.linked");
    // The temporary name is of no use to anybody, whatever happened.
    let _ = fs::remove_file(&temporary);
    reach("entry.tidied");
    if linked? {
        sync_dir(dir)?;
        reach("entry.durable");
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P18, P22: of many who create one name, one wins, and its bytes are whole.
    #[test]
    fn one_creator_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/7.json");
        let wins: usize = std::thread::scope(|s| {
            let threads: Vec<_> = (0..8u8)
                .map(|i| {
                    let path = &path;
                    s.spawn(move || usize::from(create(path, &[i; 10_000]).unwrap()))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 10_000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary name is left"
        );
    }
}

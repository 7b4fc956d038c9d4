//! Deletes namespaces for good. A namespace is renamed first, under its owner's lock: from then on nobody finds it,
//! and what a crash leaves of it is found by its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::points::reach;

use crate::owner::Owner;

/// The prefix of what is being deleted.
const DEAD: &str = ".dead-";

/// The directories of a job's realtime state: name, bytes, and whether it is whole; otherwise it is what an interrupted
/// [`discard`] left.
///
/// # Errors
/// When they cannot be listed.
pub fn discarded(root: &Path) -> Result<Vec<(String, u64, bool)>> {
    let mut found = Vec::new();
    for (name, path) in entries(root)? {
        if path.is_dir() {
            let whole = !name.starts_with(DEAD);
            found.push((name, bytes(&path)?, whole));
        }
    }
    found.sort();
    Ok(found)
}

/// Deletes a namespace, or what an interrupted call left of one. `false`: a process owns it, or it is gone; nothing
/// was done.
///
/// # Errors
/// When it cannot be renamed or deleted; the next call goes on.
pub fn discard(dir: &Path) -> Result<bool> {
    let failed = |e| Error::io("cannot delete", dir, e);
    if !dir.exists() {
        return Ok(false);
    }
    let is_dead = dir.file_name().is_some_and(|n| n.to_string_lossy().starts_with(DEAD));
    let dead = if is_dead {
        dir.to_path_buf()
    } else {
        let owner = match Owner::take(dir, Duration::from_millis(500)) {
            Ok(owner) => owner,
            Err(e) if e.kind() == ErrorKind::Closed => return Ok(false),
            Err(e) => return Err(e),
        };
        let dead = dir.with_file_name(format!("{DEAD}{}", unique_name()));
        fs::rename(dir, &dead).map_err(failed)?;
        reach("discard.renamed");
        // Its lock went with it; whoever waits for that lock sees that the place is another one.
        drop(owner);
        dead
    };
    match fs::remove_dir_all(&dead) {
        Ok(()) => Ok(true),
        // Two who tidy up at once.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(failed(e)),
    }
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |e| Error::io("cannot list", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // A name that is not text is none of ours.
        if let Some(name) = entry.file_name().to_str() {
            found.push((name.to_string(), entry.path()));
        }
    }
    Ok(found)
}

/// Of all files below. The database may delete some meanwhile.
fn bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for (_, path) in entries(dir)? {
        sum += match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => bytes(&path)?,
            Ok(meta) => meta.len(),
            Err(_) => 0,
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An owned namespace stays; a free one goes, and so does what a crash left of another.
    #[test]
    fn only_what_nobody_owns_goes() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| root.path().join(name);
        for name in ["old", "live", ".dead-7"] {
            fs::create_dir_all(dir(name).join("db")).unwrap();
            fs::write(dir(name).join("db/000001.sst"), [0; 10]).unwrap();
        }
        let owner = Owner::take(&dir("live"), Duration::ZERO).unwrap();
        let found = discarded(root.path()).unwrap();
        let names: Vec<_> = found.iter().map(|(name, _, whole)| (&**name, *whole)).collect();
        assert_eq!(names, [(".dead-7", false), ("live", true), ("old", true)]);
        assert!(found.iter().all(|(_, bytes, _)| *bytes >= 10));
        assert!(!discard(&dir("live")).unwrap() && dir("live/db/000001.sst").exists());
        assert!(discard(&dir("old")).unwrap() && discard(&dir(".dead-7")).unwrap());
        assert!(!discard(&dir("old")).unwrap());
        drop(owner);
        assert!(discard(&dir("live")).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(discarded(&dir("none")).unwrap(), []);
    }
}

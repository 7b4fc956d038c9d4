//! A directory of this run's own. It is deleted when the run ends; what a killed run left is deleted by the next one, which
//! knows it by a lock that nobody holds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rufous_core::{Error, Result};
use rufous_store_api::exclusive::unique_name;

const PREFIX: &str = "spill-";
const LOCK: &str = "lock";

/// Where lists go that have no place in memory. Nothing is created before the first of them.
#[derive(Debug)]
pub(crate) struct SpillDir {
    root: PathBuf,
    made: Mutex<Option<Made>>,
    files: AtomicU64,
}

#[derive(Debug)]
struct Made {
    dir: PathBuf,
    /// Held as long as the process lives, and no longer.
    _lock: File,
}

impl SpillDir {
    /// Below this directory.
    pub(crate) fn below(root: &Path) -> Self {
        Self {
            root: root.into(),
            made: Mutex::new(None),
            files: AtomicU64::new(0),
        }
    }

    /// The path of a new file.
    pub(super) fn next(&self) -> Result<PathBuf> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}.sums", self.files.fetch_add(1, Relaxed));
        if let Some(made) = &*made {
            return Ok(made.dir.join(name));
        }
        fs::create_dir_all(&self.root).map_err(|e| Error::io("cannot create", &self.root, e))?;
        self.sweep();
        let new = loop {
            if let Some(new) = self.make()? {
                break new;
            }
        };
        let path = new.dir.join(name);
        *made = Some(new);
        Ok(path)
    }

    /// A directory whose lock is held. `None`: between its creation and its lock another run took it for one that was left.
    fn make(&self) -> Result<Option<Made>> {
        let dir = self.root.join(format!("{PREFIX}{}", unique_name()));
        fs::create_dir(&dir).map_err(|e| Error::io("cannot create", &dir, e))?;
        let path = dir.join(LOCK);
        // Who sweeps holds the lock until the directory is gone.
        let lock = File::create_new(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|e| Error::io("cannot lock", &path, e))?;
        Ok(path.exists().then_some(Made { dir, _lock: lock }))
    }

    /// Deletes what killed runs left. Whatever fails here is left for the next.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let dir = entry.path();
            if !entry.file_name().to_str().is_some_and(|n| n.starts_with(PREFIX)) {
                continue;
            }
            // Without a lock its run is about to create it, or was killed just before: an empty directory costs nothing.
            if let Ok(lock) = File::open(dir.join(LOCK))
                && lock.try_lock().is_ok()
            {
                // The lock is held meanwhile: its owner may be about to take it.
                let _ = fs::remove_dir_all(&dir);
            }
        }
    }
}

impl Drop for SpillDir {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(made) = made {
            // What cannot be deleted now is swept by the next run.
            let _ = fs::remove_dir_all(&made.dir);
        }
    }
}

//! Directories that survive a loss of power.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::Path;

use rufous_core::{Error, Result};
use rufous_store_api::exclusive::sync_dir;

/// Creates `dir` and what is missing above it, each name synced in its parent: a manifest must not outlive the directory
/// of the runs that it names.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dir(parent)?;
    }
    match fs::create_dir(dir) {
        Err(e) if e.kind() != Io::AlreadyExists || !dir.is_dir() => Err(Error::io("cannot create directory", dir, e)),
        _ => sync_dir(parent.unwrap_or_else(|| Path::new("."))),
    }
}

//! Damage: which errors mean it, the mark that a damaged namespace gets, and moving one out of the way.
//!
//! A namespace in which damage was seen gets a file `suspect` that says what and when. From then on nobody opens it, neither
//! to write nor to read, until it is rebuilt: bytes of which some are wrong may also be wrong where no checksum looks. Nothing is
//! lost by that: a namespace is a function of the log (P16), and an empty one is filled again from the drop permission (P32).

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rufous_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::owner::Owner;

const FILE: &str = "suspect";
const FORMAT: u32 = 1;

/// What is to be done about damage.
const REPAIR: &str =
    "stop the job, run its command `rebuild`, and start it again: the state is made again from the log";

/// A failure of RocksDB as one of ours: damage is damage, everything else may pass.
pub(crate) fn failed(what: impl std::fmt::Display, e: rocksdb::Error) -> Error {
    use rocksdb::ErrorKind as K;
    let text = e.to_string();
    // A file that the database needs is not there: said as a failed access, and no later try finds it.
    let missing = e.kind() == K::IOError
        && text.contains("No such file or directory")
        && [".sst", ".log", "MANIFEST-", "CURRENT"]
            .iter()
            .any(|f| text.contains(f));
    // That SST files and write-ahead logs do not fit together is an argument's fault to RocksDB, and ours is none.
    let apart = matches!(e.kind(), K::InvalidArgument | K::NotSupported) && text.contains("WAL");
    let kind = match e.kind() {
        K::Corruption => ErrorKind::CorruptData,
        _ if missing || apart => ErrorKind::CorruptData,
        // Nothing that passes: somebody has to change it.
        K::IOError if text.contains("Permission denied") => ErrorKind::InvalidRequest,
        K::InvalidArgument | K::NotSupported => ErrorKind::InvalidRequest,
        K::ShutdownInProgress => ErrorKind::Closed,
        _ => ErrorKind::TryAgain,
    };
    let repair = if kind == ErrorKind::CorruptData {
        format!("; {REPAIR}")
    } else {
        String::new()
    };
    Error::new(kind, format!("{what}: {text}{repair}")).caused_by(e)
}

/// What is to be done about damage of tables: they are no function of the log alone.
const REPAIR_OF_TABLES: &str = "stop the job and restore the directory from a copy; or move it away and start the job again: \
                                tables begin anew with what the live part can make again";

/// The same failure of a place of tables.
pub(crate) fn of_table(e: Error) -> Error {
    if e.kind() != ErrorKind::CorruptData {
        return e;
    }
    let text = e.to_string();
    if text.ends_with(REPAIR_OF_TABLES) {
        return e;
    }
    let what = text.trim_end_matches(&format!("; {REPAIR}"));
    Error::corrupt(format!("{what}; {REPAIR_OF_TABLES}")).caused_by(e)
}

/// An error for bytes that cannot be what was written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("{what}; {REPAIR}"))
}

/// The mark of a damaged namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    format: u32,
    /// What was seen.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// The process that saw it.
    pub pid: u32,
}

/// The mark of the namespace in `dir`, if it has one.
///
/// # Errors
/// When the file cannot be read. One with other content is a mark all the same.
pub fn suspect(dir: &Path) -> Result<Option<Suspect>> {
    let path = dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| Suspect {
            format: FORMAT,
            reason: String::from_utf8_lossy(&bytes).into_owned(),
            since: Timestamp(0),
            pid: 0,
        }))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("cannot read", &path, e)),
    }
}

/// Refuses a namespace that is marked.
pub(crate) fn refuse(dir: &Path) -> Result<()> {
    match suspect(dir)? {
        None => Ok(()),
        Some(mark) => Err(damaged(format_args!(
            "{} is damaged (process {} saw it, {}): {}",
            dir.display(),
            mark.pid,
            mark.since,
            mark.reason.trim_end_matches(&format!("; {REPAIR}"))
        ))),
    }
}

/// Marks the namespace if `e` says that it is damaged. The first mark stays.
pub(crate) fn saw(dir: &Path, e: &Error) {
    if e.kind() == ErrorKind::CorruptData {
        mark(dir, e);
    }
}

fn mark(dir: &Path, e: &Error) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64);
    let mark = Suspect {
        format: FORMAT,
        reason: e.to_string(),
        since: Timestamp(now),
        pid: std::process::id(),
    };
    let write = || -> std::io::Result<()> {
        let text = serde_json::to_vec(&mark)?;
        let mut file = File::create_new(dir.join(FILE))?;
        file.write_all(&text)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => {
            tracing::error!(dir = %dir.display(), error = %e, "the realtime state is damaged, and marked as such")
        }
        Err(w) if w.kind() == std::io::ErrorKind::AlreadyExists => {}
        // A reader may lack the permission: whoever has it sees the damage for himself.
        Err(w) => {
            tracing::error!(dir = %dir.display(), error = %e, why = %w, "the realtime state is damaged and cannot be marked")
        }
    }
}

/// Moves the namespace in `dir` out of the way, so that an empty one begins in its place (P32). Nothing is deleted.
/// Returns where it is now; `None`: there was none.
///
/// # Errors
/// `Closed` when a process owns it.
pub fn set_aside(dir: &Path) -> Result<Option<PathBuf>> {
    if !dir.exists() {
        return Ok(None);
    }
    let owner = Owner::take(dir, Duration::from_millis(500))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis());
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".aside-{now}"));
    let to = dir.with_file_name(name);
    fs::rename(dir, &to).map_err(|e| Error::io("cannot move away", dir, e))?;
    // Its lock went with it; whoever waits for that lock sees that the place is another one.
    drop(owner);
    Ok(Some(to))
}

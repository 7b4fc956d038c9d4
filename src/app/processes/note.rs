//! Who lives: a file a process, whose lock goes with the process, however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::app::generations::now;
use crate::core::{Error, Result};
use crate::store_api::exclusive::unique_name;

/// Paths of sockets must be shorter than about 104 bytes on every system.
const LONGEST_SOCKET: usize = 100;
/// A note has a few hundred bytes; of whatever else lies there no more is read.
const LONGEST_NOTE: u64 = 4 << 10;
/// Processes that are told of at most; more of one job on a machine would be a mistake.
const MOST: usize = 64;
/// A note that was begun so long ago and not finished is nobody's.
const UNFINISHED: Duration = Duration::from_secs(60);

const BEGUN: &str = ".new-";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::app) struct Note {
    pub(in crate::app) kind: String,
    pub(in crate::app) pid: u32,
    pub(in crate::app) started_ms: i64,
    pub(in crate::app) socket: PathBuf,
}

/// That of this process, as long as it is kept.
pub(super) struct Held {
    /// Its lock is what says that the process lives.
    _file: File,
    path: PathBuf,
    pub(super) note: Note,
}

impl Held {
    /// Says in `dir` that this process lives.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub(super) fn take(dir: &Path, kind: &str) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        let (pid, started_ms) = (std::process::id(), now().0);
        let own = owner(dir)?;
        // A process that comes later may have the same number.
        let name = format!("{kind}-{pid}-{}", unique_name());
        let note = Note {
            kind: kind.into(),
            pid,
            started_ms,
            socket: socket_in(dir, &name, own)?,
        };
        let begun = dir.join(format!("{BEGUN}{name}"));
        let path = dir.join(format!("{name}.json"));
        let text = serde_json::to_vec(&note).map_err(|e| Error::bug("a note has no JSON form").caused_by(e))?;
        let open = OpenOptions::new().write(true).create_new(true).open(&begun);
        let mut file = open.map_err(|e| Error::io("cannot create", &begun, e))?;
        // It gets its name when it is locked: who looks takes one without a lock for one of the dead.
        let written = file
            .lock()
            .and_then(|()| file.write_all(&text))
            .and_then(|()| fs::rename(&begun, &path));
        written.map_err(|e| {
            let _ = fs::remove_file(&begun);
            Error::io("cannot write", &path, e)
        })?;
        Ok(Self {
            _file: file,
            path,
            note,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for path in [&self.note.socket, &self.path] {
            // What is left is cleaned up by who looks next.
            let _ = fs::remove_file(path);
        }
    }
}

/// Where sockets are when their paths would be too long beside the notes.
fn far(dir: &Path) -> PathBuf {
    let hash = fnv(dir.as_os_str().as_bytes());
    std::env::temp_dir().join(format!("rufous-{hash:016x}"))
}

/// Who this process runs as: the owner of a file that it makes.
fn owner(dir: &Path) -> Result<u32> {
    let path = dir.join(format!("{BEGUN}{}", unique_name()));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let uid = made.and_then(|file| file.metadata()).map(|m| m.uid());
    let _ = fs::remove_file(&path);
    uid.map_err(|e| Error::io("cannot create", &path, e))
}

/// Beside the note, or where the path is short enough.
fn socket_in(dir: &Path, name: &str, own: u32) -> Result<PathBuf> {
    let dir = dir.canonicalize().map_err(|e| Error::io("cannot resolve", dir, e))?;
    let name = format!("{name}.sock");
    let near = dir.join(&name);
    if near.as_os_str().len() < LONGEST_SOCKET {
        return Ok(near);
    }
    let far = far(&dir);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&far);
    made.map_err(|e| Error::io("cannot create", &far, e))?;
    closed(&far, own)?;
    Ok(far.join(name))
}

/// The name of that directory can be guessed, and all may write beside it: whoever made it first could answer in our name.
fn closed(dir: &Path, own: u32) -> Result<()> {
    let found = fs::symlink_metadata(dir).map_err(|e| Error::io("cannot look at", dir, e))?;
    if found.is_dir() && found.uid() == own && found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is no directory of this job's user that is closed to all others: take it away, or set TMPDIR to a directory of your own",
        dir.display()
    )))
}

/// Whether what answers at the socket of a note can be trusted to be the process: in the directory of the notes, or in the one for long
/// paths, which must belong to whom the notes belong to, and to nobody else.
///
/// # Errors
/// Why it is not asked.
pub(super) fn trusted(dir: &Path, note: &Note) -> Result<()> {
    let dir = dir.canonicalize().map_err(|e| Error::io("cannot resolve", dir, e))?;
    let at = note.socket.parent();
    if at == Some(dir.as_path()) {
        return Ok(());
    }
    let far = far(&dir);
    if at != Some(far.as_path()) {
        return Err(Error::invalid(format!(
            "its note names the socket `{}`, which is not where sockets of this job are",
            note.socket.display()
        )));
    }
    let owner = fs::metadata(&dir).map_err(|e| Error::io("cannot look at", &dir, e))?;
    closed(&far, owner.uid())
}

/// FNV-1a: the name of a directory needs no more, and nothing is compared by it.
fn fnv(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// The processes that live, oldest first. What the dead left is taken away where that is allowed.
pub(super) fn living(dir: &Path) -> Vec<Note> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(BEGUN) {
            let changed = entry.metadata().and_then(|m| m.modified()).ok();
            let age = changed.and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_some_and(|age| age > UNFINISHED) && is_free(&path) {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        if !name.ends_with(".json") {
            continue;
        }
        let note = read(&path);
        if is_free(&path) {
            if let Some(note) = &note {
                bury(dir, note);
            }
            let _ = fs::remove_file(&path);
        } else {
            found.extend(note);
        }
        if found.len() >= MOST {
            break;
        }
    }
    found.sort_by_key(|note| (note.started_ms, note.pid));
    found
}

/// Takes a socket away that nobody listens at. A note may name anything: only what can be a socket of ours is touched.
fn bury(dir: &Path, note: &Note) {
    let Ok(dir) = dir.canonicalize() else { return };
    let (at, far) = (note.socket.parent(), far(&dir));
    let is_ours = at == Some(dir.as_path()) || at == Some(far.as_path());
    if is_ours && note.socket.extension().is_some_and(|e| e == "sock") {
        let _ = fs::remove_file(&note.socket);
    }
}

fn read(path: &Path) -> Option<Note> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST_NOTE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether no process holds the lock. A file that cannot be opened is nobody's business.
fn is_free(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok())
}

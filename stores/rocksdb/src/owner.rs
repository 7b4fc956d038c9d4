//! Who may write a namespace: the process that holds the lock of its `owner` file. The file says who that is and where it
//! answers readers; the lock goes with the process, however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rufous_core::{Error, Result, Timestamp};
use rufous_store_api::exclusive::unique_name;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Paths of sockets must be shorter than about 104 bytes on every system.
const LONGEST_SOCKET: usize = 100;

/// What the `owner` file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerNote {
    /// The process.
    pub pid: u32,
    /// Where it answers readers.
    pub socket: PathBuf,
    /// Since when.
    pub since: Timestamp,
    /// Differs between any two owners.
    pub id: String,
}

/// The right to write a namespace, as long as it is kept.
#[derive(Debug)]
pub struct Owner {
    file: File,
    /// What was written.
    pub note: OwnerNote,
}

/// Who owns a namespace at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// A process; `None`: one that has not yet said who it is.
    Held(Option<OwnerNote>),
    /// Nobody; the last owner's note, if it can be read.
    Free(Option<OwnerNote>),
    /// Nobody ever.
    Never,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("owner")
}

fn read_note(mut file: &File) -> Option<OwnerNote> {
    let mut text = String::new();
    file.rewind().ok()?;
    // A note has a few hundred bytes; whatever else lies there is not read in full.
    file.take(64 << 10).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Where the owner of `dir` answers: beside the database, or where the path is short enough.
fn socket_of(dir: &Path) -> Result<PathBuf> {
    let dir = dir.canonicalize().map_err(|e| Error::io("cannot resolve", dir, e))?;
    let near = dir.join("read.sock");
    if near.as_os_str().len() < LONGEST_SOCKET {
        return Ok(near);
    }
    let far = std::env::temp_dir().join(format!("rufous-{:016x}", xxh3_64(dir.as_os_str().as_bytes())));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&far)
        .map_err(|e| Error::io("cannot create", &far, e))?;
    Ok(far.join("read.sock"))
}

fn open(name: &Path) -> Result<File> {
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(name);
    open.map_err(|e| Error::io("cannot open", name, e))
}

fn is_at(file: &File, name: &Path) -> bool {
    let same = || -> std::io::Result<bool> {
        let (a, b) = (file.metadata()?, fs::metadata(name)?);
        Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    same().unwrap_or(false)
}

impl Owner {
    /// Takes the namespace in `dir`. Readers hold the lock for an instant when they look: `wait` outlasts them.
    ///
    /// # Errors
    /// `Closed` when another process owns it, with its number.
    pub fn take(dir: &Path, wait: Duration) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        let name = path(dir);
        let until = Instant::now() + wait;
        let mut file = open(&name)?;
        loop {
            match file.try_lock() {
                Ok(()) if is_at(&file, &name) => break,
                // The directory was moved away meanwhile: what was locked is not the place any more.
                Ok(()) => {
                    fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
                    file = open(&name)?;
                }
                Err(TryLockError::Error(e)) => return Err(Error::io("cannot lock", &name, e)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                Err(TryLockError::WouldBlock) => return Err(taken(dir, read_note(&file).as_ref())),
            }
        }
        let socket = socket_of(dir)?;
        // Left by an owner that was killed.
        let _ = fs::remove_file(&socket);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        let note = OwnerNote {
            pid: std::process::id(),
            socket,
            since: Timestamp(now),
            id: unique_name(),
        };
        let text = serde_json::to_vec(&note)
            .map_err(|e| Error::bug("an owner's note cannot be written as JSON").caused_by(e))?;
        let write = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .and_then(|()| file.sync_all());
        write.map_err(|e| Error::io("cannot write", &name, e))?;
        Ok(Self { file, note })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Closing the file does the same; said here because it is what the file is for.
        let _ = self.file.unlock();
    }
}

fn taken(dir: &Path, note: Option<&OwnerNote>) -> Error {
    let dir = dir.display();
    match note {
        Some(n) => Error::closed(format!(
            "{dir} is owned by process {} since {}; stop it, or use another --data",
            n.pid, n.since
        )),
        None => Error::closed(format!(
            "{dir} is owned by another process; stop it, or use another --data"
        )),
    }
}

/// Looks who owns the namespace in `dir`.
///
/// # Errors
/// When the file cannot be opened or locked.
pub fn look(dir: &Path) -> Result<Ownership> {
    let name = path(dir);
    let file = match File::open(&name) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ownership::Never),
        Err(e) => return Err(Error::io("cannot open", &name, e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Ownership::Free(read_note(&file))),
        Err(TryLockError::WouldBlock) => Ok(Ownership::Held(read_note(&file))),
        Err(TryLockError::Error(e)) => Err(Error::io("cannot lock", &name, e)),
    }
}

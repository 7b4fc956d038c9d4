//! The database of an owner, which is closed and opened again after a write that failed.
//!
//! A write that failed may be in the write-ahead log all the same, whole or in part, and a later write behind it could then
//! count twice. So nothing is written after it through the same handle: the next write opens the database again, which
//! reads the log; what is found then is the truth (P12). Readers keep their snapshots until the disk takes bytes again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rocksdb::DB;
use rufous_core::{Error, ErrorKind, Result, StoreFace};

use crate::damage::{self, damaged, refuse};
use crate::options::{self, Opened};
use crate::session::{Session, Stop};

/// How long ended snapshots may take to let go of the database.
const PATIENCE: Duration = Duration::from_secs(2);
/// What must fit on the disk before a new start is tried.
const PROBE: usize = 256 << 10;

pub(crate) struct Database {
    pub(crate) dir: PathBuf,
    pub(crate) namespace: String,
    stores: Vec<StoreFace>,
    memory: usize,
    open: Mutex<Option<Opened>>,
    /// A handle that was given up and may not be closed yet.
    closing: Mutex<Weak<DB>>,
    /// A write failed: nothing more is written through this handle.
    broken: AtomicBool,
    /// Damage was met, by a read for instance.
    suspect: Arc<AtomicBool>,
    /// Snapshots that are held, and how to end them; `None`: one that is just being taken.
    sessions: Mutex<HashMap<u64, Option<Stop>>>,
    numbers: AtomicU64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is guarded here is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    pub(crate) fn open(dir: &Path, namespace: &str, stores: &[StoreFace], memory: usize) -> Result<Self> {
        refuse(dir)?;
        let opened = options::open(dir, namespace, stores, memory).inspect_err(|e| damage::saw(dir, e))?;
        Ok(Self {
            dir: dir.into(),
            namespace: namespace.into(),
            stores: stores.to_vec(),
            memory,
            open: Mutex::new(Some(opened)),
            closing: Mutex::new(Weak::new()),
            broken: AtomicBool::new(false),
            suspect: Arc::default(),
            sessions: Mutex::new(HashMap::new()),
            numbers: AtomicU64::new(0),
        })
    }

    /// For reading.
    pub(crate) fn get(&self) -> Result<Arc<DB>> {
        self.with(|o| o.db.clone())
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&Opened) -> T) -> Result<T> {
        lock(&self.open).as_ref().map(f).ok_or_else(|| {
            Error::try_again(format!(
                "{} is closed after a write that failed, and opened again by the next commit",
                self.dir.display()
            ))
        })
    }

    /// For writing; and whether it was opened again, so that everything known of its content is to be read again.
    ///
    /// # Errors
    /// `TryAgain` while the disk takes nothing, or readers hold the old handle; `CorruptData` when it is damaged.
    pub(crate) fn for_write(&self) -> Result<(Arc<DB>, bool)> {
        if self.suspect.load(SeqCst) {
            refuse(&self.dir)?;
            return Err(damaged(format_args!("{} is damaged", self.dir.display())));
        }
        if !self.broken.load(SeqCst) {
            return Ok((self.get()?, false));
        }
        probe(&self.dir)?;
        self.close()?;
        let opened = options::open(&self.dir, &self.namespace, &self.stores, self.memory);
        let opened = self.watch(opened)?;
        let db = opened.db.clone();
        *lock(&self.open) = Some(opened);
        self.broken.store(false, SeqCst);
        tracing::info!(dir = %self.dir.display(), "the store was opened again after a write that failed");
        Ok((db, true))
    }

    fn close(&self) -> Result<()> {
        if let Some(old) = lock(&self.open).take() {
            *lock(&self.closing) = Arc::downgrade(&old.db);
        }
        // Not under the lock: a snapshot that ends is taken from the map.
        let open: Vec<_> = lock(&self.sessions).values_mut().filter_map(Option::take).collect();
        open.iter().for_each(Stop::end);
        drop(open);
        let until = Instant::now() + PATIENCE;
        while lock(&self.closing).strong_count() > 0 {
            if Instant::now() > until {
                return Err(Error::try_again(format!(
                    "{}: a reader in the middle of an answer holds the database open",
                    self.dir.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A write failed.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, SeqCst);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(SeqCst)
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(SeqCst)
    }

    /// Remembers damage that `result` tells of.
    pub(crate) fn watch<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|e| self.saw(e))
    }

    fn saw(&self, e: &Error) {
        if e.kind() == ErrorKind::CorruptData {
            self.suspect.store(true, SeqCst);
            damage::saw(&self.dir, e);
        }
    }

    /// A snapshot; while it is held, `held` is as well.
    pub(crate) fn snapshot(self: &Arc<Self>, held: impl Send + 'static) -> Result<Session> {
        let number = self.numbers.fetch_add(1, SeqCst);
        // Counted before it is taken: from here on no file is deleted under it.
        lock(&self.sessions).insert(number, None);
        let ended = Ended {
            number,
            database: self.clone(),
        };
        let (db, memo) = self.with(|o| (o.db.clone(), o.memo.clone()))?;
        let watch = self.clone();
        let mine = Arc::downgrade(&db);
        let session = Session::start(db, &self.namespace, false, memo, move |e| watch.saw(e), (ended, held));
        if let Some(place) = lock(&self.sessions).get_mut(&number) {
            *place = Some(session.stop());
        }
        // The database may have been closed since: whoever did it saw no way to end this one.
        if !self
            .with(|o| std::ptr::eq(Arc::as_ptr(&o.db), mine.as_ptr()))
            .unwrap_or(false)
        {
            session.stop().end();
        }
        Ok(session)
    }

    /// Calls `f` unless a snapshot is held; none begins meanwhile.
    pub(crate) fn unless_read(&self, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let sessions = lock(&self.sessions);
        if sessions.is_empty() { f() } else { Ok(()) }
    }

    pub(crate) fn snapshots(&self) -> usize {
        lock(&self.sessions).len()
    }
}

/// A snapshot that ends.
struct Ended {
    number: u64,
    database: Arc<Database>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        lock(&self.database.sessions).remove(&self.number);
    }
}

/// Whether the disk takes bytes.
fn probe(dir: &Path) -> Result<()> {
    let path = dir.join("probe");
    let written = File::create(&path).and_then(|mut f| f.write_all(&vec![0x5a; PROBE]).and_then(|()| f.sync_all()));
    // Also what was written in part takes room.
    let removed = fs::remove_file(&path);
    written
        .and(removed)
        .map_err(|e| Error::try_again(format!("{} takes no data: {e}", dir.display())).caused_by(e))
}

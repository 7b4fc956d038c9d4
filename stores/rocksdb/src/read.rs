//! Reading a namespace from outside: through its owner when there is one, from the files when there is none.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocksdb::DB;
use rufous_core::{Error, ErrorKind, Result, StoreFace};
use rufous_store_api::wire::{RemoteReader, Stream};
use rufous_store_api::{First, RealtimeReader, Snapshot, Until};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::damage::{self, refuse};
use crate::options;
use crate::owner::{OwnerNote, Ownership, look};
use crate::session::{Memo, Session};

/// How long an owner may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks while owners change.
const PAUSE: Duration = Duration::from_millis(20);

/// A reader of one namespace: keep it. It has a few connections to the owner, and looks who that is when none of them answers, so
/// it outlives owners.
pub struct RocksReader {
    dir: PathBuf,
    namespace: String,
    stores: Vec<StoreFace>,
    /// The owner that was asked last.
    remote: Mutex<Option<(OwnerNote, Arc<RemoteReader>)>>,
    /// The files as the last owner left them, opened once: its note, and the database.
    files: Mutex<Option<(Option<OwnerNote>, Arc<DB>, Arc<Memo>)>>,
}

/// Connects to an owner. One that takes no connections, because it is stopped and many have tried, would be waited for without an
/// end.
fn connect(socket: &Path, until: &Until) -> io::Result<UnixStream> {
    let began = Instant::now();
    let address = SockAddr::unix(socket)?;
    loop {
        let left = until.left(PATIENCE.saturating_sub(began.elapsed()));
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let wait = until.slice(left);
        let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        stream.set_write_timeout(Some(wait))?;
        match stream.connect(&address) {
            Ok(()) => return Ok(UnixStream::from(OwnedFd::from(stream))),
            // Its queue is full.
            Err(e) if wait < left && e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

impl RocksReader {
    /// A reader of the namespace in `dir`, which answered once; `None`: nothing was ever written there.
    ///
    /// # Errors
    /// `TryAgain` when its owner does not answer; `InvalidRequest` when it holds another namespace, or stores whose keys and
    /// values mean something else; `CorruptData` when it is damaged.
    pub fn open(dir: &Path, namespace: &str, stores: &[StoreFace]) -> Result<Option<Box<dyn RealtimeReader>>> {
        let Some(reader) = Self::find(dir, namespace, stores)? else {
            return Ok(None);
        };
        reader.snapshot()?;
        Ok(Some(Box::new(reader)))
    }

    /// The same without asking the owner: what is wrong is told by the first snapshot.
    ///
    /// # Errors
    /// When it cannot be seen what is there.
    pub fn find(dir: &Path, namespace: &str, stores: &[StoreFace]) -> Result<Option<Self>> {
        match look(dir)? {
            Ownership::Never => return Ok(None),
            Ownership::Free(_) if options::is_empty(dir)? => return Ok(None),
            _ => {}
        }
        Ok(Some(Self {
            dir: dir.into(),
            namespace: namespace.into(),
            stores: stores.to_vec(),
            remote: Mutex::new(None),
            files: Mutex::new(None),
        }))
    }

    /// Over a connection that was kept to the owner of before.
    fn resumed(&self, first: Option<&First<'_>>, until: &Until) -> Result<Option<Box<dyn Snapshot>>> {
        let remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner).clone();
        remote.map_or(Ok(None), |(_, remote)| remote.resume_first(first, until))
    }

    fn through_owner(&self, note: OwnerNote, until: &Until) -> Result<Box<dyn Snapshot>> {
        let remote = {
            let mut known = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
            match &*known {
                Some((of, remote)) if *of == note => remote.clone(),
                // Connections to an owner of before are closed.
                _ => known.insert((note.clone(), Arc::new(self.dialler(&note)))).1.clone(),
            }
        };
        // What was kept of it is not asked a second time.
        remote.fresh(until)
    }

    fn dialler(&self, note: &OwnerNote) -> RemoteReader {
        let socket = note.socket.clone();
        let owner = format!("process {}, the owner of {}", note.pid, self.dir.display());
        RemoteReader::new(&self.namespace, owner, move |until| {
            let stream = connect(&socket, until)
                .map_err(|e| Error::try_again(format!("no answer at {}: {e}", socket.display())).caused_by(e))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    /// From the files; `None`: an owner came meanwhile, look again.
    fn through_files(&self, note: Option<&OwnerNote>) -> Result<Option<Box<dyn Snapshot>>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.as_ref().is_none_or(|(of, ..)| of.as_ref() != note) {
            *files = None;
            let opened = options::open_read_only(&self.dir, &self.namespace, &self.stores);
            // What an owner changed while the files were opened is not one state.
            if look(&self.dir)? != Ownership::Free(note.cloned()) {
                return Ok(None);
            }
            let opened = opened.inspect_err(|e| damage::saw(&self.dir, e))?;
            *files = Some((note.cloned(), Arc::new(opened), Arc::default()));
        }
        let Some((_, db, memo)) = &*files else { return Ok(None) };
        let dir = self.dir.clone();
        let saw = move |e: &Error| damage::saw(&dir, e);
        Ok(Some(Box::new(Session::start(
            db.clone(),
            &self.namespace,
            true,
            memo.clone(),
            saw,
            (),
        ))))
    }
}

impl RealtimeReader for RocksReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }

    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        self.take(None, until)
    }

    fn snapshot_first(&self, first: &First<'_>, until: &Until) -> Result<Box<dyn Snapshot>> {
        self.take(Some(first), until)
    }
}

impl RocksReader {
    fn take(&self, first: Option<&First<'_>>, until: &Until) -> Result<Box<dyn Snapshot>> {
        let began = Instant::now();
        let left = || until.left(PATIENCE.saturating_sub(began.elapsed()));
        refuse(&self.dir)?;
        match self.resumed(first, until) {
            Ok(Some(snapshot)) => return Ok(snapshot),
            Ok(None) => {}
            Err(e) if e.kind() == ErrorKind::TryAgain && !left().is_zero() => {}
            Err(e) => return Err(e),
        }
        loop {
            let problem = match look(&self.dir)? {
                Ownership::Held(Some(note)) => match self.through_owner(note, until) {
                    Ok(snapshot) => return Ok(snapshot),
                    Err(e) if e.kind() == ErrorKind::TryAgain => e,
                    Err(e) => return Err(e),
                },
                Ownership::Held(None) => Error::try_again(format!(
                    "{} has an owner that does not say who it is",
                    self.dir.display()
                )),
                Ownership::Free(note) => match self.through_files(note.as_ref())? {
                    Some(snapshot) => return Ok(snapshot),
                    None => Error::try_again(format!("the owner of {} changes all the time", self.dir.display())),
                },
                Ownership::Never => {
                    return Err(Error::closed(format!(
                        "{} was deleted: look for the current namespace",
                        self.dir.display()
                    )));
                }
            };
            let left = left();
            if left.is_zero() {
                return Err(problem);
            }
            std::thread::sleep(PAUSE.min(left));
            refuse(&self.dir)?;
        }
    }
}

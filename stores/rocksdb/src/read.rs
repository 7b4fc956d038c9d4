//! Reading a namespace from outside: through its owner when there is one, from the files when there is none.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocksdb::DB;
use rufous_core::{Error, ErrorKind, Result, StoreFace};
use rufous_store_api::wire::{RemoteReader, Stream};
use rufous_store_api::{RealtimeReader, Snapshot};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::damage::{self, refuse};
use crate::options;
use crate::owner::{OwnerNote, Ownership, look};
use crate::session::Session;

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
    files: Mutex<Option<(Option<OwnerNote>, Arc<DB>)>>,
}

/// Connects to an owner. One that takes no connections, because it is stopped and many have tried, would be waited for without an
/// end.
fn connect(socket: &Path, wait: Duration) -> std::io::Result<UnixStream> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    stream.set_write_timeout(Some(wait))?;
    stream.connect(&SockAddr::unix(socket)?)?;
    Ok(UnixStream::from(OwnedFd::from(stream)))
}

/// What is left of the time, not more than the patience with an owner.
fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(PATIENCE, |deadline| {
        deadline.saturating_duration_since(Instant::now()).min(PATIENCE)
    })
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
    fn resumed(&self, deadline: Option<Instant>) -> Result<Option<Box<dyn Snapshot>>> {
        let remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner).clone();
        remote.map_or(Ok(None), |(_, remote)| remote.resume(deadline))
    }

    fn through_owner(&self, note: OwnerNote, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let remote = {
            let mut known = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
            match &*known {
                Some((of, remote)) if *of == note => remote.clone(),
                // Connections to an owner of before are closed.
                _ => known.insert((note.clone(), Arc::new(self.dialler(&note)))).1.clone(),
            }
        };
        // What was kept of it is not asked a second time.
        remote.fresh(deadline)
    }

    fn dialler(&self, note: &OwnerNote) -> RemoteReader {
        let socket = note.socket.clone();
        let owner = format!("process {}, the owner of {}", note.pid, self.dir.display());
        RemoteReader::new(&self.namespace, owner, move |deadline| {
            let wait = left(deadline);
            let stream = if wait.is_zero() {
                Err(std::io::ErrorKind::TimedOut.into())
            } else {
                connect(&socket, wait)
            };
            let stream =
                stream.map_err(|e| Error::try_again(format!("no answer at {}: {e}", socket.display())).caused_by(e))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    /// From the files; `None`: an owner came meanwhile, look again.
    fn through_files(&self, note: Option<&OwnerNote>) -> Result<Option<Box<dyn Snapshot>>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.as_ref().is_none_or(|(of, _)| of.as_ref() != note) {
            *files = None;
            let opened = options::open_read_only(&self.dir, &self.namespace, &self.stores);
            // What an owner changed while the files were opened is not one state.
            if look(&self.dir)? != Ownership::Free(note.cloned()) {
                return Ok(None);
            }
            let opened = opened.inspect_err(|e| damage::saw(&self.dir, e))?;
            *files = Some((note.cloned(), Arc::new(opened)));
        }
        let Some((_, db)) = &*files else { return Ok(None) };
        let dir = self.dir.clone();
        let saw = move |e: &Error| damage::saw(&dir, e);
        Ok(Some(Box::new(Session::start(
            db.clone(),
            &self.namespace,
            true,
            saw,
            (),
        ))))
    }
}

impl RealtimeReader for RocksReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(None)
    }

    fn snapshot_until(&self, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let patience = Instant::now() + PATIENCE;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        refuse(&self.dir)?;
        match self.resumed(deadline) {
            Ok(Some(snapshot)) => return Ok(snapshot),
            Ok(None) => {}
            Err(e) if e.kind() == ErrorKind::TryAgain && Instant::now() < until => {}
            Err(e) => return Err(e),
        }
        loop {
            let problem = match look(&self.dir)? {
                Ownership::Held(Some(note)) => match self.through_owner(note, deadline) {
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
            if Instant::now() >= until {
                return Err(problem);
            }
            std::thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
            refuse(&self.dir)?;
        }
    }
}

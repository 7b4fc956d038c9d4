//! Reading a namespace from outside: through its owner when there is one, from the files when there is none.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocksdb::DB;
use rufous_core::{Error, ErrorKind, Result, StoreFace};
use rufous_store_api::wire::{RemoteReader, Stream};
use rufous_store_api::{RealtimeReader, Snapshot};

use crate::damage::{self, refuse};
use crate::options;
use crate::owner::{OwnerNote, Ownership, look};
use crate::session::Session;

/// How long an owner may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks while owners change.
const PAUSE: Duration = Duration::from_millis(20);

/// A reader of one namespace. Every snapshot looks anew who owns it, so a reader outlives owners.
pub struct RocksReader {
    dir: PathBuf,
    namespace: String,
    stores: Vec<StoreFace>,
    /// The files as the last owner left them, opened once: its note, and the database.
    files: Mutex<Option<(Option<OwnerNote>, Arc<DB>)>>,
}

impl RocksReader {
    /// A reader of the namespace in `dir`; `None`: nothing was ever written there.
    ///
    /// # Errors
    /// `TryAgain` when its owner does not answer; `InvalidRequest` when it holds another namespace, or stores whose keys and
    /// values mean something else; `CorruptData` when it is damaged.
    pub fn open(dir: &Path, namespace: &str, stores: &[StoreFace]) -> Result<Option<Box<dyn RealtimeReader>>> {
        match look(dir)? {
            Ownership::Never => return Ok(None),
            Ownership::Free(_) if options::is_empty(dir)? => return Ok(None),
            _ => {}
        }
        let reader = Self {
            dir: dir.into(),
            namespace: namespace.into(),
            stores: stores.to_vec(),
            files: Mutex::new(None),
        };
        reader.snapshot()?;
        Ok(Some(Box::new(reader)))
    }

    fn through_owner(&self, note: &OwnerNote) -> Result<Box<dyn Snapshot>> {
        let socket = note.socket.clone();
        let owner = format!("process {}, the owner of {}", note.pid, self.dir.display());
        let dial = move || {
            let dial = || -> std::io::Result<UnixStream> {
                let stream = UnixStream::connect(&socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(stream)
            };
            let stream =
                dial().map_err(|e| Error::try_again(format!("no answer at {}: {e}", socket.display())).caused_by(e))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        };
        RemoteReader::open(&self.namespace, owner, dial)
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
        let until = Instant::now() + PATIENCE;
        loop {
            refuse(&self.dir)?;
            let problem = match look(&self.dir)? {
                Ownership::Held(Some(note)) => match self.through_owner(&note) {
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
            std::thread::sleep(PAUSE);
        }
    }
}

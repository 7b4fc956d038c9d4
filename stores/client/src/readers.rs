//! Readers of realtime state, kept between reads: to open one costs a connection and a look at what is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::{RealtimeReader, Snapshot};

use crate::client::OpenRealtime;

/// How long one is kept: a reader of a server does not notice that its namespace was deleted and made anew, and reads it as it was
/// left for so long at most.
const KEPT: Duration = Duration::from_secs(5);
/// An owner that lets one wait for so long is silent, and for as long again nobody else waits for it.
const SILENT: Duration = Duration::from_millis(250);

/// By namespace, each with the time of its opening.
#[derive(Default)]
pub(crate) struct Readers {
    kept: Mutex<HashMap<String, (Instant, Arc<dyn RealtimeReader>)>>,
    /// By namespace until when, and what was said.
    silent: Mutex<HashMap<String, (Instant, String)>>,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<dyn RealtimeReader>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is kept, if it is young.
    fn kept(&self, namespace: &str) -> Option<Arc<dyn RealtimeReader>> {
        let known = self.lock();
        let (opened, reader) = known.get(namespace)?;
        (opened.elapsed() < KEPT).then(|| reader.clone())
    }

    /// A snapshot of a namespace; `None`: nothing was ever read into it. A reader that says it is closed is opened again, once: what
    /// it read was deleted, and may have been made anew.
    ///
    /// # Errors
    /// Those of opening and of the snapshot.
    pub(crate) fn snapshot(
        &self,
        namespace: &str,
        open: &OpenRealtime,
        deadline: Option<Instant>,
    ) -> Result<Option<Box<dyn Snapshot>>> {
        self.is_silent(namespace)?;
        if let Some(reader) = self.kept(namespace) {
            match self.ask(namespace, &*reader, deadline) {
                Err(e) if e.kind() == ErrorKind::Closed => {
                    self.lock().remove(namespace);
                }
                taken => return taken.map(Some),
            }
        }
        // Without the lock: nobody else waits for a server that does not answer.
        let Some(reader) = open(namespace)? else {
            return Ok(None);
        };
        {
            let mut known = self.lock();
            known.retain(|_, (opened, _)| opened.elapsed() < KEPT);
            known.insert(namespace.into(), (Instant::now(), reader.clone()));
        }
        self.ask(namespace, &*reader, deadline).map(Some)
    }

    /// Asks for a snapshot, and keeps in mind that nobody answered. One whose own time was over first says nothing of the owner.
    fn ask(&self, namespace: &str, of: &dyn RealtimeReader, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let began = Instant::now();
        let taken = of.snapshot_until(deadline);
        if let Err(e) = &taken
            && e.kind() == ErrorKind::TryAgain
            && began.elapsed() >= SILENT
            && deadline.is_none_or(|deadline| Instant::now() < deadline)
        {
            let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            silent.retain(|_, (until, _)| Instant::now() < *until);
            silent.insert(namespace.into(), (Instant::now() + SILENT, e.message().to_string()));
        }
        taken
    }

    fn is_silent(&self, namespace: &str) -> Result<()> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match silent.get(namespace) {
            Some((until, said)) if Instant::now() < *until => Err(Error::try_again(said.clone())),
            _ => Ok(()),
        }
    }
}

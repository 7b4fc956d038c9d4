//! Readers of realtime state, kept between reads: to open one costs a connection and a look at what is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::{RealtimeReader, Snapshot, Until};

use crate::client::OpenRealtime;

/// How long one is kept: a reader of a server does not notice that its namespace was deleted and made anew, and reads it as it was
/// left for so long at most.
const KEPT: Duration = Duration::from_secs(5);
/// An owner that lets one wait for so long is silent. For as long again nobody waits for it, and then one at a time, until it answers.
const SILENT: Duration = Duration::from_millis(250);

/// By namespace, each with the time of its opening.
#[derive(Default)]
pub(crate) struct Readers {
    kept: Mutex<HashMap<String, (Instant, Arc<dyn RealtimeReader>)>>,
    /// By namespace.
    silent: Mutex<HashMap<String, Silent>>,
}

/// An owner that did not answer in time.
struct Silent {
    said: String,
    /// Until then nobody asks it.
    until: Instant,
    /// Somebody asks it just now: he waits for all.
    asked: bool,
}

/// Lets the next one ask whatever becomes of who asks now.
struct Asking<'a>(&'a Readers, &'a str);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(silent) = self.0.silent().get_mut(self.1) {
            silent.asked = false;
        }
    }
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
        until: &Until,
    ) -> Result<Option<Box<dyn Snapshot>>> {
        let _asking = self.may_ask(namespace)?;
        if let Some(reader) = self.kept(namespace) {
            match self.ask(namespace, &*reader, until) {
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
        self.ask(namespace, &*reader, until).map(Some)
    }

    /// Asks for a snapshot, and keeps in mind that nobody answered. One whose own time was over first, or whom nobody waits for any more,
    /// says nothing of the owner.
    fn ask(&self, namespace: &str, of: &dyn RealtimeReader, until: &Until) -> Result<Box<dyn Snapshot>> {
        let began = Instant::now();
        let taken = of.snapshot_until(until);
        match &taken {
            Ok(_) => {
                self.silent().remove(namespace);
            }
            Err(e) if e.kind() == ErrorKind::TryAgain && began.elapsed() >= SILENT && !until.is_over() => {
                let silent = Silent {
                    said: e.message().to_string(),
                    until: Instant::now() + SILENT,
                    asked: false,
                };
                let mut all = self.silent();
                all.retain(|_, other| other.asked || other.until.elapsed() < KEPT);
                all.insert(namespace.into(), silent);
            }
            Err(_) => {}
        }
        taken
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<String, Silent>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it makes sense to ask: of an owner that was silent one read finds out whether it still is.
    ///
    /// # Errors
    /// `TryAgain` with what was said to the one who waited.
    fn may_ask<'a>(&'a self, namespace: &'a str) -> Result<Option<Asking<'a>>> {
        let mut all = self.silent();
        let Some(silent) = all.get_mut(namespace) else {
            return Ok(None);
        };
        if silent.asked || Instant::now() < silent.until {
            return Err(Error::try_again(silent.said.clone()));
        }
        silent.asked = true;
        Ok(Some(Asking(self, namespace)))
    }
}

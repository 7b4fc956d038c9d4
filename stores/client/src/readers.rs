//! Readers of realtime state, kept between reads: to open one costs a connection and a look at what is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::{First, RealtimeReader, Snapshot, Until};

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
        first: Option<&First<'_>>,
        until: &Until,
    ) -> Result<Option<Box<dyn Snapshot>>> {
        let _asking = self.may_ask(namespace)?;
        let began = Instant::now();
        let taken = self.take(namespace, open, first, until);
        self.note(namespace, began, until, taken.as_ref().err());
        taken
    }

    fn take(
        &self,
        namespace: &str,
        open: &OpenRealtime,
        first: Option<&First<'_>>,
        until: &Until,
    ) -> Result<Option<Box<dyn Snapshot>>> {
        let snapshot = |reader: &dyn RealtimeReader| match first {
            Some(first) => reader.snapshot_first(first, until),
            None => reader.snapshot_until(until),
        };
        if let Some(reader) = self.kept(namespace) {
            match snapshot(&*reader) {
                Err(e) if e.kind() == ErrorKind::Closed => {
                    self.lock().remove(namespace);
                }
                taken => return taken.map(Some),
            }
        }
        // Without the lock: nobody else waits for a server that does not answer.
        let Some(reader) = open(namespace, until)? else {
            return Ok(None);
        };
        {
            let mut known = self.lock();
            known.retain(|_, (opened, _)| opened.elapsed() < KEPT);
            known.insert(namespace.into(), (Instant::now(), reader.clone()));
        }
        snapshot(&*reader).map(Some)
    }

    /// Keeps in mind that nobody answered, to whoever opened or took a snapshot, until somebody is answered whatever it is. One whose
    /// own time was over first, or whom nobody waits for any more, says nothing of the owner.
    fn note(&self, namespace: &str, began: Instant, until: &Until, failed: Option<&Error>) {
        let unanswered = failed.filter(|e| e.kind() == ErrorKind::TryAgain);
        if unanswered.is_some() && until.is_over() {
            return;
        }
        let mut all = self.silent();
        match unanswered.filter(|_| began.elapsed() >= SILENT) {
            Some(e) => {
                let silent = Silent {
                    said: e.message().to_string(),
                    until: Instant::now() + SILENT,
                    asked: false,
                };
                all.retain(|_, other| other.asked || other.until.elapsed() < KEPT);
                all.insert(namespace.into(), silent);
            }
            None => {
                all.remove(namespace);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A read waits for the opening of a reader no longer than for anything else: for the first, and when the one that was kept grew old.
    #[test]
    fn a_reader_is_opened_within_the_time_of_the_read() {
        struct Silent;
        impl RealtimeReader for Silent {
            fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
                Err(Error::bug("asked without a time"))
            }
            fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
                assert!(until.deadline().is_some());
                Err(Error::try_again("silent"))
            }
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let told = Arc::new(Mutex::new(Vec::new()));
        let open: OpenRealtime = Arc::new({
            let told = told.clone();
            move |_, until: &Until| {
                told.lock().unwrap().push(until.deadline());
                Ok(Some(Arc::new(Silent) as Arc<dyn RealtimeReader>))
            }
        });
        let readers = Readers::default();
        let ask = || readers.snapshot("n1", &open, None, &Until::from(deadline)).map(|_| ());
        assert_eq!(ask().unwrap_err().message(), "silent");
        assert_eq!(*told.lock().unwrap(), [Some(deadline)]);
        ask().unwrap_err();
        assert_eq!(told.lock().unwrap().len(), 1, "it is kept");
        let old = Instant::now().checked_sub(KEPT).unwrap();
        readers.lock().get_mut("n1").unwrap().0 = old;
        ask().unwrap_err();
        assert_eq!(*told.lock().unwrap(), [Some(deadline), Some(deadline)]);
    }

    fn opening(f: impl Fn() -> Result<Option<Arc<dyn RealtimeReader>>> + Send + Sync + 'static) -> OpenRealtime {
        Arc::new(move |_, _| f())
    }

    /// Whoever could not even open has waited, too, and the next one does not; any answer ends it, also that there is nothing: then
    /// of two that ask at once both are answered.
    #[test]
    fn an_owner_is_silent_until_it_answers() {
        let again = || Error::try_again("no answer within 0.3 s");
        let answers: [fn() -> Result<()>; 3] = [
            || Ok(()),
            || Err(Error::invalid("the server refuses")),
            || Err(Error::try_again("it starts")),
        ];
        for answer in answers {
            let readers = Arc::new(Readers::default());
            let ask = |open: &OpenRealtime| {
                readers
                    .snapshot("n1", open, None, &Until::default())
                    .map(|s| s.is_some())
            };
            let slow = opening(move || {
                std::thread::sleep(SILENT);
                Err(again())
            });
            assert_eq!(ask(&slow).unwrap_err().message(), again().message());
            let bug = opening(|| Err(Error::bug("asked")));
            assert_eq!(ask(&bug).unwrap_err().message(), again().message());
            std::thread::sleep(SILENT);
            let quick = opening(move || answer().map(|()| None));
            assert_eq!(
                ask(&quick).map_err(|e| e.kind()),
                answer().map(|()| false).map_err(|e| e.kind())
            );
            let inside = readers.clone();
            let at_once = opening(move || {
                let none = opening(|| Ok(None));
                inside.snapshot("n1", &none, None, &Until::default()).map(|_| None)
            });
            assert!(!ask(&at_once).unwrap());
        }
    }

    /// Who had less time than it takes to call an owner silent says nothing of it, neither that it is nor that it is not.
    #[test]
    fn who_has_no_time_says_nothing_of_the_owner() {
        let readers = Readers::default();
        let over = Until::from(Instant::now());
        let slow = opening(|| {
            std::thread::sleep(SILENT);
            Err(Error::try_again("late"))
        });
        let none = opening(|| Ok(None));
        assert!(readers.snapshot("n1", &slow, None, &over).is_err());
        assert!(
            readers
                .snapshot("n1", &none, None, &Until::default())
                .unwrap()
                .is_none()
        );
        assert!(readers.snapshot("n1", &slow, None, &Until::default()).is_err());
        std::thread::sleep(SILENT);
        let quick = opening(|| Err(Error::try_again("late")));
        assert!(readers.snapshot("n1", &quick, None, &over).is_err());
        assert!(readers.silent().contains_key("n1"));
    }
}

//! Rows of the live part, by a reader that is kept: to open one costs a connection. Where they cannot be had, for whatever reason, they
//! are those that were seen last, and that is said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::generations::now;
use crate::app::open::Context;
use crate::core::{ErrorKind, Result, SourcePartition};
use crate::store_api::{Progress, RealtimeReader, Snapshot, Until};

/// How long a reader is kept: one of a server does not notice that its namespace was deleted and made anew.
const KEPT: Duration = Duration::from_secs(15);
/// How long the owner is waited for.
const PATIENCE: Duration = Duration::from_millis(750);
/// One that did not answer is not asked for so long.
const SILENT: Duration = Duration::from_secs(3);

/// How far each partition was read.
pub(super) type All = BTreeMap<SourcePartition, Progress>;

/// What was heard of the namespace that was looked at last.
#[derive(Default)]
pub(super) struct Rows(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    namespace: String,
    reader: Option<(Instant, Arc<dyn RealtimeReader>)>,
    /// And when.
    rows: Option<(i64, Arc<All>)>,
    silent: Option<(Instant, String)>,
}

/// Rows, and why they are not those of now.
pub(super) struct Heard {
    pub(super) rows: Arc<All>,
    /// Why, and since when they are known.
    silent: Option<(String, Option<i64>)>,
}

impl Heard {
    /// The part of a look that is not of now.
    pub(super) fn silent(&self) -> Value {
        match &self.silent {
            Some((why, seen)) => json!({ "part": "realtime state", "why": why, "as_of_ms": seen }),
            None => Value::Null,
        }
    }
}

impl Rows {
    pub(super) fn of(&self, context: &Context<'_>, namespace: &str) -> Heard {
        let stores = context.plan.live_stores();
        let Some(face) = stores.first() else {
            return Kept::default().heard();
        };
        // Of any store, for one write commits them all.
        self.hear(namespace, face.name, &|until| context.state.read(namespace, until))
    }

    /// Takes this one for the reader of a namespace.
    #[cfg(all(test, feature = "parquet"))]
    pub(super) fn put(&self, namespace: &str, reader: Arc<dyn RealtimeReader>) {
        let mut kept = self.0.lock().unwrap();
        kept.namespace = namespace.into();
        kept.reader = Some((Instant::now(), reader));
    }

    fn hear(
        &self,
        namespace: &str,
        store: &str,
        open: &dyn Fn(&Until) -> Result<Option<Arc<dyn RealtimeReader>>>,
    ) -> Heard {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.namespace != namespace {
            *kept = Kept {
                namespace: namespace.into(),
                ..Kept::default()
            };
        }
        if kept.silent.as_ref().is_some_and(|(at, _)| at.elapsed() < SILENT) {
            return kept.heard();
        }
        match kept.ask(store, open) {
            Ok(rows) => {
                kept.rows = Some((now().0, Arc::new(rows)));
                kept.silent = None;
            }
            // A password that was changed, say, is no reason to show nothing of archives and generations either.
            Err(e) => {
                kept.reader = None;
                kept.silent = Some((Instant::now(), e.to_string()));
            }
        }
        kept.heard()
    }
}

impl Kept {
    fn heard(&self) -> Heard {
        let (seen, rows) = self.rows.clone().unzip();
        Heard {
            rows: rows.unwrap_or_default(),
            silent: self.silent.as_ref().map(|(_, why)| (why.clone(), seen)),
        }
    }

    fn ask(&mut self, store: &str, open: &dyn Fn(&Until) -> Result<Option<Arc<dyn RealtimeReader>>>) -> Result<All> {
        let until: Until = Instant::now().checked_add(PATIENCE).into();
        let rows = |snapshot: Box<dyn Snapshot>| Ok(snapshot.partitions(store)?.iter().cloned().collect());
        if let Some((_, reader)) = self.reader.as_ref().filter(|(at, _)| at.elapsed() < KEPT) {
            match reader.snapshot_until(&until).and_then(rows) {
                // What it read was deleted, and may have been made anew.
                Err(e) if e.kind() == ErrorKind::Closed => {}
                found => return found,
            }
        }
        self.reader = None;
        let Some(reader) = open(&until)? else {
            return Ok(All::new());
        };
        let found = rows(reader.snapshot_until(&until)?)?;
        self.reader = Some((Instant::now(), reader));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::core::{Cut, Error, Frontier};
    use crate::store_api::{Cell, ProgressRows};

    /// A state of one row that can fall silent.
    #[derive(Default)]
    struct State {
        silent: Mutex<Option<ErrorKind>>,
        opened: AtomicUsize,
        next: AtomicUsize,
    }

    struct Reader(Arc<State>);
    struct Seen(Arc<State>);

    impl RealtimeReader for Reader {
        fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
            match *self.0.silent.lock().unwrap() {
                Some(kind) => Err(Error::new(kind, "the owner of the state does not answer")),
                None => Ok(Box::new(Seen(self.0.clone()))),
            }
        }
    }

    impl Snapshot for Seen {
        fn namespace(&self) -> &str {
            "n"
        }
        fn partitions(&self, _: &str) -> Result<ProgressRows> {
            let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new());
            row.next = self.0.next.load(Relaxed) as u64;
            Ok([(SourcePartition::new("lines", 0), row)].into())
        }
        fn cells(&self, _: &str, _: &[Vec<u8>], _: &Frontier) -> Result<Vec<Vec<Cell>>> {
            Err(Error::bug("no cell is asked for"))
        }
        fn scan(&self, _: &str, _: &[u8], _: &Frontier, _: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
            Err(Error::bug("no cell is asked for"))
        }
    }

    fn next(heard: &Heard) -> Option<u64> {
        heard.rows.values().next().map(|row| row.next)
    }

    /// A reader is opened once for many looks. Of an owner that falls silent the last rows are told, with when they were so and why, and it
    /// is not asked again at once; another namespace has rows of its own.
    #[test]
    fn a_silent_owner_is_remembered() {
        let state = Arc::new(State::default());
        let rows = Rows::default();
        let open = |_: &Until| -> Result<Option<Arc<dyn RealtimeReader>>> {
            state.opened.fetch_add(1, Relaxed);
            Ok(Some(Arc::new(Reader(state.clone()))))
        };
        let look = |namespace: &str| rows.hear(namespace, "counts", &open);
        for n in 1..4 {
            state.next.store(n, Relaxed);
            let heard = look("n");
            assert_eq!((next(&heard), heard.silent()), (Some(n as u64), Value::Null));
        }
        assert_eq!(state.opened.load(Relaxed), 1);
        *state.silent.lock().unwrap() = Some(ErrorKind::TryAgain);
        let before = now().0;
        for _ in 0..3 {
            let heard = look("n");
            let silent = heard.silent();
            assert_eq!(next(&heard), Some(3));
            assert!(silent["why"].as_str().unwrap().contains("does not answer"), "{silent}");
            assert!(silent["as_of_ms"].as_i64() <= Some(before), "{silent}");
        }
        assert_eq!(state.opened.load(Relaxed), 1);
        // Nothing of one namespace is told of another.
        let heard = look("m");
        assert_eq!((next(&heard), &heard.silent()["as_of_ms"]), (None, &Value::Null));
        // It is asked again by and by, and answers.
        let later = || rows.0.lock().unwrap().silent = Some((Instant::now() - SILENT, "old".into()));
        *state.silent.lock().unwrap() = None;
        later();
        let heard = look("m");
        assert_eq!((next(&heard), heard.silent()), (Some(3), Value::Null));
        // The same where it is no matter of waiting.
        for kind in [ErrorKind::InvalidRequest, ErrorKind::CorruptData, ErrorKind::Bug] {
            *state.silent.lock().unwrap() = Some(kind);
            later();
            let heard = look("m");
            assert_eq!(next(&heard), Some(3), "{kind}");
            assert!(heard.silent()["as_of_ms"].is_i64(), "{kind}: {}", heard.silent());
        }
    }
}

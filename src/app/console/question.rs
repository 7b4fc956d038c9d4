//! Questions to places that may not answer. Each is asked by a thread of its own and waited for a moment; then what was answered last is
//! told, with why it is not of now.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::generations::now;
use crate::core::{Error, Result};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// What was asked in vain is not asked again for so long.
const SILENT: Duration = Duration::from_secs(3);

/// What is asked at each look.
pub(super) struct Question<T> {
    state: Mutex<State<T>>,
    answered: Condvar,
}

struct State<T> {
    /// And when.
    last: Option<(i64, T)>,
    /// Since when a thread is at it.
    asking: Option<Instant>,
    failed: Option<(Instant, String)>,
}

/// An answer, and why it is not that of now.
#[derive(Debug)]
pub(super) struct Heard<T> {
    /// `None`: there never was one.
    pub(super) value: Option<T>,
    /// Why, and since when what is told is known.
    silent: Option<(String, Option<i64>)>,
}

impl<T> Heard<T> {
    pub(super) fn is_of_now(&self) -> bool {
        self.silent.is_none()
    }
    /// The part of a look that is not of now: what was asked, of which source if of one, and what is therefore not known.
    pub(super) fn unreached(&self, part: &str, source: Option<&str>, unknown: &str) -> Option<Value> {
        let (why, seen) = self.silent.as_ref()?;
        Some(json!({ "part": part, "source": source, "why": why, "as_of_ms": seen, "unknown": unknown }))
    }
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                last: None,
                asking: None,
                failed: None,
            }),
            answered: Condvar::new(),
        }
    }
}

impl<T: Clone + Send + 'static> Question<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it asked, unless that is under way, or was in vain a moment ago.
    pub(super) fn ask(self: &Arc<Self>, ask: impl FnOnce() -> Result<T> + Send + 'static) {
        let mut state = self.lock();
        if state.asking.is_some() || state.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < SILENT) {
            return;
        }
        state.asking = Some(Instant::now());
        drop(state);
        let asker = self.clone();
        let work = move || {
            let panicked = |_| Err(Error::bug("a look at it panicked: the log of `serve` says where"));
            asker.is_told(catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(panicked));
        };
        let thread = std::thread::Builder::new().name("rufous-look".into());
        if let Err(e) = thread.spawn(work) {
            self.is_told(Err(Error::try_again(format!(
                "no thread can be started that asks: {e}"
            ))));
        }
    }

    /// Makes what was asked in vain so old that it is asked again.
    #[cfg(all(test, feature = "parquet"))]
    pub(super) fn age(&self) {
        self.lock().failed = None;
    }

    fn is_told(&self, found: Result<T>) {
        let mut state = self.lock();
        state.asking = None;
        match found {
            Ok(value) => (state.last, state.failed) = (Some((now().0, value)), None),
            Err(e) => state.failed = Some((Instant::now(), e.to_string())),
        }
        drop(state);
        self.answered.notify_all();
    }

    /// What came of it, as soon as it is there, or what is known without it.
    pub(super) fn hear(&self) -> Heard<T> {
        let state = self.lock();
        let left = { state.asking }.map_or(Duration::ZERO, |since| PATIENCE.saturating_sub(since.elapsed()));
        let waited = self
            .answered
            .wait_timeout_while(state, left, |state| state.asking.is_some());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (seen, value) = state.last.clone().unzip();
        let why = match state.asking {
            Some(since) => Some(format!("no answer since {} s", since.elapsed().as_secs())),
            None => state.failed.as_ref().map(|(_, why)| why.clone()),
        };
        Heard {
            value,
            silent: why.map(|why| (why, seen)),
        }
    }
}

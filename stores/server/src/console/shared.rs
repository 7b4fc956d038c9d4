//! Answers that all who look share: many may look at a job, and each asks again every second or two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rufous_core::Result;

use super::{Observed, View};
use crate::reply::put;

/// Different questions that are remembered at a time.
const MOST: usize = 32;

struct Known {
    /// When its look began: it is not newer than that.
    at: Instant,
    done: Instant,
    body: Bytes,
}

/// What was answered just now, by question. Each question is asked by one at a time: who comes meanwhile waits for the same answer.
#[derive(Default)]
pub(crate) struct Shared(Mutex<HashMap<View, Arc<Mutex<Option<Known>>>>>);

/// How long an answer is as good as a new one.
fn fresh(view: &View) -> Duration {
    Duration::from_millis(match view {
        View::Job => 60_000,
        View::Live | View::Log { .. } => 400,
        View::Handover { .. } | View::Samples { .. } => 1_000,
        // `Health` says itself how old it is.
        View::Generations | View::Drift | View::Health => 2_000,
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<View, Arc<Mutex<Option<Known>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer as JSON. It may block.
    pub(crate) fn look(&self, observed: &dyn Observed, view: &View) -> Result<Bytes> {
        let came = Instant::now();
        let place = self.place(view);
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| {
            // Also one that was waited for here: where looks take longer than they are fresh, all who wait would look in turn.
            known.at.elapsed() < fresh(view) || known.done >= came
        }) {
            return Ok(known.body.clone());
        }
        let at = Instant::now();
        let mut body = Vec::new();
        put(&mut body, &observed.look(view)?)?;
        let body = Bytes::from(body);
        *known = Some(Known {
            at,
            done: Instant::now(),
            body: body.clone(),
        });
        Ok(body)
    }

    fn place(&self, view: &View) -> Arc<Mutex<Option<Known>>> {
        let mut all = self.lock();
        if all.len() >= MOST && !all.contains_key(view) {
            // Those that somebody asks now are kept by him.
            all.retain(|view, place| {
                let known = place.try_lock();
                known.is_ok_and(|known| known.as_ref().is_some_and(|k| k.at.elapsed() < fresh(view)))
            });
            if all.len() >= MOST {
                all.clear();
            }
        }
        all.entry(view.clone()).or_default().clone()
    }

    /// Something was done: nothing that was answered before is new any more.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use rufous_core::Error;
    use serde_json::{Value, json};

    use super::super::{Action, Planned, Undone};
    use super::*;

    #[derive(Default)]
    struct Counts(AtomicUsize);

    impl Observed for Counts {
        fn look(&self, view: &View) -> Result<Value> {
            let n = self.0.fetch_add(1, Relaxed);
            match view {
                View::Live => {
                    std::thread::sleep(2 * fresh(view));
                    Ok(json!({ "n": n }))
                }
                View::Drift => Err(Error::try_again("not now")),
                _ => Ok(json!({ "n": n })),
            }
        }
        fn plan(&self, _: &Action, _: usize) -> Result<Planned> {
            Err(Error::bug("nothing is planned here"))
        }
        fn act(&self, _: &str) -> std::result::Result<String, Undone> {
            Err(Error::bug("nothing is done here").into())
        }
    }

    /// A look that takes longer than it is fresh is shared by all who came while it was under way; who comes later has a new one.
    #[test]
    fn slow_looks_are_shared() {
        let (shared, counts) = (Shared::default(), Counts::default());
        std::thread::scope(|scope| {
            let look = || shared.look(&counts, &View::Live).unwrap();
            let first = scope.spawn(look);
            while counts.0.load(Relaxed) == 0 {
                std::thread::yield_now();
            }
            let others: Vec<_> = (0..8).map(|_| scope.spawn(look)).collect();
            first.join().unwrap();
            for other in others {
                other.join().unwrap();
            }
        });
        let so_far = counts.0.load(Relaxed);
        // One that the machine began late came after the first.
        assert!(so_far <= 2, "{so_far} looks for 9 who asked at once");
        shared.look(&counts, &View::Live).unwrap();
        assert_eq!(counts.0.load(Relaxed), so_far + 1);
    }

    /// Who asks the same within a moment is told the same; errors are not kept; what was done ends it; and questions without end take no
    /// memory without end.
    #[test]
    fn answers_are_shared_for_a_moment() {
        let (shared, counts) = (Shared::default(), Counts::default());
        let asked = |view: &View| shared.look(&counts, view).unwrap();
        assert_eq!(asked(&View::Job), asked(&View::Job));
        assert_eq!(counts.0.load(Relaxed), 1);
        for _ in 0..2 {
            assert!(shared.look(&counts, &View::Drift).is_err());
        }
        assert_eq!(counts.0.load(Relaxed), 3);
        shared.forget();
        assert_eq!(asked(&View::Job), r#"{"n":3}"#);
        for n in 0..1_000 {
            let (from, to) = (Some(n), None);
            asked(&View::Handover { from, to });
            assert!(shared.lock().len() <= MOST);
        }
    }
}

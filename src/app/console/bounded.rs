//! Looks at places that may not answer, which keep a thread of those that all looks share: they end soon, and after one in vain the next ones
//! are refused at once for some time. Else two views of a place that is silent would leave no thread for what answers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::{Error, ErrorKind, Result};
use crate::store_api::Until;

/// How long a look may take. What it has read by then is known to the next one.
const PATIENCE: Duration = Duration::from_secs(3);
/// After one in vain nobody looks for so long.
const SILENT: Duration = Duration::from_secs(10);

/// Looks of one kind.
#[derive(Default)]
pub(super) struct Bounded(Mutex<Option<(Instant, String)>>);

impl Bounded {
    /// Looks, unless that was in vain just now.
    ///
    /// # Errors
    /// Those of the look; `TryAgain` with the words of the last one while nobody looks.
    pub(super) fn look<T>(&self, look: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, why)) = &*lock()
            && at.elapsed() < SILENT
        {
            let ago = at.elapsed().as_secs();
            return Err(Error::try_again(format!(
                "{why} (so it was {ago} s ago; it is asked again after {} s)",
                SILENT.as_secs()
            )));
        }
        let found = Until::from(Instant::now() + PATIENCE).during(look);
        *lock() = match &found {
            Err(e) if e.kind() == ErrorKind::TryAgain => Some((Instant::now(), e.to_string())),
            _ => None,
        };
        found
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A look knows until when it is waited for; one in vain is told again without another look, and one that was refused for good is not
    /// kept: what was mended is seen at once.
    #[test]
    fn a_silent_place_is_not_asked_at_each_look() {
        let (bounded, looks) = (Bounded::default(), Cell::new(0));
        let look = |found: Result<u8>| {
            bounded.look(|| {
                looks.set(looks.get() + 1);
                let left = Until::of_thread()
                    .deadline()
                    .map(|at| at.saturating_duration_since(Instant::now()));
                assert!(left.is_some_and(|left| left <= PATIENCE), "{left:?}");
                found
            })
        };
        assert_eq!(look(Ok(1)).ok(), Some(1));
        for _ in 0..3 {
            let e = look(Err(Error::try_again("the bucket is silent"))).err();
            assert!(e.is_some_and(|e| e.kind() == ErrorKind::TryAgain && e.to_string().contains("is silent")));
        }
        assert_eq!(looks.get(), 2);
        if let Some((at, _)) = &mut *bounded.0.lock().unwrap() {
            *at = Instant::now() - SILENT;
        }
        assert!(look(Err(Error::invalid("no rights"))).is_err());
        assert_eq!(look(Ok(2)).ok(), Some(2));
        assert_eq!(looks.get(), 4);
    }
}

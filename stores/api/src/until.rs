//! For how long somebody waits for an answer.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether nobody waits any more; asked now and then by who waits in his place.
pub type GivenUp = Arc<dyn Fn() -> bool + Send + Sync>;

/// How often who waits for somebody else looks whether anybody still waits for him.
pub const LOOK: Duration = Duration::from_millis(50);

/// Until when an answer is waited for: to an instant, or until who asked has gone away. The default is as long as it takes.
#[derive(Clone, Default)]
pub struct Until {
    deadline: Option<Instant>,
    given_up: Option<GivenUp>,
}

impl fmt::Debug for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until")
            .field("deadline", &self.deadline)
            .field("may_be_given_up", &self.given_up.is_some())
            .finish()
    }
}

impl From<Option<Instant>> for Until {
    fn from(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            given_up: None,
        }
    }
}

impl From<Instant> for Until {
    fn from(deadline: Instant) -> Self {
        Some(deadline).into()
    }
}

thread_local! {
    static OF_THREAD: RefCell<Until> = RefCell::default();
}

/// Puts back what was in force before, also when a panic passes.
struct Before(Option<Until>);

impl Drop for Before {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            OF_THREAD.set(before);
        }
    }
}

impl Until {
    /// Does something whose waits on this thread are all bounded so, however deep below they are: what reads from far away asks
    /// [`of_thread`](Self::of_thread). One that never ends leaves in force what was.
    pub fn during<T>(&self, f: impl FnOnce() -> T) -> T {
        let _before = Before(self.may_end().then(|| OF_THREAD.replace(self.clone())));
        f()
    }
    /// Until when what this thread does is waited for.
    pub fn of_thread() -> Self {
        OF_THREAD.with_borrow(Self::clone)
    }

    /// The same, unless this becomes true before.
    #[must_use]
    pub fn unless(mut self, given_up: Option<GivenUp>) -> Self {
        self.given_up = given_up;
        self
    }
    /// The instant, if one was said.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    /// Whether it ends by itself.
    pub fn may_end(&self) -> bool {
        self.deadline.is_some() || self.given_up.is_some()
    }
    /// Whether nobody waits any more.
    pub fn is_given_up(&self) -> bool {
        self.given_up.as_ref().is_some_and(|gone| gone())
    }
    /// Whether it is too late, or nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline) || self.is_given_up()
    }
    /// What is left of the time, not more than `patience`; nothing once nobody waits.
    pub fn left(&self, patience: Duration) -> Duration {
        if self.is_given_up() {
            return Duration::ZERO;
        }
        self.deadline.map_or(patience, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(patience)
        })
    }
    /// How long one wait may last before somebody looks again: [`LOOK`] where the answer may be given up.
    pub fn slice(&self, left: Duration) -> Duration {
        if self.given_up.is_some() { left.min(LOOK) } else { left }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    #[test]
    fn of_a_thread() {
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        let (soon, late) = (at(1), at(9));
        let now = || Until::of_thread().deadline();
        Until::from(late).during(|| {
            assert_eq!(now(), Some(late));
            Until::default().during(|| assert_eq!(now(), Some(late)));
            let panicked = std::panic::catch_unwind(|| Until::from(soon).during(|| panic!("{:?}", now())));
            assert!(panicked.is_err_and(|text| text.downcast_ref() == Some(&format!("{:?}", Some(soon)))));
            assert_eq!(now(), Some(late));
            assert_eq!(
                std::thread::spawn(move || Until::of_thread().deadline())
                    .join()
                    .unwrap(),
                None
            );
        });
        assert_eq!(now(), None);
    }

    #[test]
    fn what_is_left() {
        let patience = Duration::from_secs(2);
        let forever = Until::default();
        assert_eq!((forever.left(patience), forever.is_over()), (patience, false));
        assert_eq!(forever.slice(patience), patience);
        let past = Until::from(Instant::now());
        assert_eq!((past.left(patience), past.is_over()), (Duration::ZERO, true));
        let soon = Until::from(Instant::now() + Duration::from_secs(1));
        assert!(soon.left(patience) <= Duration::from_secs(1) && !soon.is_over());
        let gone = Arc::new(AtomicBool::new(false));
        let flag = gone.clone();
        let until = soon.unless(Some(Arc::new(move || flag.load(Relaxed))));
        assert_eq!((until.slice(patience), until.is_over()), (LOOK, false));
        gone.store(true, Relaxed);
        assert_eq!((until.left(patience), until.is_over()), (Duration::ZERO, true));
    }
}

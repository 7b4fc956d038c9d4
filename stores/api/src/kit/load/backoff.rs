//! How often, and after which pauses, something is tried again.

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use rufous_core::{Error, ErrorKind, Result};

use crate::kit::ask::again;

/// So many tries, the first one included, with a pause before each further one that doubles up to a limit. By default four tries, after 50, 100 and 200 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    tries: NonZeroU32,
    first: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            tries: NonZeroU32::new(4).unwrap_or(NonZeroU32::MIN),
            first: Duration::from_millis(50),
            longest: Duration::from_secs(1),
        }
    }
}

impl Backoff {
    /// So many tries, the first one included.
    #[must_use]
    pub fn tries(mut self, tries: NonZeroU32) -> Self {
        self.tries = tries;
        self
    }
    /// The pause before the second try, and the longest of all.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// Asks again what `open` names as long as it names anything: it sees the answers so far. What fails to the end says how often it
    /// was tried.
    pub(super) fn again<A>(
        &self,
        answers: &mut [Result<A>],
        open: impl Fn(&[Result<A>]) -> Vec<usize>,
        mut ask: impl FnMut(&[usize]) -> Vec<Result<A>>,
    ) {
        let mut pause = self.first;
        for _ in 1..self.tries.get() {
            let places = open(answers);
            if places.is_empty() {
                return;
            }
            thread::sleep(pause.min(self.longest));
            pause = pause.saturating_mul(2);
            for (place, answer) in places.iter().zip(ask(&places)) {
                if let Some(at) = answers.get_mut(*place) {
                    *at = answer;
                }
            }
        }
        for answer in answers.iter_mut().filter(|answer| may_pass(answer)) {
            if let (Err(e), 2..) = (answer, self.tries.get()) {
                *e = Error::new(e.kind(), format!("tried {} times: {e}", self.tries)).caused_by(again(e));
            }
        }
    }
}

/// Whether the same call may succeed later.
pub(super) fn may_pass<A>(answer: &Result<A>) -> bool {
    answer.as_ref().is_err_and(|e: &Error| e.kind() == ErrorKind::TryAgain)
}

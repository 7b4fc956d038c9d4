//! What the engine does while the store takes nothing: a full disk, for instance. It waits as long as that lasts, and goes on
//! from the rows: everything that was read after the last commit is read again (P12).

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Result};

use crate::engine::Engine;

/// How soon a stop is noticed.
const SLICE: Duration = Duration::from_millis(50);

impl Engine<'_> {
    /// The same for what came of acquiring: a store that takes no commit takes no row either.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause).
    pub(crate) fn or_pause(&mut self, done: Result<()>) -> Result<()> {
        match done {
            Err(e) if e.kind() == ErrorKind::TryAgain => self.pause(e),
            done => done,
        }
    }

    /// A commit failed with an error that passes. Returns when all partitions are acquired again; nothing is in a map then.
    ///
    /// # Errors
    /// The failure, when the stream is told to stop meanwhile; one that does not pass.
    pub(crate) fn pause(&mut self, mut failure: Error) -> Result<()> {
        self.executor.discard()?;
        if self.store.is_shared() {
            self.let_all_go()?;
        }
        loop {
            let longest = self.options.longest_pause;
            let wait = (longest / 50).saturating_mul(1 << self.failures.min(16)).min(longest);
            self.failures = self.failures.saturating_add(1);
            tracing::warn!(error = %failure, failures = self.failures, next_try_ms = wait.as_millis() as u64, "the store takes nothing: the stream waits");
            let until = Instant::now() + wait;
            while Instant::now() < until {
                self.metrics.heartbeat.mark();
                if self.store.is_shared() {
                    self.bound.iter_mut().for_each(|b| b.log.attend());
                }
                if self.options.stop.load(Relaxed) {
                    return Err(failure);
                }
                std::thread::sleep(SLICE.min(wait));
            }
            match self.read_again() {
                // Whether it takes a whole commit is seen by the next one; until then the wait grows.
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == ErrorKind::TryAgain => {
                    self.metrics.commit_failed(&e);
                    failure = e;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

//! A realtime store whose commits fail as real ones do: before they were written, after it with the answer lost, or because
//! the process was killed.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rufous::core::rules::{Rule, kept};
use rufous::core::{BatchId, Error, Result, SourcePartition};
use rufous::store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_memory::MemoryRealtime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was written, and the store says so.
    NotWritten,
    /// Written; the answer was lost.
    AnswerLost,
    /// The process ends: from here on nothing of it reaches the store.
    Killed,
    /// As before, but this commit was written.
    KilledAfter,
    /// The process hangs before it writes, until somebody lets it go on.
    Stalled,
}

/// One process's way to the store.
pub(crate) struct Faulty {
    inner: MemoryRealtime,
    /// What happens at which commit.
    plan: Mutex<Vec<(i64, Fault)>>,
    commits: AtomicI64,
    killed: Mutex<bool>,
    stall: Stall,
}

#[derive(Default)]
struct Stall {
    state: Mutex<Stalled>,
    changed: Condvar,
}

#[derive(Default)]
struct Stalled {
    reached: bool,
    released: bool,
    /// What became of the commit when it went on.
    outcome: Option<Committed>,
}

impl Faulty {
    pub(crate) fn over(inner: MemoryRealtime, plan: Vec<(i64, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            plan: Mutex::new(plan),
            commits: AtomicI64::new(0),
            killed: Mutex::new(false),
            stall: Stall::default(),
        })
    }
    /// Whether a commit hangs, or the process ended before it came to it.
    pub(crate) fn wait_stalled(&self, ended: impl Fn() -> bool) -> bool {
        let mut state = self.stall.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.reached && !ended() {
            let wait = Duration::from_millis(1);
            state = self
                .stall
                .changed
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.reached
    }
    /// Lets the hanging commit go on.
    pub(crate) fn release(&self) {
        let mut state = self.stall.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.released = true;
        self.stall.changed.notify_all();
    }
    /// What became of the commit that hung.
    pub(crate) fn stalled_outcome(&self) -> Option<Committed> {
        let state = self.stall.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.outcome.clone()
    }
    fn stall(&self, commit: &Commit<'_>) -> Result<Committed> {
        let mut state = self.stall.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reached = true;
        self.stall.changed.notify_all();
        while !state.released {
            state = self.stall.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let outcome = self.inner.commit(commit)?;
        state.outcome = Some(outcome.clone());
        Ok(outcome)
    }
    /// From here on nothing of this process reaches the store.
    pub(crate) fn kill(&self) {
        *self.killed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
    fn alive(&self) -> Result<()> {
        if *self.killed.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Error::bug("killed"));
        }
        Ok(())
    }
}

impl RealtimeStore for Faulty {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        self.alive()?;
        self.inner.acquire(store, p, repair)
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.alive()?;
        let number = self.commits.fetch_add(1, Relaxed);
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = plan.iter().find(|(n, _)| *n == number).map(|(_, f)| *f);
        drop(plan);
        match fault {
            None => self.inner.commit(commit),
            Some(Fault::NotWritten) => Err(Error::try_again("the disk is full")),
            Some(Fault::AnswerLost) => {
                self.inner.commit(commit)?;
                Err(Error::try_again("the connection was lost"))
            }
            Some(Fault::Stalled) => self.stall(commit),
            Some(Fault::Killed) => {
                if !kept(Rule::OneWrite) {
                    // A store that writes values, then offsets: killed between the two.
                    self.inner.commit(&Commit {
                        advances: &[],
                        ..*commit
                    })?;
                }
                self.kill();
                Err(Error::bug("killed"))
            }
            Some(Fault::KilledAfter) => {
                self.inner.commit(commit)?;
                self.kill();
                Err(Error::bug("killed"))
            }
        }
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.alive()?;
        self.inner.drop_below(p, batch)
    }
}

impl RealtimeReader for Faulty {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}

//! Threads that have the command's context. The server's own threads live longer than they may know it, so they ask here and wait.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::app::open::Context;
use crate::core::{Error, Result};

type Task = Box<dyn FnOnce(&Context<'_>) + Send>;

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    closed: bool,
}

/// Where questions wait. Who asks has limits of his own: so many are never under way that the queue grows.
#[derive(Default)]
pub(in crate::app) struct Desk {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until the desk is closed.
    pub(in crate::app) fn work(&self, context: &Context<'_>) {
        let mut waiting = self.lock();
        loop {
            if let Some(task) = waiting.tasks.pop_front() {
                drop(waiting);
                // Who asked notices that nobody answers; a panic is reported where it happens.
                drop(catch_unwind(AssertUnwindSafe(|| task(context))));
                waiting = self.lock();
            } else if waiting.closed {
                return;
            } else {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Whether it was closed: what takes long ends then.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends the work when what is under way is done. Who waits is told.
    pub(in crate::app) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.tasks.clear();
        drop(waiting);
        self.wake.notify_all();
    }

    /// Has it done, by and by.
    ///
    /// # Errors
    /// `Closed` when the server ends.
    pub(super) fn send(&self, task: impl FnOnce(&Context<'_>) + Send + 'static) -> Result<()> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::closed("this server is ending, and looks at nothing any more"));
        }
        waiting.tasks.push_back(Box::new(task));
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// Has it looked at, and waits.
    ///
    /// # Errors
    /// `Closed` when the server ends; `Bug` when the look panicked.
    pub(super) fn ask<R: Send + 'static>(&self, look: impl FnOnce(&Context<'_>) -> R + Send + 'static) -> Result<R> {
        let (reply, answer) = sync_channel(1);
        self.send(move |context| {
            // Who asked may be gone.
            let _ = reply.send(look(context));
        })?;
        answer.recv().map_err(|_| match self.lock().closed {
            true => Error::closed("this server is ending, and looks at nothing any more"),
            false => Error::bug("a look of the console panicked: the log of `serve` says where"),
        })
    }
}

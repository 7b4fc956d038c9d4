//! What `serve` shows of the job beyond its answers: what the server's console asks ([`Observed`]).
//!
//! - `desk`: the threads that look, for what is looked at belongs to the command and not to the server;
//! - `job`: the graph, sources and stores; `handover`, `generations`, `drift`: what lies in the places of the job, by the code of the
//!   commands `batches`, `generations` and `reconcile`; `archives`, `rows` and [`known`](super::known) keep what a look need not ask for again;
//!   `question`: of what does not answer what is known is told, and that it does not; `bounded`: such a look ends soon, and not every look tries;
//! - `live`: the processes of the job ([`processes`](super::processes)), with what they count, their samples and their log;
//! - `health`: the checks of `doctor`, and the numbers that matter; `actions`: what can be done.

mod actions;
mod archives;
mod bounded;
mod desk;
mod drift;
mod generations;
mod handover;
mod health;
mod job;
mod live;
mod question;
mod rows;

use std::sync::Arc;

use serde_json::Value;

pub(super) use desk::Desk;
pub(super) use job::Rights;

use super::known::{Kept, Known};
use super::open::Context;
use crate::client::reconcile::report::Report;
use crate::core::Result;
use crate::server::console::{Action, Observed, Planned, Undone, View};
use crate::store_api::Manifest;
use question::Question;

/// What is known from one look to the next.
pub(super) struct Console {
    desk: Arc<Desk>,
    rights: Rights,
    seen: Arc<Seen>,
}

/// What several looks share.
#[derive(Default)]
struct Seen {
    archives: archives::Archives,
    known: Arc<Known>,
    current: Arc<Question<Option<Arc<Manifest>>>>,
    generations: bounded::Bounded,
    reports: Kept<Report>,
    drift: bounded::Bounded,
    rows: rows::Rows,
    health: health::Kept,
    log: live::Merged,
    plans: actions::Plans,
}

impl Console {
    /// Over a desk whose threads are at work.
    pub(super) fn new(desk: Arc<Desk>, rights: Rights) -> Self {
        Self {
            desk,
            rights,
            seen: Arc::default(),
        }
    }

    fn at_desk<R: Send + 'static>(&self, look: impl FnOnce(&Context<'_>, &Seen) -> R + Send + 'static) -> Result<R> {
        let seen = self.seen.clone();
        self.desk.ask(move |context| look(context, &seen))
    }
}

impl Observed for Console {
    fn look(&self, view: &View) -> Result<Value> {
        let (rights, view) = (self.rights, view.clone());
        if let View::Health = view {
            return health::look(&self.desk, &self.seen);
        }
        self.at_desk(move |context, seen| match view {
            View::Job => Ok(job::job(context, rights)),
            View::Live => Ok(live::live(context)),
            View::Samples { kind, limit } => Ok(live::samples(context, kind, limit)),
            View::Log { after, limit } => Ok(live::log(context, seen, after, limit)),
            View::Handover { from, to } => handover::handover(context, seen, from, to),
            View::Generations => seen.generations.look(|| generations::generations(context, &seen.known)),
            View::Drift => seen.drift.look(|| drift::drift(context, seen)),
            _ => Err(crate::core::Error::bug(
                "the console was asked for a view that it does not know",
            )),
        })?
    }
    fn plan(&self, action: &Action, whose: usize) -> Result<Planned> {
        let action = action.clone();
        self.at_desk(move |context, seen| actions::plan(context, &seen.plans, &action, whose))?
    }
    fn act(&self, confirm: &str) -> Result<String, Undone> {
        let confirm = confirm.to_string();
        self.at_desk(move |context, seen| actions::act(context, &seen.plans, &confirm))?
    }
}

#[cfg(test)]
mod tests;

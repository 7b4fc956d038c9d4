//! What a job shows of itself beyond its answers, under `/v1/console/`: its graph, the processes that run, the hand-over of its batches,
//! its generations, drift, health and log; and a few actions, each planned first and done only when it is confirmed.
//!
//! The server knows no planner, no store and no process: it asks an [`Observed`], which is given with [`Served`](crate::Served). It adds
//! what is HTTP's: tokens, limits, readers that may block, and answers that several who look share for a moment.
//!
//! - `looks`: the questions; `actions`: what changes something.

mod actions;
mod looks;
mod shared;

use rufous_core::{Error, Result};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::State;
use std::sync::Arc;

pub(crate) use shared::Shared;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum View {
    /// Graph, sources and stores: what does not change while the server runs.
    Job,
    /// The processes that run, with all that they count.
    Live,
    /// Some of the records that something was wrong with.
    Samples {
        /// What was wrong.
        kind: Wrong,
        /// So many at most, of each process and source.
        limit: usize,
    },
    /// How far each batch of each partition is.
    Handover {
        /// From this batch on.
        from: Option<i64>,
        /// Batches before this one.
        to: Option<i64>,
    },
    /// What was published, and what can be gone back to.
    Generations,
    /// What comparing the layers found.
    Drift,
    /// Whether all can be reached and fits together.
    Health,
    /// What was logged.
    Log {
        /// Only lines behind this one.
        after: u64,
        /// So many at most.
        limit: usize,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wrong {
    /// It cannot be read, or the job's code panics over it.
    Bad,
    /// It is behind the running batch.
    Late,
}

/// What is asked to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Makes the staged line of this code the current one.
    Switch {
        /// Though it has not read as far as the code before it.
        behind: bool,
    },
    /// Makes a generation before the current one the current one again; `None`: the one before it.
    Rollback {
        /// Its number.
        to: Option<u64>,
    },
    /// Deletes what nobody can read any more.
    Gc,
}

/// What an action would do. Nothing is done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// A sentence a line.
    pub says: Vec<String>,
    /// Confirms this plan, as long as the state it was made of stands.
    pub confirm: String,
}

impl Planned {
    /// Of these sentences.
    pub fn new(says: Vec<String>, confirm: String) -> Self {
        Self { says, confirm }
    }
}

/// Why a planned action was not done.
#[derive(Debug)]
pub enum Undone {
    /// The state is another than the one that was planned with, or the plan is too old: what would be done is not what was said.
    Moved(String),
    /// It failed.
    Failed(Error),
}

impl From<Error> for Undone {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

/// What a job shows of itself. Its methods may block, and are called by several threads.
pub trait Observed: Send + Sync {
    /// One JSON object.
    ///
    /// # Errors
    /// Those of what is looked at.
    fn look(&self, view: &View) -> Result<Value>;
    /// Says what an action would do, and does nothing. `whose` tells those apart who may act: plans of one of them push out none of
    /// another.
    ///
    /// # Errors
    /// When it cannot be done, with what repairs that.
    fn plan(&self, action: &Action, whose: usize) -> Result<Planned>;
    /// Does what was planned under this confirmation, if nothing has moved since. A sentence says what was done.
    ///
    /// # Errors
    /// [`Undone`]: nothing was done, or it failed.
    fn act(&self, confirm: &str) -> std::result::Result<String, Undone>;
}

/// The routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(looks::job))
        .routes(routes!(looks::live))
        .routes(routes!(looks::samples))
        .routes(routes!(looks::handover))
        .routes(routes!(looks::generations))
        .routes(routes!(looks::drift))
        .routes(routes!(looks::health))
        .routes(routes!(looks::log))
        .routes(routes!(actions::plan))
        .routes(routes!(actions::act))
}

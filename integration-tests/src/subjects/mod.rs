//! Platforms as subjects of the same-answer machine (`rufous_core::testing`). To add one: a module here with a
//! `Subject`, and a line in `tests/catalogue.rs`.
//!
//! - `listed`: a log that is a list; `kept`: an archive in memory; `bed`: streams, publishes and reads over several
//!   sources;
//! - `place`: sinks in memory; `written`: those of generations;
//! - `live`, `hybrid`, `bulk`, `tables`, `topics`: the subjects.

mod bed;
mod bulk;
mod hybrid;
mod kept;
mod listed;
mod live;
mod place;
mod tables;
mod topics;
mod written;

pub use bulk::Bulk;
pub use hybrid::Hybrid;
pub use live::{Feed, Live};
pub use tables::{TEXTS, Tables};
pub use topics::Topics;

use rufous_core::testing::{Case, Reason};

/// What groups of deltas become has no ids (O26).
pub const GROUPED: Reason = Reason::Error("come in unspecified groups");
/// One layer writes a sink (O22): where that is the live one, a bulk run of a job that only writes has nothing to do.
pub const IDLE: Reason = Reason::Error("a bulk run would do nothing");
/// Logs of several partitions keep no order of event time, nor do archives of them.
pub const ORDER: Reason = Reason::Error("needs its values in order");

/// What streams and runs refuse.
const REFUSALS: &[Reason] = &[GROUPED, ORDER];

fn can(case: &Case) -> Result<(), Reason> {
    if case.in_order() {
        Err(ORDER)
    } else if is_grouped(case) {
        Err(GROUPED)
    } else {
        Ok(())
    }
}

/// Whether what is written has no ids.
fn is_grouped(case: &Case) -> bool {
    !case.sinks().is_empty() && case.plan().is_ok_and(|mut plan| plan.identify_writes().is_err())
}

/// What streams above generations refuse.
const ABOVE: &[Reason] = &[GROUPED, IDLE, ORDER];

/// A job whose sinks the live part writes, and that has no store, has nothing that a bulk run could publish.
fn can_above(case: &Case) -> Result<(), Reason> {
    can(case)?;
    match case.plan() {
        Ok(plan) if plan.stores().is_empty() => Err(IDLE),
        _ => Ok(()),
    }
}

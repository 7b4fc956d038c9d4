//! Platforms as subjects of the same-answer machine (`rufous_core::testing`). To add one: a module here with a
//! `Subject`, and a line in `tests/catalogue.rs`.
//!
//! - `listed`: a log that is a list; `kept`: an archive in memory; `bed`: streams, publishes and reads over several
//!   sources;
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

pub use bulk::Bulk;
pub use hybrid::Hybrid;
pub use live::{Feed, Live};
pub use tables::{TEXTS, Tables};
pub use topics::Topics;

use rufous_core::testing::{Case, Reason};

/// What groups of deltas become has no ids (O26).
pub const GROUPED: Reason = Reason::Error("come in unspecified groups");
/// Bulk runs evaluate nothing beyond a sink (O22).
pub const SINKS: Reason = Reason::Error("a bulk run writes to no sink");
/// Logs of several partitions keep no order of event time, nor do archives of them.
pub const ORDER: Reason = Reason::Error("needs its values in order");

/// What streams refuse.
const LIVE: &[Reason] = &[GROUPED, ORDER];

fn can_live(case: &Case) -> Result<(), Reason> {
    if case.in_order() {
        return Err(ORDER);
    }
    let Ok(mut plan) = case.plan() else { return Ok(()) };
    plan.identify_writes().map_err(|_| GROUPED)
}

/// What streams above generations refuse.
const ABOVE: &[Reason] = &[GROUPED, SINKS, ORDER];

/// A job that only writes has nothing that a bulk run could publish.
fn can_above(case: &Case) -> Result<(), Reason> {
    can_live(case)?;
    match case.plan() {
        Ok(plan) if plan.stores().is_empty() => Err(SINKS),
        _ => Ok(()),
    }
}

/// What the platforms of stores refuse.
const REFUSALS: &[Reason] = &[SINKS, ORDER];

fn can(case: &Case) -> Result<(), Reason> {
    if case.in_order() {
        Err(ORDER)
    } else if case.sinks().is_empty() {
        Ok(())
    } else {
        Err(SINKS)
    }
}

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
mod tables;
mod topics;

pub use bulk::Bulk;
pub use hybrid::Hybrid;
pub use live::{Feed, Live};
pub use tables::{TEXTS, Tables};
pub use topics::Topics;

use rufous_core::testing::{Case, Reason};

/// Sinks are for the model platform, so far.
pub const SINKS: Reason = Reason::Error("cannot write to sinks yet");
/// Logs of several partitions keep no order of event time, nor do archives of them.
pub const ORDER: Reason = Reason::Error("needs its values in order");

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

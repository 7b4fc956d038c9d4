//! Where sinks are: what the binary binds, and what the settings say instead.
//!
//! - `writers`: the places, opened for a stream; `memory`: what is remembered of topics in the job's place;
//! - `turns`: sinks that are given up, and taken up again (O25); `permission`: what sinks hold;
//! - `marks`: how far each is; `command`: `sink list`, `release`, `resume`; `read`: `sink read`, `generation`: the same of what batch runs
//!   wrote.

mod command;
mod generation;
mod marks;
#[cfg(feature = "kafka")]
mod memory;
mod permission;
mod read;
mod turns;
mod writers;

use super::open::Context;
use crate::core::sink::{SinkBinding, SinkPlace};
use crate::core::{Error, Promise, Result};

pub(super) use command::{Asked, command};
#[cfg(feature = "parquet")]
pub(super) use permission::{held, written_to};
pub(super) use writers::open;
pub(super) use writers::table_memory;

fn instance(context: &Context<'_>) -> String {
    let name = context.layout.root().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Job and instance, as places of sinks name whose they are.
fn owner(context: &Context<'_>) -> String {
    format!("job {}, instance {}", context.plan.job(), instance(context))
}

/// What a binding promises, for people.
pub(super) fn promised(binding: &SinkBinding) -> String {
    match (binding.promise, &binding.place) {
        (Promise::ExactlyOnce, SinkPlace::Topic(_)) => {
            "exactly once, for consumers with isolation.level=read_committed".into()
        }
        (Promise::AtLeastOnce, _) => {
            "at least once: after a crash or a rebuild records come again, with the same rufous-id".into()
        }
        (Promise::ExactlyOnce, SinkPlace::Generations) => {
            "written by batch runs and backfills; each has the records below its frontier, each once".into()
        }
        (Promise::ExactlyOnce, _) => "exactly once".into(),
    }
}

/// A sink of the job, as `doctor` shows it.
///
/// # Errors
/// When it is not bound, when it cannot be asked how far it is, or when what is known of it cannot be read.
pub(super) fn described(context: &Context<'_>, name: &str) -> Result<String> {
    context.sinks.of(context.plan)?;
    let Some(binding) = context.sinks.get(name) else {
        return Ok(String::new());
    };
    let turn = turns::newest(&context.offline, name)?;
    let released = turn
        .filter(|turn| turn.released)
        .map_or_else(String::new, |turn| format!("; {turn}"));
    let marks = marks::of(context, binding)?;
    let far = match marks.len() {
        0 => "not begun".into(),
        n => format!(
            "{n} partitions, written up to {} in sum",
            marks.iter().filter_map(|mark| mark.at).sum::<u64>()
        ),
    };
    Ok(format!("{}, {}{released}; {far}", binding.place, promised(binding)))
}

/// A staged version of a job writes nothing (O27): until it is current its output is the old version's.
///
/// # Errors
/// When it would.
pub(super) fn check_staged(context: &Context<'_>) -> Result<()> {
    match context.plan.live_sinks().next() {
        None => Ok(()),
        Some((_, sink)) => Err(Error::invalid(format!(
            "sink `{sink}`: other code of the job is current and writes it; a version that is staged beside it writes nothing: stop the old \
             code, run `switch --behind` with the new, then start it: it goes on from the sink's marks"
        ))),
    }
}

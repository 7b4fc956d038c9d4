//! Where sinks are: what the binary binds, and what the settings say instead.

use std::path::Path;

use super::open::Context;
use crate::core::sink::{SinkBinding, SinkPlace};
use crate::core::{Error, Result};
use crate::platform_local::FileSink;
use crate::realtime::{BoundSink, SinkWriter};

/// Opens the places of all sinks of the job.
///
/// # Errors
/// Before anything is opened: a sink that is not bound.
pub(super) fn open(context: &Context<'_>) -> Result<Vec<BoundSink>> {
    let bindings = context.sinks.of(context.plan)?;
    let open = |binding: &SinkBinding| {
        let writer = writer(context, binding).map_err(|e| e.at(format_args!("sink `{}`", binding.name)))?;
        Ok(BoundSink {
            name: binding.name,
            encode: binding.encode,
            promise: binding.promise,
            writer,
        })
    };
    bindings.iter().map(open).collect()
}

fn writer(_: &Context<'_>, binding: &SinkBinding) -> Result<Box<dyn SinkWriter>> {
    match &binding.place {
        SinkPlace::Files(dir) => Ok(Box::new(FileSink::new(Path::new(dir), binding.name)?)),
        place => Err(Error::invalid(format!("{place} cannot be written yet"))),
    }
}

/// A staged version of a job writes nothing (O27): until it is current its output is the old version's.
///
/// # Errors
/// When it would.
pub(super) fn check_staged(context: &Context<'_>) -> Result<()> {
    match context.plan.sinks().first() {
        None => Ok(()),
        Some((sink, _)) => Err(Error::invalid(format!(
            "sink `{sink}`: other code of the job is current and writes it; a version that is staged beside it cannot write to sinks: start \
             the new code with another --instance and another place for the sink, or take the write out"
        ))),
    }
}

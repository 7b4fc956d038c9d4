//! The records of a sink that is a part of each generation.

use serde_json::json;

use super::read::{Lines, Read};
use crate::app::open::Context;
use crate::core::sink::SinkBinding;
use crate::core::{Error, Result};

/// Prints records in the order of ids.
///
/// # Errors
/// `InvalidRequest` when there is no such generation; `CorruptData` that names the file or record that is not what was written.
pub(super) fn read(context: &Context<'_>, binding: &SinkBinding, asked: &Read, lines: &mut Lines) -> Result<()> {
    let name = binding.name;
    let sink = context.client().raw_sink(name);
    let written = match asked.generation {
        Some(number) => sink.generation(number)?,
        None => sink.newest()?,
    };
    if !binding.reads(written.schema()) {
        return Err(Error::invalid(format!(
            "sink `{name}` holds `{}` in generation {}, the job writes `{}`: read it with the code that wrote it",
            written.schema(),
            written.number(),
            binding.schema
        )));
    }
    let mut records = written.records(asked.from.as_ref())?;
    while let Some((id, record)) = records.next_record()? {
        let id = written.id(id)?;
        let record = (binding.show)(record).map_err(|why| written.undecodable(&id, why))?;
        if !lines.line(&json!({"id": id.of_sink(name), "record": record}).to_string()) {
            break;
        }
    }
    Ok(())
}

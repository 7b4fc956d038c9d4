//! How far each sink is, wherever its marks are.

use std::path::Path;

use super::owner;
use crate::app::open::Context;
use crate::core::sink::{SinkBinding, SinkPlace};
use crate::core::{Cut, Error, Result, SourcePartition};
use crate::platform_local::FileSink;
use crate::store_api::{Hole, ManifestLog, TableReader};

/// How far one partition of a sink is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) partition: SourcePartition,
    /// What was made of records below this is there; `None`: its place keeps no mark, or has forgotten it.
    pub(super) at: Option<u64>,
    /// Where it began, if that is known.
    pub(super) start: Option<u64>,
    pub(super) holes: Vec<Hole>,
}

/// Every partition that was ever begun.
///
/// # Errors
/// When the place cannot be asked.
pub(super) fn of(context: &Context<'_>, binding: &SinkBinding) -> Result<Vec<Mark>> {
    match &binding.place {
        SinkPlace::Files(dir) => files(context, Path::new(dir)),
        SinkPlace::Table => table(context, binding),
        SinkPlace::Topic(at) => topic(context, binding, at),
        SinkPlace::Generations => generation(context, binding),
    }
}

/// A generation has the records below its frontier.
fn generation(context: &Context<'_>, binding: &SinkBinding) -> Result<Vec<Mark>> {
    let newest = context.manifests.newest(0)?;
    let Some(manifest) = newest.filter(|m| m.sinks.contains_key(binding.name)) else {
        return Ok(Vec::new());
    };
    let mark = |(partition, cut): (SourcePartition, Cut)| Mark {
        partition,
        at: Some(cut.cut),
        start: None,
        holes: Vec::new(),
    };
    Ok(manifest.frontier.0.into_iter().map(mark).collect())
}

/// Whose marks these are: those of other jobs and instances are none of ours.
pub(super) fn check(context: &Context<'_>, of: &str, place: &str) -> Result<()> {
    let ours = owner(context);
    if of == ours {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{place} holds records of {of}, and this is {ours}"
    )))
}

fn files(context: &Context<'_>, dir: &Path) -> Result<Vec<Mark>> {
    let mut all = Vec::new();
    for (partition, mark) in FileSink::marks(dir)? {
        check(context, &mark.of, &dir.display().to_string())?;
        all.push(Mark {
            partition,
            at: Some(mark.mark),
            start: Some(mark.start),
            holes: mark.holes,
        });
    }
    Ok(all)
}

fn table(context: &Context<'_>, binding: &SinkBinding) -> Result<Vec<Mark>> {
    let Some(tables) = tables(context)? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for (partition, mark) in tables.marks(binding.name)? {
        check(context, &mark.of, &tables.location())?;
        all.push(Mark {
            partition,
            at: Some(mark.mark),
            start: Some(mark.start),
            holes: mark.holes,
        });
    }
    Ok(all)
}

/// The tables of the job, whoever writes them; `None`: there are none yet.
pub(super) fn tables(context: &Context<'_>) -> Result<Option<Box<dyn TableReader>>> {
    context.state.read_tables()
}

#[cfg(feature = "kafka")]
fn topic(context: &Context<'_>, binding: &SinkBinding, at: &str) -> Result<Vec<Mark>> {
    use crate::core::Promise;
    let (_, name) = super::writers::topic_of(at)?;
    let memory = super::memory::Memory::new(&context.offline, binding.name, name);
    let (begun, asked) = match binding.promise {
        Promise::ExactlyOnce => (memory.begun()?, Some(super::writers::kafka(context, binding, at)?)),
        // Its mark is the state's.
        Promise::AtLeastOnce => {
            let stands = super::permission::stands(context)?.unwrap_or_default();
            let all = stands.into_iter().map(|(partition, at)| {
                Ok(Mark {
                    holes: memory.holes(&partition)?,
                    partition,
                    at: Some(at),
                    start: None,
                })
            });
            return all.collect();
        }
    };
    let mut all = Vec::new();
    for partition in begun {
        let at = asked.as_ref().map(|sink| sink.mark_of(&partition)).transpose()?;
        all.push(Mark {
            at: at.flatten(),
            start: None,
            holes: memory.holes(&partition)?,
            partition,
        });
    }
    Ok(all)
}

#[cfg(not(feature = "kafka"))]
fn topic(_: &Context<'_>, _: &SinkBinding, _: &str) -> Result<Vec<Mark>> {
    Err(Error::invalid("this binary was built without the feature `kafka`"))
}

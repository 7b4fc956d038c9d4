//! The places of sinks, opened for a stream.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::owner;
use super::turns::{GivenUp, Resumed};
use crate::app::open::Context;
use crate::core::sink::{Layer, SinkBinding, SinkPlace};
use crate::core::{Error, Result};
use crate::platform_local::FileSink;
use crate::realtime::{BoundSink, SinkWriter, TableSink};
use crate::store_api::TableStore;
use crate::store_api::table::TableFace;

/// Opens the places of the sinks that the live part writes. A sink that is given up is not opened.
///
/// # Errors
/// Before anything is opened: a sink that is not bound, two that would write to the same files.
pub(in crate::app) fn open(context: &Context<'_>) -> Result<Vec<BoundSink>> {
    let mut bindings = context.sinks.of(context.plan)?;
    bindings.retain(|binding| binding.layer() == Layer::Live);
    apart(&bindings)?;
    let mut turns = BTreeMap::new();
    for binding in &bindings {
        turns.insert(binding.name, super::turns::newest(&context.offline, binding.name)?);
    }
    let is_given_up = |binding: &SinkBinding| matches!(turns.get(binding.name), Some(Some(turn)) if turn.released);
    let in_tables = |b: &&SinkBinding| b.place == SinkPlace::Table && !is_given_up(b);
    let names: Vec<_> = bindings.iter().filter(in_tables).map(|b| b.name).collect();
    let tables = (!names.is_empty()).then(|| tables(context, &names)).transpose()?;
    let open = |binding: &SinkBinding| {
        let turn = turns.get(binding.name).cloned().flatten();
        let writer: Box<dyn SinkWriter> = match turn {
            Some(turn) if turn.released => {
                tracing::warn!(
                    "sink `{0}` is {turn}: nothing is written to it; `sink resume {0}` takes it up again",
                    binding.name
                );
                Box::new(GivenUp)
            }
            turn => {
                let opened = writer(context, binding, tables.as_ref());
                let opened = opened.map_err(|e| e.at(format_args!("sink `{}`", binding.name)))?;
                match turn {
                    Some(turn) => Box::new(Resumed::new(opened, context.offline.clone(), binding.name, turn)),
                    None => opened,
                }
            }
        };
        Ok(BoundSink {
            name: binding.name,
            encode: binding.encode,
            promise: binding.promise,
            writer,
        })
    };
    bindings.iter().map(open).collect()
}

/// Refuses two sinks with one directory: their files have the same names.
fn apart(bindings: &[SinkBinding]) -> Result<()> {
    let mut dirs: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for binding in bindings {
        let SinkPlace::Files(dir) = &binding.place else {
            continue;
        };
        let whole = std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir));
        let whole = whole.unwrap_or_else(|_| dir.into());
        if let Some(other) = dirs.insert(whole, binding.name) {
            return Err(Error::invalid(format!(
                "sinks `{other}` and `{}` are both bound to files:{dir}, and their files would have the same names: give each a \
                 directory of its own",
                binding.name
            )));
        }
    }
    Ok(())
}

fn writer(
    context: &Context<'_>,
    binding: &SinkBinding,
    tables: Option<&Arc<dyn TableStore>>,
) -> Result<Box<dyn SinkWriter>> {
    match &binding.place {
        SinkPlace::Files(dir) => Ok(Box::new(FileSink::new(Path::new(dir), &owner(context), binding.name)?)),
        SinkPlace::Topic(at) => topic(context, binding, at),
        SinkPlace::Table => {
            let tables = tables.ok_or_else(|| Error::bug("tables were not opened"))?;
            let face = TableFace {
                sink: binding.name.to_string(),
                of: owner(context),
                schema: binding.schema.clone(),
            };
            Ok(Box::new(TableSink::new(tables.clone(), face)))
        }
        SinkPlace::Generations => Err(Error::bug("batch runs write it")),
    }
}

/// What tables take of the memory of the store.
pub(in crate::app) fn table_memory(context: &Context<'_>) -> usize {
    let is_table = |b: &SinkBinding| b.place == SinkPlace::Table;
    if context.sinks.iter().any(is_table) {
        (context.shares.store / 8).clamp(8 << 20, 64 << 20)
    } else {
        0
    }
}

fn tables(context: &Context<'_>, names: &[&str]) -> Result<Arc<dyn TableStore>> {
    context.state.tables(names, context.state_memory())
}

/// Brokers and name of a topic.
pub(super) fn topic_of(at: &str) -> Result<(&str, &str)> {
    at.strip_prefix("kafka://")
        .and_then(|at| at.rsplit_once('/'))
        .ok_or_else(|| Error::invalid(format!("`{at}` is no topic: write kafka://HOST:PORT/TOPIC")))
}

#[cfg(feature = "kafka")]
fn topic(context: &Context<'_>, binding: &SinkBinding, at: &str) -> Result<Box<dyn SinkWriter>> {
    let (brokers, topic) = topic_of(at)?;
    let itself = crate::app::location::Place::Kafka {
        brokers: brokers.into(),
        topic: topic.into(),
    };
    if let Some((source, _)) = context.locations.iter().find(|(_, l)| l.place == itself) {
        return Err(Error::invalid(format!(
            "it would go into the topic that source `{source}` is read from: name another one"
        )));
    }
    let memory = super::memory::Memory::new(&context.offline, binding.name, topic);
    Ok(Box::new(kafka(context, binding, at)?.remembering(Box::new(memory))))
}

/// The topic of a sink.
#[cfg(feature = "kafka")]
pub(super) fn kafka(
    context: &Context<'_>,
    binding: &SinkBinding,
    at: &str,
) -> Result<crate::platform_kafka::KafkaSink> {
    use crate::core::Format;
    use crate::platform_kafka::{KafkaOptions, KafkaSink, SinkIdentity};
    let (brokers, topic) = topic_of(at)?;
    let mut options = KafkaOptions::new(Format::Text);
    options.properties = context.settings.kafka.all()?;
    options.timeout = context.patience.unwrap_or(options.timeout);
    let identity = SinkIdentity {
        job: context.plan.job().to_string(),
        instance: super::instance(context),
        sink: binding.name.to_string(),
    };
    let own = context.settings.sinks.get(binding.name);
    let from_state = own.is_some_and(|s| s.mark_from_state);
    KafkaSink::open(brokers, topic, options, identity, binding.promise, from_state)
}

#[cfg(not(feature = "kafka"))]
fn topic(_: &Context<'_>, _: &SinkBinding, _: &str) -> Result<Box<dyn SinkWriter>> {
    Err(Error::invalid("this binary was built without the feature `kafka`"))
}

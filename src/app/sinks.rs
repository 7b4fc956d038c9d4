//! Where sinks are: what the binary binds, and what the settings say instead.

#[cfg(feature = "parquet")]
use std::collections::BTreeMap;
use std::path::Path;

use super::open::Context;
#[cfg(any(feature = "parquet", feature = "kafka"))]
use crate::core::SourcePartition;
use crate::core::sink::{SinkBinding, SinkPlace};
use crate::core::{Error, Promise, Result};
use crate::platform_local::FileSink;
use crate::realtime::{BoundSink, SinkWriter};
#[cfg(feature = "parquet")]
use crate::store_api::{Manifest, ManifestLog};

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

fn instance(context: &Context<'_>) -> String {
    let name = context.layout.root().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn writer(context: &Context<'_>, binding: &SinkBinding) -> Result<Box<dyn SinkWriter>> {
    match &binding.place {
        SinkPlace::Files(dir) => {
            let of = format!("job {}, instance {}", context.plan.job(), instance(context));
            Ok(Box::new(FileSink::new(Path::new(dir), &of, binding.name)?))
        }
        SinkPlace::Topic(at) => topic(context, binding, at),
    }
}

#[cfg(feature = "kafka")]
fn topic(context: &Context<'_>, binding: &SinkBinding, at: &str) -> Result<Box<dyn SinkWriter>> {
    use super::location::Place;
    use crate::core::Format;
    use crate::platform_kafka::{Asks, KafkaOptions, KafkaSink, SinkIdentity};
    let Some((brokers, topic)) = at.strip_prefix("kafka://").and_then(|at| at.rsplit_once('/')) else {
        return Err(Error::invalid(format!(
            "`{at}` is no topic: write kafka://HOST:PORT/TOPIC"
        )));
    };
    let itself = Place::Kafka {
        brokers: brokers.into(),
        topic: topic.into(),
    };
    if let Some((source, _)) = context.locations.iter().find(|(_, l)| l.place == itself) {
        return Err(Error::invalid(format!(
            "it would go into the topic that source `{source}` is read from: name another one"
        )));
    }
    let mut options = KafkaOptions::new(Format::Text);
    options.properties = context.settings.kafka.properties.clone();
    let identity = SinkIdentity {
        job: context.plan.job().to_string(),
        instance: instance(context),
        sink: binding.name.to_string(),
    };
    let from_state = context
        .settings
        .sinks
        .get(binding.name)
        .is_some_and(|s| s.mark_from_state);
    let (place, of) = (context.offline.clone(), format!("sinks/{}/{topic}", binding.name));
    let begun = move |p: &SourcePartition, asks: Asks| -> Result<bool> {
        let path = format!("{of}/{}-{}", p.source, p.partition);
        let begun = place.exists(&path).map_err(|e| e.at("sink"))?;
        if !begun && asks == Asks::Remember {
            place.create(&path, b"begun 1\n".to_vec()).map_err(|e| e.at("sink"))?;
        }
        Ok(begun)
    };
    let sink = KafkaSink::open(brokers, topic, options, identity, binding.promise, from_state)?;
    Ok(Box::new(sink.remembering(Box::new(begun))))
}

#[cfg(not(feature = "kafka"))]
fn topic(_: &Context<'_>, _: &SinkBinding, _: &str) -> Result<Box<dyn SinkWriter>> {
    Err(Error::invalid("this binary was built without the feature `kafka`"))
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
        (Promise::ExactlyOnce, _) => "exactly once".into(),
    }
}

pub(super) fn described(binding: &SinkBinding) -> String {
    format!("{}, {}", binding.place, promised(binding))
}

/// Whose sinks hold the permission to drop cells, and rebuild from there (O25).
#[cfg(feature = "parquet")]
pub(super) fn held(context: &Context<'_>, manifest: &Manifest) -> String {
    let Some(written) = written_to(context) else {
        return "held: how far sinks are written is not known, for there is no live state that can be read".into();
    };
    let behind = manifest.frontier.0.iter().filter_map(|(p, cut)| {
        let at = written.get(p).copied().unwrap_or(0);
        (at < cut.cut).then(|| {
            format!(
                "{p} is written up to offset {at}, generation {} ends at {}",
                manifest.number, cut.cut
            )
        })
    });
    match behind.collect::<Vec<_>>() {
        none if none.is_empty() => "no sink holds it".into(),
        some => format!("held by the live part that writes the sinks: {}", some.join(", ")),
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
            "sink `{sink}`: other code of the job is current and writes it; a version that is staged beside it writes nothing: stop the old \
             code, run `switch --behind` with the new, then start it: it goes on from the sink's marks"
        ))),
    }
}

/// Where the live part stands: every sink has what was made of records below it (O25). `None`: there are no sinks, or nobody can say.
#[cfg(feature = "parquet")]
pub(super) fn written_to(context: &Context<'_>) -> Option<BTreeMap<SourcePartition, u64>> {
    let face = context
        .plan
        .stores()
        .first()
        .filter(|_| !context.plan.sinks().is_empty())?;
    let read = || -> Result<Option<BTreeMap<SourcePartition, u64>>> {
        let manifest = context.manifests.newest(0)?;
        let Some(namespace) = manifest.and_then(|m| m.realtime_namespace) else {
            return Ok(None);
        };
        let dir = context.layout.realtime(context.plan.job(), &namespace);
        let Some(reader) = super::open::read_realtime(&dir, &namespace, context.plan.stores())? else {
            return Ok(None);
        };
        let rows = reader.snapshot()?.partitions(face.name)?;
        Ok(Some(rows.into_iter().map(|(p, row)| (p, row.next)).collect()))
    };
    read().unwrap_or_else(|e| {
        tracing::warn!(error = %e, "what is written to sinks is not known: nothing is let go of");
        None
    })
}

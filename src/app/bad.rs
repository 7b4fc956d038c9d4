//! What becomes of bad records, and where dead letters go.

use std::path::Path;

use super::open::Context;
use super::settings::OnBad;
use crate::core::{Error, Result};
use crate::platform_local::FileDeadLetters;
use crate::realtime::DeadLetters;

/// The policy of a source.
pub(super) fn policy(context: &Context<'_>, source: &str) -> OnBad {
    let settings = context.settings.sources.get(source);
    settings.and_then(|s| s.on_bad_record).unwrap_or(OnBad::Fail)
}

/// Opens the dead letters of a source, if its policy wants any. `None` also when no place is named: the stream says so.
pub(super) fn open(context: &Context<'_>, source: &str) -> Result<Option<Box<dyn DeadLetters>>> {
    if policy(context, source) != OnBad::DeadLetter {
        return Ok(None);
    }
    let settings = context.settings.sources.get(source);
    let Some(place) = settings.and_then(|s| s.dead_letters.as_ref()) else {
        return Ok(None);
    };
    let opened: Box<dyn DeadLetters> = if let Some(path) = place.strip_prefix("file:").filter(|p| !p.is_empty()) {
        Box::new(FileDeadLetters::open(Path::new(path))?)
    } else if let Some((brokers, topic)) = place.strip_prefix("kafka://").and_then(|p| p.rsplit_once('/')) {
        topic_of(context, source, brokers, topic)?
    } else {
        return Err(Error::invalid(format!(
            "dead letters of source `{source}` to `{place}`: write kafka://HOST:PORT/TOPIC or file:PATH"
        )));
    };
    Ok(Some(opened))
}

#[cfg(feature = "kafka")]
fn topic_of(context: &Context<'_>, source: &str, brokers: &str, topic: &str) -> Result<Box<dyn DeadLetters>> {
    use super::location::Place;
    use crate::core::Format;
    use crate::platform_kafka::{KafkaDeadLetters, KafkaOptions};
    if let Ok(location) = context.location(source)
        && location.place
            == (Place::Kafka {
                brokers: brokers.into(),
                topic: topic.into(),
            })
    {
        return Err(Error::invalid(format!(
            "dead letters of source `{source}` would go into the topic that it is read from: name another one"
        )));
    }
    let mut options = KafkaOptions::new(Format::Text);
    options.properties = context.settings.kafka.all()?;
    Ok(Box::new(KafkaDeadLetters::open(brokers, topic, options)?))
}

#[cfg(not(feature = "kafka"))]
fn topic_of(_: &Context<'_>, _: &str, _: &str, _: &str) -> Result<Box<dyn DeadLetters>> {
    Err(Error::invalid("this binary was built without the feature `kafka`"))
}

//! The oracle of a soak: a plain fold over the log, read by a consumer of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::{Counts, PARTITIONS};
use crate::kafka::Broker;

/// How long the whole log may take to be read.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a topic holds, for those who read committed records.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// How often each word is there.
    pub(super) counts: Counts,
    /// Records that are no text.
    pub(super) malformed: u64,
}

/// Reads a topic from its beginning to its end.
pub(super) fn logged(broker: &Broker, topic: &str) -> Result<Logged> {
    let mut config = broker.client();
    config
        .set("group.id", "oracle")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let (mut found, mut ended, start) = (Logged::default(), BTreeSet::new(), Instant::now());
    while ended.len() < PARTITIONS as usize {
        if start.elapsed() > PATIENCE {
            bail!(
                "the log is not read within {PATIENCE:?}: {} partitions are",
                ended.len()
            );
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            // It comes back by itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            ))) => {}
            Some(Err(e)) => return Err(e.into()),
            Some(Ok(record)) => match std::str::from_utf8(record.payload().context("a record without a value")?) {
                Ok(word) => *found.counts.entry(word.into()).or_default() += 1,
                Err(_) => found.malformed += 1,
            },
        }
    }
    Ok(found)
}

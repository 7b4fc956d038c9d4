//! The oracle of a soak: a plain fold over the log, read by a consumer of its own.

use std::collections::{BTreeMap, BTreeSet};
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
    let mut found = Logged::default();
    each(broker, topic, &mut |_, _, value| match std::str::from_utf8(value) {
        Ok(word) => *found.counts.entry(word.into()).or_default() += 1,
        Err(_) => found.malformed += 1,
    })?;
    Ok(found)
}

/// Where the words of a topic are, for those who read committed records: by word and partition the offsets, ascending.
#[derive(Debug, Default)]
pub(super) struct Positions(BTreeMap<String, Vec<Vec<u64>>>);

impl Positions {
    /// How often a word is below these offsets, one a partition.
    pub(super) fn count(&self, word: &str, below: &[u64]) -> u64 {
        let of = self.0.get(word).into_iter().flatten().zip(below);
        of.map(|(offsets, below)| offsets.partition_point(|o| o < below) as u64)
            .sum()
    }
}

/// Reads a topic of words from its beginning to its end.
pub(super) fn positions(broker: &Broker, topic: &str) -> Result<Positions> {
    let mut found = Positions::default();
    each(broker, topic, &mut |partition, offset, value| {
        let word = String::from_utf8_lossy(value).into_owned();
        let of = found
            .0
            .entry(word)
            .or_insert_with(|| vec![Vec::new(); PARTITIONS as usize]);
        if let Some(offsets) = of.get_mut(partition) {
            offsets.push(offset);
        }
    })?;
    Ok(found)
}

/// Shows every record of a topic, as those see it who read committed ones: partition, offset, value.
fn each(broker: &Broker, topic: &str, f: &mut dyn FnMut(usize, u64, &[u8])) -> Result<()> {
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
    let (mut ended, start) = (BTreeSet::new(), Instant::now());
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
            Some(Ok(record)) => {
                let value = record.payload().context("a record without a value")?;
                f(
                    usize::try_from(record.partition())?,
                    u64::try_from(record.offset())?,
                    value,
                );
            }
        }
    }
    Ok(())
}

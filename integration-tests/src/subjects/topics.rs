//! Streams from Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rufous_core::log::HEARTBEAT_HEADER;
use rufous_core::testing::{Answers, Case, Reason, SourceInput, Subject};

use super::bed::{Bed, each, input, outside, waits};
use crate::kafka::{Broker, block_on, unique_name};
use crate::run;

/// A topic a source, live from its first record.
pub struct Topics<'a> {
    broker: &'a Broker,
    /// By case and source.
    topics: BTreeMap<(&'static str, &'static str), String>,
}

impl<'a> Topics<'a> {
    /// Makes the topics of all cases and produces their records: one request and one producer, or their waits would add
    /// up to minutes.
    pub fn of(broker: &'a Broker, cases: &[Case]) -> Result<Self> {
        let sources = || {
            cases
                .iter()
                .flat_map(|case| case.input().sources().map(move |(port, log)| (case, port, log)))
        };
        let named = sources().map(|(case, port, _)| ((case.name(), port.name()), unique_name(case.name())));
        let topics: BTreeMap<_, _> = named.collect();
        let new = sources().filter_map(|(case, port, log)| {
            let topic = topics.get(&(case.name(), port.name()))?;
            Some(NewTopic::new(topic, log.partitions as i32, TopicReplication::Fixed(1)))
        });
        let admin: AdminClient<DefaultClientContext> = broker.client().create()?;
        let new: Vec<_> = new.collect();
        for created in block_on(admin.create_topics(&new, &AdminOptions::new()))? {
            created.map_err(|(topic, e)| anyhow::anyhow!("topic {topic}: {e}"))?;
        }
        let mut config = broker.client();
        config.set("enable.idempotence", "true").set("linger.ms", "20");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        for (case, port, log) in sources() {
            let topic = &topics[&(case.name(), port.name())];
            produce(&producer, topic, log)?;
            if waits(&case.plan()?) {
                beat(&producer, topic, log)?;
            }
        }
        producer.flush(Duration::from_secs(60))?;
        Ok(Self { broker, topics })
    }
}

fn produce(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, log: &SourceInput) -> Result<()> {
    for e in &log.events {
        // There are no timestamps below 0 in Kafka; the log's time takes no part in the answer.
        let mut record = BaseRecord::<(), [u8]>::to(topic)
            .partition(e.partition as i32)
            .timestamp(e.log_time_ms.max(0))
            .payload(&e.payload);
        while let Err((e, again)) = producer.send(record) {
            if !matches!(e, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(e).context(topic.to_string());
            }
            std::thread::sleep(Duration::from_millis(5));
            record = again;
        }
    }
    Ok(())
}

/// A heartbeat (P7) at the end of each partition, two hours above all records.
fn beat(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, log: &SourceInput) -> Result<()> {
    let last = log.events.iter().map(|e| e.log_time_ms).max().unwrap_or_default();
    for partition in 0..log.partitions {
        let header = Header {
            key: HEARTBEAT_HEADER,
            value: Some(""),
        };
        let record = BaseRecord::<(), [u8]>::to(topic)
            .partition(partition as i32)
            .timestamp(last + 2 * 3_600_000)
            .headers(OwnedHeaders::new().insert(header));
        producer.send(record).map_err(|(e, _)| e).context(topic.to_string())?;
    }
    Ok(())
}

impl Subject for Topics<'_> {
    fn name(&self) -> String {
        "kafka".into()
    }
    fn refusals(&self) -> &'static [Reason] {
        super::REFUSALS
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        super::can(case)
    }
    fn run(&self, case: &Case) -> rufous_core::Result<Answers> {
        let bed = Bed::new(case.plan()?).writing(case)?;
        let logs = each(&bed.plan, None, |source| {
            let topic = self.topics.iter().find(|((c, s), _)| *c == case.name() && *s == source);
            let topic = topic.map_or("", |(_, topic)| topic);
            run::kafka(self.broker, topic, input(case, source)?.format).map_err(outside)
        })?;
        bed.live(logs, Duration::from_millis(20))?;
        bed.answers()
    }
}

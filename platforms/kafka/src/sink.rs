//! A sink of a Kafka topic: one transactional producer a source partition, and the mark in the same transaction (O23).
//!
//! The transactional id is made of job, instance, sink, source and partition, so opening shuts out every older writer of the
//! partition, wherever it runs. The mark is the committed offset of a consumer group of the same name, at partition 0 of the topic;
//! the transaction that writes the records commits it. Records are seen by consumers with `isolation.level=read_committed`.
//!
//! Brokers forget the offsets of a group that is idle for `offsets.retention.minutes`, so that a sink was begun is remembered
//! elsewhere, too ([`KafkaSink::remembering`]): a mark that is missing is then an error, never a new beginning. So are the ranges
//! that were lost to it, for which a topic has no place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Promise, Result, SourcePartition};
use rufous_realtime::sinks::{Hole, reach};
use rufous_realtime::{SinkRow, SinkWrite, SinkWriter};

use crate::options::{KafkaOptions, admin_config};
use crate::secret::Secrets;

/// How long one step of a transaction may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The header that says which record it is: `sink/source/partition/offset/number`.
const ID: &str = "rufous-id";

/// How much goes to the brokers at once. They take a batch or refuse it whole: where one of many records is too large, librdkafka
/// does not say which, and where none is, all are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batches {
    Usual,
    Small,
    /// One record each: what is refused now is too large by itself.
    Single,
}

impl Batches {
    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Usual => &[],
            Self::Small => &[("batch.size", "16384")],
            Self::Single => &[("batch.num.messages", "1")],
        }
    }
    /// The next smaller ones; `None`: there are none.
    fn smaller(self) -> Option<Self> {
        match self {
            Self::Usual => Some(Self::Small),
            Self::Small => Some(Self::Single),
            Self::Single => None,
        }
    }
}

/// The first message that did not arrive since it was asked, by its place in the write.
#[derive(Clone, Default)]
struct Lost(Arc<Mutex<Option<(Code, usize)>>>);

impl Lost {
    fn take(&self) -> Option<(Code, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Lost {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("a sink: {error}: {reason}");
    }
}

impl ProducerContext for Lost {
    type DeliveryOpaque = usize;
    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        if let Err((e, _)) = result {
            let code = e.rdkafka_error_code().unwrap_or(Code::Unknown);
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert((code, place));
        }
    }
}

/// What writes one partition.
struct Writing {
    producer: BaseProducer<Lost>,
    lost: Lost,
    /// Of the group that keeps the mark; a consumer that never reads. `None`: no mark is kept.
    marks: Option<BaseConsumer>,
}

fn is_moving(e: &KafkaError) -> bool {
    let code = e.rdkafka_error_code();
    matches!(
        code,
        Some(Code::NotCoordinator | Code::CoordinatorNotAvailable | Code::CoordinatorLoadInProgress)
    )
}

/// Whose sink it is.
#[derive(Clone, Debug)]
pub struct SinkIdentity {
    /// The job.
    pub job: String,
    /// The instance of it.
    pub instance: String,
    /// The sink.
    pub sink: String,
}

/// What is remembered of a topic for good, outside of it.
pub trait SinkMemory: Send {
    /// Whether the sink was begun in a partition.
    ///
    /// # Errors
    /// When nobody can say.
    fn was_begun(&self, p: &SourcePartition) -> Result<bool>;
    /// It is begun in a partition from now on.
    ///
    /// # Errors
    /// When that cannot be kept.
    fn begin(&self, p: &SourcePartition) -> Result<()>;
    /// A range is lost to a partition (O26). It may be said again, after a crash.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn lose(&self, p: &SourcePartition, hole: &Hole) -> Result<()>;
}

/// A topic as a sink.
pub struct KafkaSink {
    brokers: String,
    topic: String,
    options: KafkaOptions,
    identity: SinkIdentity,
    promise: Promise,
    /// A mark that is missing is where the state stands.
    from_state: bool,
    memory: Option<Box<dyn SinkMemory>>,
    partitions: i32,
    batches: Batches,
    open: BTreeMap<SourcePartition, Writing>,
}

impl KafkaSink {
    /// Opens a topic. `from_state`: the user says that where a mark is missing, all that the state has gone past was written, and
    /// nothing else.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such topic, or for a property that librdkafka does not know; `TryAgain` when no broker
    /// answers.
    pub fn open(
        brokers: &str,
        topic: &str,
        options: KafkaOptions,
        identity: SinkIdentity,
        promise: Promise,
        from_state: bool,
    ) -> Result<Self> {
        let mut this = Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            options,
            identity,
            promise,
            from_state,
            memory: None,
            partitions: 0,
            batches: Batches::Usual,
            open: BTreeMap::new(),
        };
        let asker: BaseConsumer = this.config(&[])?.create().map_err(|e| this.refused(&e))?;
        let found = asker.fetch_metadata(Some(topic), this.options.timeout).map_err(|e| {
            Error::try_again(format!("{}: the brokers do not answer: {e}", this.location())).caused_by(e)
        })?;
        let known = found.topics().iter().find(|t| t.error().is_none() && t.name() == topic);
        this.partitions = known.map_or(0, |t| t.partitions().len()) as i32;
        if this.partitions == 0 {
            return Err(Error::invalid(format!(
                "{}: there is no such topic: make it, with as many partitions as consumers want, or correct its name",
                this.location()
            )));
        }
        Ok(this)
    }

    fn config(&self, own: &[(&str, &str)]) -> Result<rdkafka::ClientConfig> {
        let ours = [
            "transactional.id",
            "enable.idempotence",
            "group.id",
            "isolation.level",
            "acks",
        ];
        if let Some(name) = self
            .options
            .properties
            .keys()
            .find(|name| ours.contains(&name.as_str()))
        {
            return Err(Error::invalid(format!(
                "kafka property `{name}` cannot be set: what a sink promises rests on it; remove it"
            )));
        }
        let mut config = admin_config(&self.brokers, &self.options);
        config
            .set("client.id", "rufous-sink")
            .set("allow.auto.create.topics", "false");
        for (name, value) in own {
            config.set(*name, *value);
        }
        Ok(config)
    }

    fn refused(&self, e: &KafkaError) -> Error {
        // Not as a cause: librdkafka quotes values that it refuses.
        Error::invalid(format!(
            "{}: {}: correct the kafka properties",
            self.location(),
            Secrets::of(&self.options.properties).refusal(e)
        ))
    }

    /// The transactional id, and the group of the mark.
    fn name(&self, p: &SourcePartition) -> String {
        let SinkIdentity { job, instance, sink } = &self.identity;
        format!("rufous/{job}/{instance}/{sink}/{}/{}", p.source, p.partition)
    }

    fn producer(&self, own: &[(&str, &str)]) -> Result<(BaseProducer<Lost>, Lost)> {
        let mut config = self.config(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "5"),
            ("message.max.bytes", "1000000000"),
            ("queue.buffering.max.messages", "200000"),
            ("reconnect.backoff.max.ms", "1000"),
        ])?;
        for (name, value) in own.iter().chain(self.batches.options()) {
            config.set(*name, *value);
        }
        let lost = Lost::default();
        let producer = config.create_with_context(lost.clone()).map_err(|e| self.refused(&e))?;
        Ok((producer, lost))
    }

    fn failed(&self, what: &str, p: &SourcePartition, e: &KafkaError) -> Error {
        let text = format!("{}, {p}: {what}: {e}", self.location());
        match e.rdkafka_error_code() {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Error::closed(format!(
                "{text}: another process is the writer now; two must not run the same job and instance"
            )),
            Some(
                Code::TopicAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::GroupAuthorizationFailed,
            ) => Error::invalid(format!(
                "{text}: let this client write the topic, the transactional id and the group `{}`",
                self.name(p)
            )),
            _ => Error::try_again(text),
        }
    }

    /// What a step of a write came to; messages of a producer that was shut out come back for another reason.
    fn broken(&self, writing: &Writing, what: &str, p: &SourcePartition, e: KafkaError) -> Error {
        match writing.producer.client().fatal_error() {
            Some((code, _)) => self.failed(what, p, &KafkaError::MessageProduction(code)),
            None => self.failed(what, p, &e),
        }
    }

    /// The offset list that is the mark.
    fn mark(&self, at: Offset) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(&self.topic, 0, at);
        added.map_err(|e| Error::bug(format!("a mark is no offset: {e}")))?;
        Ok(list)
    }

    /// Hands a record over; `place` is its number in the write.
    fn send(&self, writing: &Writing, p: &SourcePartition, place: usize, row: &SinkRow<'_>) -> Result<()> {
        let id = row.id(&self.identity.sink, p);
        let headers = OwnedHeaders::new().insert(Header {
            key: ID,
            value: Some(&id),
        });
        let to = (p.partition % self.partitions.max(1) as u32) as i32;
        let mut record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(&self.topic, place)
            .partition(to)
            .payload(row.bytes)
            .headers(headers);
        let until = Instant::now() + PATIENCE;
        loop {
            record = match writing.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((e, back)) => match e.rdkafka_error_code() {
                    Some(Code::QueueFull) if Instant::now() < until => {
                        writing.producer.poll(Duration::from_millis(20));
                        back
                    }
                    Some(Code::MessageSizeTooLarge) => return Err(self.too_large(&id, row)),
                    _ => return Err(self.broken(writing, "a record is not taken", p, e)),
                },
            };
        }
    }

    fn too_large(&self, what: &str, row: &SinkRow<'_>) -> Error {
        Error::invalid(format!(
            "{}: record {what} has {} bytes, more than brokers take: raise `max.message.bytes` of the topic, or write less",
            self.location(),
            row.bytes.len()
        ))
    }

    /// All records of a write are with the brokers.
    fn arrived(&mut self, writing: &Writing, write: &SinkWrite<'_>) -> Result<()> {
        let flushed = writing.producer.flush(PATIENCE);
        match (writing.lost.take(), flushed) {
            (None, Ok(())) => Ok(()),
            (Some((Code::MessageSizeTooLarge | Code::MessageBatchTooLarge, place)), _) => {
                if let Some(smaller) = self.batches.smaller() {
                    self.batches = smaller;
                    return Err(Error::try_again(format!(
                        "{}, {}: the brokers take no batch so large: written again in smaller ones",
                        self.location(),
                        write.partition
                    )));
                }
                Err(write.rows.get(place).map_or_else(
                    || Error::bug("no record is too large"),
                    |row| self.too_large(&row.id(&self.identity.sink, write.partition), row),
                ))
            }
            (Some((code, _)), _) => {
                let e = KafkaError::MessageProduction(code);
                Err(self.broken(writing, "a record did not arrive", write.partition, e))
            }
            (None, Err(e)) => Err(self.broken(writing, "records did not arrive", write.partition, e)),
        }
    }

    /// One transaction: records, and the mark behind them.
    fn transaction(&mut self, writing: &Writing, marks: &BaseConsumer, write: &SinkWrite<'_>) -> Result<()> {
        let p = write.partition;
        let begun = writing.producer.begin_transaction();
        begun.map_err(|e| self.broken(writing, "cannot begin a transaction", p, e))?;
        for (place, row) in write.rows.iter().enumerate() {
            self.send(writing, p, place, row)?;
        }
        self.arrived(writing, write)?;
        let this = &*self;
        let at = |what: &'static str| move |e: KafkaError| this.broken(writing, what, p, e);
        reach("topic.sent");
        let group = marks
            .group_metadata()
            .ok_or_else(|| Error::bug("a consumer without a group"))?;
        let to = i64::try_from(write.to).map_err(|_| Error::bug("an offset beyond all offsets"))?;
        let mark = this.mark(Offset::Offset(to))?;
        writing
            .producer
            .send_offsets_to_transaction(&mark, &group, PATIENCE)
            .map_err(at("cannot write the mark"))?;
        reach("topic.marked");
        writing
            .producer
            .commit_transaction(PATIENCE)
            .map_err(at("cannot commit a transaction"))?;
        reach("topic.committed");
        Ok(())
    }

    /// With a memory that outlasts the brokers' of the mark.
    #[must_use]
    pub fn remembering(mut self, memory: Box<dyn SinkMemory>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Where the mark of a partition stands, without becoming its writer; `None`: the brokers know none.
    ///
    /// # Errors
    /// `TryAgain` when they do not answer.
    pub fn mark_of(&self, p: &SourcePartition) -> Result<Option<u64>> {
        self.read_mark(&self.keeper(p)?, p)
    }

    /// A consumer of the group that keeps the mark; it never reads.
    fn keeper(&self, p: &SourcePartition) -> Result<BaseConsumer> {
        let name = self.name(p);
        let config = self.config(&[
            ("group.id", &name),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
        ])?;
        config.create().map_err(|e| self.refused(&e))
    }

    fn was_begun(&self, p: &SourcePartition) -> Result<bool> {
        self.memory.as_ref().map_or(Ok(false), |memory| memory.was_begun(p))
    }

    /// The mark, as it stands.
    fn read_mark(&self, marks: &BaseConsumer, p: &SourcePartition) -> Result<Option<u64>> {
        let asked = self.mark(Offset::Invalid)?;
        let until = Instant::now() + PATIENCE;
        let found = loop {
            match marks.committed_offsets(asked.clone(), PATIENCE) {
                // A group is looked for where it was, or its offsets are just being loaded.
                Err(e) if is_moving(&e) && Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
                found => break found.map_err(|e| self.failed("cannot read the mark", p, &e))?,
            }
        };
        let mark = found.elements().first().map(|e| e.offset());
        match mark {
            Some(Offset::Offset(at)) => u64::try_from(at)
                .map(Some)
                .map_err(|_| Error::corrupt(format!("{}: the mark of {p} is {at}", self.location()))),
            _ => Ok(None),
        }
    }
}

impl SinkWriter for KafkaSink {
    fn location(&self) -> String {
        format!("kafka://{}/{}", self.brokers, self.topic)
    }

    fn open(&mut self, p: &SourcePartition, start: u64, state: u64) -> Result<Option<u64>> {
        // Whatever it was doing when it failed.
        self.open.remove(p);
        if self.promise == Promise::AtLeastOnce {
            let (producer, lost) = self.producer(&[])?;
            let marks = None;
            self.open.insert(p.clone(), Writing { producer, lost, marks });
            return Ok(None);
        }
        let name = self.name(p);
        let (producer, lost) = self.producer(&[("transactional.id", &name), ("transaction.timeout.ms", "60000")])?;
        if kept(Rule::SinkFence) {
            // Ends the transaction of any writer before, and shuts it out.
            producer
                .init_transactions(PATIENCE)
                .map_err(|e| self.failed("cannot become the writer", p, &e))?;
        }
        let marks = self.keeper(p)?;
        let mark = self.read_mark(&marks, p)?;
        let writing = Writing {
            producer,
            lost,
            marks: Some(marks),
        };
        let mark = match mark {
            Some(mark) => mark,
            None if (state > start || self.was_begun(p)?) && !self.from_state => {
                return Err(Error::invalid(format!(
                    "{}: there is no mark of {p} in the group `{name}`, and the sink was begun: the state stands at offset {state}. \
                     Brokers forget the marks of writers that are idle for `offsets.retention.minutes`, or the topic is another one now. If all that \
                     was made of records below {state} is in the topic and nothing else, say `mark_from_state = true` in \
                     [sinks.{}] of the settings; else bind the sink to an empty topic and start with another --instance",
                    self.location(),
                    self.identity.sink
                )));
            }
            None => {
                // So that there is one from now on, also while nothing is written.
                let mark = state.max(start);
                if let Some(marks) = &writing.marks {
                    self.transaction(
                        &writing,
                        marks,
                        &SinkWrite {
                            partition: p,
                            mark,
                            to: mark,
                            rows: &[],
                        },
                    )?;
                }
                mark
            }
        };
        if let Some(memory) = &self.memory {
            memory.begin(p)?;
        }
        self.open.insert(p.clone(), writing);
        Ok(Some(mark))
    }

    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        // Only what ended well is used again.
        let Some(writing) = self.open.remove(write.partition) else {
            return Err(Error::try_again(format!(
                "the last write of {} did not end well",
                write.partition
            )));
        };
        match &writing.marks {
            Some(marks) => self.transaction(&writing, marks, write)?,
            None => {
                for (place, row) in write.rows.iter().enumerate() {
                    self.send(&writing, write.partition, place, row)?;
                }
                self.arrived(&writing, write)?;
            }
        }
        self.open.insert(write.partition.clone(), writing);
        Ok(())
    }

    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        // Before the mark: a range that is recorded twice is one, and one that is not recorded is never seen again.
        if let Some(memory) = &self.memory {
            memory.lose(p, hole)?;
        }
        self.write(&SinkWrite {
            partition: p,
            mark: hole.from,
            to: hole.to,
            rows: &[],
        })
    }

    fn close(&mut self, p: &SourcePartition) {
        self.open.remove(p);
    }
}

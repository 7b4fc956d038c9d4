//! [`KafkaLog`]: the log over one topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use rufous_core::{Error, Format, RecordBatch, Result};
use rufous_realtime::{Log, PartitionInfo, Polled};

use crate::dequeue::{self, Queue};
use crate::gather::{Gather, Ready};
use crate::options::{KafkaOptions, admin_config, consumer_config};
use crate::topic::{self, Found};
use crate::trouble;
use crate::watch::Watch;

/// The longest wait without a look at the watcher and at what is to be tried again.
const SLICE: Duration = Duration::from_millis(250);
/// How long a poll may ask for watermarks when the brokers do not have an offset.
const ASK: Duration = Duration::from_secs(2);
/// So often in a row an offset must lie beyond the end before the topic counts as another one: a broker that just started
/// may know less of the end than it did before.
const BEYOND: u32 = 4;

/// One Kafka topic, read by one process from positions of its own.
///
/// Records are seen as a `read_committed` consumer sees them. Over control records and aborted transactions the position
/// moves with a batch that has no entries. While brokers are away, polls are [`Polled::Idle`] and warnings are written.
///
/// [`PartitionInfo::topic_id`] is `kafka:CLUSTER:ID` with the topic's own id. Brokers before 2.8 have no such ids: there it
/// is `kafka:CLUSTER:TOPIC`, and a topic that was deleted and made again under the same name is recognised only by an end
/// before the position. A topic that is made again while it is read is noticed within [`KafkaOptions::watch_interval`].
pub struct KafkaLog {
    // The watcher stops before the client goes.
    watch: Option<Watch>,
    queue: Queue,
    gather: Gather,
    brokers: String,
    topic: String,
    options: KafkaOptions,
    /// Partitions and their ends as `partitions` saw them last.
    known: BTreeMap<u32, u64>,
    /// The topic's own id, where brokers have one.
    id: Option<String>,
    /// The count that the caller was told of last.
    told: u32,
    policy_seen: bool,
    /// When to assign again what stopped with a passing error.
    retry: Option<Instant>,
}

impl KafkaLog {
    /// A log over `topic`. Nothing is asked of the brokers before [`Log::partitions`].
    ///
    /// # Errors
    /// `InvalidRequest` for a property that librdkafka does not know, or that rufous sets itself.
    pub fn open(brokers: &str, topic: &str, options: KafkaOptions) -> Result<Self> {
        if topic.is_empty() || topic.contains('\0') || brokers.contains('\0') {
            return Err(Error::invalid(format!(
                "kafka://{brokers}/{topic}: name one topic: kafka://HOST:PORT/TOPIC"
            )));
        }
        let queue = Queue::open(&consumer_config(brokers, &options)?, brokers)?;
        Ok(Self {
            watch: None,
            queue,
            gather: Gather::new(topic),
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            options,
            known: BTreeMap::new(),
            id: None,
            told: 0,
            policy_seen: false,
            retry: None,
        })
    }

    /// The error for brokers that did not answer.
    fn unreachable(&mut self, what: &str, code: Code) -> Error {
        // Lets the callbacks run: they know the reason.
        self.dequeue(Duration::ZERO);
        if let Some(e) = self.queue.client().context().take_severe(&self.location()) {
            return e;
        }
        if let Some(e) = trouble::lasting(code, &self.topic, None, -1, &code.to_string()) {
            return e.at(self.location());
        }
        let said = self.queue.client().context().last();
        Error::try_again(format!(
            "{}: {what}: {code}{said}; check that the brokers {} run, that this host reaches them, and security.protocol",
            self.location(),
            self.brokers
        ))
    }

    fn unknown_topic(&self, left: Duration) -> Error {
        let others = topic::others(self.queue.client(), left.max(Duration::from_millis(500)));
        Error::invalid(format!(
            "{}: there is no topic `{}` at {}{others}; make the topic or correct its name",
            self.location(),
            self.topic,
            self.brokers
        ))
    }

    fn dequeue(&mut self, wait: Duration) -> usize {
        let Self { queue, gather, .. } = self;
        let client = queue.client().clone();
        let taken = queue.drain(wait, |message| gather.take(message, client.context()));
        gather.close();
        taken
    }

    /// Numbers of the partitions, and a broker that answers. A topic that was just made may not be known to each broker: three looks.
    fn find(&mut self, deadline: Instant) -> Result<(Vec<u32>, i32)> {
        for pause in [100, 500, 0] {
            match topic::find(self.queue.client(), &self.topic, left(deadline)) {
                Ok(Found::Partitions(ids, broker)) => return Ok((ids, broker)),
                Ok(Found::Unknown) => std::thread::sleep(Duration::from_millis(pause).min(left(deadline))),
                Err(code) => return Err(self.unreachable("the brokers do not answer", code)),
            }
        }
        Err(self.unknown_topic(left(deadline)))
    }

    fn positions(&self, positions: impl IntoIterator<Item = (u32, u64)>) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            let (Ok(p), Ok(o)) = (i32::try_from(partition), i64::try_from(offset)) else {
                return Err(self.outside(partition, offset, "no such position is possible"));
            };
            list.add_partition_offset(&self.topic, p, Offset::Offset(o))
                .map_err(|e| self.outside(partition, offset, &e.to_string()).caused_by(e))?;
        }
        Ok(list)
    }

    fn outside(&self, partition: u32, offset: u64, why: &str) -> Error {
        Error::invalid(format!(
            "{}, partition {partition}: cannot read from offset {offset}: {why}",
            self.location()
        ))
    }

    fn beyond(&self, partition: u32, offset: u64, end: u64) -> Error {
        self.outside(
            partition,
            offset,
            &format!(
                "the log ends at {end}, so the topic was made again or truncated; name it as a new source, or reset the job"
            ),
        )
    }

    /// Replaces librdkafka's assignment by the partitions that still read, at the positions they reached.
    fn assign_again(&mut self) -> Result<()> {
        self.retry = None;
        let list = self.positions(
            self.gather
                .parts()
                .iter()
                .filter(|(_, p)| !p.halted)
                .map(|(&n, p)| (n, p.next)),
        )?;
        self.queue.assign(&list).map_err(|code| self.assign_failed(code))
    }

    fn assign_failed(&self, code: Code) -> Error {
        Error::try_again(format!(
            "{}: the kafka client refuses its assignment: {code}; start the job again",
            self.location()
        ))
    }

    fn try_later(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.retry = Some(self.retry.map_or(at, |r| r.min(at)));
    }

    /// The brokers do not have the next offset of a partition: why?
    fn out_of_range(&mut self, partition: u32) -> Result<Option<Polled>> {
        let Some(next) = self.gather.part(partition).filter(|p| !p.halted).map(|p| p.next) else {
            return Ok(None);
        };
        let seen = topic::watermarks(self.queue.client(), &self.topic, partition, ASK);
        let Some(part) = self.gather.part(partition) else {
            return Ok(None);
        };
        match seen {
            Ok((low, _)) if low > next => {
                part.halted = true;
                return Ok(Some(Polled::Lost { partition, start: low }));
            }
            Ok((_, end)) if next > end => {
                part.beyond += 1;
                if part.beyond >= BEYOND {
                    part.halted = true;
                    return Err(self.beyond(partition, next, end));
                }
                self.try_later(Duration::from_secs(1));
            }
            // In range by now: read on.
            Ok(_) => self.try_later(Duration::from_millis(100)),
            Err(code) => {
                let text = format!("{}, partition {partition}: no watermarks: {code}", self.location());
                self.queue.client().context().warn(&text);
                self.try_later(Duration::from_secs(1));
            }
        }
        Ok(None)
    }

    /// What does not come as a message.
    fn look_around(&mut self) -> Result<Option<Polled>> {
        if let Some(e) = self.queue.client().context().take_severe(&self.location()) {
            return Err(e);
        }
        if self.retry.is_some_and(|at| at <= Instant::now()) {
            self.assign_again()?;
        }
        let Some(watch) = &self.watch else { return Ok(None) };
        if watch.is_gone() {
            return Err(Error::invalid(format!(
                "{}: the topic is not there any more; restore it, or name another source",
                self.location()
            )));
        }
        if watch.is_replaced() {
            return Err(Error::invalid(format!(
                "{}: the topic was deleted and made again while it was read; name it as a new source, or reset the job",
                self.location()
            )));
        }
        Ok(watch.partitions().filter(|&n| n > self.told).map(|n| {
            self.told = n;
            Polled::PartitionsChanged
        }))
    }
}

impl Log for KafkaLog {
    fn location(&self) -> String {
        format!("kafka://{}/{}", self.brokers, self.topic)
    }
    fn format(&self) -> Format {
        self.options.format
    }
    fn has_time(&self) -> bool {
        true
    }

    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let deadline = Instant::now() + self.options.timeout;
        let (ids, broker) = self.find(deadline)?;
        if !self.policy_seen {
            let config = admin_config(&self.brokers, &self.options);
            let wait = left(deadline).min(self.options.timeout / 2);
            topic::refuse_compacted(&config, broker, &self.location(), &self.topic, wait)?;
            self.policy_seen = true;
        }
        let cluster = self.queue.client().fetch_cluster_id(left(deadline)).unwrap_or_default();
        let id = dequeue::topic_id(self.queue.client(), broker, &self.topic, left(deadline)).map_err(|e| {
            Error::try_again(format!(
                "{}: no answer about the topic's id: {e}; try again",
                self.location()
            ))
        })?;
        let topic_id = format!("kafka:{cluster}:{}", id.as_ref().unwrap_or(&self.topic));
        let mut infos = Vec::with_capacity(ids.len());
        for partition in ids {
            let (start, end) = topic::watermarks(self.queue.client(), &self.topic, partition, left(deadline))
                .map_err(|code| self.unreachable(&format!("no offsets of partition {partition}"), code))?;
            infos.push(PartitionInfo {
                partition,
                start,
                end,
                topic_id: topic_id.clone(),
            });
        }
        self.known = infos.iter().map(|info| (info.partition, info.end)).collect();
        self.told = self.known.len() as u32;
        self.id = id;
        Ok(infos)
    }

    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        let deadline = Instant::now() + self.options.timeout;
        if positions.iter().any(|(p, _)| !self.known.contains_key(p)) {
            self.partitions()?;
        }
        for &(partition, offset) in positions {
            let Some(&end) = self.known.get(&partition) else {
                let count = self.known.len();
                return Err(self.outside(partition, offset, &format!("the topic has {count} partitions")));
            };
            let reached = self.gather.parts().get(&partition).map_or(0, |p| p.next);
            if offset > end.max(reached) {
                let (_, end) = topic::watermarks(self.queue.client(), &self.topic, partition, left(deadline))
                    .map_err(|code| self.unreachable(&format!("no offsets of partition {partition}"), code))?;
                if offset > end {
                    return Err(self.beyond(partition, offset, end));
                }
                self.known.insert(partition, end);
            }
        }
        let list = self.positions(positions.iter().copied())?;
        self.queue.assign(&list).map_err(|code| self.assign_failed(code))?;
        self.gather.assign(positions);
        self.retry = None;
        if self.watch.is_none() {
            self.watch = Some(Watch::start(
                self.queue.client(),
                &self.topic,
                self.id.clone(),
                self.options.watch_interval,
            )?);
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        into.clear();
        let deadline = Instant::now() + timeout;
        loop {
            while let Some(ready) = self.gather.pop() {
                match ready {
                    Ready::Batch(batch) => {
                        self.gather.give(batch, into);
                        return Ok(Polled::Records);
                    }
                    Ready::OutOfRange(partition) => {
                        if let Some(polled) = self.out_of_range(partition)? {
                            return Ok(polled);
                        }
                    }
                    Ready::Failed(e) => return Err(e.at(self.location())),
                }
            }
            if let Some(polled) = self.look_around()? {
                return Ok(polled);
            }
            let wait = left(deadline);
            if self.dequeue(wait.min(SLICE)) == 0 && wait.is_zero() {
                return Ok(Polled::Idle);
            }
        }
    }

    fn silence(&self) -> Option<Duration> {
        self.watch.as_ref()?.silence()
    }

    fn note_committed(&mut self, positions: &[(u32, u64)]) {
        let failed = match self.positions(positions.iter().copied()) {
            Ok(list) => self.queue.commit(&list).map_err(|code| code.to_string()).err(),
            Err(e) => Some(e.to_string()),
        };
        if let Some(e) = failed {
            tracing::debug!(
                "{}: positions were not shown to group `{}`: {e}",
                self.location(),
                self.options.group
            );
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

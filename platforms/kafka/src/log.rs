//! [`KafkaLog`]: the log over one topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use rufous_core::{Error, Format, RecordBatch, Result};
use rufous_realtime::{Log, PartitionInfo, Polled, Position};

use crate::dequeue::{self, Queue};
use crate::gather::{Gather, Ready};
use crate::group::{Group, Owes};
use crate::options::{KafkaOptions, Ownership, admin_config, consumer_config};
use crate::secret::Secrets;
use crate::topic::{self, Found};
use crate::trouble;
use crate::watch::Watch;

/// The longest wait without a look at the watcher and at what is to be tried again.
const SLICE: Duration = Duration::from_millis(250);
/// How long a poll may ask for watermarks when the brokers do not have an offset.
const ASK: Duration = Duration::from_secs(2);
/// How long the group may take to say whether this process is a member.
const MEMBER: Duration = Duration::from_secs(1);
/// How long something waits that did not work at once.
const LATER: Duration = Duration::from_secs(1);

/// Four fences within this: another process has the same member id. Two that take turns hear of it by their heartbeats, each
/// three seconds.
const TURNS: Duration = Duration::from_secs(30);
/// How long the first answer of the group is waited for before the caller goes on without: it can be told to stop then.
const FIRST_GIFT: Duration = Duration::from_secs(3);
/// So often in a row an offset must lie beyond the end before the topic counts as another one: a broker that just started
/// may know less of the end than it did before.
const BEYOND: u32 = 4;

/// One Kafka topic, read from positions of the caller's own.
///
/// With [`Ownership::Group`] the consumer group says which partitions this process reads: [`PartitionInfo::owned`] tells, and
/// [`Polled::PartitionsChanged`] comes after each assignment. Between two assignments of the group nothing is read, and what
/// comes back is read on from where it was; the caller sees no change then. Offsets in the group count for nothing. A client
/// that librdkafka declares broken is replaced by a new one; only a second process with the same member id ends the reading.
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
    /// What was committed last, by partition.
    noted: BTreeMap<u32, u64>,
    /// The count that the caller was told of last.
    told: u32,
    policy_seen: bool,
    /// When to assign again what stopped with a passing error.
    retry: Option<Instant>,
    /// `None`: partitions are assigned by hand.
    group: Option<Group>,
    /// When the client was made.
    made: Instant,
    /// When a client was fenced the last three times, the last one behind.
    fenced: [Option<Instant>; 3],
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
        let in_group = options.ownership != Ownership::ByHand;
        let queue = Queue::open(
            &consumer_config(brokers, &options)?,
            brokers,
            topic,
            in_group,
            Secrets::of(&options.properties),
        )?;
        Ok(Self {
            group: in_group.then(Group::default),
            made: Instant::now(),
            fenced: [None; 3],
            watch: None,
            queue,
            gather: Gather::new(topic),
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            options,
            known: BTreeMap::new(),
            noted: BTreeMap::new(),
            id: None,
            told: 0,
            policy_seen: false,
            retry: None,
        })
    }

    /// The error for brokers that did not answer.
    fn unreachable(&mut self, what: &str, code: Code) -> Error {
        // Lets the callbacks run: they know the reason. Who asks for partitions does not come to a poll soon.
        self.dequeue(Duration::ZERO);
        self.give_up();
        if let Some(severe) = self.queue.client().context().take_severe() {
            if !severe.is_fence()
                && let Some(e) = severe.error(&self.location())
            {
                return e;
            }
            // The next poll makes another client.
            self.queue.client().context().fail(severe.code, &severe.text);
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
        // It comes as a message among others, without its reason.
        if let Some((code, text)) = queue.fatal() {
            client.context().fail(code, &text);
        }
        self.heed();
        taken
    }

    /// Works off what the group said. What stays with this process is read on at once, from where it was.
    fn heed(&mut self) {
        while let Some(change) = self.queue.client().context().next_change() {
            let Some(group) = &mut self.group else { return };
            tracing::info!(group = self.options.group, ?change, "kafka: {}", self.topic);
            if group.take(change)
                && let Err(e) = self.assign_again()
            {
                tracing::warn!(error = %e, "the assignment is repeated");
                self.try_later(LATER);
            }
        }
    }

    /// The error that ends the log; `None` when another client takes the place of this one. A member is fenced as well when
    /// a broker died between its joining and the answer, or hung for a session: it asks by a name that is no more its own. So
    /// it joins anew; two processes with one member id take turns every few seconds, and then one of them ends.
    fn ends(&mut self, severe: &trouble::Severe) -> Option<Error> {
        let error = severe.error(&self.location())?;
        let [before, middle, last] = self.fenced;
        if severe.is_fence() && before.is_none_or(|at| at.elapsed() > TURNS) {
            self.fenced = [middle, last, Some(Instant::now())];
            return None;
        }
        Some(error)
    }

    /// Who was told that partitions are taken comes back: the group goes on.
    fn answer(&mut self) {
        if let Some(group) = self.group.as_mut().filter(|g| g.owes == Some(Owes::Answer)) {
            group.owes = None;
            self.queue.give_up();
        }
    }

    /// Answers the group at once, whoever was told.
    fn give_up(&mut self) {
        if self.group.as_mut().is_some_and(|g| g.owes.take().is_some()) {
            self.queue.give_up();
        }
    }

    /// librdkafka's client is beyond repair: another one takes its place, and reads on from where this one was.
    fn renew(&mut self, why: &str) -> Result<()> {
        tracing::warn!(
            "{}: the kafka client gave up ({why}): a new one is made",
            self.location()
        );
        // Not more often than once a second, whatever happens.
        std::thread::sleep(LATER.saturating_sub(self.made.elapsed()));
        let config = consumer_config(&self.brokers, &self.options)?;
        let secrets = Secrets::of(&self.options.properties);
        let watched = self.watch.take().is_some();
        self.queue = Queue::open(&config, &self.brokers, &self.topic, self.group.is_some(), secrets)?;
        self.made = Instant::now();
        if watched {
            self.watch()?;
        }
        match &mut self.group {
            Some(group) => {
                group.rejoin();
                self.subscribe()
            }
            None => self.assign_again(),
        }
    }

    fn watch(&mut self) -> Result<()> {
        let (id, interval) = (self.id.clone(), self.options.watch_interval);
        self.watch = Some(Watch::start(self.queue.client(), &self.topic, id, interval)?);
        Ok(())
    }

    fn subscribe(&mut self) -> Result<()> {
        match &mut self.group {
            Some(group) if !group.subscribed => {
                self.queue.subscribe().map_err(|code| {
                    Error::try_again(format!(
                        "kafka://{}/{}: cannot join the group `{}`: {code}; start the job again",
                        self.brokers, self.topic, self.options.group
                    ))
                })?;
                group.subscribed = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Joins the group, and waits a while for what it gives: a member that was here before has it at once.
    fn join(&mut self) -> Result<()> {
        self.subscribe()?;
        let Some(group) = self.group.as_mut().filter(|g| !g.awaited) else {
            return Ok(());
        };
        group.awaited = true;
        let deadline = Instant::now() + self.options.timeout.min(FIRST_GIFT);
        while self.waits() && !left(deadline).is_zero() {
            self.dequeue(left(deadline).min(SLICE));
            if let Some(severe) = self.queue.client().context().take_severe() {
                match self.ends(&severe) {
                    Some(e) => return Err(e),
                    None => self.renew(&severe.text)?,
                }
            }
        }
        Ok(())
    }

    fn owns(&self, partition: u32) -> bool {
        self.group.as_ref().is_none_or(|g| g.owns(partition))
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
        // Between two assignments of the group the next one is waited for.
        if self.group.as_ref().is_some_and(|g| !g.open) {
            return Ok(());
        }
        let parts = self.gather.parts().iter();
        let reading: Vec<Position> = parts
            .filter(|(n, p)| !p.halted && self.owns(**n))
            .map(|(&partition, p)| Position {
                partition,
                offset: p.next,
                leader_epoch: p.epoch.unwrap_or(-1),
            })
            .collect();
        self.queue.assign_at(&reading).map_err(|code| self.assign_failed(code))
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

    /// The log was cut off somewhere below the next offset.
    fn cut_off(&mut self, partition: u32, end: Option<u64>) -> Option<Polled> {
        let part = self.gather.part(partition).filter(|p| !p.halted)?;
        if let Some(end) = end.filter(|end| *end < part.next) {
            part.halted = true;
            return Some(Polled::Truncated { partition, end });
        }
        // The brokers forgot the epoch: retention was here, and nothing can be compared. The offset decides.
        part.epoch = None;
        self.try_later(Duration::from_millis(100));
        None
    }

    /// What does not come as a message.
    fn look_around(&mut self) -> Result<Option<Polled>> {
        if let Some(severe) = self.queue.client().context().take_severe() {
            match self.ends(&severe) {
                Some(e) => return Err(e),
                None => self.renew(&severe.text)?,
            }
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
        // A group tells of new partitions itself, when it gives them.
        let grown = watch.partitions().filter(|&n| n > self.told && self.group.is_none());
        Ok(grown.map(|n| {
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
    fn stamped_by_writers(&mut self) -> Result<Option<bool>> {
        let deadline = Instant::now() + self.options.timeout;
        let (_, broker) = self.find(deadline)?;
        let config = admin_config(&self.brokers, &self.options);
        let wait = left(deadline).min(self.options.timeout / 2);
        Ok(topic::stamped_by_writers(
            &config,
            broker,
            &self.location(),
            &self.topic,
            wait,
        ))
    }

    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        self.answer();
        let deadline = Instant::now() + self.options.timeout;
        let (ids, broker) = self.find(deadline)?;
        self.join()?;
        // Waiting for the group took time of its own.
        let deadline = Instant::now() + self.options.timeout;
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
                owned: self.owns(partition),
            });
        }
        self.known = infos.iter().map(|info| (info.partition, info.end)).collect();
        self.told = self.known.len() as u32;
        self.id = id;
        if let Some(group) = &mut self.group {
            group.news = false;
        }
        Ok(infos)
    }

    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        let plain = positions.iter().map(|&(partition, offset)| Position {
            partition,
            offset,
            leader_epoch: -1,
        });
        self.assign_at(&plain.collect::<Vec<_>>())
    }

    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        let deadline = Instant::now() + self.options.timeout;
        if positions.iter().any(|p| !self.known.contains_key(&p.partition)) {
            self.partitions()?;
        }
        for &Position { partition, offset, .. } in positions {
            let Some(&end) = self.known.get(&partition) else {
                let count = self.known.len();
                return Err(self.outside(partition, offset, &format!("the topic has {count} partitions")));
            };
            if i64::try_from(offset).is_err() {
                return Err(self.outside(partition, offset, "no such position is possible"));
            }
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
        self.gather.assign(positions);
        self.assign_again()?;
        if self.watch.is_none() {
            self.watch()?;
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        into.clear();
        let deadline = Instant::now() + timeout;
        self.answer();
        loop {
            let mut closed = false;
            if let Some(group) = &mut self.group {
                if group.tell() {
                    return Ok(Polled::Revoked);
                }
                // What is there may be another's by now.
                if std::mem::take(&mut group.news) {
                    return Ok(Polled::PartitionsChanged);
                }
                closed = !group.open;
            }
            while let Some(ready) = if closed { None } else { self.gather.pop() } {
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
                    Ready::Truncated(partition, end) => {
                        if let Some(polled) = self.cut_off(partition, end) {
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

    fn end(&self, partition: u32) -> Option<u64> {
        let part = self.gather.parts().get(&partition)?;
        // The watermark counts what a transaction that is still open has written; at the end nothing can be read.
        if part.at_end {
            return Some(part.next);
        }
        self.queue.seen_end(partition).map(|end| end.max(part.next))
    }

    fn waits(&self) -> bool {
        self.group.as_ref().is_some_and(Group::waits)
    }

    fn is_shared_out(&self) -> bool {
        self.group.is_some()
    }

    fn attend(&mut self) {
        self.dequeue(Duration::ZERO);
        self.give_up();
    }

    fn is_member(&mut self) -> bool {
        self.answer();
        let Some(group) = &self.group else { return true };
        if !group.open {
            return false;
        }
        let owned: Vec<(u32, u64)> = self
            .noted
            .iter()
            .map(|(&n, &at)| (n, at))
            .filter(|(n, _)| group.owns(*n))
            .collect();
        let Some(first) = self.known.keys().find(|n| group.owns(**n)) else {
            return true;
        };
        // Of what it was given nothing was committed here yet: any position asks the question.
        let asked = if owned.is_empty() { vec![(*first, 0)] } else { owned };
        let answer = self.positions(asked).map_err(|e| e.to_string()).and_then(|list| {
            self.queue
                .commit_and_ask(&list, MEMBER)
                .map_err(|code| code.to_string())
        });
        if let Err(e) = &answer {
            tracing::info!(group = self.options.group, "kafka: {}: not a member: {e}", self.topic);
        }
        answer.is_ok()
    }

    fn note_committed(&mut self, positions: &[(u32, u64)]) {
        self.noted.extend(positions.iter().copied());
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

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaRespErr as Resp;

    use super::*;

    /// 3b of the behaviour table: a broken client is replaced, in a group and without one; one that is fenced,
    /// three times.
    #[test]
    fn a_client_that_gave_up_is_replaced() {
        let cluster = MockCluster::<rdkafka::producer::DefaultProducerContext>::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let member = Some("m".to_string());
        for ownership in [Ownership::ByHand, Ownership::Group { member }] {
            let options = KafkaOptions {
                ownership,
                properties: [("session.timeout.ms".to_string(), "6000".to_string())].into(),
                ..KafkaOptions::new(Format::Text)
            };
            let mut log = KafkaLog::open(&cluster.bootstrap_servers(), "t", options).unwrap();
            let (start, mut batch) = (Instant::now(), RecordBatch::default());
            // The mock begins a group after three seconds, as long as the log waits for it.
            while !log.partitions().unwrap().iter().all(|p| p.owned) {
                assert!(start.elapsed() < Duration::from_secs(30), "no partitions");
                log.poll(Duration::from_millis(50), &mut batch).unwrap();
            }
            log.assign(&[(0, 0), (1, 0)]).unwrap();
            for passing in [
                Resp::RD_KAFKA_RESP_ERR__FATAL,
                Resp::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
                Resp::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
                Resp::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
            ] {
                let before = log.made;
                log.queue.fail(passing);
                // The mock gives the old member its part until its session ends.
                while log.made == before || !log.partitions().unwrap().iter().all(|p| p.owned) {
                    assert!(start.elapsed() < Duration::from_secs(30), "no new client");
                    log.poll(Duration::from_millis(50), &mut batch).unwrap();
                }
            }
            log.queue.fail(Resp::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
            let e = loop {
                assert!(start.elapsed() < Duration::from_secs(30), "no error");
                if let Err(e) = log.poll(Duration::from_millis(50), &mut batch) {
                    break e;
                }
            };
            assert_eq!(e.kind(), rufous_core::ErrorKind::Closed, "{e}");
            assert!(e.to_string().contains("group.instance.id"), "{e}");
        }
    }
}

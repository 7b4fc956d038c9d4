//! A producer that goes on and on: transactions, some of them aborted, and plain records between, on all partitions.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{Counts, EPOCH, PARTITIONS, word};
use crate::kafka::{Broker, unique_name};
use crate::run::Random;

/// How long one request to the broker may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is produced, and what was committed of it. While its guard is held, nothing is produced.
pub struct Fed {
    producer: BaseProducer,
    plain: BaseProducer,
    topic: String,
    random: Random,
    clock: i64,
    /// How often each word is in the log, for those who read committed records.
    pub counts: Counts,
    /// Transactions that were aborted.
    pub aborted: u64,
    /// Why it ended.
    failure: Option<anyhow::Error>,
}

/// The thread that produces.
pub struct Feed {
    fed: Arc<Mutex<Fed>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Creates the topic and begins; `millis` between two rounds, of some thousand records each.
    pub fn start(broker: &Broker, topic: &str, seed: u64, millis: u64) -> Result<Self> {
        let fed = Arc::new(Mutex::new(Fed::new(broker, topic, seed)?));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, stopped) = (fed.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                let mut fed = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(e) = fed.round() {
                    fed.failure = Some(e);
                    return;
                }
                drop(fed);
                // The pace of the load.
                std::thread::sleep(Duration::from_millis(millis));
            }
        });
        Ok(Self {
            fed,
            stop,
            thread: Some(thread),
        })
    }
    /// Halts it between two rounds, until the guard is dropped.
    pub fn quiet(&self) -> Result<MutexGuard<'_, Fed>> {
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        match fed.failure.take() {
            Some(e) => Err(e).context("the producer failed"),
            None => Ok(fed),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // What made it end was told by `quiet`.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Fed {
    /// A new topic, and nothing produced.
    pub fn new(broker: &Broker, topic: &str, seed: u64) -> Result<Self> {
        broker.create_topic(topic, PARTITIONS, &[])?;
        let mut config = broker.client();
        config.set("enable.idempotence", "true").set("linger.ms", "1");
        let plain = config.create()?;
        let producer: BaseProducer = config.set("transactional.id", unique_name("torture")).create()?;
        producer.init_transactions(PATIENCE)?;
        Ok(Self {
            producer,
            plain,
            topic: topic.into(),
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            clock: EPOCH,
            counts: Counts::new(),
            aborted: 0,
            failure: None,
        })
    }
    /// Log time goes on.
    pub fn advance(&mut self, millis: i64) {
        self.clock += millis;
    }
    /// One round: a transaction that is committed, one that is not, or plain records. Log time goes on by up to a minute, so
    /// an hour, which is a batch, takes 120 rounds; one record in eight is late by up to two hours.
    pub fn round(&mut self) -> Result<()> {
        let step = self.random.below(60_000) as i64;
        self.advance(step);
        let (plain, abort) = match self.random.below(8) {
            0 => (true, false),
            1 | 2 => (false, true),
            _ => (false, false),
        };
        if !plain {
            self.producer.begin_transaction()?;
        }
        let mut sent = Counts::new();
        for partition in 0..PARTITIONS {
            for _ in 0..50 + self.random.below(300) {
                let late = match self.random.below(8) {
                    0 => self.random.below(7_200_000) as i64,
                    _ => 0,
                };
                // The lower numbers come more often.
                let most = 1 + self.random.below(997);
                let w = word(self.random.below(most));
                let record = BaseRecord::<(), str>::to(&self.topic)
                    .partition(partition)
                    .timestamp(self.clock - late)
                    .payload(&w);
                let producer = if plain { &self.plain } else { &self.producer };
                producer.send(record).map_err(|(e, _)| anyhow!("not sent: {e}"))?;
                *sent.entry(w).or_default() += 1;
            }
        }
        if plain {
            self.plain.flush(PATIENCE)?;
            ensure!(self.plain.in_flight_count() == 0, "not all is delivered");
        } else if abort {
            self.producer.flush(PATIENCE)?;
            self.producer.abort_transaction(PATIENCE)?;
            self.aborted += 1;
            return Ok(());
        } else {
            self.producer.commit_transaction(PATIENCE)?;
        }
        if self.plain.client().fatal_error().is_some() {
            bail!("the plain producer had a fatal error");
        }
        for (w, n) in sent {
            *self.counts.entry(w).or_default() += n;
        }
        Ok(())
    }
}

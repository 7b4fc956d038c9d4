//! A producer of a steady rate that outlives its broker: it counts a record when the broker has acknowledged it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::{Counts, EPOCH, PARTITIONS, word};
use crate::kafka::Broker;
use crate::run::Random;

/// How long a record may wait for a broker that is down.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the broker took.
#[derive(Default)]
pub(super) struct Taken {
    counts: Mutex<Counts>,
    /// Words that were acknowledged.
    pub(super) words: AtomicU64,
    /// Records that are no text.
    pub(super) malformed: AtomicU64,
    failure: Mutex<Option<KafkaError>>,
}

struct Reports(Arc<Taken>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    /// The word; `None` for a record that is no text.
    type DeliveryOpaque = Box<Option<String>>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, word: Self::DeliveryOpaque) {
        match (outcome, *word) {
            (Ok(_), Some(word)) => {
                let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
                *counts.entry(word).or_default() += 1;
                self.0.words.fetch_add(1, Relaxed);
            }
            (Ok(_), None) => {
                self.0.malformed.fetch_add(1, Relaxed);
            }
            (Err((e, _)), _) => {
                let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| e.clone());
            }
        }
    }
}

/// The thread that produces.
pub(super) struct Steady {
    pub(super) taken: Arc<Taken>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Steady {
    /// Creates the topic and begins, at so many records a second. An hour of log time, which is a batch, is 20 s.
    pub(super) fn start(broker: &Broker, topic: &str, rate: u64) -> Result<Self> {
        broker.create_topic(topic, PARTITIONS, &[])?;
        let taken = Arc::new(Taken::default());
        let mut config = broker.client();
        config.set("enable.idempotence", "true").set("linger.ms", "5");
        config
            .set("message.timeout.ms", "600000")
            .set("queue.buffering.max.messages", "1000000");
        let producer: BaseProducer<Reports> = config.create_with_context(Reports(taken.clone()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, topic) = (stop.clone(), topic.to_string());
        let thread = std::thread::spawn(move || produce(&producer, &topic, rate, &stopped));
        Ok(Self {
            taken,
            stop,
            thread: Some(thread),
        })
    }
    /// Stops it, when all is acknowledged; how often each word is in the log.
    pub(super) fn finish(mut self) -> Result<Counts> {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("the producer panicked"))??;
        }
        if let Some(e) = self.taken.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(anyhow!("a record was not delivered: {e}"));
        }
        let counts = self.taken.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts.clone())
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // `finish` tells what happened; without it an error is on its way already, and the broker may be dead.
        drop(self.thread.take());
    }
}

fn produce(producer: &BaseProducer<Reports>, topic: &str, rate: u64, stop: &AtomicBool) -> Result<()> {
    let (start, mut sent, mut random) = (Instant::now(), 0_u64, Random(0x5eed));
    while !stop.load(Relaxed) {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            sent += 1;
            let time = EPOCH + (sent * 180_000 / rate) as i64;
            let partition = (sent % PARTITIONS as u64) as i32;
            let most = 1 + random.below(997);
            // One in a thousand, and on every partition.
            let malformed = random.below(1_000) == 0;
            let word = (!malformed).then(|| word(random.below(most)));
            let payload = word.clone().map_or(vec![0xff, 0xfe, b'x'], String::into_bytes);
            let mut record = BaseRecord::<(), _, _>::with_opaque_to(topic, Box::new(word))
                .partition(partition)
                .timestamp(time)
                .payload(&payload);
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        producer.poll(Duration::from_millis(10));
                        record = again;
                    }
                    Err((e, _)) => return Err(e.into()),
                }
            }
        }
        producer.poll(Duration::from_millis(5));
    }
    producer.flush(PATIENCE)?;
    ensure!(producer.in_flight_count() == 0, "not all is acknowledged");
    Ok(())
}

//! Topics and records, as a test needs them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Poll, Wake, Waker};

use anyhow::ensure;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::*;

impl Broker {
    /// Creates a topic with settings such as `("retention.ms", "1000")`, and waits until each partition can be read.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let created = block_on(self.admin()?.create_topics([&topic], &AdminOptions::new()))?;
        for outcome in created {
            outcome.map_err(|(name, e)| anyhow!("topic {name}: {e}"))?;
        }
        let client: BaseConsumer = self.client().create()?;
        let start = Instant::now();
        for partition in 0..partitions {
            while let Err(e) = client.fetch_watermarks(name, partition, Duration::from_secs(5)) {
                ensure!(
                    start.elapsed() < PATIENCE,
                    "partition {partition} of the new topic {name} does not come: {e}"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Produces records (milliseconds, key, value) to one partition, in this order; returns when the broker has acknowledged
    /// each of them. An empty key is sent as none.
    pub fn produce<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = (i64, K, V)>,
    ) -> Result<()> {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("compression.type", "lz4");
        config
            .set("linger.ms", "10")
            .set("batch.size", "1000000")
            .set("batch.num.messages", "100000");
        config.set("queue.buffering.max.messages", "1000000");
        // An unknown topic is an error after this, not after 30 s.
        config.set("topic.metadata.propagation.max.ms", "5000");
        let producer: BaseProducer<Reports> = config.create_with_context(Reports::default())?;
        let mut sent = 0_u64;
        for (millis, key, value) in records {
            let mut record = BaseRecord::to(topic)
                .partition(partition)
                .timestamp(millis)
                .payload(value.as_ref());
            if !key.as_ref().is_empty() {
                record = record.key(key.as_ref());
            }
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        producer.poll(Duration::from_millis(10));
                        record = again;
                    }
                    Err((e, _)) => return Err(e).with_context(|| format!("record {sent} to {topic}/{partition}")),
                }
            }
            sent += 1;
            if sent.is_multiple_of(1_000) {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(PATIENCE)?;
        let reports = producer.context();
        if let Some(e) = reports.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(e).with_context(|| format!("not delivered to {topic}/{partition}"));
        }
        let acknowledged = reports.acknowledged.load(Ordering::Relaxed);
        ensure!(
            acknowledged == sent,
            "{acknowledged} of {sent} records acknowledged in {topic}/{partition}"
        );
        Ok(())
    }

    /// Deletes the records before an offset, as retention would.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let deleted = block_on(self.admin()?.delete_records(&offsets, &AdminOptions::new()))?;
        for element in deleted.elements() {
            element.error()?;
        }
        Ok(())
    }

    /// Adds partitions until there are so many.
    pub fn create_partitions(&self, topic: &str, count: usize) -> Result<()> {
        let grown = block_on(
            self.admin()?
                .create_partitions(&[NewPartitions::new(topic, count)], &AdminOptions::new()),
        )?;
        grown
            .into_iter()
            .try_for_each(|outcome| outcome.map(|_| ()).map_err(|(name, e)| anyhow!("topic {name}: {e}")))
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        let deleted = block_on(self.admin()?.delete_topics(&[topic], &AdminOptions::new()))?;
        deleted
            .into_iter()
            .try_for_each(|outcome| outcome.map(|_| ()).map_err(|(name, e)| anyhow!("topic {name}: {e}")))
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }
}

/// Counts what the broker acknowledged and keeps the first failure.
#[derive(Default)]
struct Reports {
    acknowledged: AtomicU64,
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, outcome: &DeliveryResult<'_>, (): ()) {
        match outcome {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((e, _)) => {
                self.failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| e.clone());
            }
        }
    }
}

/// Waits for a future without a runtime: the admin client answers from threads of its own.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

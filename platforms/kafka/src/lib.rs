//! Kafka as a log for the realtime engine: mode 0 of the protocol. The consumer group says which partitions of a topic this
//! process reads (or it reads all, without a group); positions come from the store, and the offsets in the group are only
//! where lag tools find how far the state is.
//!
//! Modules in reading order:
//! - `options`: the settings, and which of them a user may not touch;
//! - `log`: [`KafkaLog`], the [`Log`](rufous_realtime::Log) over one topic;
//! - `group`: what the consumer group gave, and whether the caller knows;
//! - `secret`: which properties are never shown;
//! - `gather`: messages of mixed partitions become batches of one partition each;
//! - `topic`: what the brokers say about the topic: partitions, watermarks, its id, its cleanup policy;
//! - `watch`: a thread that sees new partitions and a deleted topic;
//! - `trouble`: which of librdkafka's errors pass by themselves, and what the others mean;
//! - `dead_letters`: bad records into a topic; `sink`: what a job writes into a topic, exactly once;
//! - `dequeue`: the only unsafe code: whole batches off librdkafka's queue.
//!
//! ```no_run
//! use std::time::Duration;
//! use rufous_core::{Format, RecordBatch};
//! use rufous_platform_kafka::{KafkaLog, KafkaOptions};
//! use rufous_realtime::{Log, Polled};
//!
//! let mut log = KafkaLog::open("127.0.0.1:9092", "lines", KafkaOptions::new(Format::Text))?;
//! let from_the_start: Vec<_> = log.partitions()?.iter().map(|p| (p.partition, p.start)).collect();
//! log.assign(&from_the_start)?;
//! let mut batch = RecordBatch::default();
//! while log.poll(Duration::from_secs(1), &mut batch)? == Polled::Records {
//!     for e in &batch.entries {
//!         println!("{} {}: {:?}", batch.partition, e.offset, batch.value(e));
//!     }
//! }
//! # Ok::<(), rufous_core::Error>(())
//! ```

mod dead_letters;
mod dequeue;
mod gather;
mod glance;
mod group;
mod log;
mod options;
mod secret;
mod sink;
mod topic;
mod trouble;
mod watch;

pub use dead_letters::KafkaDeadLetters;
pub use log::KafkaLog;
pub use options::{KafkaOptions, Ownership};
pub use sink::{KafkaSink, SinkIdentity, SinkMemory};

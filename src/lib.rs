//! Rufous: write an aggregation **once** - typed producers that end in `sum_by_key` over a semigroup - and run it in bulk over
//! Parquet, live on Kafka or on appended files, or as both at once. One client adds the two layers into **one exact answer**.
//!
//! ```
//! use rufous::prelude::*;
//!
//! const LINES: Source<str> = Source::new("lines");
//! const COUNTS: Store<String, u64> = Store::new("counts");
//!
//! fn word_count() -> Job {
//!     let counts = LINES.read()
//!         .keyed(|line, out| for word in line.split_whitespace() { out.emit(word, 1) })
//!         .sum_by_key(COUNTS);
//!     Job::new("word-count", counts)
//! }
//!
//! let run = word_count().test().given(LINES, ["to be or", "not to be"]).run()?;
//! assert_eq!(run.get(COUNTS, "to"), Some(2));
//! assert_eq!(run.get(COUNTS, "a"), None);
//! # Ok::<(), rufous::Error>(())
//! ```
//!
//! The parts, in reading order: [`algebra`] (what can be added), [`core`] (what a job says), [`platform_memory`] (the
//! model), [`realtime`] (the engine over a log), [`store_api`] (what the layers share), [`client`] (merged reads), and
//! [`App`], which makes a job binary of a function.
//!
//! Features, all off by default so that the default needs no C or C++: `kafka`, `rocksdb`, `parquet`, `postgres`, `redis`, `s3`, and `server` (the
//! command `serve`; `tls` for what it says). `laws` adds
//! [`algebra`]'s laws as functions that test your own types.
#![forbid(unsafe_code)]

mod app;

pub use rufous_algebra as algebra;
pub use rufous_client as client;
pub use rufous_core as core;
pub use rufous_platform_local as platform_local;
pub use rufous_platform_memory as platform_memory;
pub use rufous_realtime as realtime;
pub use rufous_store_api as store_api;

#[cfg(feature = "kafka")]
pub use rufous_platform_kafka as platform_kafka;
#[cfg(feature = "parquet")]
pub use rufous_platform_parquet as platform_parquet;
#[cfg(feature = "server")]
pub use rufous_server as server;
#[cfg(feature = "parquet")]
pub use rufous_store_archive as store_archive;
#[cfg(feature = "postgres")]
pub use rufous_store_postgres as store_postgres;
#[cfg(feature = "redis")]
pub use rufous_store_redis as store_redis;
#[cfg(feature = "rocksdb")]
pub use rufous_store_rocksdb as store_rocksdb;

pub use app::{App, JobFn, NoArgs};
#[cfg(feature = "laws")]
pub use rufous_algebra::laws;
pub use rufous_algebra::{
    Absorb, Additive, Aggregator, ApproxLaws, Codec, Commutative, Estimate, ExactLaws, Group, HashBytes, HeavyHitters,
    Hll, Homomorphism, Idempotent, Max, Min, Monoid, Quantiles, Semigroup, Tiered, ways,
};
pub use rufous_core::{
    Anywhere, AsKey, BatchId, Batcher, COUNTERS, Clock, Counter, Csv, DeltaProducer, Either, Error, ErrorKind, Format,
    Hop, HopSize, InOrder, Job, Key, KeyOf, KeyedOut, KeyedProducer, KeysOut, Message, Out, Producer, Record, Result,
    Service, Sink, Source, Store, Summed, Text, TimeBucket, Timestamp, WindowedStore, Written, service, sink,
};
pub use rufous_derive::{Codec, Group, Key, Monoid, Record, Semigroup};
pub use rufous_platform_memory::{Concurrent, JobTest, Memory, Totals};

/// What a program that defines jobs needs.
pub mod prelude {
    #[cfg(feature = "laws")]
    pub use crate::laws;
    pub use crate::{
        Absorb, Additive, App, AsKey, BatchId, Batcher, Clock, Codec, Commutative, Counter, Either, Group,
        HeavyHitters, Hll, Hop, HopSize, Idempotent, InOrder, Job, JobTest, Key, KeyedOut, KeyedProducer, Max, Memory,
        Message, Min, Monoid, Out, Producer, Quantiles, Record, Semigroup, Service, Sink, Source, Store, Text,
        TimeBucket, Timestamp, WindowedStore, ways,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use rufous_algebra::__private::*;
    pub use rufous_core::{
        AsKey, ColumnBatch, Field, FieldType, FieldValue, Key, KeyColumn, KeyError, KeyOf, Record, RecordError, Row,
    };
}

/// The README's examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

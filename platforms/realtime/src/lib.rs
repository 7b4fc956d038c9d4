//! One engine over a small [`Log`] trait: it consumes, combines, commits, and a consumer of its own archives.
//!
//! Modules in reading order:
//! - [`log`]: what the engine asks of a log;
//! - [`cutter`]: which batch a record is in (P1-P3), for the engine and the archive alike;
//! - [`genesis`](mod@genesis): where both layers begin (P10); [`repair`]: what becomes of a shard when it is acquired (P32-P35);
//! - [`engine`]: the loop; `flush`: the thread that sorts, encodes and commits; `partition`: the state of one partition;
//! - [`archiver`]: the log into the archive (P17-P19); [`metrics`]: what both count.
#![forbid(unsafe_code)]

pub mod archiver;
pub mod cutter;
pub mod engine;
mod flush;
pub mod genesis;
pub mod log;
pub mod metrics;
mod partition;
pub mod repair;

pub use archiver::{Archiver, ArchiverOptions};
pub use engine::{BoundLog, OnBadRecord, Stream, StreamOptions, check};
pub use genesis::genesis;
pub use log::{Log, PartitionInfo, Polled};
pub use metrics::{Metrics, StreamReport};

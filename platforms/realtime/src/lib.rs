//! One engine over a small [`Log`] trait: it consumes, combines, commits, and a consumer of its own archives.
//!
//! Modules in reading order:
//! - [`log`]: what the engine asks of a log;
//! - [`cutter`]: which batch a record is in (P1-P3), for the engine and the archive alike;
//! - [`genesis`](mod@genesis): where both layers begin (P10); [`repair`]: what becomes of a shard when it is acquired (P32-P35);
//! - [`bind`]: sources and their logs; [`options`]: how a stream runs; [`budget`]: its memory;
//! - [`engine`]: the loop; `own`: which partitions it reads, and from where; `commit` and `flush`: two maps swap, a thread sorts,
//!   encodes and commits; `pause`: a store that takes nothing for a while; [`bad`]: records that cannot be read, and dead
//!   letters; `panics`: the job's functions that panic; `dropping`: cells that the offline layer covers; `partition`: the
//!   state of one partition; `domain`: partitions that have one order together; `close`: the end;
//! - [`sinks`]: what is written to the places of sinks, before the state; [`table`]: a sink that is a table;
//! - [`archiver`]: the log into the archive (P17-P19); [`metrics`]: what both count; `measure`: where the engine does.
#![forbid(unsafe_code)]

pub mod archiver;
pub mod bad;
pub mod bind;
pub mod budget;
mod close;
mod commit;
pub mod cutter;
mod domain;
mod dropping;
pub mod engine;
mod flush;
pub mod genesis;
pub mod log;
mod measure;
pub mod metrics;
pub mod options;
mod own;
mod panics;
mod partition;
mod pause;
pub mod repair;
pub mod sinks;
mod state;
pub mod table;
mod waiting;

pub use archiver::{Archiver, ArchiverOptions, Recut};
pub use bad::{DeadLetters, Letter};
pub use bind::{BoundLog, check};
pub use budget::Budget;
pub use engine::Stream;
pub use genesis::genesis;
pub use log::{Log, PartitionInfo, Polled, Position};
pub use metrics::{Limits, Metrics, PartitionMetrics, Reason, Sample, Samples, SourceMetrics, StreamReport};
pub use options::{OnBadRecord, StreamOptions};
pub use sinks::{BoundSink, SinkRow, SinkWrite, SinkWriter};
pub use table::TableSink;

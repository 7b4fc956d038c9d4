//! What a job says, without I/O: time and batches, ports, producers, the graph and its plan. It knows no clock, no thread,
//! no async runtime and no platform.
//!
//! Modules in reading order:
//! - [`time`], [`batch`], [`frontier`]: instants, the unit that layers hand over, how far the offline layer reaches;
//! - [`window`]: hops as parts of keys, and which of them make a window;
//! - [`key`]: keys as canonical bytes; [`record`], [`columns`], [`log`], [`message`], [`formats`], [`decode`]: how records
//!   come in;
//! - [`panics`]: a job's functions that panic make bad records, not dead processes; [`trial`]: whose
//!   fault a panic is;
//! - [`service`]: what jobs look up;
//! - [`port`]: typed names; [`producer`]: what is done with records; [`job`]: a name and its ends;
//! - [`data`], [`mod@bytes`], [`erased`]: chunks, and steps that see them without types; [`planner`]: from the graph to
//!   steps in running order;
//! - [`evidence`]: what stores and clients know of types; [`native`]: what a database can keep as columns of its own; [`forget`]: rows that lose their meaning; [`platform`]: who runs jobs; [`error`]: the one error type; [`secret`]: which options of others nobody may see;
//! - feature `testing`: the same-answer machine, a catalogue of jobs with their answers, for tests of platforms.
//!
//! ```
//! use rufous_core::{Job, Source, Store};
//!
//! const LINES: Source<str> = Source::new("lines");
//! const COUNTS: Store<String, u64> = Store::new("counts");
//!
//! let counts = LINES.read()
//!     .keyed(|line, out| for word in line.split_whitespace() { out.emit(word, 1) })
//!     .sum_by_key(COUNTS);
//! let plan = Job::new("word-count", counts).plan()?;
//! assert_eq!(plan.stores()[0].schema(), "text -> u64");
//! # Ok::<(), rufous_core::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod batch;
pub mod bytes;
pub mod columns;
pub mod data;
pub mod decode;
pub mod erased;
pub mod error;
pub mod evidence;
pub mod forget;
pub mod formats;
pub mod frontier;
mod graph;
mod guarded;
pub mod job;
pub mod key;
pub mod log;
pub mod message;
pub mod native;
mod nearest;
pub mod order;
pub mod panics;
pub mod planner;
pub mod platform;
pub mod port;
pub mod producer;
pub mod record;
pub mod rules;
pub mod secret;
pub mod service;
pub mod sink;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod trial;
pub mod window;

pub use batch::{BatchId, Batcher, Clock, CutSpec, RunningBatch};
pub use bytes::BytesChunk;
pub use columns::{Column, ColumnBatch, ColumnData};
pub use data::{AnyChunk, Chunk, Data, KeyedChunk, TextChunk};
pub use decode::{BadRecord, Format, SourceDecoder, SourceRecord};
pub use erased::{
    ChunkMeta, Delta, Deltas, Executor, Identified, KeyedOut, KeysOut, OperatorState, Origin, Origins, Out, Waiting,
    Wanted,
};
pub use error::{Error, ErrorKind, Result};
pub use evidence::{KeyFace, SourceFace, StoreFace, ValueFace};
pub use forget::{Forgets, Forgetter, Reach};
pub use formats::{CSV_HEADER, Csv};
pub use frontier::{Cut, Frontier, SourcePartition};
pub use graph::Domain;
pub use job::{Job, Tails};
pub use key::{AsKey, Key, KeyError, KeyOf, PrefixOf};
pub use log::{Entry, Headers, RecordBatch, Span};
pub use message::Message;
pub use native::{Addition, KeyColumn, KeyPart, NativeNumber};
pub use nearest::nearest;
pub use order::{LogTime, RunningTime};
pub use planner::{Drawn, Joint, OperatorFace, Plan, Rules};
pub use platform::{Platform, Runs};
pub use port::{COUNTERS, Counter, PROGRESS, Service, Sink, Source, Store};
pub use producer::{Anywhere, DeltaProducer, Either, InOrder, KeyedProducer, Producer, Summed, Written};
pub use record::{Field, FieldType, FieldValue, Record, RecordError, Row};
pub use service::{ServiceFace, Services};
pub use sink::{Promise, RecordId, Sinks};
pub use time::{TimeBucket, Timestamp};
pub use trial::Trial;
pub use window::{Cover, Grid, Hop, HopRun, HopSize, WindowedStore, Windows};

/// Text in a record: short ones (to 24 bytes) are stored inline, without allocation.
pub type Text = compact_str::CompactString;

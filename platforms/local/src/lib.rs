//! The user's own files as a log: text, JSON lines or CSV, followed as they grow and as files appear. A file is a partition, a
//! byte position is an offset, a line is a record; there are no times, so batches are ranges of offsets (P8a).
//!
//! Modules in reading order:
//! - `options`: where the files are and how they are read;
//! - `ident`: what a file is: device, inode, first bytes; `registry`: which file is which partition, for ever;
//! - `survey`: what is there now, compared with the registry;
//! - `log`: [`LocalLog`], the [`Log`](rufous_realtime::Log) over the files; `ends`: where they end;
//! - `cursor`: where a partition is read: `plain` (as it is) or `packed` (compressed, through `unpack`);
//! - `split`: bytes into records; `header`: the first line of files of columns; `dead_letters`: bad records into a file; `sink`: a
//!   sink of files.
//!
//! ```
//! use std::time::Duration;
//! use rufous_core::{Format, RecordBatch};
//! use rufous_platform_local::{LocalLog, LocalOptions, Place};
//! use rufous_realtime::{Log, Polled};
//!
//! let dir = std::env::temp_dir().join(format!("rufous-local-{}", std::process::id()));
//! std::fs::create_dir_all(dir.join("logs"))?;
//! std::fs::write(dir.join("logs/a.txt"), "one\ntwo\nnot yet")?;
//!
//! let place = Place::Dir(dir.join("logs"));
//! let mut log = LocalLog::open(place, &dir.join("registry"), LocalOptions::new(Format::Text))?;
//! let from_the_start: Vec<_> = log.partitions()?.iter().map(|p| (p.partition, p.start)).collect();
//! log.assign(&from_the_start)?;
//! let mut batch = RecordBatch::default();
//! assert_eq!(log.poll(Duration::ZERO, &mut batch)?, Polled::Records);
//! let lines: Vec<_> = batch.entries.iter().map(|e| (e.offset, batch.value(e).unwrap())).collect();
//! assert_eq!(lines, [(0, &b"one"[..]), (4, b"two")]);
//! assert_eq!(batch.next, 8);
//! # std::fs::remove_dir_all(dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod cursor;
mod dead_letters;
mod ends;
mod header;
mod ident;
mod log;
mod options;
mod packed;
mod plain;
mod registry;
mod sink;
mod split;
mod survey;
mod unpack;

pub use dead_letters::FileDeadLetters;
pub use log::LocalLog;
pub use options::{LocalOptions, Place};
pub use sink::{FileMark, FileSink};

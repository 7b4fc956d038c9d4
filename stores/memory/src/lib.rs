//! State in memory: the model that other stores are compared with. Plain, slow and obvious; for tests and for trying a job
//! out. Nothing survives the process.
//!
//! - [`realtime`]: cells and progress rows in ordered maps; a snapshot is a copy;
//! - [`published`]: manifests in a map, and generations whose runs are byte strings with real checksums;
//! - [`tables`]: tables of written records in maps.
#![forbid(unsafe_code)]

pub mod published;
pub mod realtime;
pub mod tables;

pub use published::{MemoryGenerations, MemoryManifests};
pub use realtime::MemoryRealtime;
pub use tables::MemoryTables;

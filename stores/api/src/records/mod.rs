//! What batch runs write to sinks (O22): records by id, in the files of each generation.
//!
//! A file is a sorted run (`stores/offline`) whose values are *blocks* of records, each under the id of its last record, so that
//! the block with an id is found as a key is. Generation N has exactly the records below its frontier, each once: an incremental
//! run adds its files to those of its base. Records of several files are read in the order of ids, which never meet twice.
//!
//! Modules in reading order:
//! - [`block`]: records that are compressed together, byte by byte;
//! - [`write`](mod@write): a file of records; [`read`]: the records of a generation in order.

pub mod block;
pub mod read;
pub mod write;

use serde::{Deserialize, Serialize};

pub use read::{Records, verify};
pub use write::RecordWriter;

use crate::id::WrittenId;
use crate::manifest::RunFile;

/// What a generation has of one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkGeneration {
    /// What the bytes of a record mean.
    pub schema: String,
    /// In the order in which they were added. No id is in two of them.
    pub files: Vec<RecordFile>,
}

/// An immutable file of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFile {
    /// The run that it is: a key a block, the id of the block's last record.
    pub file: RunFile,
    /// How many records.
    pub records: u64,
    /// The first id.
    pub first_id: String,
}

impl SinkGeneration {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.files.iter().map(|f| f.records).fold(0, u64::saturating_add)
    }
}

//! What is bound to sink ports: where written records go, in which form, and what that place promises (O22-O24).
//!
//! - [`topic`]: a Kafka topic; [`files`]: JSON lines in a directory; [`table`]: a table beside the state; [`each_generation`]: files
//!   of the offline store;
//! - [`Layer`]: which layer writes (O22);
//! - [`Promise`]: whether a record may come twice, by the type of the binding: [`ExactlyOnce`], [`AtLeastOnce`];
//! - [`RecordId`]: which record it is (O13); [`Sinks`]: what is bound, by port.

use std::fmt;

mod bound;
mod encode;
mod files;
mod generations;
mod promise;
mod table;
mod topic;

pub use bound::{SinkBinding, Sinks};
pub use encode::{Encode, Encoded, Json, Lines, Show};
pub use files::{Files, files};
pub use generations::{EachGeneration, Layer, each_generation};
pub use promise::{AtLeastOnce, ExactlyOnce, Promise, Says};
pub use table::{Table, table};
pub use topic::{Topic, topic};

/// Which record it is that was written (O13): of the sink's step, by the record of the log that it was made of. It depends on
/// the job and the log alone: read again, the record has the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The source's place in the plan.
    pub source: u32,
    /// The partition.
    pub partition: u32,
    /// The offset of the record of the log.
    pub offset: u64,
    /// Which of the things that the steps made of it: [`Origin::number`](crate::Origin::number).
    pub number: u64,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkPlace {
    /// A topic: `kafka://HOST:PORT/TOPIC`.
    Topic(String),
    /// Files below a directory.
    Files(String),
    /// A table in the job's own directory.
    Table,
    /// Files of each generation.
    Generations,
}

impl SinkPlace {
    /// Who writes there.
    pub fn layer(&self) -> Layer {
        match self {
            Self::Topic(_) | Self::Files(_) | Self::Table => Layer::Live,
            Self::Generations => Layer::Batch,
        }
    }
}

impl fmt::Display for SinkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(at) => f.write_str(at),
            Self::Files(dir) => write!(f, "files:{dir}"),
            Self::Table => f.write_str("a table beside the state"),
            Self::Generations => f.write_str("files of each generation"),
        }
    }
}

/// What may be bound to a sink port.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a `Sink<{T}>`",
    note = "`topic(..)`, `files(..)`, `table()` and `each_generation()` write records that are `Codec`: derive it, or map to a type that has it",
    note = "`topic(..).text()` writes records that are text"
)]
pub trait SinkTo<T> {
    /// What it promises.
    fn promise(&self) -> Promise;
    /// Where records go.
    fn place(&self) -> SinkPlace;
    /// How they are written.
    fn encode(&self) -> Encode;
    /// What their bytes mean.
    fn schema(&self) -> String;
    /// How they are shown. Of JSON, unless it says otherwise.
    fn show(&self) -> Show {
        encode::json_shown
    }
}

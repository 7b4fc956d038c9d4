//! Sinks: written before the state is (O10), each with a mark of its own (O23, O24).
//!
//! A record of partition `p` at offset `o` is in a sink when the sink's mark of `p` is above `o`. Mark and records change in one
//! atomic write of the sink, so whatever becomes of the state behind it, a replay from older state emits the same again and is
//! skipped up to the mark. A state that is ahead of a sink is taken back to the drop permission, which no mark is below (O25).
//!
//! Where it stands in one domain with other partitions these are then taken back as well: their rows stand apart (`domain`).
//!
//! `write`: what the flush thread does; `waiting`: when what waits for it is too much; `meet`: marks and rows are compared when a
//! partition is acquired.

mod meet;
mod waiting;
mod write;

use std::time::Duration;

use rufous_core::sink::Encode;
use rufous_core::{Promise, Result, SourcePartition};
pub use rufous_store_api::Hole;
#[doc(hidden)]
pub use rufous_store_api::points::reach;

pub(crate) use waiting::Written;
pub(crate) use write::OpenSinks;

/// How often a wait for the place of a sink is a sign of life.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// One record on its way into a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkRow<'a> {
    /// The offset of the record of the log that it was made of.
    pub offset: u64,
    /// Which of the things made of that it is.
    pub number: u64,
    /// In the form of the binding.
    pub bytes: &'a [u8],
}

impl SinkRow<'_> {
    /// The id as text: `sink/source/partition/offset/number` (O13).
    pub fn id(&self, sink: &str, p: &SourcePartition) -> String {
        format!("{sink}/{}/{}/{}/{}", p.source, p.partition, self.offset, self.number)
    }
}

/// Records of one partition for one sink, ascending by offset and number, and the step of the mark that comes with them.
#[derive(Clone, Copy, Debug)]
pub struct SinkWrite<'a> {
    /// Whose records.
    pub partition: &'a SourcePartition,
    /// Where the mark stands.
    pub mark: u64,
    /// Where it will: all that is below is written.
    pub to: u64,
    /// What is between the two.
    pub rows: &'a [SinkRow<'a>],
}

/// A place outside of the state that records are written to.
pub trait SinkWriter: Send {
    /// For messages.
    fn location(&self) -> String;
    /// Whether anything is written here; `false` of a sink that was given up (O25): its records go nowhere.
    fn takes(&self) -> bool {
        true
    }
    /// Becomes the writer of `p`: whoever was it before can write nothing more. Returns where the mark stands; where nothing was
    /// ever written it is set to `start`. `None`: this place keeps no mark (O24). `state` is where the state stands: all that was
    /// made of records below it was written once.
    ///
    /// # Errors
    /// `TryAgain` when the place cannot be reached; `Closed` when another writer cannot be shut out.
    fn open(&mut self, p: &SourcePartition, start: u64, state: u64) -> Result<Option<u64>>;
    /// Whether what cannot be made any more may be [passed](Self::pass) of an open partition, because somebody said so who took the
    /// sink up again (O25).
    fn may_lose(&self, _: &SourcePartition) -> bool {
        false
    }
    /// Writes records and mark, all or nothing.
    ///
    /// # Errors
    /// The outcome is unknown then: [`open`](Self::open) follows before anything else is written. `Closed`: another one is the
    /// writer.
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()>;
    /// The records of a range are lost to the sink (O26): records it, and moves the mark to its end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()>;
    /// Another process writes `p` from now on.
    fn close(&mut self, p: &SourcePartition);
}

/// A sink of the job and the place that it is bound to.
pub struct BoundSink {
    /// The port's name.
    pub name: &'static str,
    /// How its records are written.
    pub encode: Encode,
    /// What the place promises.
    pub promise: Promise,
    /// Where they go.
    pub writer: Box<dyn SinkWriter>,
}

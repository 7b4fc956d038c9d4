//! What stores are to the rest of Rufous: small blocking traits that take many keys at once, and the persisted records that
//! the two layers share. The rules (P1 ...) are those of the hand-over protocol; see `ARCHITECTURE.md`.
//!
//! Modules in reading order:
//! - [`progress`]: how far a realtime shard is, and the check that both layers divide the log alike (P28);
//! - [`realtime`]: cells and progress rows, committed in one atomic write; snapshots of them; [`split`]: stores that
//!   cannot write both at once; [`stats`]: what a store shows of itself;
//! - [`manifest`]: the numbered record that names one generation; [`window`]: the event time that it may be limited to;
//!   [`offline`]: its files; [`records`]: what it has of sinks;
//! - [`archive`]: the archive's files and index; [`table`]: tables of written records, by [`id`];
//! - [`kit`]: plain key-value stores, and what composes them; [`guide`]: how to write a store of your own;
//! - [`asked`]: operators ask for state over a channel;
//! - [`layout`]: the data directory; [`namespace`]: which state of a server is meant; [`exclusive`]: files that are created once;
//! - [`points`]: where a test may end the process;
//! - [`wire`]: reading a shard through its owner's socket; [`conformance`]: what every realtime store, every place of tables and
//!   every plain store must pass.
#![forbid(unsafe_code)]

pub mod archive;
pub mod asked;
pub mod conformance;
pub mod exclusive;
#[doc = include_str!("../guides/store.md")]
pub mod guide {}
pub mod id;
pub mod kit;
pub mod layout;
pub mod lines;
pub mod manifest;
pub mod namespace;
pub mod offline;
pub mod points;
pub mod progress;
pub mod realtime;
pub mod records;
pub mod split;
pub mod stats;
pub mod table;
pub mod until;
pub mod window;
pub mod wire;

pub use archive::{Archive, ArchivedFile, IndexEntry};
pub use id::WrittenId;
pub use kit::{BoxStore, FullStore, MapStore, MergeableStore, ReadWriteStore, ReadableStore, StoreExt, WritableStore};
pub use layout::Layout;
pub use manifest::{InputRange, Manifest, ManifestLog, Published, RunFile, SourceHole, StoreGeneration};
pub use namespace::NamespaceOf;
pub use offline::{Entries, GenerationStore, MergedRuns, RunWriter, merge_runs};
pub use progress::{Hole, Misalignment, Progress};
pub use realtime::{
    Advance, Cell, Commit, Committed, First, Guarantee, KeyRange, ProgressRows, RealtimeReader, RealtimeStore, Repair,
    Snapshot,
};
pub use records::{RecordFile, SinkGeneration};
pub use split::{AtLeastOnce, SplitStore};
pub use stats::StoreStats;
pub use table::{TableReader, TableStore};
pub use until::{GivenUp, Until};
pub use window::Window;

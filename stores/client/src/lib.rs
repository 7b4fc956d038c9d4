//! Merged reads: the offline part and the realtime part as one exact answer.
//!
//! # The theorem
//!
//! Every source partition `p` of a job is an offset-ordered log, cut into batches; inside one partition the batch never goes
//! down, so a batch is an offset range (P1). A manifest names a frontier: per partition a batch `b` and the offset `cut` where
//! it begins. The offline layer holds the fold of all records of `p` below `cut`. The realtime layer holds a cell per (key, `p`,
//! batch), and a progress row that says how far it has read and where each batch began. Then
//!
//! ```text
//! answer(k) = offline(k) + sum over p, over b >= frontier(p).batch, of cell(k, p, b)
//! ```
//!
//! is, per partition, the fold of `[0, max(next, cut))` with each record exactly once, **if** for every partition
//!
//! - the rows and cells are of one point in time, and the manifest was cached or read after that (P29);
//! - no cell that the frontier leaves to the realtime layer was dropped: `retained_from <= frontier.batch`;
//! - both layers divide the partition at the same offset (P28): one comparison catches a changed batcher, a lost range, a bug;
//! - no range at or above the frontier was lost unread, and none is lost offline (P31).
//!
//! The client checks all of it on every read. When a condition does not hold, the read is an [`Error`](rufous_core::Error) that
//! names the partition and the offsets: **a partial sum never passes for a whole one**. Who wants the part that is known says so
//! with another word and gets another type: [`StoreClient::get_partial`] and [`Partial`], with everything that is
//! [`Missing`]; or [`StoreClient::accept_holes`], and then [`Coverage::holes`] lists what was accepted.
//!
//! | condition | [`Missing`] | kind of the error |
//! |---|---|---|
//! | cells were dropped that no generation covers | [`Missing::Gap`] | `CorruptData` |
//! | the layers divide a partition at different offsets | [`Missing::Misaligned`] | `CorruptData` |
//! | a range was deleted before it was read | [`Missing::Hole`] | `Incomplete` |
//! | the owner of the realtime state does not answer | [`Missing::Unavailable`] | `TryAgain` |
//!
//! Either layer may be ahead. `value: None` in an [`Answer`] is *surely absent*; [`Answer::coverage`] says what the answer
//! covers and [`Answer::token`] lets anyone compute it again.
//!
//! A read may have terms of its own: [`StoreClient::at_least`] demands what must have been applied ("read my writes"),
//! [`StoreClient::until`] when it must be done; what cannot keep them is `TryAgain` that says by how much. [`Client::snapshot`] holds
//! one moment for reads of several stores, and [`StoreClient::explain_answer`] shows each value that was merged.
//!
//! # Example
//!
//! ```no_run
//! use rufous_client::{Client, ClientParts};
//! use rufous_core::{Key, KeyOf, Result, Store};
//! # fn parts() -> ClientParts { unimplemented!() }
//!
//! const COUNTS: Store<String, u64> = Store::new("counts");
//!
//! fn main() -> Result<()> {
//!     let client = Client::new(parts());               // or `rufous::client::open(..)`, which finds the stores
//!     let counts = client.store(COUNTS)?;
//!     let a = counts.get("rufous")?;
//!     println!("{:?}, offline until {}", a.value, a.coverage);
//!     for (key, a) in ["a", "b"].iter().zip(counts.multi_get(&["a", "b"])) {
//!         println!("{key}: {:?}", a?.value);           // all of one snapshot
//!     }
//!     let p = counts.get_partial("rufous")?;
//!     println!("{:?} without {:?}", p.so_far, p.missing);
//!     Ok(())
//! }
//! ```
//!
//! The client knows traits only ([`ManifestLog`](rufous_store_api::ManifestLog),
//! [`GenerationStore`](rufous_store_api::GenerationStore), [`RealtimeReader`](rufous_store_api::RealtimeReader)). It blocks, has
//! no runtime and no thread of its own, and is cheap to clone: call it from anywhere.
//!
//! Modules in reading order: `check` (the conditions above, a pure function), `readers` and `taken` (the snapshot), `cache` (offline values by generation), `view` (snapshot, then
//! manifest; section 8 of the protocol), `terms` (what a caller demands), [`raw`] (reads of bytes), [`typed`] (the thin typed face),
//! [`held`] (one moment of several stores), [`plain`] (the same as a plain store), [`window`] (sums over event time), [`answer`],
//! [`token`] and [`missing`] (what comes back), [`explain`] (what it was made of), [`reconcile`] (the two layers compared where
//! both hold the same records), [`snapshots`] (generations as what another job looks up).
#![forbid(unsafe_code)]

pub mod answer;
mod cache;
mod check;
pub mod client;
pub mod explain;
pub mod held;
pub mod missing;
pub mod plain;
pub mod raw;
mod readers;
pub mod reconcile;
pub mod scan;
pub mod sink;
pub mod snapshots;
mod taken;
mod terms;
pub mod token;
pub mod typed;
mod view;
pub mod window;

pub use answer::{Answer, Basis, Coverage, Partial, PartitionCoverage, RawAnswer, RawPartial};
pub use client::{Client, ClientParts, OpenRealtime};
pub use explain::RawExplained;
pub use held::ClientSnapshot;
pub use missing::Missing;
pub use raw::RawStoreClient;
pub use reconcile::{Comparison, Drift, ReconcileOptions, Reconciled};
pub use sink::{RawSinkClient, RawWritten, SinkClient, WrittenRecord, WrittenRecords};
pub use snapshots::GenerationsOf;
pub use token::Token;
pub use typed::StoreClient;
pub use window::{
    End, RawWindowAnswer, RawWindowClient, RawWindowExplained, Window, WindowAnswer, WindowClient, WindowCount,
    WindowWords, key_of_windows,
};

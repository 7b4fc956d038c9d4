//! Bulk runs: the batches that the archive holds into a new generation beside the live job, or a bounded input of files
//! (Parquet, or lines of JSON, CSV or text) into a generation of its own.
//!
//! Modules in reading order:
//! - [`target`]: how far a run may go, per partition (P20, P21);
//! - `work`: pieces of input, taken by several threads; `worker`: a thread with its own steps and maps, and panics in them;
//!   `joint`: several sources that have one order;
//! - `sums`: what the threads have summed, in memory or in files, added up in key order;
//! - [`options`]: what a run is given and what it tells; [`survey`]: what it will do; `archived`: with archives, `history`: what
//!   was read of them before; `bounded`: with files that are taken whole, `known`: which of them were summed, `taken`: one;
//! - [`run`]: the whole run and its publish (P22); `keep`: what it permits to drop (P23); `compact`: runs that are merged behind it;
//! - [`backfill`]: a line of generations beside the live one; [`progress`]: how far a run is;
//! - [`input`]: the files of a bounded input, and files of lines; `columns`: Parquet files as columns.
#![forbid(unsafe_code)]

mod archived;
pub mod backfill;
mod bounded;
mod columns;
mod compact;
mod history;
pub mod input;
mod joint;
mod keep;
mod known;
pub mod options;
pub mod progress;
pub mod run;
mod sinks;
mod sums;
pub mod survey;
mod taken;
pub mod target;
mod work;
mod worker;

pub use input::InputFile;
pub use options::{BatchOptions, BatchReport, BatchRun, BulkInput, WrittenTo};
pub use progress::{Phase, Progress};
pub use survey::{PlannedPart, RunPlan, check};

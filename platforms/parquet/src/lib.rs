//! Bulk runs: the batches that the archive holds into a new generation beside the live job, or a bounded Parquet input into
//! a generation of its own.
//!
//! Modules in reading order:
//! - [`target`]: how far a run may go, per partition (P20, P21);
//! - `work`: pieces of input, taken by several threads; `worker`: a thread with its own steps and maps, and panics in them;
//! - `merge`: the threads' sums, added up in key order;
//! - [`run`]: the whole run and its publish (P22, P23); `columns`: Parquet files as columns.
#![forbid(unsafe_code)]

mod columns;
mod merge;
pub mod run;
pub mod target;
mod work;
mod worker;

pub use run::{BatchOptions, BatchReport, BatchRun, BulkInput, check};

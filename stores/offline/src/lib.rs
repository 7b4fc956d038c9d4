//! Published generations in a directory or an object store: immutable sorted runs, and numbered manifests that name them.
//!
//! Modules in reading order:
//! - [`manifests`]: one file a manifest, created exclusively: that is the publish (P22);
//! - [`run`]: the file of a sorted run, byte by byte, its writer and its reader;
//! - [`generations`]: the runs of a job's stores, added up in point reads and scans; many runs merged into one;
//! - [`gc`]: deletes what no manifest that may be read or rolled back to names (P25).
//!
//! Nothing is visible before a manifest names it; a torn or altered file is an error that names it, never skipped.
//!
//! ```
//! use rufous_core::{Store, StoreFace};
//! use rufous_store_api::{GenerationStore, StoreGeneration};
//! use rufous_store_offline::Generations;
//!
//! # fn main() -> rufous_core::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| rufous_core::Error::bug(e.to_string()))?;
//! let counts = StoreFace::of(Store::<String, u64>::new("counts"));
//! let generations = Generations::new(dir.path());
//! let mut generation = StoreGeneration::default();
//! for value in [2u64, 40] {
//!     let mut run = generations.begin_run(&counts)?;
//!     run.push(b"merlin\0", &value.to_le_bytes())?;
//!     generation.runs.extend(run.finish()?);
//! }
//! let found = generations.get(&counts, &generation, &[b"merlin\0".to_vec(), b"rook\0".to_vec()])?;
//! assert_eq!(found, [Some(42u64.to_le_bytes().to_vec()), None]);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod gc;
pub mod generations;
mod hold;
mod key_range;
pub mod manifests;
pub mod run;

pub use gc::Gc;
pub use generations::Generations;
pub use manifests::Manifests;

//! Published generations in a directory or an object store: immutable sorted runs, and numbered manifests that name them.
//!
//! Modules in reading order:
//! - [`manifests`]: one file a manifest, created exclusively: that is the publish (P22);
//! - [`run`]: the file of a sorted run, byte by byte, its writer and its reader;
//! - [`generations`]: the runs of a job's stores, added up in point reads and scans; many runs merged into one;
//! - [`checked`]: whether the files of many generations are there, without opening each of them at each look;
//! - [`gc`]: deletes what no manifest that may be read or rolled back to names (P25).
//!
//! Nothing is visible before a manifest names it; a torn or altered file is an error that names it, never skipped.
//!
//! # Format 1 is frozen
//!
//! Manifests and runs, and the index entries and files of the archive, say their format in a fixed place: the field
//! `format`, the seventh byte of a run, the entry `rufous.format` of a Parquet footer. All of them have format 1, and that
//! means:
//!
//! - Every later program reads it and goes on with a directory that holds it, without a step of migration.
//! - It is written the same: manifests and index entries to the letter, runs to the byte, archive files by columns and by
//!   what they say of themselves (how Parquet packs them is free).
//! - Nothing is added to it. A program refuses a manifest with a field that it does not know: the field may change what
//!   the answer is.
//! - A program that meets another number refuses the file by its name and that number, and answers nothing from it.
//!
//! Another format has its number in the same place, and golden files of its own beside those of format 1. A program
//! that knows both reads both, in one generation and in one log of manifests: what exists is not written anew. It writes
//! format 2 only where format 1 cannot say what is to be said, so a directory that needs nothing new stays readable by
//! older programs. An older program stops at the first file of format 2 that it needs. What was published before is whole,
//! and the newer program can make it current by `rollback`.
//!
//! Of manifests there are two more. Format 2 says which hops of a windowed store are dropped (`dropped` of a store, per size of
//! hops an instant in milliseconds), or which answers are not repeatable. Format 3 says what the generation has of sinks (`sinks`,
//! by name: what the bytes of a record mean, and files). A job without any of it has manifests of format 1. The files of
//! sinks are runs of format 1; what lies in them has a version of its own (`rufous_store_api::records::block`).
//!
//! The realtime state has a number of its own (`rufous-store-rocksdb`): it can be made again from the log, so it may be
//! migrated.
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

pub mod checked;
pub mod gc;
pub mod generations;
mod hold;
mod key_range;
pub mod manifests;
pub mod pins;
pub mod run;

pub use checked::Checked;
pub use gc::Gc;
pub use generations::Generations;
pub use manifests::Manifests;
pub use pins::PinFiles;

//! The same-answer machine: a catalogue of jobs, each beside its answer in plain collections, for every platform there
//! is. Behind the feature `testing`; no clock, thread, I/O or platform is in it.
//!
//! - [`Case`]: a job, its input as a log would hold it, and its answer, computed by code that shares nothing with the
//!   product;
//! - [`catalogue()`]: all of them, one module a family of shapes; "7.1 job 4" and "trap 18" in their descriptions are
//!   the jobs of Summingbird's `TestGraphs` and the traps that it and other systems fell into;
//! - [`Subject`]: a platform, set up in one way; [`check`]: the whole catalogue over it.
//!
//! # How to add a platform
//!
//! Write one [`Subject`] and call [`check`] on it in a test. The subject binds the case's input to the sources in
//! whatever form the platform reads ([`SourceInput`] has offsets, partitions and log times for all), runs the job, and
//! gives back every store as canonical bytes. What the platform cannot run it declares in [`Subject::refusals`]: then
//! [`check`] demands that it says no before it reads. Pin the report's numbers in the test, so that no case is lost in
//! silence.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use rufous_core::testing::{Answers, Case, Reason, Subject, check};
//! use rufous_core::{BatchId, ChunkMeta, Error, Result};
//!
//! /// One thread, one pass, stores in a map; no sinks and no order.
//! struct OnePass;
//!
//! const SINKS: Reason = Reason::Error("one-pass has no sinks");
//! const ORDER: Reason = Reason::Compiler("one-pass keeps no order");
//!
//! impl Subject for OnePass {
//!     fn name(&self) -> String {
//!         "one pass".into()
//!     }
//!     fn refusals(&self) -> &'static [Reason] {
//!         &[SINKS, ORDER]
//!     }
//!     fn can(&self, case: &Case) -> Result<(), Reason> {
//!         match (case.in_order(), case.sinks()) {
//!             (true, _) => Err(ORDER),
//!             (false, []) => Ok(()),
//!             (false, _) => Err(SINKS),
//!         }
//!     }
//!     fn run(&self, case: &Case) -> Result<Answers> {
//!         let plan = case.plan()?;
//!         if !plan.sinks().is_empty() {
//!             return Err(Error::invalid(SINKS.text()));
//!         }
//!         let mut run = plan.instantiate();
//!         for (source, face) in plan.sources().iter().enumerate() {
//!             let log = case.input().source(face.name).ok_or_else(|| Error::invalid("no input"))?;
//!             let mut decoder = face.decoder(log.format)?;
//!             let (mut times, mut bad) = (Vec::new(), Vec::new());
//!             for records in log.batches(if plan.one_by_one() { 1 } else { 1_000 }) {
//!                 decoder.decode(&records, &mut times, &mut bad);
//!                 let all = 0..records.entries.len();
//!                 if let Some(origins) = run.origins(source as u32) {
//!                     // Joins ask for them; `MAX`: an input without batches.
//!                     origins.begin(records.partition, BatchId::MAX);
//!                     origins.entries(&records, &times, &bad, all.clone());
//!                 }
//!                 let meta = ChunkMeta { source: source as u32, partition: records.partition, batch: BatchId(0) };
//!                 run.push(&meta, decoder.chunk(all))?;
//!             }
//!         }
//!         let mut stores = Vec::new();
//!         for (face, deltas) in plan.stores().iter().zip(run.take(Vec::new())?) {
//!             // A key may come more than once: partitions are added up apart.
//!             let mut cells = BTreeMap::<Vec<u8>, Vec<u8>>::new();
//!             deltas.for_each(&mut |delta| {
//!                 let mut sum = Vec::new();
//!                 let before = cells.remove(delta.key);
//!                 let mut parts = before.as_deref().into_iter().chain([delta.value]);
//!                 face.value.sum(&mut parts, &mut sum).map_err(|e| Error::bug(e.to_string()))?;
//!                 cells.insert(delta.key.to_vec(), sum);
//!                 Ok(())
//!             })?;
//!             stores.push((face.name, cells));
//!         }
//!         Answers::of_stores(stores)
//!     }
//! }
//!
//! let report = check(&OnePass, &mut |line| println!("{line}"));
//! assert!(report.ran > 30 && report.refused.len() == 2, "{report}");
//! ```
//!
//! # How to add a case
//!
//! Write a function that returns a [`Case`] in the module of its family and name it in that module's `cases`. The
//! answer comes from the records as they were generated, by loops and maps; `Codec` and `key` only turn it into bytes.

mod answers;
mod case;
pub mod catalogue;
mod check;
mod input;
mod random;
mod records;
mod subject;

pub use answers::{Answers, Cells, Records, records};
pub use case::{AnyJob, Case, ReadSinks, SinkPort};
pub use catalogue::{catalogue, domains, many_partitions};
pub use check::{Report, check, check_cases};
pub use input::{Event, Input, START_MS, SourceInput, SourcePort};
pub use random::Random;
pub use records::{Page, Sale, Visit, lines, sales, visits};
pub use subject::{Reason, Subject};

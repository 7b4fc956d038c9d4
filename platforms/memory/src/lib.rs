//! The model platforms: jobs over plain collections, without I/O. Unit tests of jobs run here, and the other platforms are
//! compared with them.
//!
//! - [`Memory`]: one thread, everything as it was said; it also runs jobs that need order;
//! - [`Concurrent`]: all cores, for jobs that do not;
//! - [`JobTest`]: `job.test()`, a job over lists;
//! - [`Totals`]: what a run left in stores, sinks and counters.
//!
//! ```
//! use rufous_core::{Job, Source, Store};
//! use rufous_platform_memory::JobTest;
//!
//! const LINES: Source<str> = Source::new("lines");
//! const COUNTS: Store<String, u64> = Store::new("counts");
//! let counts = LINES.read()
//!     .keyed(|line, out| for word in line.split(' ') { out.emit(word, 1) })
//!     .sum_by_key(COUNTS);
//!
//! let run = Job::new("word-count", counts).test().given(LINES, ["to be or", "not to be"]).run()?;
//! assert_eq!(run.get(COUNTS, "to"), Some(2));
//! assert_eq!(run.get(COUNTS, "a"), None);
//! # Ok::<(), rufous_core::Error>(())
//! ```
#![forbid(unsafe_code)]

mod concurrent;
mod given;
mod memory;
mod test;
mod totals;

pub use concurrent::Concurrent;
pub use memory::Memory;
pub use test::{JobTest, TestRun};
pub use totals::Totals;

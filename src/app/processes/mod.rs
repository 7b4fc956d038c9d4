//! The processes of a job that run on this machine, and what they tell those who look: each has a note and a Unix socket below
//! `<job>/processes/`, and answers questions there from a thread of its own, also while its engine is busy or stuck.
//!
//! - `note`: who lives, by the lock of a file; `told`: the thread that answers; `status`: what it says; `asked`: who asks.
//!
//! One question a connection: a line of JSON, answered by a JSON object. Nothing that is asked changes anything.

pub(super) mod asked;
mod note;
mod status;
mod told;

#[cfg(test)]
mod tests;

#[cfg(feature = "parquet")]
pub(super) use status::Flowed;
pub(super) use status::Status;
#[cfg(feature = "parquet")]
pub(super) use told::Told;
pub(super) use told::tell;

/// The version of questions and answers.
const VERSION: u64 = 1;

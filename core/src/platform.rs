//! What a platform is to a job.

use crate::error::Result;
use crate::job::Job;

/// A place where jobs run.
pub trait Platform {
    /// Its name in messages: "memory", "kafka".
    fn name(&self) -> &'static str;
}

/// A platform that can run a `Job<S>`. Every platform runs `Job<Anywhere>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run a `Job<{S}>`: it does not keep each key's records in order",
    label = "this platform keeps no order, and the job called `.in_order()`",
    note = "run it on `Memory`, which keeps order",
    note = "or make the value commutative (`Latest<T, N>` keeps the newest by their time) and drop `.in_order()`"
)]
pub trait Runs<S>: Platform {
    /// What a run says about itself.
    type Report;
    /// Runs the job until its input ends or it is told to stop.
    ///
    /// # Errors
    /// When a port is not bound, an input cannot be read, or a store refuses.
    fn run(&self, job: &Job<S>) -> Result<Self::Report>;
}

//! What is tested: a platform, set up in one way.

use super::answers::Answers;
use super::case::Case;
use crate::error::Result;

/// Why a subject does not run a case. Each is part of the subject's declared list, so nothing is passed over in
/// silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The compiler refuses it: the platform does not run such a job. `compile_fail` tests hold that.
    Compiler(&'static str),
    /// The run fails with an error that contains this text, before anything is read.
    Error(&'static str),
}

impl Reason {
    /// Its text.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Compiler(text) | Self::Error(text) => text,
        }
    }
}

/// A platform, set up in one way.
pub trait Subject {
    /// For people: "memory, chunks of 7".
    fn name(&self) -> String;
    /// Every reason that [`can`](Self::can) gives.
    fn refusals(&self) -> &'static [Reason] {
        &[]
    }
    /// Whether it runs such a job.
    ///
    /// # Errors
    /// With the reason when it does not.
    fn can(&self, _case: &Case) -> Result<(), Reason> {
        Ok(())
    }
    /// Runs the case's job over its input.
    ///
    /// # Errors
    /// What the platform reports.
    fn run(&self, case: &Case) -> Result<Answers>;
}

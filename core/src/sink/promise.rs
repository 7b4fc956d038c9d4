//! What a place promises, by the type of the binding.

use std::fmt;

/// Whether a record may stand in a sink twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The mark lives in the sink and changes with the data in one atomic, fenced write (O23).
    ExactlyOnce,
    /// The mark is the state's: after a crash or a rebuild records come again, with equal bytes and id (O24).
    AtLeastOnce,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnce => "exactly once",
            Self::AtLeastOnce => "at least once",
        })
    }
}

/// In the type of a binding: each record is there once.
#[derive(Clone, Copy, Debug)]
pub enum ExactlyOnce {}
/// In the type of a binding: a record may be there again after a crash or a rebuild.
#[derive(Clone, Copy, Debug)]
pub enum AtLeastOnce {}

/// What a type of a binding says.
pub trait Says {
    /// The promise.
    const PROMISE: Promise;
}
impl Says for ExactlyOnce {
    const PROMISE: Promise = Promise::ExactlyOnce;
}
impl Says for AtLeastOnce {
    const PROMISE: Promise = Promise::AtLeastOnce;
}

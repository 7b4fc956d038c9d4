//! How many copies must agree.

use std::num::NonZeroUsize;

/// How many of `n` copies a read or a write needs. Reads see what was written when both together need more than `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Any one.
    One,
    /// More than half.
    Majority,
    /// All.
    All,
}

impl Quorum {
    /// How many of `n` that is.
    pub fn of(self, n: NonZeroUsize) -> usize {
        match self {
            Self::One => 1,
            Self::Majority => n.get() / 2 + 1,
            Self::All => n.get(),
        }
    }
}

//! Records of two kinds in one stream.

/// What [`Producer::either`](crate::Producer::either) gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Either<L, R> {
    /// From the producer itself.
    Left(L),
    /// From the other one.
    Right(R),
}

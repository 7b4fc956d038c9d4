//! Several stores as one.

mod quorum;
mod replicated;
mod searching;
mod sharded;

pub use quorum::Quorum;
pub use replicated::{Repaired, Replicated};
pub use searching::Searching;
pub use sharded::{Sharded, shard_of};

//! How a store is asked: in batches, again, later; and counted.

mod adds;
mod backoff;
mod batched;
mod behind;
mod observed;
mod retrying;

pub use adds::Adds;
pub use backoff::Backoff;
pub use batched::Batched;
pub use behind::{Behind, Unclear, WriteBehind, Writes};
pub use observed::{Call, Counts, Observed, Observer, Operation, Totals};
pub use retrying::{Retrying, RetryingAdds};

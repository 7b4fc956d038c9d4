//! Stores without a server: a map, nothing, one value for all keys, a function.

mod constant;
mod empty;
mod function;
mod map;

pub use constant::{Constant, constant};
pub use empty::{Empty, empty};
pub use function::{Function, function};
pub use map::MapStore;

//! A quicker store in front of a slower one.
//!
//! A cache is a store of `Option<V>`: `Ok(None)` of it says that it does not know, `Ok(Some(None))` that the key is surely absent. So what
//! it never heard of cannot be taken for absence.

mod memory;
mod read_through;
mod write_through;

pub use memory::MemoryCache;
pub use read_through::ReadThrough;
pub use write_through::WriteThrough;

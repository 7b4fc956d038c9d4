//! Buffers that combine values of one key before they go on: what is sent, stored or merged is a sum, not every value.
//!
//! A buffer may delay, and it loses nothing. **Law** (conservation): for any values put in, the sum by key of what comes out,
//! with what a last flush brings, is the sum by key of what went in; the values of one key are added in the order they
//! came, so it holds for semigroups that are not commutative as well. `laws::rule::conserves` checks it.
//!
//! | buffer | what it is |
//! |---|---|
//! | [`CombineMap`] | a hash table whose keys lie in one arena: nothing is allocated for a key that it knows |
//! | [`Budgeted`] | such a map that empties itself when it takes more than its budget of bytes |
//! | [`HotFront`] | a few slots before another buffer, for keys that come all the time |
//!
//! **Cost** (`cargo bench -p rufous-algebra --bench buffer`; a stream of words, 1,000 and 100,000 different): a map takes
//! about 40 to 56 bytes a key and the key; a value of a known key is one look-up. **Not for** windows that must see every
//! value, or where a key's values must leave one by one.
//!
//! ```
//! use rufous_algebra::buffer::{Budgeted, Buffer};
//! let mut sums = Budgeted::<u64>::new(1 << 20);
//! let mut out = Vec::new();
//! for word in ["to", "be", "or", "not", "to", "be"] {
//!     sums.put(word.as_bytes(), 1, &mut |key, n| out.push((key.to_vec(), n)));
//! }
//! assert!(out.is_empty());
//! sums.flush(&mut |key, n| out.push((key.to_vec(), n)));
//! assert_eq!(out[0], (b"be".to_vec(), 2));
//! ```

mod budgeted;
mod front;
mod map;

pub use budgeted::Budgeted;
pub use front::HotFront;
pub use map::{CombineMap, Full, Hint};

/// Takes values in by key, and gives sums out, sooner or later.
pub trait Buffer<V> {
    /// Takes a value in. What has to leave for it goes to `out`.
    fn put(&mut self, key: &[u8], value: V, out: &mut dyn FnMut(&[u8], V));
    /// Gives out all that is left.
    fn flush(&mut self, out: &mut dyn FnMut(&[u8], V));
    /// Whether a flush would give out nothing.
    fn is_empty(&self) -> bool;
}

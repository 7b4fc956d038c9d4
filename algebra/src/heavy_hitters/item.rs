//! What can be counted.

use std::borrow::Borrow;

use compact_str::CompactString;

use crate::codec::Codec;
use crate::hash::HashBytes;

/// An item that heavy hitters can keep: its hash finds it, its order breaks ties, its bytes are stored. Every type that
/// has all of these is one; there is nothing to implement.
pub trait Item: HashBytes + Ord + Codec + Clone + Send + Sync + 'static {}
impl<T: HashBytes + Ord + Codec + Clone + Send + Sync + 'static> Item for T {}

/// An item that can be looked up as `Q` and made from it. `Q` is the item itself, or `str` for text: a text that is
/// there already is counted without a `String` being allocated.
///
/// **Law:** `keep(q).borrow() == q`, and both have the same hash.
pub trait Keep<Q: HashBytes + Eq + ?Sized>: Borrow<Q> {
    /// The item to keep.
    fn keep(item: &Q) -> Self;
}
impl<T: HashBytes + Eq + Clone> Keep<T> for T {
    fn keep(item: &T) -> Self {
        item.clone()
    }
}
impl Keep<str> for String {
    fn keep(item: &str) -> Self {
        item.into()
    }
}
impl Keep<str> for CompactString {
    fn keep(item: &str) -> Self {
        item.into()
    }
}
impl Keep<[u8]> for Vec<u8> {
    fn keep(item: &[u8]) -> Self {
        item.into()
    }
}

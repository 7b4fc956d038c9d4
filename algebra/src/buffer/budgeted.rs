//! A map that empties itself.

use super::{Buffer, CombineMap, Full};
use crate::semigroup::Semigroup;

/// A [`CombineMap`] with a budget of bytes: once it takes more, everything goes out, in the order of the keys.
#[derive(Clone, Debug)]
pub struct Budgeted<V> {
    map: CombineMap<V>,
    budget: usize,
}

impl<V> Budgeted<V> {
    /// Empty; a budget of 0 delays nothing.
    pub fn new(budget: usize) -> Self {
        Self {
            map: CombineMap::default(),
            budget,
        }
    }
    /// The memory in use.
    pub fn bytes(&self) -> usize {
        self.map.bytes()
    }
}

impl<V: Semigroup> Buffer<V> for Budgeted<V> {
    fn put(&mut self, key: &[u8], value: V, out: &mut dyn FnMut(&[u8], V)) {
        if let Err(Full(value)) = self.map.combine(key, value) {
            self.map.drain_sorted(out);
            // A key that an empty map does not take is longer than 4 GiB: it passes through.
            if let Err(Full(value)) = self.map.combine(key, value) {
                out(key, value);
            }
        }
        if self.map.bytes() > self.budget {
            self.map.drain_sorted(out);
        }
    }
    fn flush(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        self.map.drain_sorted(out);
    }
    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

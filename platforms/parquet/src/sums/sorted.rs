//! A list in memory.

use rufous_core::{Deltas, Result};

/// Pairs in key order, end to end in one buffer.
#[derive(Default)]
pub(crate) struct Sorted {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
    /// The partition that all of it is of, where keys stay in one (O2).
    pub(crate) domain: Option<u32>,
}

impl Sorted {
    pub(crate) fn of(deltas: &dyn Deltas) -> Result<Self> {
        let mut sorted = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(deltas.len()),
            domain: None,
        };
        deltas.for_each(&mut |d| {
            sorted.push(d.key, d.value);
            Ok(())
        })?;
        Ok(sorted)
    }
    /// Appends a pair, whose key is not below the last.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key, self.bytes.len()));
    }
    pub(super) fn get(&self, i: usize) -> Option<(&[u8], &[u8])> {
        let &(key, value) = self.ends.get(i)?;
        let from = i
            .checked_sub(1)
            .and_then(|i| self.ends.get(i))
            .map_or(0, |(_, end)| *end);
        Some((&self.bytes[from..key], &self.bytes[key..value]))
    }
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
    /// The place of the first key at or above this one.
    pub(super) fn find(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|(k, _)| k < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<(usize, usize)>()
    }
}

//! The threads' sums, added up in key order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rufous_core::{Deltas, Error, Result, StoreFace};
use rufous_store_api::{GenerationStore, RunFile};

/// Pairs in key order, end to end in one buffer. Equal keys may follow each other (one a source).
pub(crate) struct Sorted {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Sorted {
    pub(crate) fn of(deltas: &dyn Deltas) -> Result<Self> {
        let mut sorted = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(deltas.len()),
        };
        deltas.for_each(&mut |d| {
            sorted.bytes.extend_from_slice(d.key);
            let key = sorted.bytes.len();
            sorted.bytes.extend_from_slice(d.value);
            sorted.ends.push((key, sorted.bytes.len()));
            Ok(())
        })?;
        Ok(sorted)
    }
    fn get(&self, i: usize) -> Option<(&[u8], &[u8])> {
        let &(key, value) = self.ends.get(i)?;
        let from = i.checked_sub(1).map_or(0, |i| self.ends[i].1);
        Some((&self.bytes[from..key], &self.bytes[key..value]))
    }
}

/// Writes the sum of all lists as one run; returns it and the number of keys.
pub(crate) fn write(
    lists: &[&Sorted],
    store: &StoreFace,
    generations: &dyn GenerationStore,
) -> Result<Option<RunFile>> {
    let mut writer = generations.begin_run(store)?;
    let mut heap: BinaryHeap<Reverse<(&[u8], usize)>> = BinaryHeap::new();
    let mut at = vec![0; lists.len()];
    heap.extend(
        lists
            .iter()
            .enumerate()
            .filter_map(|(i, l)| l.get(0).map(|(key, _)| Reverse((key, i)))),
    );
    let (mut parts, mut sum) = (Vec::new(), Vec::new());
    while let Some(Reverse((key, _))) = heap.peek() {
        let key = *key;
        parts.clear();
        while let Some(Reverse((same, i))) = heap.peek().copied()
            && same == key
        {
            heap.pop();
            parts.extend(lists[i].get(at[i]).map(|(_, value)| value));
            at[i] += 1;
            if let Some((next, _)) = lists[i].get(at[i]) {
                heap.push(Reverse((next, i)));
            }
        }
        sum.clear();
        store
            .value
            .sum(&mut parts.iter().copied(), &mut sum)
            .map_err(|e| Error::bug(format!("store `{}`: a value that was just written: {e}", store.name)))?;
        writer.push(key, &sum)?;
    }
    writer.finish()
}

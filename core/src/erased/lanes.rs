//! Values per key in memory, kept apart by (source, partition, batch) (P5), and taken out as sorted, encoded deltas.

use std::any::Any;
use std::cmp::Ordering;

use rufous_algebra::Codec;
use rufous_algebra::buffer::CombineMap;

use super::ChunkMeta;
use crate::batch::BatchId;
use crate::error::Result;

/// One combined value on its way to a store.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// The source's place in the plan.
    pub source: u32,
    /// The partition.
    pub partition: u32,
    /// The batch.
    pub batch: BatchId,
    /// The key's canonical bytes.
    pub key: &'a [u8],
    /// The value's canonical bytes.
    pub value: &'a [u8],
}

/// The content of a combining map that was taken out. It may go to another thread to be sorted and encoded.
pub trait Deltas: Any + Send {
    /// How many cells there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Calls `f` with every cell in order of batch, key, source and partition.
    ///
    /// # Errors
    /// The first error of `f`.
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()>;
    /// Forgets the cells and keeps the space.
    fn clear(&mut self);
    #[doc(hidden)]
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

pub(super) struct Lane<V> {
    pub(super) meta: ChunkMeta,
    pub(super) table: CombineMap<V>,
}

/// One table per (source, partition, batch) that is being added to.
pub(super) struct Lanes<V> {
    pub(super) lanes: Vec<Lane<V>>,
    /// Emptied tables that wait for the next lane.
    spare: Vec<CombineMap<V>>,
}

impl<V> Lanes<V> {
    pub(super) fn new() -> Self {
        Self {
            lanes: Vec::new(),
            spare: Vec::new(),
        }
    }
    pub(super) fn index(&mut self, meta: &ChunkMeta) -> usize {
        // The newest lanes are the busy ones; there are as many as partitions, with few batches each between two flushes.
        if let Some(i) = self.lanes.iter().rposition(|l| l.meta == *meta) {
            return i;
        }
        let table = self.spare.pop().unwrap_or_default();
        self.lanes.push(Lane { meta: *meta, table });
        self.lanes.len() - 1
    }
    pub(super) fn bytes(&self) -> usize {
        self.lanes.iter().map(|l| l.table.bytes()).sum()
    }
}

/// Where a cell is, with as much of its key as most comparisons ask for: sorting these waits for memory far less often than
/// sorting references to keys.
#[derive(Clone, Copy)]
struct Place {
    /// The key's first eight bytes, as a number; a shorter key is filled up with zeros.
    start: u64,
    /// The key's length.
    len: u32,
    lane: u32,
    cell: u32,
}

impl Place {
    /// Tables hold fewer than 2^32 cells and 4 GiB of keys, and so many lanes would not fit into memory: nothing is cut off.
    fn new(key: &[u8], lane: usize, cell: usize) -> Self {
        let mut start = [0; 8];
        match key.first_chunk::<8>() {
            Some(first) => start = *first,
            None => start[..key.len()].copy_from_slice(key),
        }
        Self {
            start: u64::from_be_bytes(start),
            len: key.len() as u32,
            lane: lane as u32,
            cell: cell as u32,
        }
    }
    /// The order of the keys; `None`: it is decided behind the first eight bytes.
    fn by_start(&self, other: &Self) -> Option<Ordering> {
        match self.start.cmp(&other.start) {
            // Of keys within the eight bytes the shorter is the beginning of the other, whatever zeros the other ends with.
            Ordering::Equal if self.len <= 8 && other.len <= 8 => Some(self.len.cmp(&other.len)),
            Ordering::Equal => None,
            decided => Some(decided),
        }
    }
}

impl<V: Codec + Send + 'static> Deltas for Lanes<V> {
    fn len(&self) -> usize {
        self.lanes.iter().map(|l| l.table.len()).sum()
    }
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()> {
        let mut lanes: Vec<&Lane<V>> = self.lanes.iter().collect();
        lanes.sort_unstable_by_key(|l| (l.meta.batch, l.meta.source, l.meta.partition));
        let (mut order, mut value) = (Vec::new(), Vec::new());
        for lanes in lanes.chunk_by(|a, b| a.meta.batch == b.meta.batch) {
            order.clear();
            order.reserve(lanes.iter().map(|l| l.table.len()).sum());
            for (lane, l) in lanes.iter().enumerate() {
                let place = |(cell, (key, _))| Place::new(key, lane, cell);
                order.extend(l.table.iter().enumerate().map(place));
            }
            let key = |p: &Place| lanes.get(p.lane as usize)?.table.at(p.cell as usize);
            order.sort_unstable_by(|a, b| {
                a.by_start(b)
                    .unwrap_or_else(|| key(a).map(|c| c.0).cmp(&key(b).map(|c| c.0)))
                    .then(a.lane.cmp(&b.lane))
            });
            for at in &order {
                let Some((lane, (key, sum))) = lanes.get(at.lane as usize).zip(key(at)) else {
                    continue;
                };
                value.clear();
                sum.encode(&mut value);
                f(Delta {
                    source: lane.meta.source,
                    partition: lane.meta.partition,
                    batch: lane.meta.batch,
                    key,
                    value: &value,
                })?;
            }
        }
        Ok(())
    }
    fn clear(&mut self) {
        // Tables far larger than the others would keep their space for ever: a few spares are enough.
        for mut lane in self.lanes.drain(..) {
            if self.spare.len() < 64 {
                lane.table.clear();
                self.spare.push(lane.table);
            }
        }
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deltas come in the order of batch, key, source and partition, each once: keys around eight bytes, with zeros at
    /// their ends, one the beginning of another, over lanes that came in another order. Against a plain sorted list.
    #[test]
    fn deltas_are_sorted() {
        let keys: Vec<Vec<u8>> = [
            &b""[..],
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"ab",
            b"abcdefg",
            b"abcdefg\0",
            b"abcdefgh",
            b"abcdefgh\0",
            b"abcdefghi",
            b"abcdefghiz",
            b"abcdefgi",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"b",
        ]
        .iter()
        .map(|k| k.to_vec())
        .collect();
        let mut lanes = Lanes::<u64>::new();
        let mut expected = Vec::new();
        for (n, (source, partition, batch)) in [(1, 0, 5), (0, 9, -1), (0, 2, 5), (0, 9, 5), (1, 7, -1)]
            .into_iter()
            .enumerate()
        {
            let meta = ChunkMeta {
                source,
                partition,
                batch: BatchId(batch),
            };
            let lane = lanes.index(&meta);
            for (i, key) in keys.iter().enumerate().rev() {
                // Not each key in each lane.
                if (i + n) % 3 != 0 {
                    let sum = (100 * n + i) as u64;
                    lanes.lanes[lane].table.combine(key, sum).unwrap();
                    expected.push((batch, key.clone(), source, partition, sum.to_bytes()));
                }
            }
        }
        expected.sort();
        let mut got = Vec::new();
        lanes
            .for_each(&mut |d| {
                got.push((d.batch.0, d.key.to_vec(), d.source, d.partition, d.value.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(got, expected);
        assert_eq!(lanes.len(), expected.len());
    }
}

//! Values per key in memory, kept apart by (source, partition, batch) (P5), and taken out as sorted, encoded deltas.

use std::any::Any;

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

impl<V: Codec + Send + 'static> Deltas for Lanes<V> {
    fn len(&self) -> usize {
        self.lanes.iter().map(|l| l.table.len()).sum()
    }
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()> {
        struct Item<'a, V> {
            meta: ChunkMeta,
            key: &'a [u8],
            value: &'a V,
        }
        let mut items: Vec<Item<'_, V>> = Vec::with_capacity(self.len());
        for Lane { meta, table } in &self.lanes {
            items.extend(table.iter().map(|(key, value)| Item {
                meta: *meta,
                key,
                value,
            }));
        }
        items.sort_unstable_by(|a, b| {
            (a.meta.batch, a.key, a.meta.source, a.meta.partition).cmp(&(
                b.meta.batch,
                b.key,
                b.meta.source,
                b.meta.partition,
            ))
        });
        let mut value = Vec::new();
        for Item { meta, key, value: sum } in items {
            value.clear();
            sum.encode(&mut value);
            f(Delta {
                source: meta.source,
                partition: meta.partition,
                batch: meta.batch,
                key,
                value: &value,
            })?;
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

//! Erased execution: steps see whole chunks as `dyn Any`; one checked downcast a step and chunk. This module and its
//! children are the only ones that name `Any`, with `decode`, which feeds them.

mod emit;
mod sum;

use std::any::Any;

pub use emit::{KeyedOut, Out};
pub(crate) use emit::{flat_map, keyed_to_keyed, keyed_whole, to_keyed};
pub use sum::{Delta, Deltas};
pub(crate) use sum::{absorb_stage, sum_stage};

use crate::batch::BatchId;
use crate::error::{Error, Result};

/// Where a chunk comes from: one partition and one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// The source's place in the plan.
    pub source: u32,
    /// The partition.
    pub partition: u32,
    /// The batch.
    pub batch: BatchId,
}

pub(crate) type CloneChunk = fn(&dyn Any) -> Box<dyn Any>;

pub(crate) fn cloner<C: Any + Clone>() -> CloneChunk {
    |c| match c.downcast_ref::<C>() {
        Some(c) => Box::new(c.clone()),
        // The receiver's own check reports the mismatch with its step.
        None => Box::new(()),
    }
}

pub(crate) fn down<'a, C: Any>(chunk: &'a mut dyn Any, step: &str) -> Result<&'a mut C> {
    chunk.downcast_mut().ok_or_else(|| {
        Error::bug(format!(
            "step {step} was handed something else than {}",
            std::any::type_name::<C>()
        ))
    })
}

/// A step that is running. It empties the chunk it is given.
pub(crate) trait Stage: Send {
    fn push(&mut self, meta: &ChunkMeta, chunk: &mut dyn Any, down: &mut Downstream<'_>) -> Result<()>;
    /// The sum inside, if this is one.
    fn as_sum(&mut self) -> Option<&mut dyn SumStage> {
        None
    }
    /// What was written, if this is a write: a `Vec` of the records.
    fn take_written(&mut self) -> Option<Box<dyn Any + Send>> {
        None
    }
}

pub(crate) trait SumStage {
    fn swap(&mut self, spare: Option<Box<dyn Deltas>>) -> Box<dyn Deltas>;
    fn bytes(&self) -> usize;
}

pub(crate) struct Slot {
    pub(crate) stage: Box<dyn Stage>,
    /// The stages that follow: all of higher index.
    pub(crate) to: Vec<usize>,
    /// Copies this stage's output when several follow.
    pub(crate) clone: CloneChunk,
}

/// The stages after a stage. Stages stand in topological order, so what follows a stage is always behind it.
pub(crate) struct Downstream<'a> {
    stages: &'a mut [Slot],
    /// The index of `stages[0]`.
    base: usize,
    to: &'a [usize],
    clone: CloneChunk,
}

impl Downstream<'_> {
    /// Hands a chunk to every following stage. It is empty afterwards.
    pub(crate) fn push(&mut self, meta: &ChunkMeta, chunk: &mut dyn Any) -> Result<()> {
        let Some((last, rest)) = self.to.split_last() else {
            return Ok(());
        };
        for &t in rest {
            let mut copy = (self.clone)(chunk);
            self.one(t, meta, &mut *copy)?;
        }
        self.one(*last, meta, chunk)
    }
    fn one(&mut self, t: usize, meta: &ChunkMeta, chunk: &mut dyn Any) -> Result<()> {
        let Some((slot, rest)) = t
            .checked_sub(self.base)
            .and_then(|i| self.stages.get_mut(i..))
            .and_then(<[Slot]>::split_first_mut)
        else {
            return Err(Error::bug(format!("step {t} stands before its input")));
        };
        let mut down = Downstream {
            stages: rest,
            base: t + 1,
            to: &slot.to,
            clone: slot.clone,
        };
        slot.stage.push(meta, chunk, &mut down)
    }
}

/// A running instance of a job: its steps with their state. One per thread.
pub struct Executor {
    pub(crate) slots: Vec<Slot>,
    /// Per source of the plan: who reads it, and how to copy its chunks.
    pub(crate) sources: Vec<(Vec<usize>, CloneChunk)>,
    /// Per store of the plan: its stage.
    pub(crate) sums: Vec<usize>,
    /// Per sink of the plan: its stage.
    pub(crate) writes: Vec<usize>,
}

impl Executor {
    /// Runs a chunk of source number `meta.source` through all steps. The chunk is empty afterwards.
    ///
    /// # Errors
    /// Only for a bug of ours: a step was handed a chunk of another type.
    pub fn push(&mut self, meta: &ChunkMeta, chunk: &mut dyn Any) -> Result<()> {
        let Some((to, clone)) = self.sources.get(meta.source as usize) else {
            return Err(Error::bug(format!("there is no source number {}", meta.source)));
        };
        Downstream {
            stages: &mut self.slots,
            base: 0,
            to,
            clone: *clone,
        }
        .push(meta, chunk)
    }
    /// Takes what store number `store` would add, and goes on with `spare` (emptied, its space kept) or a new map.
    ///
    /// # Errors
    /// Only for a bug of ours: there is no such store.
    pub fn swap(&mut self, store: usize, spare: Option<Box<dyn Deltas>>) -> Result<Box<dyn Deltas>> {
        self.sum(store).map(|s| s.swap(spare))
    }
    /// Bytes held by all combining maps: keys and cells; what values keep on the heap is not seen.
    pub fn bytes(&mut self) -> usize {
        (0..self.sums.len()).map(|i| self.sum(i).map_or(0, |s| s.bytes())).sum()
    }
    /// What was written to sink number `sink` since the last call: a `Vec` of its records.
    ///
    /// # Errors
    /// Only for a bug of ours: there is no such sink.
    pub fn take_written(&mut self, sink: usize) -> Result<Box<dyn Any + Send>> {
        let stage = self
            .writes
            .get(sink)
            .and_then(|&i| self.slots.get_mut(i))
            .and_then(|s| s.stage.take_written());
        stage.ok_or_else(|| Error::bug(format!("there is no sink number {sink}")))
    }
    fn sum(&mut self, store: usize) -> Result<&mut dyn SumStage> {
        let stage = self
            .sums
            .get(store)
            .and_then(|&i| self.slots.get_mut(i))
            .and_then(|s| s.stage.as_sum());
        stage.ok_or_else(|| Error::bug(format!("there is no store number {store}")))
    }
}

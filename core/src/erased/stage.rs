//! A running step.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::num::NonZeroU64;

use super::ChunkMeta;
use super::lanes::Deltas;
use super::origins::{Lineage, Origin};
use super::running::{Operator, OperatorState};
use crate::batch::{BatchId, Batcher};
use crate::data::{AnyChunk, AnyKeyed, KeyedChunk};
use crate::error::{Error, Result};
use crate::sink::RecordId;
use crate::time::Timestamp;

/// The chunk that a step works on. The last step that follows a step owns what it is given; those before it share it, so
/// a copy is made only of what is kept.
pub(crate) enum Input<'a> {
    Shared(&'a dyn Any),
    Owned(&'a mut dyn Any),
}

/// The same with its type found again.
pub(crate) enum In<'a, C> {
    Shared(&'a C),
    Owned(&'a mut C),
}

impl<C> In<'_, C> {
    /// To look at.
    pub(crate) fn get(&self) -> &C {
        match self {
            Self::Shared(chunk) => chunk,
            Self::Owned(chunk) => chunk,
        }
    }
}

impl<'a> Input<'a> {
    /// To look at.
    pub(crate) fn read<C: Any>(self, step: &str) -> Result<&'a C> {
        let chunk: &'a dyn Any = match self {
            Input::Shared(chunk) => chunk,
            Input::Owned(chunk) => chunk,
        };
        chunk.downcast_ref().ok_or_else(|| wrong::<C>(step))
    }
    /// To look at, or to take from where that is allowed.
    pub(crate) fn open<C: Any>(self, step: &str) -> Result<In<'a, C>> {
        match self {
            Input::Shared(chunk) => chunk.downcast_ref().map(In::Shared),
            Input::Owned(chunk) => chunk.downcast_mut().map(In::Owned),
        }
        .ok_or_else(|| wrong::<C>(step))
    }
}

/// The chunk that a step fills.
pub(crate) fn output<'a, C: Any>(out: &'a mut dyn Any, step: &str) -> Result<&'a mut C> {
    out.downcast_mut().ok_or_else(|| wrong::<C>(step))
}

#[cold]
fn wrong<C>(step: &str) -> Error {
    Error::bug(format!(
        "step {step} was handed something else than {}",
        type_name::<C>()
    ))
}

/// What a step knows of the chunk it works on, and where its counts go.
pub(crate) struct Context {
    pub(crate) meta: ChunkMeta,
    /// How often each record of the chunk stands in the input.
    pub(crate) times: NonZeroU64,
    /// What is committed, for operators; `None`: nothing is.
    pub(crate) state: Option<Box<dyn OperatorState>>,
    /// Counters and by how much: taken up by the executor after each run.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// Where what the step emits comes from.
    pub(crate) lineage: Lineage,
    /// Where the records of the chunk come from; empty unless the step or one behind it asks.
    pub(crate) origins: Vec<Origin>,
    /// Whether writes say which records they write.
    pub(crate) identifies: bool,
    /// The batch that these are in, which need not be the lane's.
    pub(crate) batch: BatchId,
    /// The last instant of that batch: nothing is looked up beyond it.
    pub(crate) last: Timestamp,
    /// What cuts their source into batches.
    pub(crate) batcher: Option<Batcher>,
    /// The number of the chunk that was pushed: what comes of it has it, too.
    pub(crate) push: u64,
}

/// A step that is running.
pub(crate) trait Stage: Send {
    /// Works on the input from record `at` on and fills `out`, until `out` holds about [`CHUNK`](super::CHUNK) records or the
    /// input is used up; moves `at` and says whether it is. A step that takes records out of an owned chunk uses it up in one
    /// run.
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool>;
    /// What it keeps per key, if it does.
    fn held(&mut self) -> Option<&mut dyn Held> {
        None
    }
    /// What it remembers, if it is an operator.
    fn operator(&mut self) -> Option<&mut dyn Operator> {
        None
    }
    /// What was written, if this is a write: a `Vec` of the records.
    fn take_written(&mut self) -> Option<Box<dyn AnyChunk>> {
        None
    }
    /// Which records these are, if somebody asks.
    fn take_ids(&mut self) -> Vec<RecordId> {
        Vec::new()
    }
    /// What is written is dropped from here on.
    fn mute(&mut self) {}
    /// How many records were written and not taken.
    fn written(&self) -> usize {
        0
    }
}

/// Values per key that wait in memory.
pub(crate) trait Held {
    /// How many values there are.
    fn len(&self) -> usize;
    /// The memory in use.
    fn bytes(&self) -> usize;
    /// Everything that is held, chunk by chunk, for the steps that follow. A combiner is empty afterwards; a sum is not.
    fn emit(&mut self, to: &mut dyn FnMut(&ChunkMeta, &mut dyn Any) -> Result<()>) -> Result<()>;
    /// Takes out what is held, and goes on with `spare` or with new space.
    fn swap(&mut self, spare: Option<Box<dyn Deltas>>) -> Box<dyn Deltas>;
    /// Adds to a counter: only the store of counters does.
    fn count(&mut self, _: &ChunkMeta, _: &'static str, _: u64) -> Result<()> {
        Err(Error::bug("a count went to a store that holds no counters"))
    }
}

/// The type of the chunks between two steps.
#[derive(Clone, Copy)]
pub(crate) struct ChunkType {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Box<dyn AnyChunk>,
    /// A step that changes nothing.
    pub(crate) pass: fn() -> Box<dyn Stage>,
    /// Pairs of any values, if it holds pairs.
    pub(crate) keyed: Option<AsKeyed>,
}

impl ChunkType {
    pub(crate) fn of<C: AnyChunk + Default + Clone>() -> Self {
        Self {
            id: TypeId::of::<C>(),
            name: type_name::<C>(),
            make: || Box::new(C::default()),
            pass: || Box::new(Pass::<C>(PhantomData)),
            keyed: None,
        }
    }
    pub(crate) fn keyed<V: Clone + Send + 'static>() -> Self {
        Self {
            keyed: Some(AsKeyed {
                read: |chunk| chunk.downcast_ref::<KeyedChunk<V>>().map(|c| c as &dyn AnyKeyed),
                open: |chunk| chunk.downcast_mut::<KeyedChunk<V>>().map(|c| c as &mut dyn AnyKeyed),
            }),
            ..Self::of::<KeyedChunk<V>>()
        }
    }
}

/// Finds pairs whose values are not known.
#[derive(Clone, Copy)]
pub(crate) struct AsKeyed {
    pub(crate) read: fn(&dyn Any) -> Option<&dyn AnyKeyed>,
    pub(crate) open: fn(&mut dyn Any) -> Option<&mut dyn AnyKeyed>,
}

struct Pass<C>(PhantomData<fn(C)>);

impl<C: AnyChunk + Clone> Stage for Pass<C> {
    fn run(&mut self, _: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<C>(out, "merge")?;
        match input.open::<C>("merge")? {
            In::Shared(chunk) => out.clone_from(chunk),
            In::Owned(chunk) => std::mem::swap(chunk, out),
        }
        Ok(true)
    }
}

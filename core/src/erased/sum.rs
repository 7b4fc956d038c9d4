//! The sum before the store, and the combiner before steps that multiply keys: values are combined in memory as they come.

use std::any::Any;
use std::hint::black_box;
use std::marker::PhantomData;

use rufous_algebra::buffer::{CombineMap, Full, Hint};
use rufous_algebra::{Absorb, Codec, Semigroup};
use xxhash_rust::xxh3::xxh3_64;

use super::lanes::{Deltas, Lanes};
use super::stage::{Context, Held, In, Input, Stage};
use super::{CHUNK, ChunkMeta};
use crate::data::{AnyChunk, KeyedChunk};
use crate::error::{Error, Result};
use crate::key::AsKey;

/// Maps of fewer bytes lie in the cache of a core.
const CACHED: usize = 1 << 19;

/// How an item goes into a cell.
trait Fold<I, V>: Send {
    fn fold(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: I) -> Result<(), Full<()>>;
    /// The same under a key of eight bytes.
    fn fold_word(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8; 8], item: I) -> Result<(), Full<()>>;
    /// Fetches what the items will change.
    fn glance(_: &CombineMap<V>, _: impl Iterator<Item = (Hint, u64)>, _: &[I]) {}
    /// Of an item that stands `times` times in the input, or that others look at, too.
    fn fold_shared(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: &I) -> Result<(), Full<()>>;
    /// What one item adds.
    fn value(item: &I) -> V;
}

struct BySum;
impl<V: Semigroup> Fold<V, V> for BySum {
    #[inline]
    fn fold(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: V) -> Result<(), Full<()>> {
        table
            .fold_hinted(
                at.0,
                at.1,
                key,
                item,
                |item| item,
                |cell, item| cell.combine_owned(item),
            )
            .map_err(|_| Full(()))
    }
    #[inline]
    fn fold_word(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8; 8], item: V) -> Result<(), Full<()>> {
        let again = |cell: &mut V, item| cell.combine_owned(item);
        table
            .fold_word(at.0, at.1, key, item, |item| item, again)
            .map_err(|_| Full(()))
    }
    #[inline]
    fn fold_shared(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: &V) -> Result<(), Full<()>> {
        table.fold_hinted(at.0, at.1, key, (), |()| item.clone(), |cell, ()| cell.combine(item))
    }
    fn value(item: &V) -> V {
        item.clone()
    }
}

struct ByAbsorb;
impl<I, V: Absorb<I>> Fold<I, V> for ByAbsorb {
    #[inline]
    fn fold(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: I) -> Result<(), Full<()>> {
        Self::fold_shared(table, at, key, &item)
    }
    #[inline]
    fn glance(table: &CombineMap<V>, ats: impl Iterator<Item = (Hint, u64)>, items: &[I]) {
        if !V::SPREAD || table.bytes() < CACHED {
            return;
        }
        let one = |((hint, hash), item)| table.hinted(hint, hash).map_or(0, |value: &V| value.glance(item));
        black_box(ats.zip(items).map(one).fold(0, |all, one| all ^ one));
    }
    #[inline]
    fn fold_word(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8; 8], item: I) -> Result<(), Full<()>> {
        table.fold_word(
            at.0,
            at.1,
            key,
            (),
            |()| Self::value(&item),
            |cell, ()| cell.absorb(&item),
        )
    }
    #[inline]
    fn fold_shared(table: &mut CombineMap<V>, at: (Hint, u64), key: &[u8], item: &I) -> Result<(), Full<()>> {
        table.fold_hinted(
            at.0,
            at.1,
            key,
            (),
            |()| Self::value(item),
            |cell, ()| cell.absorb(item),
        )
    }
    #[inline]
    fn value(item: &I) -> V {
        let mut value = V::zero();
        value.absorb(item);
        value
    }
}

struct Sum<I, V, F> {
    step: &'static str,
    lanes: Lanes<V>,
    hashes: Vec<u64>,
    hints: Vec<Hint>,
    /// The key of a counter.
    counter: Vec<u8>,
    /// A sum keeps what it emits, for its store; a combiner does not.
    keeps: bool,
    _f: PhantomData<fn(I) -> F>,
}

#[cold]
fn full<I>(_: Full<I>) -> Error {
    Error::try_again("a combining map holds 4 GiB of keys: lower the memory budget so that it is flushed before")
}

impl<I, V, F> Stage for Sum<I, V, F>
where
    I: Clone + Send + 'static,
    V: Semigroup + Codec,
    F: Fold<I, V> + 'static,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, _: &mut dyn Any) -> Result<bool> {
        let input = input.open::<KeyedChunk<I>>(self.step)?;
        let lane = self.lanes.index(&cx.meta);
        let table = &mut self.lanes.lanes[lane].table;
        let chunk = match &input {
            In::Shared(chunk) => *chunk,
            In::Owned(chunk) => &**chunk,
        };
        // All hashes first, then all look-ups: loops without a branch that waits for memory.
        self.hashes.clear();
        let words = chunk.words();
        match words {
            Some(words) => self.hashes.extend(words.iter().map(|word| xxh3_64(word))),
            None => self.hashes.extend(chunk.keys().map(xxh3_64)),
        }
        let words = words.is_some();
        table.look_ahead(&self.hashes, &mut self.hints);
        let ats = self.hints.iter().copied().zip(self.hashes.iter().copied());
        F::glance(table, ats.clone(), &chunk.values);
        if cx.times.get() > 1 {
            for ((key, item), at) in chunk.keys().zip(&chunk.values).zip(ats) {
                let value = F::value(item).times(cx.times);
                BySum::fold(table, at, key, value).map_err(full)?;
            }
            return Ok(true);
        }
        match input {
            In::Shared(chunk) => {
                for ((key, item), at) in chunk.keys().zip(&chunk.values).zip(ats) {
                    F::fold_shared(table, at, key, item).map_err(full)?;
                }
            }
            In::Owned(KeyedChunk { bytes, values, .. }) if words => {
                for ((key, item), at) in bytes.as_chunks::<8>().0.iter().zip(values.drain(..)).zip(ats) {
                    F::fold_word(table, at, key, item).map_err(full)?;
                }
            }
            In::Owned(KeyedChunk { bytes, ends, values }) => {
                let mut from = 0;
                for ((&end, item), at) in ends.iter().zip(values.drain(..)).zip(ats) {
                    let key = &bytes[from..end as usize];
                    from = end as usize;
                    F::fold(table, at, key, item).map_err(full)?;
                }
            }
        }
        Ok(true)
    }
    fn held(&mut self) -> Option<&mut dyn Held> {
        Some(self)
    }
}

impl<I, V, F> Held for Sum<I, V, F>
where
    I: Clone + Send + 'static,
    V: Semigroup + Codec,
    F: Fold<I, V> + 'static,
{
    fn len(&self) -> usize {
        Deltas::len(&self.lanes)
    }
    fn bytes(&self) -> usize {
        self.lanes.bytes()
    }
    fn emit(&mut self, to: &mut dyn FnMut(&ChunkMeta, &mut dyn Any) -> Result<()>) -> Result<()> {
        let mut chunk = KeyedChunk::<V>::default();
        let mut lanes = std::mem::replace(&mut self.lanes, Lanes::new());
        for lane in &mut lanes.lanes {
            let mut failed = Ok(());
            let meta = lane.meta;
            let mut add = |key: &[u8], value: V| {
                chunk.push(key, value);
                if chunk.len() >= CHUNK && failed.is_ok() {
                    failed = to(&meta, &mut chunk);
                    chunk.clear();
                }
            };
            if self.keeps {
                lane.table.iter().for_each(|(key, value)| add(key, value.clone()));
            } else {
                lane.table.drain(&mut add);
            }
            failed?;
            if !chunk.is_empty() {
                to(&meta, &mut chunk)?;
                chunk.clear();
            }
        }
        if !self.keeps {
            lanes.clear();
        }
        self.lanes = lanes;
        Ok(())
    }
    fn swap(&mut self, spare: Option<Box<dyn Deltas>>) -> Box<dyn Deltas> {
        let spare = spare.and_then(|s| s.into_any().downcast::<Lanes<V>>().ok());
        let mut fresh = spare.map_or_else(Lanes::new, |s| *s);
        fresh.clear();
        Box::new(std::mem::replace(&mut self.lanes, fresh))
    }
    fn count(&mut self, meta: &ChunkMeta, counter: &'static str, n: u64) -> Result<()> {
        let lane = self.lanes.index(meta);
        let table: &mut dyn Any = &mut self.lanes.lanes[lane].table;
        let Some(table) = table.downcast_mut::<CombineMap<u64>>() else {
            return Err(Error::bug("a count went to a store that holds no counters"));
        };
        self.counter.clear();
        counter.encode_key(&mut self.counter);
        table.combine(&self.counter, n).map_err(full)
    }
}

fn sum<I, V, F>(step: &'static str, keeps: bool) -> Box<dyn Stage>
where
    I: Clone + Send + 'static,
    V: Semigroup + Codec,
    F: Fold<I, V> + 'static,
{
    Box::new(Sum::<I, V, F> {
        step,
        lanes: Lanes::new(),
        hashes: Vec::new(),
        hints: Vec::new(),
        counter: Vec::new(),
        keeps,
        _f: PhantomData,
    })
}

pub(crate) fn sum_stage<V: Semigroup + Codec>(step: &'static str) -> Box<dyn Stage> {
    sum::<V, V, BySum>(step, true)
}

pub(crate) fn absorb_stage<I: Clone + Send + 'static, V: Absorb<I> + Codec>(step: &'static str) -> Box<dyn Stage> {
    sum::<I, V, ByAbsorb>(step, true)
}

/// Adds values before a step that would multiply their keys, and hands the sums on when the stores take theirs, or before
/// they would become too many.
pub(crate) fn combine_stage<V: Semigroup + Codec>() -> Box<dyn Stage> {
    sum::<V, V, BySum>("combine", false)
}

/// Absorbs records before a step that would multiply their keys: what goes on are states.
pub(crate) fn absorb_first_stage<I: Clone + Send + 'static, V: Absorb<I> + Codec>() -> Box<dyn Stage> {
    sum::<I, V, ByAbsorb>("absorb", false)
}

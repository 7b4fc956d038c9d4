//! Steps from records.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::CHUNK;
use super::emit::{KeyedOut, Out, within};
use super::stage::{Context, In, Input, Stage, output};
use crate::data::{AnyChunk, Chunk, Data, KeyedChunk};
use crate::error::Result;
use crate::key::AsKey;

struct FlatMap<T: ?Sized, U, F> {
    step: &'static str,
    f: Arc<F>,
    _t: PhantomData<(fn(Box<T>), fn() -> U)>,
}

impl<T, U, F> Stage for FlatMap<T, U, F>
where
    T: Data + ?Sized,
    U: Clone + Send + 'static,
    F: Fn(&T, &mut Out<'_, U>) + Send + Sync,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<T::Chunk>(self.step)?;
        let items = output::<Vec<U>>(out, self.step)?;
        items.reserve(CHUNK.min(chunk.len() - *at));
        let mut out = Out {
            items,
            counts: &mut cx.counts,
        };
        let asked = cx.lineage.is_asked();
        for item in chunk.iter_from(*at) {
            (self.f)(item, &mut out);
            if asked {
                cx.lineage.many(*at, out.items.len());
            }
            *at += 1;
            if out.items.len() >= CHUNK {
                break;
            }
        }
        Ok(*at == chunk.len())
    }
}

pub(crate) fn flat_map<T, U, F>(step: &'static str, f: Arc<F>) -> Box<dyn Stage>
where
    T: Data + ?Sized,
    U: Clone + Send + 'static,
    F: Fn(&T, &mut Out<'_, U>) + Send + Sync + 'static,
{
    Box::new(FlatMap::<T, U, F> {
        step,
        f,
        _t: PhantomData,
    })
}

struct Filter<T: ?Sized, F> {
    f: Arc<F>,
    _t: PhantomData<fn(Box<T>)>,
}

pub(super) fn keep_some<T: ?Sized + 'static, C: Chunk<T>>(
    input: In<'_, C>,
    out: &mut C,
    mut keep: impl FnMut(&T) -> bool,
) {
    match input {
        In::Shared(chunk) => {
            for item in chunk.iter().filter(|item| keep(item)) {
                out.add(item);
            }
        }
        In::Owned(chunk) => chunk.move_some(out, keep),
    }
}

impl<T: Data + ?Sized, F: Fn(&T) -> bool + Send + Sync> Stage for Filter<T, F> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<T::Chunk>(out, "filter")?;
        let input = input.open::<T::Chunk>("filter")?;
        *at = 0;
        if !cx.lineage.is_asked() {
            keep_some(input, out, |item| (self.f)(item));
            return Ok(true);
        }
        let mut place = 0;
        keep_some(input, out, |item| {
            let keep = (self.f)(item);
            if keep {
                cx.lineage.kept(place);
            }
            place += 1;
            keep
        });
        Ok(true)
    }
}

pub(crate) fn filter<T: Data + ?Sized, F: Fn(&T) -> bool + Send + Sync + 'static>(f: Arc<F>) -> Box<dyn Stage> {
    Box::new(Filter::<T, F> { f, _t: PhantomData })
}

struct ToKeyed<T: ?Sized, K, V, F> {
    step: &'static str,
    f: Arc<F>,
    _t: PhantomData<(fn(Box<T>), fn() -> (K, V))>,
}

impl<T, K, V, F> Stage for ToKeyed<T, K, V, F>
where
    T: Data + ?Sized,
    V: Clone + Send + 'static,
    F: Fn(&T, &mut KeyedOut<'_, K, V>) + Send + Sync,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<T::Chunk>(self.step)?;
        let mut out = KeyedOut::new(output(out, self.step)?, &mut cx.counts);
        let asked = cx.lineage.is_asked();
        for item in chunk.iter_from(*at) {
            (self.f)(item, &mut out);
            if asked {
                cx.lineage.many(*at, out.chunk.values.len());
            }
            *at += 1;
            if out.chunk.values.len() >= CHUNK {
                break;
            }
        }
        within(out.chunk)?;
        Ok(*at == chunk.len())
    }
}

pub(crate) fn to_keyed<T, K, V, F>(step: &'static str, f: Arc<F>) -> Box<dyn Stage>
where
    T: Data + ?Sized,
    K: 'static,
    V: Clone + Send + 'static,
    F: Fn(&T, &mut KeyedOut<'_, K, V>) + Send + Sync + 'static,
{
    Box::new(ToKeyed::<T, K, V, F> {
        step,
        f,
        _t: PhantomData,
    })
}

struct KeyBy<T, Q, F> {
    f: Arc<F>,
    _t: PhantomData<fn(T) -> Q>,
}

impl<T: Clone + Send + 'static, Q: AsKey, F: Fn(&T) -> Q + Send + Sync> Stage for KeyBy<T, Q, F> {
    fn run(&mut self, _: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<T>>(out, "key-by")?;
        let mut key = |item: &T| {
            (self.f)(item).encode_key(&mut out.bytes);
            out.ends.push(out.bytes.len() as u32);
        };
        match input.open::<Vec<T>>("key-by")? {
            In::Shared(chunk) => {
                chunk.iter().for_each(&mut key);
                out.values.extend_from_slice(chunk);
            }
            In::Owned(chunk) => {
                chunk.iter().for_each(&mut key);
                out.values.append(chunk);
            }
        }
        within(out)?;
        Ok(true)
    }
}

pub(crate) fn key_by<T, Q, F>(f: Arc<F>) -> Box<dyn Stage>
where
    T: Clone + Send + 'static,
    Q: AsKey + 'static,
    F: Fn(&T) -> Q + Send + Sync + 'static,
{
    Box::new(KeyBy::<T, Q, F> { f, _t: PhantomData })
}

//! Steps from pairs. Keys stay bytes as long as no closure asks for them; one that does gets a key whose space is used
//! again for the next.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::CHUNK;
use super::emit::{KeyedOut, KeysOut, Out, within};
use super::stage::{AsKeyed, Context, In, Input, Stage, output};
use crate::data::{AnyKeyed, KeyedChunk, start_of};
use crate::error::{Error, Result};
use crate::key::{self, AsKey, Key};

/// The key that closures look at.
pub(super) struct Scratch<K>(pub(super) Option<K>);

impl<K: Key> Scratch<K> {
    #[inline]
    pub(super) fn read(&mut self, step: &'static str, mut bytes: &[u8]) -> Result<&K> {
        let read = match &mut self.0 {
            Some(key) => key.decode_key_into(&mut bytes),
            none => K::decode_key(&mut bytes).map(|key| *none = Some(key)),
        };
        match (read, &self.0) {
            (Ok(()), Some(key)) if bytes.is_empty() => Ok(key),
            (Err(e), _) => Err(Error::bug(format!("step {step}: {e}"))),
            _ => Err(Error::bug(format!("step {step}: {} bytes follow the key", bytes.len()))),
        }
    }
}

/// What a closure does with the chunk from record `at` on; moves `at`.
pub(super) trait Steps<V, C>: Send {
    fn some(&mut self, cx: &mut Context, chunk: &KeyedChunk<V>, at: &mut usize, out: &mut C) -> Result<()>;
}

struct Reading<V, C, S> {
    step: &'static str,
    steps: S,
    _t: PhantomData<fn(V) -> C>,
}

impl<V: Send + 'static, C: Any, S: Steps<V, C>> Stage for Reading<V, C, S> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<KeyedChunk<V>>(self.step)?;
        self.steps.some(cx, chunk, at, output(out, self.step)?)?;
        Ok(*at == chunk.values.len())
    }
}

pub(super) fn reading<V: Send + 'static, C: Any>(
    step: &'static str,
    steps: impl Steps<V, C> + 'static,
) -> Box<dyn Stage> {
    Box::new(Reading {
        step,
        steps,
        _t: PhantomData,
    })
}

/// A step that takes a chunk as a whole: fewer or as many pairs come out.
struct Whole<V, C, F> {
    step: &'static str,
    f: F,
    _t: PhantomData<fn(V) -> C>,
}

impl<V, C, F> Stage for Whole<V, C, F>
where
    V: Send + 'static,
    C: Any,
    F: FnMut(&mut Context, In<'_, KeyedChunk<V>>, &mut C) -> Result<()> + Send,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        (self.f)(cx, input.open(self.step)?, output(out, self.step)?)?;
        Ok(true)
    }
}

pub(super) fn whole<V, C, F>(step: &'static str, f: F) -> Box<dyn Stage>
where
    V: Send + 'static,
    C: Any,
    F: FnMut(&mut Context, In<'_, KeyedChunk<V>>, &mut C) -> Result<()> + Send + 'static,
{
    Box::new(Whole {
        step,
        f,
        _t: PhantomData,
    })
}

fn look<'a, C>(input: &'a In<'_, C>) -> &'a C {
    match input {
        In::Shared(chunk) => chunk,
        In::Owned(chunk) => chunk,
    }
}

struct KeyedPairs<K, F> {
    step: &'static str,
    key: Scratch<K>,
    f: Arc<F>,
}

impl<K, V, K2, U, F> Steps<V, KeyedChunk<U>> for (KeyedPairs<K, F>, PhantomData<fn() -> K2>)
where
    K: Key,
    F: Fn(&K, &V, &mut KeyedOut<'_, K2, U>) + Send + Sync,
{
    fn some(&mut self, cx: &mut Context, chunk: &KeyedChunk<V>, at: &mut usize, out: &mut KeyedChunk<U>) -> Result<()> {
        let KeyedPairs { step, key, f } = &mut self.0;
        let mut out = KeyedOut::new(out, &mut cx.counts);
        let asked = cx.lineage.is_asked();
        for (bytes, value) in chunk.keys_from(*at).zip(&chunk.values[*at..]) {
            f(key.read(step, bytes)?, value, &mut out);
            if asked {
                cx.lineage.many(*at, out.chunk.values.len());
            }
            *at += 1;
            if out.chunk.values.len() >= CHUNK {
                break;
            }
        }
        within(out.chunk)
    }
}

pub(crate) fn keyed_to_keyed<K, V, K2, U, F>(step: &'static str, f: Arc<F>) -> Box<dyn Stage>
where
    K: Key,
    V: Send + 'static,
    K2: 'static,
    U: Send + 'static,
    F: Fn(&K, &V, &mut KeyedOut<'_, K2, U>) + Send + Sync + 'static,
{
    let steps = KeyedPairs {
        step,
        key: Scratch(None),
        f,
    };
    reading::<V, KeyedChunk<U>>(step, (steps, PhantomData::<fn() -> K2>))
}

struct FlatMapValues<F>(Arc<F>);

impl<V, U, F> Steps<V, KeyedChunk<U>> for FlatMapValues<F>
where
    F: Fn(&V, &mut Out<'_, U>) + Send + Sync,
{
    fn some(&mut self, cx: &mut Context, chunk: &KeyedChunk<V>, at: &mut usize, out: &mut KeyedChunk<U>) -> Result<()> {
        let KeyedChunk { bytes, ends, values } = out;
        let mut into = Out {
            items: values,
            counts: &mut cx.counts,
        };
        let asked = cx.lineage.is_asked();
        for (key, value) in chunk.keys_from(*at).zip(&chunk.values[*at..]) {
            (self.0)(value, &mut into);
            for _ in ends.len()..into.items.len() {
                bytes.extend_from_slice(key);
                ends.push(bytes.len() as u32);
            }
            if asked {
                cx.lineage.many(*at, into.items.len());
            }
            *at += 1;
            if into.items.len() >= CHUNK {
                break;
            }
        }
        within(out)
    }
}

pub(crate) fn flat_map_values<V, U, F>(f: Arc<F>) -> Box<dyn Stage>
where
    V: Send + 'static,
    U: Send + 'static,
    F: Fn(&V, &mut Out<'_, U>) + Send + Sync + 'static,
{
    reading::<V, KeyedChunk<U>>("flat-map-values", FlatMapValues(f))
}

struct FlatMapKeys<K, F> {
    key: Scratch<K>,
    f: Arc<F>,
}

impl<K, V, K2, F> Steps<V, KeyedChunk<V>> for (FlatMapKeys<K, F>, PhantomData<fn() -> K2>)
where
    K: Key,
    V: Clone,
    F: Fn(&K, &mut KeysOut<'_, K2>) + Send + Sync,
{
    fn some(&mut self, cx: &mut Context, chunk: &KeyedChunk<V>, at: &mut usize, out: &mut KeyedChunk<V>) -> Result<()> {
        let FlatMapKeys { key, f } = &mut self.0;
        let asked = cx.lineage.is_asked();
        for (bytes, value) in chunk.keys_from(*at).zip(&chunk.values[*at..]) {
            let mut keys = KeysOut {
                bytes: &mut out.bytes,
                ends: &mut out.ends,
                _k: PhantomData,
            };
            f(key.read("flat-map-keys", bytes)?, &mut keys);
            if out.ends.len() > out.values.len() {
                out.values.resize(out.ends.len(), value.clone());
            }
            if asked {
                cx.lineage.many(*at, out.values.len());
            }
            *at += 1;
            if out.values.len() >= CHUNK {
                break;
            }
        }
        within(out)
    }
}

pub(crate) fn flat_map_keys<K, V, K2, F>(f: Arc<F>) -> Box<dyn Stage>
where
    K: Key,
    V: Clone + Send + 'static,
    K2: 'static,
    F: Fn(&K, &mut KeysOut<'_, K2>) + Send + Sync + 'static,
{
    let steps = FlatMapKeys { key: Scratch(None), f };
    reading::<V, KeyedChunk<V>>("flat-map-keys", (steps, PhantomData::<fn() -> K2>))
}

/// Values under other keys.
pub(super) fn move_values<V: Clone>(input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<V>) {
    match input {
        In::Shared(chunk) => out.values.extend_from_slice(&chunk.values),
        In::Owned(chunk) => out.values.append(&mut chunk.values),
    }
}

/// Other values under the same keys.
fn move_keys<V, U>(input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<U>) {
    match input {
        In::Shared(chunk) => {
            out.bytes.extend_from_slice(&chunk.bytes);
            out.ends.extend_from_slice(&chunk.ends);
        }
        In::Owned(chunk) => {
            std::mem::swap(&mut out.bytes, &mut chunk.bytes);
            std::mem::swap(&mut out.ends, &mut chunk.ends);
        }
    }
}

pub(crate) fn map_keys<K, V, Q, F>(f: Arc<F>) -> Box<dyn Stage>
where
    K: Key,
    V: Clone + Send + 'static,
    Q: AsKey,
    F: Fn(&K) -> Q + Send + Sync + 'static,
{
    let mut key = Scratch::<K>(None);
    whole(
        "map-keys",
        move |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<V>| {
            for bytes in look(&input).keys() {
                f(key.read("map-keys", bytes)?).encode_key(&mut out.bytes);
                out.ends.push(out.bytes.len() as u32);
            }
            move_values(input, out);
            within(out)
        },
    )
}

pub(crate) fn map_values<V, U, F>(step: &'static str, f: Arc<F>) -> Box<dyn Stage>
where
    V: Send + 'static,
    U: Send + 'static,
    F: Fn(&V) -> U + Send + Sync + 'static,
{
    whole(
        step,
        move |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<U>| {
            out.values.extend(look(&input).values.iter().map(|v| f(v)));
            move_keys(input, out);
            Ok(())
        },
    )
}

struct FilterKeys<K, F> {
    key: Scratch<K>,
    f: Arc<F>,
    flags: Vec<bool>,
    chunks: AsKeyed,
}

impl<K: Key, F: Fn(&K) -> bool + Send + Sync> Stage for FilterKeys<K, F> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let Self { key, f, flags, chunks } = self;
        let mut look = |chunk: &dyn AnyKeyed| -> Result<()> {
            let (bytes, ends) = chunk.keys();
            flags.clear();
            let mut start = 0;
            for &end in ends {
                flags.push(f(key.read("filter-keys", &bytes[start..end as usize])?));
                start = end as usize;
            }
            Ok(())
        };
        let fits = match input {
            Input::Shared(chunk) => match (chunks.read)(chunk) {
                Some(chunk) => {
                    look(chunk)?;
                    chunk.copy(flags, out)
                }
                None => false,
            },
            Input::Owned(chunk) => match (chunks.open)(chunk) {
                Some(chunk) => {
                    look(chunk)?;
                    chunk.keep(flags, out)
                }
                None => false,
            },
        };
        if fits {
            cx.lineage.flags(flags);
            Ok(true)
        } else {
            Err(Error::bug("step filter-keys was handed something else than pairs"))
        }
    }
}

/// Knows nothing of the values: the planner may move it to other ones.
pub(crate) fn filter_keys<K, F>(f: Arc<F>, chunks: AsKeyed) -> Box<dyn Stage>
where
    K: Key,
    F: Fn(&K) -> bool + Send + Sync + 'static,
{
    Box::new(FilterKeys::<K, F> {
        key: Scratch(None),
        f,
        flags: Vec::new(),
        chunks,
    })
}

pub(crate) fn filter_values<V, F>(f: Arc<F>) -> Box<dyn Stage>
where
    V: Clone + Send + 'static,
    F: Fn(&V) -> bool + Send + Sync + 'static,
{
    let mut flags = Vec::new();
    whole(
        "filter-values",
        move |cx: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<V>| {
            flags.clear();
            flags.extend(look(&input).values.iter().map(|value| f(value)));
            cx.lineage.flags(&flags);
            match input {
                In::Shared(chunk) => chunk.copy(&flags, out),
                In::Owned(chunk) => chunk.keep(&flags, out),
            };
            Ok(())
        },
    )
}

fn owned_key<K: Key>(step: &str, bytes: &[u8]) -> Result<K> {
    key::decode_all(bytes).map_err(|e| Error::bug(format!("step {step}: {e}")))
}

pub(crate) fn pairs<K: Key, V: Clone + Send + 'static>() -> Box<dyn Stage> {
    whole(
        "pairs",
        |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut Vec<(K, V)>| {
            match input {
                In::Shared(chunk) => {
                    for (key, value) in chunk.keys().zip(&chunk.values) {
                        out.push((owned_key("pairs", key)?, value.clone()));
                    }
                }
                In::Owned(KeyedChunk { bytes, ends, values }) => {
                    for (i, value) in values.drain(..).enumerate() {
                        let key = &bytes[start_of(ends, i)..ends[i] as usize];
                        out.push((owned_key("pairs", key)?, value));
                    }
                }
            }
            Ok(())
        },
    )
}

pub(crate) fn keys<K: Key, V: Send + 'static>() -> Box<dyn Stage> {
    whole(
        "keys",
        |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut Vec<K>| {
            for key in look(&input).keys() {
                out.push(owned_key("keys", key)?);
            }
            Ok(())
        },
    )
}

pub(crate) fn values<V: Clone + Send + 'static>() -> Box<dyn Stage> {
    whole(
        "values",
        |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut Vec<V>| {
            match input {
                In::Shared(chunk) => out.extend_from_slice(&chunk.values),
                In::Owned(chunk) => out.append(&mut chunk.values),
            }
            Ok(())
        },
    )
}

pub(crate) fn swap<K: Key, V: AsKey + Send + 'static>() -> Box<dyn Stage> {
    whole(
        "swap",
        |_: &mut Context, input: In<'_, KeyedChunk<V>>, out: &mut KeyedChunk<K>| {
            let chunk = look(&input);
            for (key, value) in chunk.keys().zip(&chunk.values) {
                value.encode_key(&mut out.bytes);
                out.ends.push(out.bytes.len() as u32);
                out.values.push(owned_key("swap", key)?);
            }
            within(out)
        },
    )
}

//! Operators that emit what becomes of a sum, record by record (O15, O16).

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::buffer::Hint;
use rufous_algebra::{Codec, Group, Semigroup};

use super::CHUNK;
use super::emit::{KeyedOut, within};
use super::keyed::Scratch;
use super::running::{Known, Operator, Running, Standing, full};
use super::stage::{Context, In, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::key::Key;

/// What an operator emits for a record.
trait Emits<V>: Send + 'static {
    type Out: Clone + Send + 'static;
    /// Whether the value before is needed.
    const BEFORE: bool;
    fn value(before: Option<V>, after: &V) -> Self::Out;
}

struct After;
impl<V: Clone + Send + 'static> Emits<V> for After {
    type Out = V;
    const BEFORE: bool = false;
    #[inline]
    fn value(_: Option<V>, after: &V) -> V {
        after.clone()
    }
}

struct Both;
impl<V: Clone + Send + 'static> Emits<V> for Both {
    type Out = (Option<V>, V);
    const BEFORE: bool = true;
    #[inline]
    fn value(before: Option<V>, after: &V) -> (Option<V>, V) {
        (before, after.clone())
    }
}

/// Adds a value to that of its key; returns what `E` emits.
#[inline]
fn add<V: Semigroup, E: Emits<V>>(
    known: &mut Known<V>,
    (hint, hash): (Hint, u64),
    key: &[u8],
    item: V,
) -> Result<Option<E::Out>> {
    let emitted = Cell::new(None);
    let old = &known.old;
    let first = |item: V| {
        let before = old.get_hashed(hash, key).cloned();
        let after = match before.clone() {
            Some(mut value) => {
                value.combine_owned(item);
                value
            }
            None => item,
        };
        emitted.set(Some(E::value(before, &after)));
        after
    };
    let again = |value: &mut V, item: V| {
        let before = if E::BEFORE { Some(value.clone()) } else { None };
        value.combine_owned(item);
        emitted.set(Some(E::value(before, value)));
    };
    known
        .young
        .fold_hinted(hint, hash, key, item, first, again)
        .map_err(full)?;
    Ok(emitted.take())
}

struct Scan<V, E> {
    step: &'static str,
    running: Running<V>,
    _e: PhantomData<fn() -> E>,
}

fn once(cx: &Context, step: &str) -> Result<()> {
    match cx.times.get() {
        1 => Ok(()),
        n => Err(Error::bug(format!(
            "step {step} was handed records that stand {n} times"
        ))),
    }
}

impl<V: Semigroup + Codec, E: Emits<V>> Stage for Scan<V, E> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        once(cx, self.step)?;
        let out = output::<KeyedChunk<E::Out>>(out, self.step)?;
        let input = input.open::<KeyedChunk<V>>(self.step)?;
        let chunk = match &input {
            In::Shared(chunk) => *chunk,
            In::Owned(chunk) => &**chunk,
        };
        let at = self.running.prepare(cx, chunk, 0)?;
        let Running {
            domains, hashes, hints, ..
        } = &mut self.running;
        let Some(known) = domains.get_mut(at) else {
            return Ok(true);
        };
        let places = hints.iter().copied().zip(hashes.iter().copied());
        out.values.reserve(chunk.values.len());
        let mut emit = |(place, key, item): ((Hint, u64), &[u8], V)| -> Result<()> {
            out.values.extend(add::<V, E>(known, place, key, item)?);
            Ok(())
        };
        match input {
            In::Shared(chunk) => {
                for ((key, item), place) in chunk.keys().zip(&chunk.values).zip(places) {
                    emit((place, key, item.clone()))?;
                }
                out.bytes.extend_from_slice(&chunk.bytes);
                out.ends.extend_from_slice(&chunk.ends);
            }
            In::Owned(KeyedChunk { bytes, ends, values }) => {
                let mut from = 0;
                for ((&end, item), place) in ends.iter().zip(values.drain(..)).zip(places) {
                    let key = &bytes[from..end as usize];
                    from = end as usize;
                    emit((place, key, item))?;
                }
                std::mem::swap(&mut out.bytes, bytes);
                std::mem::swap(&mut out.ends, ends);
            }
        }
        Ok(true)
    }
    fn operator(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut self.running)
    }
}

/// Emits the value after each record.
pub(crate) fn scan_stage<V: Semigroup + Codec>(face: StoreFace, standing: Standing) -> Box<dyn Stage> {
    Box::new(Scan::<V, After> {
        step: "scan-by-key",
        running: Running::new(face, standing),
        _e: PhantomData,
    })
}

/// Emits the values before and after each record.
pub(crate) fn changes_stage<V: Semigroup + Codec>(face: StoreFace, standing: Standing) -> Box<dyn Stage> {
    Box::new(Scan::<V, Both> {
        step: "changes",
        running: Running::new(face, standing),
        _e: PhantomData,
    })
}

/// Takes away what the value before was worth, and adds what the one after is.
struct Totals<K, V, K2, W, F> {
    running: Running<V>,
    key: Scratch<K>,
    f: Arc<F>,
    _t: PhantomData<fn() -> (K2, W)>,
}

impl<K, V, K2, W, F> Stage for Totals<K, V, K2, W, F>
where
    K: Key,
    V: Semigroup + Codec,
    K2: 'static,
    W: Group,
    F: Fn(&K, &V, &mut KeyedOut<'_, K2, W>) + Send + Sync,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, at: &mut usize, out: &mut dyn Any) -> Result<bool> {
        once(cx, "totals")?;
        let chunk = input.read::<KeyedChunk<V>>("totals")?;
        let out = output::<KeyedChunk<W>>(out, "totals")?;
        let domain = self.running.prepare(cx, chunk, *at)?;
        let Running {
            domains, hashes, hints, ..
        } = &mut self.running;
        let Some(known) = domains.get_mut(domain) else {
            return Ok(true);
        };
        let asked = cx.lineage.is_asked();
        let mut out = KeyedOut::<K2, W>::new(out, &mut cx.counts);
        let places = hints.iter().copied().zip(hashes.iter().copied());
        for ((bytes, item), place) in chunk.keys_from(*at).zip(&chunk.values[*at..]).zip(places) {
            let changed = add::<V, Both>(known, place, bytes, item.clone())?;
            let Some((before, after)) = changed else {
                return Err(Error::bug("a value that was added is not there"));
            };
            let key = self.key.read("totals", bytes)?;
            if let Some(before) = before {
                let from = out.chunk.values.len();
                (self.f)(key, &before, &mut out);
                out.chunk.values.iter_mut().skip(from).for_each(Group::negate);
            }
            (self.f)(key, &after, &mut out);
            if asked {
                cx.lineage.many(*at, out.chunk.values.len());
            }
            *at += 1;
            if out.chunk.values.len() >= CHUNK {
                break;
            }
        }
        within(out.chunk)?;
        Ok(*at == chunk.values.len())
    }
    fn operator(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut self.running)
    }
}

pub(crate) fn totals_stage<K, V, K2, W, F>(face: StoreFace, standing: Standing, f: Arc<F>) -> Box<dyn Stage>
where
    K: Key,
    V: Semigroup + Codec,
    K2: 'static,
    W: Group,
    F: Fn(&K, &V, &mut KeyedOut<'_, K2, W>) + Send + Sync + 'static,
{
    Box::new(Totals::<K, V, K2, W, F> {
        running: Running::new(face, standing),
        key: Scratch(None),
        f,
        _t: PhantomData,
    })
}

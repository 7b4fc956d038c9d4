//! Operators that emit what becomes of a sum, record by record (O15, O16).
//!
//! The running value of a key is what the store holds of it plus all that is not committed yet (O7). What was changed lately
//! is remembered here; other keys are asked for, those of a chunk at once.
//!
//! **What may be forgotten.** Two tables a domain: `young` has what was changed or asked for since the last turn, `old` what
//! was before. At a turn `old` is dropped and `young` takes its place. Turns happen only when deltas are taken out, and then
//! everything that was taken before is committed: two maps swap, and one chunk at most is on its way. A key in `old` was
//! changed last before the turn before, so that change is committed, and the store answers with it. After a failed commit
//! everything is forgotten (P12, O10).

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::buffer::{CombineMap, Full, Hint};
use rufous_algebra::{Codec, Group, Semigroup};
use xxhash_rust::xxh3::xxh3_64;

use super::CHUNK;
use super::emit::{KeyedOut, within};
use super::keyed::Scratch;
use super::stage::{Context, In, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::key::Key;
use crate::rules::{Rule, kept};

/// What operators ask of the platform: state that is committed. Values are canonical bytes, so it serves state of any kind.
pub trait OperatorState: Send {
    /// For each key, in order, its committed value; `None`: it has none. Of the keys that are asked for nothing is uncommitted.
    ///
    /// # Errors
    /// When the state cannot be read, or does not belong to the records that are being processed.
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>>;
}

/// Keys whose state an operator needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The place of the operator's store in the plan.
    pub store: usize,
    /// The source's place in the plan.
    pub source: u32,
    /// The partition that the keys come from.
    pub partition: u32,
    /// Canonical bytes, each key once.
    pub keys: &'a [Vec<u8>],
}

/// Where an operator stands in its plan.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    /// The place of its store.
    pub(crate) store: usize,
    /// Whether it gets the records of several sources: then partition i of all of them is one domain.
    pub(crate) joint: bool,
}

/// What an operator remembers, for the executor.
pub(crate) trait Operator {
    /// Bytes of what was changed or asked for since the last turn, and of what was before.
    fn bytes(&self) -> (usize, usize);
    /// Forgets what was not touched since the last turn. Everything that was taken out before is committed.
    fn turn(&mut self);
    /// Forgets a partition of a source, or everything: what was not committed is read again.
    fn forget(&mut self, domain: Option<(u32, u32)>);
}

/// What is remembered of one domain.
struct Known<V> {
    source: u32,
    partition: u32,
    young: CombineMap<V>,
    old: CombineMap<V>,
}

/// What is remembered of all domains, and what is needed to ask for the rest.
struct Running<V> {
    face: StoreFace,
    standing: Standing,
    domains: Vec<Known<V>>,
    hashes: Vec<u64>,
    hints: Vec<Hint>,
    /// Keys of a chunk that are not remembered.
    asked: CombineMap<u64>,
    missing: Vec<Vec<u8>>,
}

#[cold]
fn full<I>(_: Full<I>) -> Error {
    Error::try_again("an operator remembers 4 GiB of keys: lower the memory budget so that it forgets some before")
}

impl<V: Semigroup + Codec> Running<V> {
    fn new(face: StoreFace, standing: Standing) -> Self {
        Self {
            face,
            standing,
            domains: Vec::new(),
            hashes: Vec::new(),
            hints: Vec::new(),
            asked: CombineMap::default(),
            missing: Vec::new(),
        }
    }

    /// The domain of a chunk.
    fn domain(&mut self, cx: &Context) -> usize {
        let source = if self.standing.joint { 0 } else { cx.meta.source };
        let partition = cx.meta.partition;
        let known = |d: &Known<V>| d.source == source && d.partition == partition;
        if let Some(at) = self.domains.iter().position(known) {
            return at;
        }
        self.domains.push(Known {
            source,
            partition,
            young: CombineMap::default(),
            old: CombineMap::default(),
        });
        self.domains.len() - 1
    }

    /// Hashes the keys of a chunk from record `from` on, and asks for the state of those that are not remembered. Returns the
    /// domain.
    fn prepare<I>(&mut self, cx: &mut Context, chunk: &KeyedChunk<I>, from: usize) -> Result<usize> {
        let at = self.domain(cx);
        self.hashes.clear();
        self.hashes.extend(chunk.keys_from(from).map(xxh3_64));
        self.missing.clear();
        self.asked.clear();
        let Some(known) = self.domains.get(at) else {
            return Err(Error::bug("an operator without a domain"));
        };
        known.young.look_ahead(&self.hashes, &mut self.hints);
        for (key, &hash) in chunk.keys_from(from).zip(&self.hashes) {
            if known.young.get_hashed(hash, key).is_some()
                || known.old.get_hashed(hash, key).is_some()
                || self.asked.get_hashed(hash, key).is_some()
            {
                continue;
            }
            self.asked.fold(hash, key, 0, |n| n, |_, _| ()).map_err(full)?;
            self.missing.push(key.to_vec());
        }
        if !self.missing.is_empty() {
            self.ask(cx, at)?;
        }
        Ok(at)
    }

    #[cold]
    fn ask(&mut self, cx: &mut Context, at: usize) -> Result<()> {
        for key in &self.missing {
            self.is_nowhere_else(at, key)?;
        }
        let Some(state) = &mut cx.state else { return Ok(()) };
        let values = state.values(&Wanted {
            store: self.standing.store,
            source: cx.meta.source,
            partition: cx.meta.partition,
            keys: &self.missing,
        })?;
        if values.len() != self.missing.len() {
            return Err(Error::bug("an operator was not told of all its keys"));
        }
        let Some(known) = self.domains.get_mut(at) else {
            return Ok(());
        };
        for (key, value) in self.missing.iter().zip(values) {
            let Some(value) = value else { continue };
            let value = V::decode(&value)
                .map_err(|e| Error::corrupt(format!("store `{}`: state of an operator: {e}", self.face.name)))?;
            known
                .young
                .fold(xxh3_64(key), key, value, |v| v, |_, _| ())
                .map_err(full)?;
        }
        Ok(())
    }

    /// O2: a key in two domains has no running value.
    fn is_nowhere_else(&self, at: usize, key: &[u8]) -> Result<()> {
        if !kept(Rule::OneDomain) {
            return Ok(());
        }
        let others = self.domains.iter().enumerate().filter(|(i, _)| *i != at);
        let hash = xxh3_64(key);
        for (_, other) in others {
            if other.young.get_hashed(hash, key).is_some() || other.old.get_hashed(hash, key).is_some() {
                let here = self.domains.get(at).map_or(0, |d| d.partition);
                return Err(in_two_domains(&self.face, key, here, other.partition));
            }
        }
        Ok(())
    }
}

/// O2: what to say of a key that two partitions have.
pub fn in_two_domains(face: &StoreFace, key: &[u8], one: u32, other: u32) -> Error {
    let key = face.key.text(key).unwrap_or_else(|e| format!("(no key: {e})"));
    let (low, high) = (one.min(other), one.max(other));
    Error::invalid(format!(
        "key `{key}` of `{}` came from partitions {low} and {high}, but the job says `.within_partition()`: write the records of \
         a key to one partition (by the key that the operator uses), or give the source one partition",
        face.name
    ))
}

impl<V: Semigroup + Codec> Operator for Running<V> {
    fn bytes(&self) -> (usize, usize) {
        let young = self.domains.iter().map(|d| d.young.bytes()).sum();
        let old = self.domains.iter().map(|d| d.old.bytes()).sum();
        (young, old)
    }
    fn turn(&mut self) {
        for known in &mut self.domains {
            known.old.clear();
            std::mem::swap(&mut known.young, &mut known.old);
        }
    }
    fn forget(&mut self, domain: Option<(u32, u32)>) {
        match domain {
            Some((source, partition)) => {
                let source = if self.standing.joint { 0 } else { source };
                self.domains.retain(|d| (d.source, d.partition) != (source, partition));
            }
            None => self.domains.clear(),
        }
    }
}

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

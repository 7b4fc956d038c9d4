//! Joins with what the job built itself, as of event time (O17, O18).
//!
//! Three steps: `stamp` gives the values that a store is built of their times; a `tap` before the store of the stamped values
//! remembers what comes; the join reads what the tap remembers. Tap and join share it, with no edge of the graph between them,
//! so that what is joined may be what the store is built of.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_algebra::{Codec, Commutative, Last, Monoid, Timeline};
use xxhash_rust::xxh3::xxh3_64;

use super::origins::Origin;
use super::rooms::Rooms;
use super::running::{Operator, Running, Standing};
use super::stage::{Context, In, Input, Stage, output};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::rules::{Rule, kept};
use crate::time::Timestamp;

/// Below it nobody is going to ask, of records of the chunk's batch on: the start of that batch less the horizon. A batch
/// without times has none.
fn floor(cx: &Context, horizon: u32) -> i64 {
    let first = cx.batch.0.checked_sub(i64::from(horizon)).map(crate::BatchId);
    let start = first.and_then(|b| cx.batcher?.start_of(b));
    start.map_or(i64::MIN, |t| t.0)
}

fn time(origin: &Origin, step: &str) -> Result<Timestamp> {
    origin.time().ok_or_else(|| {
        Error::invalid(format!(
            "{step}: a record has no time, so there is nothing to join it as of: say `.timed_by(..)` of its source"
        ))
    })
}

fn origins<'a>(cx: &'a Context, records: usize, step: &str) -> Result<&'a [Origin]> {
    if cx.origins.len() == records {
        Ok(&cx.origins)
    } else {
        Err(Error::bug(format!(
            "{step}: {records} records with {} origins",
            cx.origins.len()
        )))
    }
}

/// Gives values their times, and the earliest that is asked about from their batch on.
struct Stamp<V, W, F> {
    horizon: u32,
    value: F,
    _t: PhantomData<fn(V) -> W>,
}

impl<V, W, F> Stage for Stamp<V, W, F>
where
    V: Clone + Send + 'static,
    W: Commutative,
    F: Fn(V, &Origin, u32) -> W + Send,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<Timeline<W>>>(out, "stamp")?;
        let (floor, source) = (floor(cx, self.horizon), cx.meta.source);
        let stamp = |value: V, origin: &Origin, values: &mut Vec<Timeline<W>>| -> Result<()> {
            let time = time(origin, "stamp")?;
            values.push(Timeline::of(time.0, floor, (self.value)(value, origin, source)));
            Ok(())
        };
        match input.open::<KeyedChunk<V>>("stamp")? {
            In::Shared(chunk) => {
                let origins = origins(cx, chunk.values.len(), "stamp")?;
                for (value, origin) in chunk.values.iter().zip(origins) {
                    stamp(value.clone(), origin, &mut out.values)?;
                }
                out.bytes.extend_from_slice(&chunk.bytes);
                out.ends.extend_from_slice(&chunk.ends);
            }
            In::Owned(chunk) => {
                let origins = origins(cx, chunk.values.len(), "stamp")?;
                for (value, origin) in chunk.values.drain(..).zip(origins) {
                    stamp(value, origin, &mut out.values)?;
                }
                std::mem::swap(&mut out.bytes, &mut chunk.bytes);
                std::mem::swap(&mut out.ends, &mut chunk.ends);
            }
        }
        Ok(true)
    }
}

pub(crate) fn stamp<V: Commutative>(horizon: u32) -> Box<dyn Stage> {
    Box::new(Stamp {
        horizon,
        value: |value: V, _: &Origin, _| value,
        _t: PhantomData,
    })
}

/// Where a record stands among those of its key: time, source, offset.
pub type Position = (i64, u32, u64);

/// The same for records of which only the newest counts.
pub(crate) fn stamp_newest<J: Ord + Clone + Send + Sync + 'static>(horizon: u32) -> Box<dyn Stage> {
    Box::new(Stamp {
        horizon,
        value: |value: J, origin: &Origin, source| {
            let time = origin.time().map_or(i64::MIN, |t| t.0);
            Last::of((time, source, origin.offset), value)
        },
        _t: PhantomData,
    })
}

/// A record: source, partition, and the number of the push that it came with.
type Record = (u32, u32, u64);

/// What tap and joins share.
struct Room<V> {
    running: Running<Timeline<V>>,
    /// What the record that is under way added: it does not see itself (O18). Empty where no record comes both ways.
    own: KeyedChunk<Timeline<V>>,
    record: Record,
}

impl<V: Commutative + Codec> Room<V> {
    fn of(face: StoreFace, standing: Standing, rooms: &Rooms) -> Result<Arc<Mutex<Self>>> {
        rooms.of(standing.store, || Self {
            running: Running::new(face, standing).remembering_absent(Timeline::zero()),
            own: KeyedChunk::default(),
            record: (0, 0, 0),
        })
    }

    /// Another record: what the one before it added is seen from now on.
    fn begin(&mut self, record: Option<Record>) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        if record != self.record && !self.own.values.is_empty() {
            self.settle()?;
        }
        self.record = record;
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let (source, partition, _) = self.record;
        let Some(at) = self.running.known(source, partition) else {
            return Err(Error::bug("a join remembers what nobody added"));
        };
        let mut own = std::mem::take(&mut self.own);
        let Some(known) = self.running.domains.get_mut(at) else {
            return Ok(());
        };
        let mut start = 0;
        for (&end, value) in own.ends.iter().zip(own.values.drain(..)) {
            let key = own.bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            known.add(xxh3_64(key), key, value)?;
        }
        own.bytes.clear();
        own.ends.clear();
        self.own = own;
        Ok(())
    }
}

fn open<V>(room: &Mutex<Room<V>>) -> MutexGuard<'_, Room<V>> {
    // One instance runs in one thread: nobody else holds it.
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The record that a chunk is made of, where records run one by one.
fn record(cx: &Context, one_by_one: bool) -> Option<Record> {
    one_by_one.then_some((cx.meta.source, cx.meta.partition, cx.push))
}

struct Tap<V> {
    room: Arc<Mutex<Room<V>>>,
    one_by_one: bool,
}

impl<V: Commutative + Codec> Stage for Tap<V> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, _: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<KeyedChunk<Timeline<V>>>("as-of")?;
        let room = &mut *open(&self.room);
        let record = record(cx, self.one_by_one);
        room.begin(record)?;
        let at = room.running.prepare(cx, chunk, 0)?;
        if record.is_some() && kept(Rule::NotItself) {
            for (key, value) in chunk.keys().zip(&chunk.values) {
                room.own.push(key, value.clone());
            }
            return Ok(true);
        }
        let Running { domains, hashes, .. } = &mut room.running;
        let Some(known) = domains.get_mut(at) else {
            return Ok(true);
        };
        for ((key, value), &hash) in chunk.keys().zip(&chunk.values).zip(hashes.iter()) {
            known.add(hash, key, value.clone())?;
        }
        Ok(true)
    }
    fn operator(&mut self) -> Option<&mut dyn Operator> {
        Some(self)
    }
}

impl<V: Commutative + Codec> Operator for Tap<V> {
    fn bytes(&self) -> (usize, usize) {
        open(&self.room).running.bytes()
    }
    fn turn(&mut self) {
        let room = &mut *open(&self.room);
        // A key of it that is forgotten would be asked for, and the store has what was added. What cannot be added stays: the
        // next record says why.
        if !room.own.values.is_empty() && room.settle().is_err() {
            return;
        }
        room.running.turn();
    }
    fn forget(&mut self, domain: Option<(u32, u32)>) {
        let room = &mut *open(&self.room);
        let (source, partition, _) = room.record;
        let joint = room.running.is_joint();
        if domain.is_none_or(|(s, p)| p == partition && (joint || s == source)) {
            room.own = KeyedChunk::default();
        }
        room.running.forget(domain);
    }
}

/// Remembers what is added to a store.
pub(crate) fn tap<V: Commutative + Codec>(
    face: StoreFace,
    standing: Standing,
    rooms: &Rooms,
) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Tap::<V> {
        room: Room::of(face, standing, rooms)?,
        one_by_one: standing.one_by_one,
    }))
}

/// How a join reads what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Batches before a record's own that it may be asked about.
    pub(crate) horizon: u32,
    /// Milliseconds after which a value is none.
    pub(crate) valid_ms: Option<i64>,
}

/// What a join emits for a record and what it found.
pub(crate) trait Pairs<L, J>: Send + 'static {
    type Out: Clone + Send + 'static;
    /// Whether something is emitted where nothing is found.
    const LEFT: bool;
    fn pair(left: L, found: Option<J>) -> Option<Self::Out>;
}

/// Every record, with what was found or nothing.
pub(crate) struct Left;
impl<L: Clone + Send + 'static, J: Clone + Send + 'static> Pairs<L, J> for Left {
    type Out = (L, Option<J>);
    const LEFT: bool = true;
    fn pair(left: L, found: Option<J>) -> Option<Self::Out> {
        Some((left, found))
    }
}

/// Only records for which something was found.
pub(crate) struct Inner;
impl<L: Clone + Send + 'static, J: Clone + Send + 'static> Pairs<L, J> for Inner {
    type Out = (L, J);
    const LEFT: bool = false;
    fn pair(left: L, found: Option<J>) -> Option<Self::Out> {
        Some((left, found?))
    }
}

struct Join<L, V, J, P> {
    room: Arc<Mutex<Room<V>>>,
    one_by_one: bool,
    reading: Reading,
    found: fn(V) -> Option<J>,
    _t: PhantomData<fn(L) -> P>,
}

impl<L, V, J, P> Stage for Join<L, V, J, P>
where
    L: Clone + Send + 'static,
    V: Commutative + Codec,
    J: Clone + Send + 'static,
    P: Pairs<L, J>,
{
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<P::Out>>(out, "join")?;
        let chunk = input.read::<KeyedChunk<L>>("join")?;
        let room = &mut *open(&self.room);
        room.begin(record(cx, self.one_by_one))?;
        let at = room.running.prepare(cx, chunk, 0)?;
        let floor = floor(cx, self.reading.horizon);
        let Running { domains, hashes, .. } = &mut room.running;
        let Some(known) = domains.get_mut(at) else {
            return Ok(true);
        };
        let asked = cx.lineage.is_asked();
        let origins = origins(cx, chunk.values.len(), "join")?;
        let mut lineage = Vec::new();
        let records = chunk.keys().zip(&chunk.values).zip(hashes.iter().zip(origins));
        for (i, ((key, left), (&hash, origin))) in records.enumerate() {
            let time = time(origin, "join")?.0;
            let as_of = if kept(Rule::ClampToHorizon) {
                time.max(floor)
            } else {
                time
            };
            let found = known.read(hash, key)?.and_then(|timeline| {
                let newest = timeline.newest_before(as_of)?;
                let fresh = self
                    .reading
                    .valid_ms
                    .is_none_or(|ms| newest >= as_of.saturating_sub(ms));
                if fresh { timeline.at(as_of) } else { None }
            });
            if let Some(pair) = P::pair(left.clone(), found.and_then(self.found)) {
                out.push(key, pair);
                if asked && !P::LEFT {
                    lineage.push(i);
                }
            }
        }
        lineage.into_iter().for_each(|i| cx.lineage.kept(i));
        Ok(true)
    }
}

/// Reads what the tap of the same store remembers.
pub(crate) fn as_of_join<L, V, J, P>(
    face: StoreFace,
    (reading, found): (Reading, fn(V) -> Option<J>),
    standing: Standing,
    rooms: &Rooms,
) -> Result<Box<dyn Stage>>
where
    L: Clone + Send + 'static,
    V: Commutative + Codec,
    J: Clone + Send + 'static,
    P: Pairs<L, J>,
{
    Ok(Box::new(Join::<L, V, J, P> {
        room: Room::of(face, standing, rooms)?,
        one_by_one: standing.one_by_one,
        reading,
        found,
        _t: PhantomData,
    }))
}

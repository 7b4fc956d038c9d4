//! Joins with what the job built itself, as of event time (O17, O18).
//!
//! Three steps: `stamp` gives the values that a store is built of their times; a `tap` before the store of the stamped values
//! remembers what comes; the join reads what the tap remembers. Tap and join share it, with no edge of the graph between them,
//! so that what is joined may be what the store is built of.
//!
//! A record does not see itself, and it sees those before it. Where what is joined is what the store is built of, and comes in no
//! other way, the join hands on a chunk in stretches in which each key is of one record: those cannot see each other. Where a
//! record comes to both in several ways, records run one by one.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_algebra::buffer::{CombineMap, Full};
use rufous_algebra::{Codec, Commutative, Monoid, Timeline};
use xxhash_rust::xxh3::xxh3_64;

use super::origins::Origin;
use super::rooms::Rooms;
use super::running::{Meets, Operator, Running, Standing, full};
use super::stage::{Context, Input, Stage, output};
use super::stamp::{floor, origins, time};
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::rules::{Rule, kept};

/// A record: source, partition, and the number of the push that it came with.
type Record = (u32, u32, u64);

/// What tap and joins share.
struct Room<V> {
    running: Running<Timeline<V>>,
    /// What the records that are under way added: they do not see themselves (O18). Empty where no record comes both ways.
    own: KeyedChunk<Timeline<V>>,
    record: Record,
    /// Of a loop: the keys of the stretch that is under way, with the offsets of their records, and the last of those.
    stretch: CombineMap<u64>,
    last: Option<u64>,
}

impl<V: Commutative + Codec> Room<V> {
    fn of(face: StoreFace, standing: Standing, rooms: &Rooms) -> Result<Arc<Mutex<Self>>> {
        rooms.of(standing.store, || Self {
            running: Running::new(face, standing).remembering_absent(Timeline::zero()),
            own: KeyedChunk::default(),
            record: (0, 0, 0),
            stretch: CombineMap::default(),
            last: None,
        })
    }

    /// Another record, or another chunk: what the one before it added is seen from now on.
    fn begin(&mut self, record: Option<Record>) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        if record != self.record {
            self.settle(None)?;
            self.last = None;
        }
        self.record = record;
        Ok(())
    }

    /// Adds what waits to what is known; but for what the record at offset `under_way` added, which may have more keys to come. What
    /// cannot be added waits on.
    fn settle(&mut self, under_way: Option<u64>) -> Result<()> {
        if self.own.values.is_empty() {
            return Ok(());
        }
        let (source, partition, _) = self.record;
        let Some(at) = self.running.known(source, partition) else {
            return Err(Error::bug("a join remembers what nobody added"));
        };
        let mut own = std::mem::take(&mut self.own);
        let Some(known) = self.running.domains.get_mut(at) else {
            return Ok(());
        };
        let (mut start, mut done) = (0, Ok(()));
        for (&end, value) in own.ends.iter().zip(own.values.drain(..)) {
            let key = own.bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            let hash = xxh3_64(key);
            let is_under_way = under_way.is_some() && self.stretch.get_hashed(hash, key).copied() == under_way;
            if is_under_way || done.is_err() {
                self.own.push(key, value);
            } else if let Err(Full(value)) = known.add(hash, key, value) {
                self.own.push(key, value);
                done = Err(full(Full(())));
            }
        }
        if self.own.values.is_empty() {
            // Its space is used again.
            own.bytes.clear();
            own.ends.clear();
            self.own = own;
        }
        done
    }

    /// From record `from` of a chunk that was prepared to where a key comes again, of another record: how far nobody adds to what
    /// another one reads. Records are whole: what one makes of a key it does not see.
    fn stretch<L>(&mut self, chunk: &KeyedChunk<L>, origins: &[Origin], from: usize) -> Result<Range<usize>> {
        let Some(first) = origins.get(from).map(|o| o.offset) else {
            return Ok(from..from);
        };
        let under_way = self.last.filter(|last| *last == first);
        self.settle(under_way)?;
        self.stretch.clear();
        for key in self.own.keys() {
            let hash = xxh3_64(key);
            self.stretch.fold(hash, key, first, |o| o, |_, _| ()).map_err(full)?;
        }
        let (mut begin, mut record) = (from, first);
        let places = origins.iter().zip(&self.running.hashes).skip(from);
        for (i, (key, (origin, &hash))) in (from..).zip(chunk.keys_from(from).zip(places)) {
            if origin.offset != record {
                (begin, record) = (i, origin.offset);
            }
            match self.stretch.get_hashed(hash, key) {
                Some(offset) if *offset != record => {
                    self.last = begin.checked_sub(1).and_then(|i| origins.get(i)).map(|o| o.offset);
                    return Ok(from..begin);
                }
                Some(_) => {}
                None => self.stretch.fold(hash, key, record, |o| o, |_, _| ()).map_err(full)?,
            }
        }
        self.last = Some(record);
        Ok(from..chunk.values.len())
    }
}

fn open<V>(room: &Mutex<Room<V>>) -> MutexGuard<'_, Room<V>> {
    // One instance runs in one thread: nobody else holds it.
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a chunk is made of, where records of it come to tap and join.
fn record(cx: &Context, meets: Meets) -> Option<Record> {
    (meets != Meets::Not).then_some((cx.meta.source, cx.meta.partition, cx.push))
}

struct Tap<V> {
    room: Arc<Mutex<Room<V>>>,
    meets: Meets,
}

impl<V: Commutative + Codec> Stage for Tap<V> {
    fn run(&mut self, cx: &mut Context, input: Input<'_>, _: &mut usize, _: &mut dyn Any) -> Result<bool> {
        let chunk = input.read::<KeyedChunk<Timeline<V>>>("as-of")?;
        let room = &mut *open(&self.room);
        let record = record(cx, self.meets);
        room.begin(record)?;
        // What a loop comes back with was prepared by its join, which goes on with it.
        let looped = self.meets == Meets::Loop && room.last.is_some();
        let at = if looped {
            None
        } else {
            Some(room.running.prepare(cx, chunk, 0)?)
        };
        if record.is_some() && (looped || kept(Rule::NotItself)) {
            for (key, value) in chunk.keys().zip(&chunk.values) {
                room.own.push(key, value.clone());
            }
            return Ok(true);
        }
        let Running { domains, hashes, .. } = &mut room.running;
        let Some(known) = at.and_then(|at| domains.get_mut(at)) else {
            return Ok(true);
        };
        for ((key, value), &hash) in chunk.keys().zip(&chunk.values).zip(hashes.iter()) {
            known.add(hash, key, value.clone()).map_err(full)?;
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
        if room.settle(None).is_err() {
            return;
        }
        room.running.turn();
    }
    fn forget(&mut self, domain: Option<(u32, u32)>) {
        let room = &mut *open(&self.room);
        let (source, partition, _) = room.record;
        if domain.is_none_or(|of| room.running.are_one(of, (source, partition))) {
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
        meets: standing.meets,
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
    meets: Meets,
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
    fn run(&mut self, cx: &mut Context, input: Input<'_>, from: &mut usize, out: &mut dyn Any) -> Result<bool> {
        let out = output::<KeyedChunk<P::Out>>(out, "join")?;
        let chunk = input.read::<KeyedChunk<L>>("join")?;
        let room = &mut *open(&self.room);
        let at = if *from == 0 {
            room.begin(record(cx, self.meets))?;
            Some(room.running.prepare(cx, chunk, 0)?)
        } else {
            room.running.known(cx.meta.source, cx.meta.partition)
        };
        let floor = floor(cx, self.reading.horizon);
        let origins = origins(cx, chunk.values.len(), "join")?;
        let some = match self.meets {
            Meets::Loop => room.stretch(chunk, origins, *from)?,
            Meets::Not | Meets::OneByOne => 0..chunk.values.len(),
        };
        let Running { domains, hashes, .. } = &mut room.running;
        let Some(known) = at.and_then(|at| domains.get_mut(at)) else {
            return Ok(true);
        };
        let asked = cx.lineage.is_asked() && !(P::LEFT && some.len() == chunk.values.len());
        let mut lineage = Vec::new();
        let records = chunk.keys_from(some.start).zip(chunk.values.iter().skip(some.start));
        let places = hashes.iter().zip(origins).skip(some.start);
        for (i, ((key, left), (&hash, origin))) in some.clone().zip(records.zip(places)) {
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
                if asked {
                    lineage.push(i);
                }
            }
        }
        lineage.into_iter().for_each(|i| cx.lineage.kept(i));
        *from = some.end;
        Ok(some.end >= chunk.values.len())
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
        meets: standing.meets,
        reading,
        found,
        _t: PhantomData,
    }))
}

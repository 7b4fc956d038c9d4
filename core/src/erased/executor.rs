//! Steps in a row. A chunk is handed from step to step on an explicit stack, so a job of a hundred thousand steps runs on a
//! small thread, and at most one chunk a step is under way however much a step multiplies its records.

use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::ChunkMeta;
use super::lanes::Deltas;
use super::origins::{Lineage, Origin, Origins};
use super::running::{Operator, OperatorState};
use super::stage::{ChunkType, Context, Held, Input, Stage};
use crate::batch::{BatchId, Batcher};
use crate::data::AnyChunk;
use crate::error::{Error, Result};
use crate::rules::{Rule, kept};
use crate::service::{Complete, ServiceFace, Services};
use crate::sink::RecordId;
use crate::time::Timestamp;

/// What all running instances of a plan share.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Per step: the steps that follow, all of higher index, in the order in which they were said.
    pub(crate) next: Vec<Vec<Follower>>,
    /// Per source: its readers.
    pub(crate) sources: Vec<Vec<Follower>>,
    /// Per source and per step: whether a step behind it asks where records come from.
    pub(crate) traced_sources: Vec<bool>,
    pub(crate) traced: Vec<bool>,
    /// Per source what cuts it into batches, and the services that steps behind it ask.
    pub(crate) batchers: Vec<Batcher>,
    pub(crate) asked: Vec<Vec<ServiceFace>>,
    /// Whether any does: without one nothing at all is done for it.
    pub(crate) traces: bool,
    /// Whether writes say which records they write.
    pub(crate) identifies: bool,
    /// Per store: its step. The store of counters is the last, if there is one.
    pub(crate) sums: Vec<u32>,
    /// The place of the store of counters in `sums`.
    pub(crate) counters: Option<usize>,
    /// Per sink: its step.
    pub(crate) writes: Vec<u32>,
    /// The steps that hold values per key, each input before its consumers.
    pub(crate) holders: Vec<u32>,
    /// The places of the combiners among them.
    pub(crate) combiners: Vec<usize>,
    /// Per combiner: how many pairs become of one behind it, where that is known beforehand.
    pub(crate) fans: Vec<Option<u64>>,
    /// Per step: what it may count, and what to call it in an error.
    pub(crate) about: Vec<About>,
    /// The operators with memory, with the sources that they get records of.
    pub(crate) operators: Vec<(u32, Vec<u32>)>,
    /// Whether sums keep no sources, partitions and batches apart: order matters more.
    pub(crate) one_lane: bool,
}

/// A step that follows, and which of its inputs this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follower {
    pub(crate) step: u32,
    pub(crate) branch: u32,
}

#[derive(Clone)]
pub(crate) struct About {
    pub(crate) name: String,
    /// The name that the user gave it.
    pub(crate) named: Option<String>,
    pub(crate) counts: Vec<&'static str>,
    /// The service that it asks.
    pub(crate) asks: Option<&'static str>,
}

pub(crate) struct Slot {
    pub(crate) stage: Box<dyn Stage>,
    /// What it fills, and which pool has such chunks; `None` at an end.
    pub(crate) out: Option<(ChunkType, u32)>,
}

/// A chunk whose consumers are at work.
struct Frame {
    chunk: Box<dyn AnyChunk>,
    of: u32,
    next: u32,
    at: usize,
}

/// A running instance of a job: its steps with their state. One per thread.
pub struct Executor {
    shape: Arc<Shape>,
    slots: Vec<Slot>,
    /// What is held, with the memory that is a step's alone.
    holders: Vec<(u32, Option<usize>)>,
    /// Empty chunks, by type.
    pools: Vec<Vec<Box<dyn AnyChunk>>>,
    stack: Vec<Frame>,
    cx: Context,
    /// Per step the records that came out of it.
    emitted: Vec<u64>,
    /// Bytes of state that operators may remember before they turn; `None`: they never forget.
    forgets: Option<usize>,
    /// Per step that holds values: how many pairs the steps behind it lately made of one.
    fans: Vec<u64>,
    /// Where the records of the next chunk come from.
    given: Origins,
    /// Of the frames whose origins somebody asks for, in the same order.
    traces: Vec<Vec<Origin>>,
    /// Lists of origins, empty.
    lists: Vec<Vec<Origin>>,
    /// Per source up to when the services behind it are complete, as far as is known.
    complete: Vec<Vec<Completeness>>,
}

struct Completeness {
    service: &'static str,
    ask: Complete,
    until: Option<Timestamp>,
}

/// What was written to a sink, and which records these are.
pub struct Identified {
    /// One a record.
    pub ids: Vec<RecordId>,
    /// A `Vec` of the port's records.
    pub records: Box<dyn AnyChunk>,
}

/// A record that a service cannot be asked about yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The service.
    pub service: &'static str,
    /// The first instant that it cannot be asked about.
    pub complete_until: Timestamp,
}

/// Pairs that a combiner may become when it hands on what it holds: so much more than its budget a run may hold.
const EXPANDED: u64 = 8 * 1024;

const ONE_LANE: ChunkMeta = ChunkMeta {
    source: 0,
    partition: 0,
    batch: BatchId(0),
};

impl Executor {
    pub(crate) fn new(shape: Arc<Shape>, slots: Vec<Slot>, pools: usize, holders: Vec<(u32, Option<usize>)>) -> Self {
        let shape_identifies = shape.identifies;
        Self {
            emitted: vec![0; slots.len()],
            // Before it is known, of combiners a careful guess.
            fans: (0..holders.len())
                .map(|h| match shape.combiners.iter().position(|c| *c == h) {
                    Some(i) => shape.fans[i].unwrap_or(512),
                    None => 0,
                })
                .collect(),
            shape,
            slots,
            holders,
            pools: (0..pools).map(|_| Vec::new()).collect(),
            stack: Vec::new(),
            cx: Context {
                meta: ONE_LANE,
                times: NonZeroU64::MIN,
                state: None,
                counts: Vec::new(),
                lineage: Lineage::default(),
                origins: Vec::new(),
                identifies: shape_identifies,
                batch: BatchId::MAX,
                last: Timestamp(i64::MAX),
                batcher: None,
                push: 0,
            },
            forgets: None,
            given: Origins::default(),
            traces: Vec::new(),
            lists: Vec::new(),
            complete: Vec::new(),
        }
    }

    /// With the services that its steps ask.
    pub(crate) fn asking(mut self, services: &Services) -> Self {
        let one = |face: &ServiceFace| {
            Some(Completeness {
                service: face.name,
                ask: services.complete(face.name)?.clone(),
                until: Some(Timestamp(i64::MIN)),
            })
        };
        let asked = self.shape.asked.iter();
        self.complete = asked.map(|faces| faces.iter().filter_map(one).collect()).collect();
        self
    }

    fn last_of(&self, source: u32, batch: BatchId) -> Timestamp {
        let last = self.shape.batchers.get(source as usize).and_then(|b| b.last_of(batch));
        last.unwrap_or(Timestamp(i64::MAX))
    }

    /// As of when steps look things up for a record of this time and batch: at its time, but not beyond the last millisecond
    /// of its batch (O19).
    pub fn as_of(&self, source: u32, time: Timestamp, batch: BatchId) -> Timestamp {
        time.min(self.last_of(source, batch))
    }

    /// Whether a service behind this source cannot be asked about this instant yet: its records from then on wait.
    ///
    /// # Errors
    /// When the service does not say.
    pub fn waits(&mut self, source: u32, as_of: Timestamp) -> Result<Option<Waiting>> {
        for known in self.complete.get_mut(source as usize).into_iter().flatten() {
            if known.until.is_some_and(|until| as_of >= until) {
                known.until = (known.ask)().map_err(|e| e.at(format!("service `{}`", known.service)))?;
            }
            if let Some(until) = known.until.filter(|until| as_of >= *until) {
                return Ok(Some(Waiting {
                    service: known.service,
                    complete_until: until,
                }));
            }
        }
        Ok(None)
    }

    /// Nothing is looked up in a table that is not complete.
    fn check_complete(&mut self, source: u32) -> Result<()> {
        if self.complete.get(source as usize).is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let Some(latest) = self.given.list.iter().filter_map(Origin::time).max() else {
            return Ok(());
        };
        let as_of = self.as_of(source, latest, self.given.batch);
        match self.waits(source, as_of)? {
            None => Ok(()),
            Some(Waiting {
                service,
                complete_until,
            }) => Err(Error::try_again(format!(
                "service `{service}` is complete until {complete_until}, and there are records as of {as_of}: run again when it \
                 is complete beyond that, or let the run end before"
            ))),
        }
    }

    /// Where the platform says of which records the next chunk of a source is made, before it pushes it; `None` when no step
    /// behind the source asks.
    pub fn origins(&mut self, source: u32) -> Option<&mut Origins> {
        let traced = self.shape.traced_sources.get(source as usize) == Some(&true);
        traced.then_some(&mut self.given)
    }

    /// Runs a chunk of source number `meta.source` through all steps. What is left in the chunk is unspecified.
    ///
    /// # Errors
    /// When a step counts what it did not declare, or a map is full; else only for a bug of ours.
    pub fn push(&mut self, meta: &ChunkMeta, chunk: &mut dyn Any) -> Result<()> {
        self.push_repeated(meta, NonZeroU64::MIN, chunk)
    }

    /// The same for a chunk whose records stand `times` times each in the input: sums add each `times` times, counters
    /// count it and sinks receive it as often; closures run once.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_repeated(&mut self, meta: &ChunkMeta, times: NonZeroU64, chunk: &mut dyn Any) -> Result<()> {
        let shape = self.shape.clone();
        let Some(readers) = shape.sources.get(meta.source as usize) else {
            return Err(Error::bug(format!("there is no source number {}", meta.source)));
        };
        self.check_complete(meta.source)?;
        self.cx.push += 1;
        for (i, &reader) in readers.iter().enumerate() {
            let last = i + 1 == readers.len();
            self.begin(&shape, meta, times);
            self.trace(&shape, meta);
            self.feed(&shape, reader, chunk, last)?;
        }
        self.given.list.clear();
        self.relieve(&shape)
    }

    /// Combiners hand on what they hold before it would become more than [`EXPANDED`] pairs: behind a step that makes many
    /// keys of one, a full combiner would be many times its size.
    fn relieve(&mut self, shape: &Arc<Shape>) -> Result<()> {
        for (&holder, known) in shape.combiners.iter().zip(&shape.fans) {
            // What is known is no surprise: `is_full` counts it.
            if known.is_some() {
                continue;
            }
            let held = self.held(shape.holders[holder])?.len() as u64;
            if held > 0 && held.saturating_mul(self.fans[holder]) >= EXPANDED {
                self.hand_on(shape, holder)?;
            }
        }
        Ok(())
    }

    /// Lets a step emit what it holds, and sees how much becomes of it.
    fn hand_on(&mut self, shape: &Arc<Shape>, holder: usize) -> Result<()> {
        let step = shape.holders[holder];
        let held = self.held(step)?.len() as u64;
        if held == 0 {
            return Ok(());
        }
        let before = self.emitted.clone();
        self.emit(shape, step)?;
        if let Some(emitted) = self.emitted.get_mut(step as usize) {
            *emitted += held;
        }
        let made = self.emitted.iter().zip(before).map(|(now, before)| now - before).max();
        let known = shape
            .combiners
            .iter()
            .position(|c| *c == holder)
            .and_then(|i| shape.fans[i]);
        self.fans[holder] = known.unwrap_or_else(|| made.unwrap_or(0).div_ceil(held).max(1));
        Ok(())
    }

    /// The same for a chunk that is kept: steps that keep records copy them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_shared(&mut self, meta: &ChunkMeta, chunk: &dyn Any) -> Result<()> {
        let shape = self.shape.clone();
        let Some(readers) = shape.sources.get(meta.source as usize) else {
            return Err(Error::bug(format!("there is no source number {}", meta.source)));
        };
        self.check_complete(meta.source)?;
        self.cx.push += 1;
        for &reader in readers {
            self.begin(&shape, meta, NonZeroU64::MIN);
            self.trace(&shape, meta);
            let mut at = 0;
            while !self.run(&shape, reader, Input::Shared(chunk), &mut at)? {}
        }
        self.given.list.clear();
        self.relieve(&shape)
    }

    /// Where the records of a source's chunk come from.
    fn trace(&mut self, shape: &Shape, meta: &ChunkMeta) {
        if shape.traces && shape.traced_sources[meta.source as usize] {
            self.cx.origins.extend_from_slice(&self.given.list);
            self.cx.batch = self.given.batch;
            // A log without times is cut by offsets, whatever the port says of times: its batches have no end.
            let timed = self.given.list.iter().any(|o| o.time().is_some());
            self.cx.last = if timed {
                self.last_of(meta.source, self.given.batch)
            } else {
                Timestamp(i64::MAX)
            };
            self.cx.batcher = shape.batchers.get(meta.source as usize).copied();
        }
    }

    fn feed(&mut self, shape: &Shape, reader: Follower, chunk: &mut dyn Any, own: bool) -> Result<()> {
        let mut at = 0;
        loop {
            let input = if own {
                Input::Owned(&mut *chunk)
            } else {
                Input::Shared(&*chunk)
            };
            if self.run(shape, reader, input, &mut at)? {
                return Ok(());
            }
        }
    }

    fn begin(&mut self, shape: &Shape, meta: &ChunkMeta, times: NonZeroU64) {
        self.cx.meta = if shape.one_lane { ONE_LANE } else { *meta };
        self.cx.times = times;
        // What an error left behind belongs to a chunk that nobody commits.
        self.stack.clear();
        self.cx.counts.clear();
        if shape.traces {
            self.cx.origins.clear();
            self.traces.clear();
        }
    }

    /// One run of one step, and of everything that follows from it.
    fn run(&mut self, shape: &Shape, step: Follower, input: Input<'_>, at: &mut usize) -> Result<bool> {
        if shape.traces {
            self.run_all::<true>(shape, step, input, at)
        } else {
            self.run_all::<false>(shape, step, input, at)
        }
    }

    fn run_all<const TRACES: bool>(
        &mut self,
        shape: &Shape,
        step: Follower,
        input: Input<'_>,
        at: &mut usize,
    ) -> Result<bool> {
        let done = self.parts().work::<TRACES>(shape, step, input, at)?;
        self.take_counts(shape, step.step)?;
        // Steps that follow have origins of their own: those of this chunk are needed again for the rest of it.
        let rest = (TRACES && !done).then(|| std::mem::take(&mut self.cx.origins));
        while let Some(mut frame) = self.stack.pop() {
            let followers = &shape.next[frame.of as usize];
            let step = followers[frame.next as usize];
            let last = frame.next as usize + 1 == followers.len();
            let kept = self.stack.len();
            let traced = TRACES && shape.traced[frame.of as usize];
            if traced {
                self.cx.origins = self.traces.pop().unwrap_or_default();
            }
            let kept_traces = self.traces.len();
            let input = if last {
                Input::Owned(&mut *frame.chunk)
            } else {
                Input::Shared(&*frame.chunk)
            };
            let done = self.parts().work::<TRACES>(shape, step, input, &mut frame.at)?;
            if done && last {
                // Its space is free before the steps that follow run: a long chain lives on a few chunks.
                frame.chunk.clear();
                if let Some((_, pool)) = self.slots[frame.of as usize].out {
                    self.pools[pool as usize].push(frame.chunk);
                }
                if traced {
                    self.cx.origins.clear();
                    self.lists.push(std::mem::take(&mut self.cx.origins));
                }
            } else {
                if done {
                    frame.at = 0;
                    frame.next += 1;
                }
                self.stack.insert(kept, frame);
                if traced {
                    let origins = std::mem::take(&mut self.cx.origins);
                    self.traces.insert(kept_traces, origins);
                }
            }
            self.take_counts(shape, step.step)?;
        }
        if let Some(rest) = rest {
            self.cx.origins = rest;
        }
        Ok(done)
    }

    fn take_counts(&mut self, shape: &Shape, step: u32) -> Result<()> {
        if self.cx.counts.is_empty() {
            return Ok(());
        }
        let counts = std::mem::take(&mut self.cx.counts);
        for &(counter, n) in &counts {
            let about = &shape.about[step as usize];
            let slot = shape
                .counters
                .filter(|_| about.counts.contains(&counter))
                .map(|i| shape.sums[i] as usize);
            let Some(slot) = slot else {
                return Err(Error::invalid(format!(
                    "{} counts `{counter}`, which it does not declare: add `.counting([{}])` after it",
                    about.name,
                    counter.to_uppercase().replace('-', "_")
                )));
            };
            let n = n.wrapping_mul(self.cx.times.get());
            let meta = self.cx.meta;
            if let Some(held) = self.slots[slot].stage.held() {
                held.count(&meta, counter, n)?;
            }
        }
        self.cx.counts = counts;
        self.cx.counts.clear();
        Ok(())
    }

    /// Takes what all stores would add, in the plan's order, after everything that waited before them has gone on. `spare`
    /// is what an earlier call returned, or empty: its space is used again.
    ///
    /// # Errors
    /// When a map is full; else only for a bug of ours.
    pub fn take(&mut self, spare: Vec<Box<dyn Deltas>>) -> Result<Vec<Box<dyn Deltas>>> {
        let shape = self.shape.clone();
        for (holder, &step) in shape.holders.iter().enumerate() {
            if !shape.next[step as usize].is_empty() {
                self.hand_on(&shape, holder)?;
            }
        }
        let mut spare = spare.into_iter();
        let mut taken = Vec::with_capacity(shape.sums.len());
        for &step in &shape.sums {
            let spare = spare.next();
            taken.push(self.held(step)?.swap(spare));
        }
        self.turn(&shape);
        Ok(taken)
    }

    fn emit(&mut self, shape: &Arc<Shape>, step: u32) -> Result<()> {
        // The step is taken out while it emits: what follows needs all the others.
        let mut stage = std::mem::replace(&mut self.slots[step as usize].stage, Box::new(Away));
        let emitted = match stage.held() {
            Some(held) => held.emit(&mut |meta, chunk| {
                let followers = &shape.next[step as usize];
                for (i, &follower) in followers.iter().enumerate() {
                    let last = i + 1 == followers.len();
                    self.begin(shape, meta, NonZeroU64::MIN);
                    self.feed(shape, follower, chunk, last)?;
                }
                Ok(())
            }),
            None => Ok(()),
        };
        self.slots[step as usize].stage = stage;
        emitted
    }

    /// Forgets everything that was not taken: the input is read again.
    ///
    /// # Errors
    /// Only for a bug of ours.
    pub fn discard(&mut self) -> Result<()> {
        let shape = self.shape.clone();
        for &step in &shape.holders {
            self.held(step)?.swap(None);
        }
        if kept(Rule::ForgetAfterFailure) {
            self.forget(None);
        }
        for sink in 0..shape.writes.len() {
            self.take_written(sink)?;
        }
        Ok(())
    }

    /// Bytes held by all combining maps: keys, cells, and what the values own.
    pub fn bytes(&mut self) -> usize {
        let slots = &mut self.slots;
        let bytes = |(step, _): &(u32, Option<usize>)| slots[*step as usize].stage.held().map_or(0, |h| h.bytes());
        self.holders.iter().map(bytes).sum()
    }

    /// Whether what is held should go to the stores now: a step has used up the memory that is its own, or those without
    /// such a limit have used up `shared` bytes together.
    pub fn is_full(&mut self, shared: usize) -> bool {
        if self.is_time_to_turn() {
            return true;
        }
        let mut together = 0_usize;
        for (&(step, limit), &fan) in self.holders.iter().zip(&self.fans) {
            let bytes = self.slots[step as usize].stage.held().map_or(0, |h| h.bytes());
            // What a sum emits is held behind it as well, once it is taken.
            let bytes = bytes.saturating_add(bytes.saturating_mul(usize::try_from(fan).unwrap_or(usize::MAX)));
            match limit {
                Some(limit) if bytes > limit => return true,
                Some(_) => {}
                None => together = together.saturating_add(bytes),
            }
        }
        together > shared
    }

    /// Where operators find what is committed. With `forgets` they forget what was not touched for long, when they remember
    /// about so many bytes: then **all that was taken before must be committed whenever [`take`](Self::take) is called**, or
    /// [`discard`](Self::discard) must have been called since. Without it they remember everything.
    pub fn remember(&mut self, state: Box<dyn OperatorState>, forgets: Option<usize>) {
        self.cx.state = Some(state);
        self.forgets = forgets;
    }

    /// Bytes that operators remember.
    pub fn remembered(&mut self) -> usize {
        let shape = self.shape.clone();
        let all = self.operators(&shape).map(|o| o.bytes());
        all.map(|(young, old)| young.saturating_add(old)).sum()
    }

    /// Operators that read a source forget what they know of a partition of it, or all operators everything: it is asked for again.
    /// What they were given since the last commit must be given again, or be committed by then.
    pub fn forget(&mut self, domain: Option<(u32, u32)>) {
        let shape = self.shape.clone();
        // The others may know of uncommitted values: nothing happened to their records.
        let reads = |sources: &[u32]| domain.is_none_or(|(source, _)| sources.contains(&source));
        self.operators_that(&shape, reads).for_each(|o| o.forget(domain));
    }

    fn operators<'a>(&'a mut self, shape: &'a Shape) -> impl Iterator<Item = &'a mut dyn Operator> {
        self.operators_that(shape, |_| true)
    }

    fn operators_that<'a>(
        &'a mut self,
        shape: &'a Shape,
        reads: impl Fn(&[u32]) -> bool,
    ) -> impl Iterator<Item = &'a mut dyn Operator> {
        let slots = self.slots.iter_mut().zip(0..);
        let of = move |i: u32| { shape.operators.iter() }.any(|(step, sources)| *step == i && reads(sources));
        slots
            .filter(move |(_, i)| of(*i))
            .filter_map(|(slot, _)| slot.stage.operator())
    }

    /// Half of what operators may remember is young: the rest is that of the turn before.
    fn is_time_to_turn(&mut self) -> bool {
        let Some(limit) = self.forgets.filter(|_| !self.shape.operators.is_empty()) else {
            return false;
        };
        let shape = self.shape.clone();
        self.operators(&shape).map(|o| o.bytes().0).sum::<usize>() > limit / 2
    }

    fn turn(&mut self, shape: &Shape) {
        // A little early, so that commits that come by the clock do it.
        let Some(limit) = self.forgets.filter(|_| !shape.operators.is_empty()) else {
            return;
        };
        if self.operators(shape).map(|o| o.bytes().0).sum::<usize>() > limit / 4 {
            self.operators(shape).for_each(Operator::turn);
        }
    }

    /// How many records came out of each named step so far, by its name (of sources, sums and merges that are only named
    /// there is no such number): for people who watch, not exact over restarts as
    /// counters are.
    pub fn emitted(&self) -> impl Iterator<Item = (&str, u64)> {
        let about = self.shape.about.iter().zip(&self.emitted);
        about.filter_map(|(about, n)| Some((about.named.as_deref()?, *n)))
    }

    /// How many records came out of each step so far, by [`Drawn::step`](crate::Drawn::step): the same for all steps, with the values
    /// that combiners and sums handed on. What stands several times in the input is counted as often, up to the first combiner. An end
    /// hands nothing on and stays at 0.
    pub fn passed(&self) -> &[u64] {
        &self.emitted
    }

    /// What was written to sink number `sink` since the last call: a `Vec` of its records.
    ///
    /// # Errors
    /// Only for a bug of ours: there is no such sink.
    pub fn take_written(&mut self, sink: usize) -> Result<Box<dyn AnyChunk>> {
        let slot = self
            .shape
            .writes
            .get(sink)
            .and_then(|&i| self.slots.get_mut(i as usize));
        let written = slot.and_then(|s| s.stage.take_written());
        written.ok_or_else(|| Error::bug(format!("there is no sink number {sink}")))
    }

    /// The same with the id of each record, of a plan that [identifies writes](crate::Plan::identify_writes).
    ///
    /// # Errors
    /// Only for a bug of ours.
    pub fn take_identified(&mut self, sink: usize) -> Result<Identified> {
        let slot = self
            .shape
            .writes
            .get(sink)
            .and_then(|&i| self.slots.get_mut(i as usize));
        let taken = slot.and_then(|s| Some((s.stage.take_ids(), s.stage.take_written()?)));
        let Some((ids, records)) = taken.filter(|(ids, records)| ids.len() == records.len()) else {
            return Err(Error::bug(format!(
                "sink number {sink} does not say which records it wrote"
            )));
        };
        Ok(Identified { ids, records })
    }

    /// What is written to sink number `sink` is dropped from here on: another layer writes it (O22).
    pub fn mute_write(&mut self, sink: usize) {
        let slot = self.shape.writes.get(sink).map(|&i| i as usize);
        if let Some(slot) = slot.and_then(|i| self.slots.get_mut(i)) {
            slot.stage.mute();
        }
    }

    /// How many records wait for sinks.
    pub fn written(&self) -> usize {
        let slots = self.shape.writes.iter().filter_map(|&i| self.slots.get(i as usize));
        slots.map(|s| s.stage.written()).sum()
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            slots: &mut self.slots,
            pools: &mut self.pools,
            cx: &mut self.cx,
            stack: &mut self.stack,
            emitted: &mut self.emitted,
            traces: &mut self.traces,
            lists: &mut self.lists,
        }
    }

    fn held(&mut self, step: u32) -> Result<&mut dyn Held> {
        let held = self.slots.get_mut(step as usize).and_then(|s| s.stage.held());
        held.ok_or_else(|| Error::bug(format!("step {step} holds nothing")))
    }
}

/// The parts of an executor that a step at work needs.
struct Parts<'a> {
    slots: &'a mut [Slot],
    pools: &'a mut [Vec<Box<dyn AnyChunk>>],
    cx: &'a mut Context,
    stack: &'a mut Vec<Frame>,
    emitted: &'a mut [u64],
    traces: &'a mut Vec<Vec<Origin>>,
    lists: &'a mut Vec<Vec<Origin>>,
}

impl Parts<'_> {
    /// One run of one step; what it emits goes onto the stack.
    #[inline]
    fn work<const TRACES: bool>(
        mut self,
        shape: &Shape,
        follower: Follower,
        input: Input<'_>,
        at: &mut usize,
    ) -> Result<bool> {
        if !TRACES || follower.branch == 0 || self.cx.origins.is_empty() {
            return self.work_on::<TRACES>(shape, follower.step, input, at);
        }
        let mut origins = self.lists.pop().unwrap_or_default();
        origins.extend(self.cx.origins.iter().map(|o| o.by(follower.step, follower.branch)));
        std::mem::swap(&mut origins, &mut self.cx.origins);
        let done = self.work_on::<TRACES>(shape, follower.step, input, at)?;
        std::mem::swap(&mut origins, &mut self.cx.origins);
        origins.clear();
        self.lists.push(origins);
        Ok(done)
    }

    #[inline]
    fn work_on<const TRACES: bool>(
        &mut self,
        shape: &Shape,
        step: u32,
        input: Input<'_>,
        at: &mut usize,
    ) -> Result<bool> {
        let slot = &mut self.slots[step as usize];
        if TRACES {
            self.cx.lineage.begin(shape.traced[step as usize]);
        }
        let Some((ty, pool)) = slot.out else {
            return slot.stage.run(self.cx, input, at, &mut ());
        };
        let pool = &mut self.pools[pool as usize];
        let mut out = pool.pop().unwrap_or_else(ty.make);
        let done = slot.stage.run(self.cx, input, at, &mut *out)?;
        self.emitted[step as usize] += out.len() as u64 * self.cx.times.get();
        if out.is_empty() || shape.next[step as usize].is_empty() {
            out.clear();
            pool.push(out);
            return Ok(done);
        }
        if TRACES && shape.traced[step as usize] {
            let mut origins = self.lists.pop().unwrap_or_default();
            self.cx.lineage.origins(&self.cx.origins, out.len(), &mut origins)?;
            self.traces.push(origins);
        }
        self.stack.push(Frame {
            chunk: out,
            of: step,
            next: 0,
            at: 0,
        });
        Ok(done)
    }
}

/// Stands in for a step that could not be made.
pub(crate) struct Broken(pub(crate) Error);

impl Stage for Broken {
    fn run(&mut self, _: &mut Context, _: Input<'_>, _: &mut usize, _: &mut dyn Any) -> Result<bool> {
        Err(Error::bug(format!("a step could not be made: {}", self.0)))
    }
}

/// Stands in for a step that is emitting.
struct Away;

impl Stage for Away {
    fn run(&mut self, _: &mut Context, _: Input<'_>, _: &mut usize, _: &mut dyn Any) -> Result<bool> {
        Err(Error::bug("a step was fed by what follows it"))
    }
}

//! A model of the two layers: which batch a record is in (P1-P3), what realtime commits whatever happens, and how a read
//! adds both. It shares no code with the engines, only the definition of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rufous_core::{
    BatchId, ChunkMeta, Clock, CutSpec, Executor, Joint, LogTime, OperatorState, Plan, Result, RunningTime, StoreFace,
    Wanted,
};

use super::Script;
use super::split::Random;
use crate::given::Bound;
use crate::totals::{Bytes, Totals};

/// One partition of a source.
pub(super) struct Partition {
    pub(super) source: usize,
    pub(super) number: u32,
    /// The records by offset: their places in the list that was given.
    records: Vec<usize>,
    /// Where each stands, with its batch (O3).
    times: Vec<LogTime>,
    /// After this many records the last ones come again.
    again: Vec<(usize, usize)>,
}

impl Partition {
    /// Deals a source's records to its partitions and cuts each.
    pub(super) fn of(plan: &Plan, source: usize, given: &Bound<'_>, script: &Script) -> Vec<Self> {
        let face = &plan.sources()[source];
        let n = script.partitions.get(face.name).copied().unwrap_or(1);
        let spec = face.cut_spec(true);
        let dealt: Vec<u32> = (0..given.len())
            .map(|i| given.partition(i).map_or(i as u32 % n, |by| (by % u64::from(n)) as u32))
            .collect();
        let mut all: Vec<Self> = (0..n)
            .map(|number| Self {
                source,
                number,
                records: (0..given.len()).filter(|i| dealt[*i] == number).collect(),
                times: Vec::new(),
                again: Vec::new(),
            })
            .collect();
        for partition in &mut all {
            partition.times = cut(&spec, given, &partition.records);
            for &(name, after, count) in &script.again {
                if name == face.name {
                    let below = |limit: usize| partition.records.iter().filter(|r| **r < limit).count();
                    partition
                        .again
                        .push((below(after), below(after) - below(after - count)));
                }
            }
        }
        all
    }

    /// Where it may be cut: at the start of each batch. The last batch is open; what lies above its start is realtime's.
    pub(super) fn cuts(&self) -> Vec<(usize, BatchId)> {
        let mut cuts = vec![(0, BatchId::MIN)];
        for (offset, LogTime { batch, .. }) in self.times.iter().enumerate() {
            if cuts.last().is_none_or(|(_, last)| batch > last) && *batch > BatchId::MIN {
                cuts.push((offset, *batch));
            }
        }
        cuts
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Runs the records at these offsets through a job, whatever their batches.
    pub(super) fn push(&self, sources: &[Bound<'_>], range: Range<usize>, run: &mut Executor) -> Result<()> {
        sources[self.source].push_some(&self.records[range], &self.meta(BatchId(0)), run)
    }

    fn meta(&self, batch: BatchId) -> ChunkMeta {
        ChunkMeta {
            source: self.source as u32,
            partition: self.number,
            batch,
        }
    }
}

fn cut(spec: &CutSpec, given: &Bound<'_>, records: &[usize]) -> Vec<LogTime> {
    let beginning = LogTime {
        batch: BatchId::MIN,
        time: None,
    };
    let mut running = RunningTime::at(spec, beginning);
    let stands = |(offset, &record): (usize, &usize)| {
        let time = match spec.clock {
            Clock::Log => given.log_time(record),
            Clock::Event => given.event_time(record),
        };
        running.advance(spec, time, offset as u64)
    };
    records.iter().enumerate().map(stands).collect()
}

/// What is read in one order: a partition, partition i of several sources that go together, or all of theirs (O1).
pub(super) struct Lane {
    /// The partitions, by their places.
    pub(super) of: Vec<usize>,
    /// Partition and offset of every record.
    pub(super) order: Vec<(usize, usize)>,
}

/// All that a plan reads, dealt to lanes.
pub(super) fn lanes(plan: &Plan, partitions: &[Partition]) -> Vec<Lane> {
    let domains = plan.domains();
    let mut lanes: Vec<((Option<usize>, usize, u32), Lane)> = Vec::new();
    for (at, p) in partitions.iter().enumerate() {
        let name = match domains.iter().position(|group| group.has(p.source)) {
            Some(d) => (Some(d), 0, domains[d].domain(p.number)),
            None => (None, p.source, p.number),
        };
        let order = (0..p.len()).map(|offset| (at, offset));
        match lanes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lane)) => {
                lane.of.push(at);
                lane.order.extend(order);
            }
            None => {
                let (of, order) = (vec![at], order.collect());
                lanes.push((name, Lane { of, order }));
            }
        }
    }
    let stands = |&(p, offset): &(usize, usize)| {
        let p = &partitions[p];
        (p.times[offset], plan.sources()[p.source].name, p.number, offset)
    };
    let sorted = lanes.into_iter().map(|(_, mut lane)| {
        if lane.of.len() > 1 {
            lane.order.sort_by_key(stands);
        }
        lane
    });
    sorted.collect()
}

impl Lane {
    /// Where it may be cut: at the start of a batch that all of its partitions have reached (O5).
    pub(super) fn cuts(&self, partitions: &[Partition]) -> Vec<Vec<(usize, BatchId)>> {
        let of = || self.of.iter().map(|p| &partitions[*p]);
        let reached = of().map(|p| p.times.last().map_or(BatchId::MIN, |t| t.batch)).min();
        let reached = reached.unwrap_or(BatchId::MIN);
        let batches: BTreeSet<BatchId> = of().flat_map(|p| p.cuts()).map(|(_, batch)| batch).collect();
        let cut = |batch: BatchId| {
            let offset = |p: &Partition| p.times.partition_point(|t| t.batch < batch);
            of().map(|p| (offset(p), batch)).collect()
        };
        batches.into_iter().filter(|b| *b <= reached).map(cut).collect()
    }
}

/// Realtime's state: cells per store, and what the sinks hold.
pub(super) struct Realtime {
    /// Per store: key, source, partition and batch.
    cells: Vec<BTreeMap<(Vec<u8>, u32, u32, BatchId), Vec<u8>>>,
    pub(super) sinks: Totals,
}

impl Realtime {
    /// Reads all partitions to their ends: in pieces of a few records, in any order; commits now and then; is killed now and
    /// then, and goes on from what it committed.
    pub(super) fn run(
        plan: &Plan,
        sources: &[Bound<'_>],
        partitions: &[Partition],
        lanes: &[Lane],
        random: &mut Random,
        from: Option<(&Frontier, &Totals)>,
    ) -> Result<Self> {
        let mut state = Self {
            cells: plan.stores().iter().map(|_| BTreeMap::new()).collect(),
            sinks: Totals::of(plan),
        };
        let base: Vec<Bytes> = plan
            .stores()
            .iter()
            .map(|face| {
                from.and_then(|(_, base)| base.bytes(face.name))
                    .cloned()
                    .unwrap_or_default()
            })
            .collect();
        let start = |p: &Partition| {
            let cut = from.and_then(|(frontier, _)| frontier.get(&(p.source as u32, p.number)));
            cut.map_or(0, |(cut, _)| *cut)
        };
        let mut executor = state.executor(plan, &base);
        // What lies below the starts of its partitions is a prefix of a lane.
        let starts: Vec<usize> = partitions.iter().map(start).collect();
        let begin = |lane: &Lane| lane.order.iter().filter(|(p, offset)| *offset < starts[*p]).count();
        let mut committed: Vec<usize> = lanes.iter().map(begin).collect();
        let mut next = committed.clone();
        let mut again: Vec<Vec<(usize, usize)>> = partitions.iter().map(|p| p.again.clone()).collect();
        loop {
            let open: Vec<usize> = (0..lanes.len()).filter(|&l| next[l] < lanes[l].order.len()).collect();
            let Some(&l) = open.get(random.below(open.len().max(1))) else {
                break;
            };
            let lane = &lanes[l];
            // Records that were read before are handed out again: only positions of one's own make them count once.
            let mut from = next[l];
            for &p in &lane.of {
                let again = &mut again[p];
                if let Some(i) = again.iter().position(|(after, _)| *after <= from) {
                    from = from.saturating_sub(again.swap_remove(i).1);
                }
            }
            let to = (next[l] + 1 + random.below(7)).min(lane.order.len());
            for &(p, offset) in lane.order[from..to].iter().skip(next[l] - from) {
                let partition = &partitions[p];
                let meta = partition.meta(partition.times[offset].batch);
                sources[partition.source].push_some(&partition.records[offset..offset + 1], &meta, &mut executor)?;
            }
            next[l] = to;
            match random.below(12) {
                0 => {
                    executor = state.executor(plan, &base);
                    next.clone_from(&committed);
                }
                1..=3 => {
                    state.commit(plan, &mut executor)?;
                    if !plan.operators().is_empty() {
                        // What is committed is asked for again.
                        executor = state.executor(plan, &base);
                    }
                    committed.clone_from(&next);
                }
                _ => {}
            }
        }
        state.commit(plan, &mut executor)?;
        Ok(state)
    }

    /// A running instance whose operators find what is committed: a base generation and the cells above it (O7).
    fn executor(&self, plan: &Plan, base: &[Bytes]) -> Executor {
        let mut executor = plan.instantiate();
        if !plan.operators().is_empty() {
            let state = Committed {
                faces: plan.stores().to_vec(),
                domains: plan.domains(),
                spread: (0..plan.stores().len())
                    .map(|store| plan.operators().iter().any(|o| o.store == store && o.spread))
                    .collect(),
                base: base.to_vec(),
                cells: self.cells.clone(),
            };
            executor.remember(Box::new(state), None);
        }
        executor
    }

    /// One write: cells, and what the sinks get.
    fn commit(&mut self, plan: &Plan, executor: &mut Executor) -> Result<()> {
        let deltas = executor.take(Vec::new())?;
        for ((face, cells), deltas) in plan.stores().iter().zip(&mut self.cells).zip(deltas) {
            deltas.for_each(&mut |delta| {
                let cell = (delta.key.to_vec(), delta.source, delta.partition, delta.batch);
                let mut sum = Vec::new();
                let before = cells.get(&cell).map(Vec::as_slice);
                face.value
                    .sum(&mut before.into_iter().chain([delta.value]), &mut sum)
                    .map_err(|e| rufous_core::Error::bug(format!("store `{}`: {e}", face.name)))?;
                cells.insert(cell, sum);
                Ok(())
            })?;
        }
        self.sinks.take_written(plan, executor)
    }

    /// `answer(k) = offline(k) + sum of the cells at and above the frontier, in batch order`.
    pub(super) fn answers(&self, plan: &Plan, store: usize, offline: &Bytes, frontier: &Frontier) -> Result<Bytes> {
        let face = &plan.stores()[store];
        let mut parts: BTreeMap<&[u8], Vec<(BatchId, &[u8])>> = BTreeMap::new();
        for (key, value) in offline {
            parts.entry(key).or_default().push((BatchId::MIN, value));
        }
        for ((key, source, partition, batch), value) in &self.cells[store] {
            if *batch
                >= frontier
                    .get(&(*source, *partition))
                    .map_or(BatchId::MIN, |(_, batch)| *batch)
            {
                parts.entry(key).or_default().push((*batch, value));
            }
        }
        let mut answers = Bytes::new();
        for (key, mut parts) in parts {
            parts.sort_by_key(|(batch, _)| *batch);
            let mut sum = Vec::new();
            face.value
                .sum(&mut parts.into_iter().map(|(_, value)| value), &mut sum)
                .map_err(|e| rufous_core::Error::bug(format!("store `{}`: {e}", face.name)))?;
            answers.insert(key.to_vec(), sum);
        }
        Ok(answers)
    }
}

/// What operators read.
struct Committed {
    faces: Vec<StoreFace>,
    domains: Vec<Joint>,
    /// Per store whether its keys may come from all partitions.
    spread: Vec<bool>,
    base: Vec<Bytes>,
    cells: Vec<BTreeMap<(Vec<u8>, u32, u32, BatchId), Vec<u8>>>,
}

impl OperatorState for Committed {
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        let (face, base, cells) = (
            &self.faces[wanted.store],
            &self.base[wanted.store],
            &self.cells[wanted.store],
        );
        let group = self.domains.iter().find(|g| g.has(wanted.source as usize));
        let goes_with = |s: u32| s == wanted.source || group.is_some_and(|g| g.has(s as usize));
        let everywhere = self.spread[wanted.store];
        let value = |key: &Vec<u8>| {
            let own = cells
                .iter()
                .filter(|((k, s, p, _), _)| k == key && goes_with(*s) && (everywhere || *p == wanted.partition));
            let mut parts = base
                .get(key)
                .into_iter()
                .chain(own.map(|(_, value)| value))
                .map(Vec::as_slice);
            let mut sum = Vec::new();
            let any = face.value.sum(&mut parts, &mut sum);
            any.map(|any| any.then_some(sum))
                .map_err(|e| rufous_core::Error::bug(format!("store `{}`: {e}", face.name)))
        };
        wanted.keys.iter().map(value).collect()
    }
}

/// Per source and partition: the offset below which everything is offline, and the batch that begins there.
pub(super) type Frontier = BTreeMap<(u32, u32), (usize, BatchId)>;

/// The sums of everything below the frontier. Sinks are realtime's: what is written here is not kept (O22).
pub(super) fn offline(
    plan: &Plan,
    sources: &[Bound<'_>],
    partitions: &[Partition],
    lanes: &[Lane],
    frontier: &Frontier,
) -> Result<Totals> {
    let mut executor = plan.instantiate();
    let cut = |p: &Partition| frontier.get(&(p.source as u32, p.number)).map_or(0, |(cut, _)| *cut);
    for lane in lanes.iter().filter(|lane| lane.of.len() > 1) {
        for &(p, offset) in &lane.order {
            let p = &partitions[p];
            if offset < cut(p) {
                let meta = p.meta(BatchId(0));
                sources[p.source].push_some(&p.records[offset..offset + 1], &meta, &mut executor)?;
            }
        }
    }
    let alone = lanes.iter().filter(|lane| lane.of.len() == 1).flat_map(|lane| &lane.of);
    for p in alone.map(|p| &partitions[*p]) {
        let cut = cut(p);
        let size = if plan.one_by_one() { 1 } else { 1024 };
        for records in p.records[..cut].chunks(size) {
            let meta = ChunkMeta {
                source: p.source as u32,
                partition: if plan.operators().is_empty() { 0 } else { p.number },
                batch: BatchId(0),
            };
            sources[p.source].push_some(records, &meta, &mut executor)?;
        }
    }
    let mut totals = Totals::of(plan);
    totals.add(plan, &mut executor)?;
    Ok(totals)
}

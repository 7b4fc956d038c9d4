//! Domains of several partitions (O1): partition i of several sources, or all partitions of some. Their records have one order (O3).
//!
//! What the logs hand out is *shown* first: it waits in its partition's queue. A record is *taken* when every other partition of
//! its domain has shown one that stands after it (O4); then nothing that is still to come can stand before it. Runs of one
//! partition, up to the next record of another, are taken at once and go the way of all records. Queues are bounded: a
//! source of which one is full rests while others are read; when nothing moves meanwhile the partition is left out of what is
//! read, until half of its queue was taken.
//!
//! Rows know what was taken, so what was shown and not taken is read again after a restart. That rows of one domain stand
//! at one place of its order is checked with every record that is taken: a crash between two acquisitions may leave one of
//! them rebuilt and the others not.

mod heads;

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Clock, CutSpec, Entry, Frontier, Joint, LogTime, RecordBatch, Result, RunningTime, Timestamp};
use rufous_store_api::{Hole, Progress, Repair};

use self::heads::{Choice, Heads};
use crate::bind::Bound;
use crate::engine::Engine;
use crate::log::{PartitionInfo, Position};
use crate::partition::Partition;
use crate::repair::{pass_to, repair};

/// Records that one turn of the loop takes of a domain at most, so that commits are not late.
const TURN: usize = 1 << 13;
/// How long a source rests while nothing is taken.
const REST: Duration = Duration::from_millis(100);
/// What is kept of an entry besides its bytes.
const OVERHEAD: usize = size_of::<Entry>() + size_of::<LogTime>();

/// Records of one partition, as they were handed out.
struct Shown {
    records: RecordBatch,
    /// Where each stands.
    keys: Vec<LogTime>,
    /// How many of them were taken.
    taken: usize,
    /// The bytes are with the records that are being taken.
    lent: bool,
}

impl Shown {
    fn size(&self) -> usize {
        self.records.bytes.len() + self.keys.len() * OVERHEAD
    }
}

/// What a partition has shown.
pub(crate) struct Queue {
    shown: VecDeque<Shown>,
    spec: CutSpec,
    /// The position after it.
    next: u64,
    leader_epoch: i32,
    /// Where the last record that was shown stands, and the last that was taken.
    time: RunningTime,
    taken: LogTime,
    bytes: usize,
    /// Left out of what is read.
    pub(crate) full: bool,
    /// Batches whose space is used again.
    spare: Vec<RecordBatch>,
}

impl Queue {
    /// Behind what a row says.
    pub(crate) fn new(spec: &CutSpec, row: &Progress) -> Self {
        let taken = LogTime {
            batch: row.batch,
            time: row.running.filter(|_| kept(Rule::KeepRunningTime)),
        };
        Self {
            shown: VecDeque::new(),
            spec: spec.clone(),
            next: row.next,
            leader_epoch: row.leader_epoch,
            time: RunningTime::at(spec, taken),
            taken,
            bytes: 0,
            full: false,
            spare: Vec::new(),
        }
    }
    /// The running time of what was taken.
    pub(crate) fn running(&self) -> Option<Timestamp> {
        self.taken.time
    }
    /// The position after what was shown.
    pub(crate) fn position(&self, partition: u32) -> Position {
        Position {
            partition,
            offset: self.next,
            leader_epoch: self.leader_epoch,
        }
    }
    /// Whether everything below `end` was shown, or no more of it can be.
    pub(crate) fn is_shown(&self, end: u64) -> bool {
        self.next >= end || self.full
    }
    /// Takes over what the log handed out; leaves space for more. `times` are the event times.
    fn show(&mut self, records: &mut RecordBatch, times: &[Option<Timestamp>]) {
        let mut keys = Vec::with_capacity(records.entries.len());
        for (i, e) in records.entries.iter().enumerate() {
            let time = clock_time(&self.spec, e, times.get(i));
            keys.push(self.time.advance(&self.spec, time, e.offset));
        }
        self.next = records.next;
        self.leader_epoch = records.leader_epoch.unwrap_or(-1);
        let spare = self.spare.pop().unwrap_or_default();
        let shown = Shown {
            records: std::mem::replace(records, spare),
            keys,
            taken: 0,
            lent: false,
        };
        self.bytes += shown.size();
        self.shown.push_back(shown);
    }
    /// Where the first record that was not taken stands.
    fn head(&self) -> Option<LogTime> {
        let front = self.shown.front()?;
        front.keys.get(front.taken).copied()
    }
    /// Whether nothing is shown that was not taken, and more may be.
    pub(crate) fn is_silent(&self) -> bool {
        self.head().is_none() && !self.full
    }
    /// How many records were shown and not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.shown.iter().map(|s| s.keys.len() - s.taken).sum()
    }
    /// Positions without records, which nobody has to wait for: the position and epoch after them.
    fn empty(&mut self) -> Option<(u64, Option<i32>)> {
        let front = self.shown.front().filter(|s| s.taken >= s.keys.len() && !s.lent)?;
        let after = (front.records.next, front.records.leader_epoch);
        self.drop_front();
        Some(after)
    }
    /// How many of the records in front are taken before something that stands at `until`; `first`: at equal times ours go first.
    fn run(&self, until: Option<LogTime>, first: bool) -> usize {
        let Some(front) = self.shown.front() else { return 0 };
        let rest = front.keys.get(front.taken..).unwrap_or_default();
        match until {
            None => rest.len(),
            Some(until) => rest.partition_point(|k| *k < until || (first && *k == until)),
        }
    }
    /// Puts the next `n` records into `into`, with the bytes.
    fn lend(&mut self, n: usize, into: &mut RecordBatch) {
        let Some(front) = self.shown.front_mut() else { return };
        let to = front.taken + n;
        into.clear();
        into.partition = front.records.partition;
        let some = front.records.entries.get(front.taken..to).unwrap_or_default();
        into.entries.extend_from_slice(some);
        if to >= front.keys.len() {
            (into.next, into.leader_epoch) = (front.records.next, front.records.leader_epoch);
        } else {
            // Where the next record begins: offsets may be bytes. Of which epoch one in the middle is, nobody said.
            into.next = front.records.entries.get(to).map_or(front.records.next, |e| e.offset);
        }
        std::mem::swap(&mut into.bytes, &mut front.records.bytes);
        front.lent = true;
    }
    /// Everything below `next` was taken.
    pub(crate) fn took(&mut self, next: u64) {
        let Some(front) = self.shown.front_mut() else { return };
        let taken = front.records.entries.partition_point(|e| e.offset < next);
        if taken > front.taken {
            front.taken = taken;
            self.taken = front.keys.get(taken - 1).copied().unwrap_or(self.taken);
        }
    }
    /// Gets the bytes back that were lent.
    fn give_back(&mut self, from: &mut RecordBatch) {
        let Some(front) = self.shown.front_mut().filter(|s| s.lent) else {
            return;
        };
        std::mem::swap(&mut from.bytes, &mut front.records.bytes);
        front.lent = false;
        if front.taken >= front.keys.len() {
            self.drop_front();
        }
    }
    fn drop_front(&mut self) {
        let Some(mut gone) = self.shown.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(gone.size());
        if self.spare.len() < 2 {
            gone.records.clear();
            self.spare.push(gone.records);
        }
    }
}

/// The time that cuts.
fn clock_time(spec: &CutSpec, e: &Entry, event: Option<&Option<Timestamp>>) -> Option<Timestamp> {
    match spec.clock {
        Clock::Event if !e.heartbeat => event.copied().flatten(),
        _ => e.time(),
    }
}

/// What comes next in a domain.
enum Next {
    /// So many records of this source and partition.
    Run(usize, u32, usize),
    /// It waits.
    Nothing,
    /// The rows of its partitions do not stand at one place.
    Apart,
}

impl Engine<'_> {
    /// How partitions of source `i` go with others.
    pub(crate) fn group_of(&self, i: usize) -> Option<&Joint> {
        self.domains.iter().find(|group| group.has(i))
    }

    /// The other sources whose partitions go with those of source `i`, and it.
    pub(crate) fn sources_with(&self, i: usize) -> Vec<usize> {
        self.group_of(i).map_or_else(|| vec![i], |group| group.sources.clone())
    }

    /// The partitions of a domain by source and number, whoever reads them.
    fn members(&self, group: &Joint, domain: u32) -> Vec<(usize, u32)> {
        if !group.spread {
            let has = |i: &usize| self.bound.get(*i).is_some_and(|b| b.given.contains_key(&domain));
            return { group.sources.iter().copied() }
                .filter(has)
                .map(|i| (i, domain))
                .collect();
        }
        let of_source = |&i: &usize| {
            let all = self.bound.get(i).map(|b| b.given.keys().copied());
            let of_it = move |n: &u32| group.domain(*n) == domain;
            all.into_iter().flatten().filter(of_it).map(move |n| (i, n))
        };
        group.sources.iter().flat_map(of_source).collect()
    }

    /// The partitions that go with one, and it; none where it goes alone.
    pub(crate) fn members_with(&self, i: usize, n: u32) -> Vec<(usize, u32)> {
        let group = self.group_of(i);
        group.map_or_else(Vec::new, |group| self.members(group, group.domain(n)))
    }

    /// Bytes that a queue holds before its partition is left out.
    fn queue_limit(&self) -> usize {
        let sources = self.domains.iter().flat_map(|group| &group.sources);
        let joint = sources.filter_map(|&i| self.bound.get(i));
        let queues: usize = joint.map(|b| b.partitions.len()).sum();
        (self.options.memory_budget / 4 / queues.max(1)).min(8 << 20)
    }

    /// The log of source `i` handed out `self.records`: they wait for their turn.
    pub(crate) fn show(&mut self, i: usize) -> Result<()> {
        let Self {
            records,
            times,
            bad,
            bound,
            ..
        } = self;
        let b = &mut bound[i];
        let number = records.partition;
        let Some(partition) = b.partitions.get_mut(&number) else {
            return Err(rufous_core::Error::bug(format!(
                "the log of `{}` handed out partition {number}, which was not assigned",
                b.name
            )));
        };
        let Some(queue) = &mut partition.queue else {
            return Ok(());
        };
        let again = records.skip_below(queue.next);
        if again > 0 {
            tracing::debug!(partition = %partition.id, records = again, "handed out again and passed over");
        }
        times.clear();
        if b.spec.clock == Clock::Event {
            bad.clear();
            b.decoder.decode(records, times, bad);
        }
        queue.show(records, times);
        Ok(())
    }

    /// Whether source `i` is not read now, since it has shown more than has a place.
    pub(crate) fn rests(&mut self, i: usize) -> Result<bool> {
        let Some(d) = self.domains.iter().position(|group| group.has(i)) else {
            return Ok(false);
        };
        let most = self.queue_limit();
        let still = { self.last_taken.get(d) }.is_none_or(|t| t.elapsed() >= REST.min(self.options.commit_interval));
        // Where all wait for a partition of this source itself, rest brings nothing.
        let still = still || { self.domains.get(d) }.is_some_and(|group| group.spread) && self.bound[i].is_silent();
        let mut rests = false;
        for queue in { self.bound[i].partitions.values_mut() }.filter_map(|p| p.queue.as_deref_mut()) {
            if !queue.full && !queue.shown.is_empty() && queue.bytes >= most {
                rests = true;
                queue.full = still;
            }
        }
        if rests && still {
            // To be read anew costs more than a rest.
            self.assign(i)?;
            return Ok(false);
        }
        Ok(rests)
    }

    /// Takes what may be taken, of all domains. Says whether there was anything.
    pub(crate) fn take_shown(&mut self) -> Result<bool> {
        let mut any = false;
        for d in 0..self.domains.len() {
            let mut of_domain = false;
            for n in self.numbers(d) {
                let members = self
                    .domains
                    .get(d)
                    .map_or_else(Vec::new, |group| self.members(group, n));
                let mut taken = 0;
                while taken < TURN {
                    match self.next_of(&members) {
                        Next::Run(i, n, len) => {
                            taken += len;
                            self.take(i, n, len)?;
                        }
                        Next::Nothing => break,
                        Next::Apart => {
                            let done = self.realign(&members);
                            self.or_pause(done)?;
                            of_domain = true;
                            break;
                        }
                    }
                }
                of_domain |= taken > 0;
            }
            // Each by itself: one that goes on must not let another wait for what it does not read.
            if let Some(last) = self.last_taken.get_mut(d).filter(|_| of_domain) {
                *last = Instant::now();
            }
            any |= of_domain;
        }
        if any {
            self.read_on()?;
        }
        Ok(any)
    }

    /// The numbers of the domains that sources have together.
    fn numbers(&self, d: usize) -> Vec<u32> {
        let Some(group) = self.domains.get(d) else {
            return Vec::new();
        };
        let first = group.sources.first().and_then(|&i| self.bound.get(i));
        let all = first.into_iter().flat_map(|b| b.partitions.keys());
        let mut numbers: Vec<u32> = all.map(|n| group.domain(*n)).collect();
        numbers.dedup();
        numbers
    }

    /// Partitions whose queues have room again are read on.
    fn read_on(&mut self) -> Result<()> {
        let most = self.queue_limit();
        for i in 0..self.bound.len() {
            let mut room = false;
            for queue in { self.bound[i].partitions.values_mut() }.filter_map(|p| p.queue.as_deref_mut()) {
                if queue.full && queue.bytes <= most / 2 {
                    queue.full = false;
                    room = true;
                }
            }
            if room {
                self.assign(i)?;
            }
        }
        Ok(())
    }

    /// What goes next of these partitions, which are one domain. It is asked for every few records: one look at each of them.
    fn next_of(&mut self, members: &[(usize, u32)]) -> Next {
        let Self { bound, manifest, .. } = self;
        let mut heads = Heads::default();
        let (mut floor, mut uneven) = (None, false);
        let (mut holes, mut said_waiting) = (false, false);
        for (at, &(i, n)) in members.iter().enumerate() {
            let b = &mut bound[i];
            let Some(partition) = b.partitions.get_mut(&n).filter(|p| p.held.is_none()) else {
                return Next::Nothing;
            };
            while let Some((next, epoch)) = partition.queue.as_mut().and_then(|q| q.empty()) {
                partition.pass(next, epoch);
            }
            let from = Some(partition.retained_from());
            uneven |= at > 0 && from != floor;
            floor = floor.max(from);
            holes |= !partition.row.holes.is_empty();
            said_waiting |= partition.meter.waiting_for.load(Relaxed) > 0;
            let Some(queue) = &partition.queue else {
                return Next::Nothing;
            };
            heads.see(at, (b.rank, n), queue);
        }
        let found = match heads.choose() {
            Choice::Run(at) => members.get(at).copied(),
            Choice::Apart => return Next::Apart,
            Choice::Nothing => None,
        };
        if found.is_some() && holes && passes_over(members, bound, manifest.as_ref().map(|m| &m.frontier)) {
            return Next::Apart;
        }
        if found.is_none() || said_waiting {
            show_whom_it_waits_for(members, bound, found.is_none());
        }
        // P14: where cells of one of them were dropped, those of the others are about to be.
        if uneven && let Some(floor) = floor {
            for (i, n) in members {
                if let Some(partition) = bound[*i].partitions.get_mut(n) {
                    partition.floor = floor;
                }
            }
        }
        let Some((i, n)) = found else { return Next::Nothing };
        let queue = { bound[i].partitions.get(&n) }.and_then(|p| p.queue.as_deref());
        queue.map_or(Next::Nothing, |queue| Next::Run(i, n, heads.run(queue)))
    }

    /// The next `len` records of partition `n` of source `i` go the way of all records.
    fn take(&mut self, i: usize, n: u32, len: usize) -> Result<()> {
        let queue = { self.bound[i].partitions.get_mut(&n) }.and_then(|p| p.queue.as_mut());
        let Some(queue) = queue else { return Ok(()) };
        queue.lend(len, &mut self.records);
        self.process(i)?;
        // After a failure it is another queue, and an empty one.
        if let Some(queue) = { self.bound[i].partitions.get_mut(&n) }.and_then(|p| p.queue.as_mut()) {
            queue.give_back(&mut self.records);
        }
        Ok(())
    }

    /// The rows of a domain stand apart: one was rebuilt, or went on behind a lost range, and the others were not. All are rebuilt,
    /// or go on where the generation ends that passed the range (O12).
    fn realign(&mut self, members: &[(usize, u32)]) -> Result<()> {
        self.settle()?;
        if !matches!(self.next_of(members), Next::Apart) {
            return Ok(());
        }
        let frontier = self.manifest.as_ref().map(|m| &m.frontier);
        let lost = passes_over(members, &self.bound, frontier);
        let of = |(i, n): &(usize, u32)| format!("{}/{n}", self.bound[*i].name);
        tracing::warn!(
            partitions = ?members.iter().map(of).collect::<Vec<_>>(),
            "the partitions of one domain do not stand at one place of its order: {}",
            if lost { "they go on where the generation ends" } else { "they are rebuilt" }
        );
        let mut sources: Vec<usize> = members.iter().map(|(i, _)| *i).collect();
        sources.dedup();
        for i in sources {
            let Some(infos) = self.infos(i)? else { return Ok(()) };
            let of_it = |info: &&PartitionInfo| info.owned && members.contains(&(i, info.partition));
            for info in infos.iter().filter(of_it) {
                self.acquire_as(i, info, None, &|row, s| match row {
                    Some(row) if lost => {
                        let mut row = row.clone();
                        pass_to(&mut row, s.frontier);
                        Ok(Repair::Keep(row))
                    }
                    _ => repair(None, s),
                })?;
            }
            self.assign(i)?;
        }
        Ok(())
    }

    /// What the end leaves: it is not lost, and waits in its log.
    pub(crate) fn show_waiting(&self) {
        let mut all = 0;
        for group in &self.domains {
            for p in group.sources.iter().flat_map(|&i| self.bound[i].partitions.values()) {
                let waiting = p.queue.as_ref().map_or(0, |q| q.waiting());
                all += waiting as u64;
                if waiting > 0 {
                    tracing::info!(
                        partition = %p.id,
                        records = waiting,
                        "they wait for a later record of the other partitions of their domain, and are read again next time"
                    );
                }
            }
        }
        self.metrics.waiting.store(all, Relaxed);
    }

    /// O6: one process reads all partitions of a domain, or nobody.
    pub(crate) fn together(&self, i: usize, infos: &mut [PartitionInfo]) {
        let Some(group) = self.group_of(i) else { return };
        let elsewhere = |(j, n): &(usize, u32)| self.bound[*j].given.get(n) != Some(&true);
        if group.spread {
            let all = self.members(group, 0);
            let Some(&(j, n)) = all.iter().find(|member| elsewhere(member)) else {
                return;
            };
            let mut given = 0;
            for info in infos.iter_mut().filter(|info| info.owned) {
                info.owned = false;
                given += 1;
            }
            // Before the group has decided nobody else has them.
            if given > 0 && !self.waits(i) {
                tracing::warn!(
                    source = self.bound[i].name,
                    partitions = given,
                    "the consumer group gave these partitions to this process, and partition {n} of source `{}` to another one: all of them \
                     have one order (`.in_log_order()`, `.broadcast()`), which one process takes, so none is read. Run one process",
                    self.bound[j].name
                );
            }
            return;
        }
        for info in infos.iter_mut().filter(|info| info.owned) {
            let alone = group.sources.iter().find(|&&j| elsewhere(&(j, info.partition)));
            if let Some(&j) = alone {
                info.owned = false;
                tracing::warn!(
                    source = self.bound[i].name,
                    partition = info.partition,
                    "the consumer group gave this partition to this process, and that of source `{}` to another one: they go together, \
                     so neither is read. Give both topics to the same processes, or run one process",
                    self.bound[j].name
                );
            }
        }
    }
}

/// Whoever is waited for is shown with how many records wait.
fn show_whom_it_waits_for(members: &[(usize, u32)], bound: &[Bound], waits: bool) {
    let partitions = || { members.iter() }.filter_map(|(i, n)| bound.get(*i)?.partitions.get(n));
    let waiting = |p: &Partition| p.queue.as_ref().map(|q| q.waiting());
    let all: usize = if waits {
        partitions().filter_map(waiting).sum()
    } else {
        0
    };
    for partition in partitions() {
        let silent = waits && waiting(partition) == Some(0);
        let n = if silent { all as u64 } else { 0 };
        partition.meter.waiting_for.store(n, Relaxed);
    }
}

/// Whether a partition has come to where a generation ends by passing over a lost range, and another has not come there.
fn passes_over(members: &[(usize, u32)], bound: &[Bound], frontier: Option<&Frontier>) -> bool {
    let partitions = || { members.iter() }.filter_map(|(i, n)| bound.get(*i)?.partitions.get(n));
    let Some(frontier) = frontier.filter(|_| partitions().any(|p| !p.row.holes.is_empty())) else {
        return false;
    };
    let passed = |p: &Partition| {
        let cut = frontier.of(&p.id).cut;
        p.next >= cut && p.row.holes.iter().any(|h: &Hole| h.to == cut)
    };
    partitions().any(passed) && partitions().any(|p| p.next < frontier.of(&p.id).cut)
}

#[cfg(test)]
mod tests;

//! Which partitions the engine reads and from where: genesis, acquisition with repair, and what a new manifest changes.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Clock, Error, ErrorKind, Frontier, Result, SourcePartition};
use rufous_store_api::{Hole, Manifest, Progress, Repair};

use crate::domain::Queue;
use crate::engine::Engine;
use crate::genesis::genesis;
use crate::log::PartitionInfo;
use crate::partition::Partition;
use crate::repair::{Situation, knows, rejoin, release, repair};
use crate::state::lost_range;

/// How often the current manifest is compared with the shards.
pub(crate) const MANIFEST_INTERVAL: Duration = Duration::from_secs(2);
/// How long a log that did not answer is left alone.
const AGAIN: Duration = Duration::from_millis(200);

/// The ranges of a partition that are in no generation, since the archive does not have them.
fn lost_by_archive(manifest: &Manifest, p: &SourcePartition) -> Vec<Hole> {
    let of = manifest.holes.iter().filter(|h| h.partition == *p);
    of.map(|h| h.hole.clone()).collect()
}

impl Engine<'_> {
    /// P10, P10a: where to begin, then every partition.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.check_partitions()?;
        let specs = self.bound.iter().map(|b| (b.name.clone(), b.spec.text())).collect();
        let bound = &mut self.bound;
        let starts = || {
            let mut starts = Vec::new();
            for b in bound.iter_mut() {
                starts.extend(
                    b.log
                        .partitions()?
                        .into_iter()
                        .map(|info| (SourcePartition::new(&b.name, info.partition), info.start)),
                );
            }
            Ok(starts)
        };
        let manifest = genesis(self.plan, &specs, self.manifests, starts)?;
        self.plan.check_services(!manifest.stores.is_empty())?;
        self.manifest = Some(manifest);
        let mut all = Vec::new();
        for i in 0..self.bound.len() {
            let infos = self.bound[i].log.partitions()?;
            self.bound[i].targets = infos.iter().map(|info| (info.partition, info.end)).collect();
            self.bound[i].give(&infos);
            all.push(infos);
        }
        for (i, mut infos) in all.into_iter().enumerate() {
            self.together(i, &mut infos);
            self.acquire_all(i, &infos)?;
        }
        self.measure_start();
        Ok(())
    }

    /// O1, P41: an operator has an order, and the one that it always had.
    fn check_partitions(&mut self) -> Result<()> {
        if self.plan.operators().is_empty() {
            return Ok(());
        }
        let mut counts = Vec::new();
        for b in &mut self.bound {
            counts.push(b.log.partitions()?.len());
        }
        self.plan.check_partitions(&counts)?;
        let Some(manifest) = self.manifests.newest(0)? else {
            return Ok(());
        };
        for (b, &now) in self.bound.iter().zip(&counts) {
            let before = manifest.frontier.0.keys().filter(|p| p.source == b.name).count();
            if before > 0 && now > before {
                return Err(self.plan.more_partitions(&b.name, before, now));
            }
        }
        Ok(())
    }

    /// Acquires all partitions of one source anew and reads on from their rows. Nothing of them may be in a map.
    pub(crate) fn acquire(&mut self, i: usize) -> Result<()> {
        match self.infos(i)? {
            Some(infos) => self.acquire_all(i, &infos),
            // What was read after the rows is in no map any more: the last commit must not pass it.
            None => {
                self.bound[i].partitions.clear();
                Ok(())
            }
        }
    }

    /// The partitions of a source. While a stream runs, a log that does not answer is waited for: answers are given from what
    /// is there, and grow older. `None`: the stream was told to stop meanwhile.
    pub(crate) fn infos(&mut self, i: usize) -> Result<Option<Vec<PartitionInfo>>> {
        loop {
            // Waiting is not being stuck: whoever kills what is stuck would kill this again and again.
            self.metrics.heartbeat.mark();
            match self.bound[i].log.partitions() {
                Err(e) if e.kind() == ErrorKind::TryAgain => {
                    tracing::warn!(source = self.bound[i].name, error = %e, "the log does not answer: asked again");
                    if self.options.stop.load(Relaxed) {
                        return Ok(None);
                    }
                    std::thread::sleep(AGAIN);
                }
                other => {
                    let mut infos = other?;
                    let before = self.bound[i].targets.len();
                    if !self.plan.operators().is_empty() && before > 0 && infos.len() > before {
                        return Err(self.plan.more_partitions(&self.bound[i].name, before, infos.len()));
                    }
                    self.bound[i].give(&infos);
                    self.together(i, &mut infos);
                    return Ok(Some(infos));
                }
            }
        }
    }

    fn acquire_all(&mut self, i: usize, infos: &[PartitionInfo]) -> Result<()> {
        self.bound[i].partitions.clear();
        for info in infos {
            if info.owned {
                self.acquire_one(i, info, None)?;
            } else {
                self.release_one(i, info)?;
            }
        }
        self.show_ownership(i);
        self.assign(i)
    }

    /// What a decision over a partition rests on, and what is done with it in the rows of all stores.
    pub(crate) fn in_all_stores(
        &self,
        i: usize,
        info: &PartitionInfo,
        truncated: Option<u64>,
        decide: &dyn Fn(Option<&Progress>, &Situation<'_>) -> Result<Repair>,
    ) -> Result<Progress> {
        let (plan, manifest) = (
            self.plan,
            self.manifest
                .as_ref()
                .ok_or_else(|| Error::bug("no manifest was read"))?,
        );
        let b = &self.bound[i];
        let p = SourcePartition::new(&b.name, info.partition);
        let nothing = Frontier::default();
        let drop_before = manifest.drop_before.get(plan.fingerprint()).unwrap_or(&nothing).of(&p);
        let (spec, frontier) = (b.spec.text(), manifest.frontier.of(&p));
        let lost = lost_by_archive(manifest, &p);
        let situation = Situation {
            p: &p,
            log: info,
            frontier,
            drop_before,
            cut_spec: &spec,
            fingerprint: plan.fingerprint(),
            truncated,
            operators: self.asker.is_some(),
            lost: &lost,
        };
        let acquire = |store: &str| self.store.acquire(store, &p, &mut |found| decide(found, &situation));
        let mut rows: Vec<Progress> = self.stores.iter().map(|s| acquire(s)).collect::<Result<_>>()?;
        // Each store is acquired by itself: a crash between two of them leaves the epochs apart, and a commit checks all of them.
        let epoch = rows.iter().map(|r| r.epoch).max().unwrap_or_default();
        for (store, row) in self.stores.iter().zip(&mut rows) {
            while row.epoch < epoch {
                *row = acquire(store)?;
            }
        }
        // One atomic write commits all stores of a job here (P15 needs nothing more). So rows stand apart only when a crash came
        // between two acquisitions that repaired: one shard was rebuilt or moved, and what the other met is not there any more.
        if rows.windows(2).any(|r| r[0].next != r[1].next) {
            let next: Vec<u64> = rows.iter().map(|r| r.next).collect();
            tracing::warn!(partition = %p, ?next, "a crash left the job's stores apart: their state is rebuilt from the log");
            let joined = rejoin(&rows, &situation);
            let again = |store: &String| self.store.acquire(store, &p, &mut |_| Ok(joined.clone()));
            rows = self.stores.iter().map(again).collect::<Result<_>>()?;
        }
        rows.pop().ok_or_else(|| Error::bug("a stream without a store"))
    }

    /// P10a.
    fn acquire_one(&mut self, i: usize, info: &PartitionInfo, truncated: Option<u64>) -> Result<()> {
        self.acquire_as(i, info, truncated, &repair)
    }

    /// P10a, with what becomes of the shard.
    pub(crate) fn acquire_as(
        &mut self,
        i: usize,
        info: &PartitionInfo,
        truncated: Option<u64>,
        decide: &dyn Fn(Option<&Progress>, &Situation<'_>) -> Result<Repair>,
    ) -> Result<()> {
        let row = match self.in_all_stores(i, info, truncated, decide) {
            // Until now another process read on, further than the end that was asked for before.
            Err(e) if e.kind() == ErrorKind::InvalidRequest && self.store.is_shared() && truncated.is_none() => {
                let now = self.bound[i].log.partitions()?;
                let now = now
                    .into_iter()
                    .find(|now| now.partition == info.partition && now.end > info.end);
                match now {
                    Some(now) => self.in_all_stores(i, &now, truncated, decide)?,
                    None => return Err(e),
                }
            }
            row => row?,
        };
        let row = self.meet_sinks(i, info, truncated, row)?;
        let is_joint = self.group_of(i).is_some();
        let b = &mut self.bound[i];
        let p = SourcePartition::new(&b.name, info.partition);
        // What was not committed is read again, or somebody else processed it meanwhile.
        if kept(Rule::ForgetAfterFailure) {
            self.executor.forget(Some((b.source, info.partition)));
        }
        let covered = self.manifest.as_ref().map_or(0, |m| m.frontier.of(&p).cut);
        let hole = row.holes.iter().find(|hole| hole.to > covered);
        if let Some(hole) = hole.filter(|_| self.asker.is_some() && kept(Rule::LostRangeStops)) {
            return Err(lost_range(&p, hole.from, hole.to));
        }
        for hole in &row.holes {
            tracing::warn!(partition = %p, from = hole.from, to = hole.to, reason = hole.reason, "a lost range");
        }
        b.elsewhere.remove(&info.partition);
        b.left_alone.remove(&info.partition);
        let mut acquired = Partition::acquired(p, row, b.spec.clone(), info.end);
        acquired.meet(b.meter.partition(info.partition), &self.metrics);
        // Where the event clock does not cut, the row keeps no event time.
        let known = acquired
            .row
            .last_time
            .filter(|_| !b.timed || b.spec.clock == Clock::Event);
        acquired.cutter = acquired.cutter.measuring(b.timed, known);
        acquired.queue = is_joint.then(|| Box::new(Queue::new(&b.spec, &acquired.row)));
        b.partitions.insert(info.partition, acquired);
        Ok(())
    }

    /// Another process of the group reads it, or none. In a store of this process alone the rows say so, once, and in every store
    /// where nobody reads it, or answers would be too small in silence. While the group has not decided, nothing changes: what is there
    /// is a prefix of the log, and grows older only.
    fn release_one(&mut self, i: usize, info: &PartitionInfo) -> Result<()> {
        if self.waits(i) {
            return Ok(());
        }
        // In a store that all of them write, the other process moves the same row; unless nobody does.
        let b = &mut self.bound[i];
        let left_alone = b.given.get(&info.partition) == Some(&true);
        let news = if left_alone {
            b.left_alone.insert(info.partition)
        } else {
            b.left_alone.remove(&info.partition);
            !b.elsewhere.contains(&info.partition)
        };
        if !news {
            return Ok(());
        }
        if let Some(sinks) = &self.sinks {
            sinks.close(&SourcePartition::new(&self.bound[i].name, info.partition));
        }
        if left_alone || !self.store.is_shared() {
            self.in_all_stores(i, info, None, &|row, s| Ok(release(row, s)))?;
        }
        self.bound[i].elsewhere.insert(info.partition);
        Ok(())
    }

    fn show_ownership(&mut self, i: usize) {
        let b = &self.bound[i];
        if self.store.is_shared() {
            if !self.waits(i) {
                tracing::info!(
                    source = b.name,
                    owned = ?b.partitions.keys(),
                    elsewhere = ?b.elsewhere,
                    "what the consumer group gave to this process, and what to others"
                );
            }
            let all: usize = self.bound.iter().map(|b| b.left_alone.len()).sum();
            self.metrics.elsewhere.store(all as u64, Relaxed);
            return;
        }
        if !b.elsewhere.is_empty() {
            tracing::warn!(
                source = b.name,
                owned = b.partitions.len(),
                elsewhere = ?b.elsewhere,
                "the consumer group gave partitions to another process: answers from here name them as unavailable"
            );
        }
        let all: usize = self.bound.iter().map(|b| b.elsewhere.len()).sum();
        self.metrics.elsewhere.store(all as u64, Relaxed);
    }

    pub(crate) fn assign(&mut self, i: usize) -> Result<()> {
        let b = &mut self.bound[i];
        let going = b.partitions.values().filter(|p| !p.stands());
        let positions: Vec<_> = going.map(Partition::position).collect();
        b.meter.owns(b.partitions.keys().copied());
        b.log.assign_at(&positions)
    }

    /// Partitions are new, given, or taken. New ones begin at their own start; those that stay go on where they are, and what
    /// is taken is committed first.
    pub(crate) fn changed(&mut self, i: usize) -> Result<()> {
        self.changed_one(i)?;
        // Those that go with them come and go together (O6).
        for j in self.sources_with(i) {
            if j != i && self.unproven.is_none() {
                self.changed_one(j)?;
            }
        }
        Ok(())
    }

    /// Whether it is not settled yet what this process gets of a source and those that go with it.
    pub(crate) fn waits(&self, i: usize) -> bool {
        self.sources_with(i).into_iter().any(|j| self.bound[j].log.waits())
    }

    fn changed_one(&mut self, i: usize) -> Result<()> {
        let Some(mut infos) = self.infos(i)? else { return Ok(()) };
        let waits = self.waits(i);
        let kept = |n: u32| infos.iter().any(|info| info.owned && info.partition == n) || waits;
        if self.bound[i].partitions.keys().any(|&n| !kept(n)) {
            self.settle()?;
            // The group has not answered for this process: all is acquired when it has.
            if self.unproven.is_some() {
                return Ok(());
            }
            // That may have taken a while.
            let Some(now) = self.infos(i)? else { return Ok(()) };
            infos = now;
        }
        let (owned, elsewhere) = (self.bound[i].partitions.len(), self.bound[i].elsewhere.clone());
        let mut moved = false;
        for info in &infos {
            let b = &mut self.bound[i];
            match (info.owned, b.partitions.get_mut(&info.partition)) {
                (true, Some(known)) if known.row.topic_id == info.topic_id => known.end = info.end,
                // Another log under the same name is refused there (P42).
                (true, _) => {
                    tracing::info!(source = b.name, partition = info.partition, "a partition was given");
                    self.acquire_one(i, info, None)?;
                    moved = true;
                }
                (false, Some(_)) if waits => {}
                (false, found) => {
                    moved |= found.is_some();
                    b.partitions.remove(&info.partition);
                    self.release_one(i, info)?;
                }
            }
        }
        if owned != self.bound[i].partitions.len() || elsewhere != self.bound[i].elsewhere {
            self.show_ownership(i);
        }
        self.measure_ownership();
        if moved { self.assign(i) } else { Ok(()) }
    }

    /// P42: the log was cut off below what was read. The partition's shard is rebuilt from the log as it is now.
    pub(crate) fn truncated(&mut self, i: usize, partition: u32, end: u64) -> Result<()> {
        tracing::error!(
            source = self.bound[i].name,
            partition,
            end,
            "the log was truncated below what was read, after an unclean election of its leader"
        );
        self.settle()?;
        if self.unproven.is_some() {
            return Ok(());
        }
        let Some(infos) = self.infos(i)? else { return Ok(()) };
        for info in infos.iter().filter(|info| info.owned && info.partition == partition) {
            self.acquire_one(i, info, Some(end))?;
        }
        self.assign(i)
    }

    /// What lies between the rows and the ends of the logs, as far as the logs know without asking.
    pub(crate) fn refresh_lag(&mut self) {
        let mut lag = 0;
        for b in &mut self.bound {
            for (n, p) in &mut b.partitions {
                p.end = b.log.end(*n).unwrap_or(p.end).max(p.next);
                lag += p.end.saturating_sub(p.row.next);
            }
        }
        self.metrics.lag.store(lag, Relaxed);
    }

    /// A manifest that arrives while the stream runs may disagree with its shards: they are repaired then (P32).
    pub(crate) fn compare_manifest(&mut self) -> Result<()> {
        self.last_manifest = Instant::now();
        let at_least = self.manifest.as_ref().map_or(0, |m| m.number + 1);
        let Some(newer) = self.manifests.newest(at_least)? else {
            return Ok(());
        };
        let ours = self.manifest.as_ref().and_then(|m| m.realtime_namespace.as_ref());
        if newer.realtime_namespace.as_ref() != ours {
            // P40: its frontier says nothing of these cells; the permission that it carries for them is the one that is known.
            if !std::mem::replace(&mut self.superseded, true) {
                tracing::warn!(
                    manifest = newer.number,
                    "another version of the job is current now: this one goes on, so that a rollback finds it up to date; stop it \
                     when that is not needed"
                );
            }
            return Ok(());
        }
        self.superseded = false;
        let misaligned: Vec<usize> = (0..self.bound.len())
            .filter(|&i| {
                self.bound[i].partitions.values().any(|p| {
                    let other_log = || !knows(&p.row, &lost_by_archive(&newer, &p.id));
                    p.row.aligned(newer.frontier.of(&p.id)).is_err() || (self.asker.is_some() && other_log())
                })
            })
            .collect();
        tracing::info!(
            manifest = newer.number,
            covered_until = newer.covered_until,
            "a new generation was published"
        );
        self.manifest = Some(newer);
        if !misaligned.is_empty() {
            self.settle()?;
            if self.unproven.is_some() {
                return Ok(());
            }
            for i in misaligned {
                tracing::warn!(
                    source = self.bound[i].name,
                    "the realtime state does not fit the new generation: it is rebuilt from the log"
                );
                self.acquire(i)?;
            }
        }
        Ok(())
    }
}

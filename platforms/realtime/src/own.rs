//! Which partitions the engine reads and from where: genesis, acquisition with repair, and what a new manifest changes.

use std::time::{Duration, Instant};

use rufous_core::{Clock, Error, Frontier, Result, SourcePartition};
use rufous_store_api::Progress;

use crate::engine::Engine;
use crate::genesis::genesis;
use crate::log::PartitionInfo;
use crate::partition::Partition;
use crate::repair::{Situation, repair};

/// How often the current manifest is compared with the shards.
pub(crate) const MANIFEST_INTERVAL: Duration = Duration::from_secs(2);

impl Engine<'_> {
    /// P10, P10a: where to begin, then every partition.
    pub(crate) fn open(&mut self) -> Result<()> {
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
        self.manifest = Some(genesis(self.plan, &specs, self.manifests, starts)?);
        for i in 0..self.bound.len() {
            self.acquire(i)?;
            let b = &mut self.bound[i];
            b.targets = b.partitions.iter().map(|(p, s)| (*p, s.end)).collect();
        }
        self.measure_start();
        Ok(())
    }

    /// Acquires all partitions of one source anew and reads on from their rows. Nothing of them may be in a map.
    pub(crate) fn acquire(&mut self, i: usize) -> Result<()> {
        let infos = self.bound[i].log.partitions()?;
        self.bound[i].partitions.clear();
        for info in &infos {
            self.acquire_one(i, info)?;
        }
        self.assign(i)
    }

    pub(crate) fn acquire_one(&mut self, i: usize, info: &PartitionInfo) -> Result<()> {
        let (plan, manifest) = (
            self.plan,
            self.manifest
                .as_ref()
                .ok_or_else(|| Error::bug("no manifest was read"))?,
        );
        let b = &mut self.bound[i];
        let p = SourcePartition::new(&b.name, info.partition);
        let nothing = Frontier::default();
        let drop_before = manifest.drop_before.get(plan.fingerprint()).unwrap_or(&nothing).of(&p);
        let (spec, frontier) = (b.spec.text(), manifest.frontier.of(&p));
        let situation = Situation {
            p: &p,
            log: info,
            frontier,
            drop_before,
            cut_spec: &spec,
            fingerprint: plan.fingerprint(),
        };
        let acquire = |store: &str| self.store.acquire(store, &p, &mut |found| repair(found, &situation));
        let mut rows: Vec<Progress> = self.stores.iter().map(|s| acquire(s)).collect::<Result<_>>()?;
        // Each store is acquired by itself: a crash between two of them leaves the epochs apart, and a commit checks all of them.
        let epoch = rows.iter().map(|r| r.epoch).max().unwrap_or_default();
        for (store, row) in self.stores.iter().zip(&mut rows) {
            while row.epoch < epoch {
                *row = acquire(store)?;
            }
        }
        // One atomic write commits all stores of a job here, so their rows cannot differ (P15 needs nothing more).
        if rows
            .windows(2)
            .any(|r| r[0].next != r[1].next || r[0].epoch != r[1].epoch)
        {
            return Err(Error::corrupt(format!(
                "the progress rows of {p} differ between the job's stores: one of them was written by a foreign hand"
            )));
        }
        let row = rows
            .pop()
            .ok_or_else(|| Error::invalid("a job without a store has no realtime state"))?;
        for hole in &row.holes {
            tracing::warn!(partition = %p, from = hole.from, to = hole.to, reason = hole.reason, "a lost range");
        }
        let mut acquired = Partition::acquired(p, row, b.spec.clone(), info.end);
        acquired.meet(b.meter.partition(info.partition), &self.metrics);
        // Where the event clock does not cut, the row keeps no event time.
        let known = acquired
            .row
            .last_time
            .filter(|_| !b.timed || b.spec.clock == Clock::Event);
        acquired.cutter = acquired.cutter.measuring(b.timed, known);
        b.partitions.insert(info.partition, acquired);
        Ok(())
    }

    pub(crate) fn assign(&mut self, i: usize) -> Result<()> {
        let b = &mut self.bound[i];
        let positions: Vec<_> = b.partitions.iter().map(|(p, s)| (*p, s.next)).collect();
        b.meter.owns(b.partitions.keys().copied());
        b.log.assign(&positions)
    }

    /// New partitions begin at their own start; the others go on where they are.
    pub(crate) fn appeared(&mut self, i: usize) -> Result<()> {
        let infos = self.bound[i].log.partitions()?;
        let mut found = false;
        for info in &infos {
            if let Some(known) = self.bound[i].partitions.get_mut(&info.partition) {
                known.end = info.end;
            } else {
                tracing::info!(
                    source = self.bound[i].name,
                    partition = info.partition,
                    "a new partition"
                );
                self.acquire_one(i, info)?;
                found = true;
            }
        }
        if found { self.assign(i) } else { Ok(()) }
    }

    /// A manifest that arrives while the stream runs may disagree with its shards: they are repaired then (P32).
    pub(crate) fn compare_manifest(&mut self) -> Result<()> {
        self.last_manifest = Instant::now();
        let at_least = self.manifest.as_ref().map_or(0, |m| m.number + 1);
        let Some(newer) = self.manifests.newest(at_least)? else {
            return Ok(());
        };
        let misaligned: Vec<usize> = (0..self.bound.len())
            .filter(|&i| {
                self.bound[i]
                    .partitions
                    .values()
                    .any(|p| p.row.aligned(newer.frontier.of(&p.id)).is_err())
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

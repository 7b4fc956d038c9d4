//! Commits: two maps swap, a flush thread writes, and what a failed commit leaves is read again.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::panics::{Panicked, catch};
use rufous_core::{Error, ErrorKind, Result, SourcePartition};
use rufous_store_api::Committed;

use crate::engine::Engine;
use crate::flush::{Chunk, Flushed};
use crate::own::MANIFEST_INTERVAL;
use crate::partition::Partition;

/// Commits that may fail one after the other before the stream gives up.
const MAX_FAILURES: u32 = 5;

/// Who is shut out so often within a minute has a rival that does not go away.
const SHUT_OUTS: usize = 8;
const SHUT_OUT_WITHIN: Duration = Duration::from_secs(60);

/// How often a group is asked that did not answer for this process.
const PROVE_AGAIN: Duration = Duration::from_millis(250);

/// What became of a chunk.
pub(crate) enum Landed {
    Committed,
    /// Nothing of it is there, or nobody knows.
    Failed,
    /// The same, and the reason passes by itself.
    Passing(Error),
    /// The job's own code did, while the chunk was encoded or added.
    Panicked(Panicked),
}

impl Engine<'_> {
    pub(crate) fn commit_when_due(&mut self) -> Result<()> {
        if let Some(done) = self.flusher.try_take()? {
            self.flushed(done)?;
        }
        // What operators remember is a part of the budget.
        let maps = match self.asker {
            Some(_) => self.options.memory_budget / 4 * 3,
            None => self.options.memory_budget,
        };
        let full = self.executor.is_full(maps)
            || (self.sinks.is_some()
                && self
                    .written
                    .is_full(self.executor.written(), self.options.memory_budget))
            || self.bound.iter().any(|b| b.bad.is_full());
        if full && self.flusher.busy {
            // Backpressure: the second map is full while the first is still being written.
            if let Some(done) = self.flusher.take()? {
                self.flushed(done)?;
            }
        }
        if !self.flusher.busy && (full || self.last_commit.elapsed() >= self.options.commit_interval) {
            self.begin_commit()?;
        }
        if self.last_manifest.elapsed() >= MANIFEST_INTERVAL {
            let done = self.compare_manifest();
            self.or_pause(done)?;
            self.drop_covered()?;
        }
        Ok(())
    }

    pub(crate) fn begin_commit(&mut self) -> Result<()> {
        self.last_commit = Instant::now();
        self.refresh_lag();
        self.measure();
        // Nothing passes a dead letter before it is stored.
        self.deliver()?;
        let advances: Vec<_> = self
            .bound
            .iter_mut()
            .flat_map(|b| b.partitions.values_mut())
            .filter_map(Partition::advance)
            .collect();
        let read = self.metrics.records.load(Relaxed);
        if advances.is_empty() {
            self.metrics.settled.mark();
            self.metrics.committed_records.store(read, Relaxed);
            return Ok(());
        }
        self.metrics.saw_steps(self.executor.emitted());
        self.read_at_commit = read;
        self.metrics.map_bytes.store(self.executor.bytes() as u64, Relaxed);
        let spare = self.spare.take().unwrap_or_default();
        match catch(|| self.executor.take(spare)) {
            Ok(deltas) => {
                let deltas = deltas?;
                // With what combiners handed on just now.
                self.metrics.saw_passed(self.executor.passed());
                let sinks = self.plan.live_sinks().filter(|_| self.sinks.is_some());
                let written = sinks.map(|(sink, _)| self.executor.take_identified(sink));
                let written = written.collect::<Result<_>>()?;
                self.written.taken();
                self.flusher.send(Chunk {
                    advances,
                    deltas,
                    written,
                })
            }
            Err(panicked) => self.panicked(panicked),
        }
    }

    /// What follows from a chunk that came back.
    pub(crate) fn flushed(&mut self, done: Flushed) -> Result<()> {
        match self.landed(done)? {
            Landed::Committed => Ok(()),
            Landed::Passing(failure) => self.pause(failure),
            Landed::Failed => {
                let done = self.read_again();
                self.or_pause(done)
            }
            Landed::Panicked(panicked) => self.panicked(panicked),
        }
    }

    /// Counts it.
    ///
    /// # Errors
    /// After too many failures.
    pub(crate) fn landed(&mut self, done: Flushed) -> Result<Landed> {
        self.spare = Some(done.spare);
        self.written.had(done.written);
        self.metrics.commit_seconds.observe(done.took);
        // By the place of a sink: the store's own refusals are counted by `failures`, and heal.
        let mut shut_out = matches!(&done.outcome, Ok(Err(e)) if e.kind() == ErrorKind::Closed);
        let failure = match done.outcome {
            Ok(Ok(Committed::Done)) => {
                self.failures = 0;
                self.metrics.committed(done.cells);
                self.metrics.committed_records.store(self.read_at_commit, Relaxed);
                self.note(&done.advances);
                return Ok(Landed::Committed);
            }
            Err(panicked) => return Ok(Landed::Panicked(panicked)),
            Ok(Ok(Committed::Refused { partition, found })) => {
                let rival = self.rival_of(&partition);
                shut_out |= rival.is_some();
                let refused = Error::closed(format!(
                    "the store refused a chunk of {partition}: its row stands at {found:?} (next, epoch); another owner was here{}",
                    rival.as_deref().unwrap_or_default()
                ));
                if self.store.is_shared() && rival.is_none() {
                    // How often partitions change hands is not up to this process.
                    tracing::info!("{refused}");
                    self.metrics.commit_failed(&refused);
                    self.refused.retain(|at| at.elapsed() < SHUT_OUT_WITHIN);
                    self.refused.push(Instant::now());
                    if self.refused.len() >= SHUT_OUTS {
                        self.refused.clear();
                        tracing::warn!(
                            "other processes took partitions from this one {SHUT_OUTS} times within a minute: if no processes come and go, \
                             see whether all of them have the same consumer group"
                        );
                    }
                    return Ok(Landed::Failed);
                }
                refused
            }
            // Damage does not pass.
            Ok(Err(e)) if e.kind() == ErrorKind::CorruptData => return Err(e),
            Ok(Err(e)) => e,
        };
        self.metrics.commit_failed(&failure);
        // The disk is full, for instance.
        if failure.kind() == ErrorKind::TryAgain {
            return Ok(Landed::Passing(failure));
        }
        self.failures += 1;
        if shut_out {
            // Two that shut each other out would write in turns for ever, each with a commit now and then.
            self.shut_out.retain(|at| at.elapsed() < SHUT_OUT_WITHIN);
            self.shut_out.push(Instant::now());
            if self.shut_out.len() >= SHUT_OUTS {
                return Err(failure);
            }
        }
        tracing::warn!(error = %failure, failures = self.failures, "a commit failed: everything read after it is read again");
        if self.failures >= MAX_FAILURES {
            return Err(failure);
        }
        Ok(Landed::Failed)
    }

    /// P12: the chunk and every chunk read after it was dropped; acquire again, of a store that others write as well only what the
    /// group says is this process's.
    pub(crate) fn read_again(&mut self) -> Result<()> {
        // All of it comes from the rows again.
        self.executor.discard()?;
        let asked_before = self.unproven.take().is_some();
        if self.store.is_shared() && !self.bound.iter_mut().all(|b| b.log.is_member()) {
            if !asked_before {
                tracing::info!("the consumer group does not say what this process reads: it is waited for");
            }
            self.unproven = Some(Instant::now());
            return self.let_all_go();
        }
        for i in 0..self.bound.len() {
            self.acquire(i)?;
        }
        Ok(())
    }

    /// Reads nothing, until partitions are acquired again. Nothing is in a map.
    pub(crate) fn let_all_go(&mut self) -> Result<()> {
        for i in 0..self.bound.len() {
            self.bound[i].partitions.clear();
            self.assign(i)?;
        }
        Ok(())
    }

    /// Asks the group again, now and then, where it did not answer for this process. Nothing is in a map then.
    pub(crate) fn prove_again(&mut self) -> Result<()> {
        if self.unproven.is_none_or(|asked| asked.elapsed() < PROVE_AGAIN) {
            return Ok(());
        }
        let done = self.read_again();
        self.or_pause(done)
    }

    /// What to say of another owner of a partition that no group shares out.
    fn rival_of(&self, p: &SourcePartition) -> Option<String> {
        let b = self.bound.iter().find(|b| b.name == p.source)?;
        (self.store.is_shared() && !b.log.is_shared_out()).then(|| {
            format!(
                ". Another process reads {} into the same state, and nobody shares it out between them: stop one of them, or put the \
                 records into a Kafka topic",
                b.log.location()
            )
        })
    }

    pub(crate) fn note(&mut self, advances: &[rufous_store_api::Advance]) {
        self.measure_commit(advances);
        for b in &mut self.bound {
            let positions: Vec<_> = advances
                .iter()
                .filter(|a| a.partition.source == b.name)
                .map(|a| (a.partition.partition, a.to))
                .collect();
            if !positions.is_empty() {
                b.log.note_committed(&positions);
                for (partition, to) in positions {
                    b.bad.committed(partition, to);
                }
            }
        }
        self.refresh_lag();
    }

    /// Commits all that was read and waits for it.
    pub(crate) fn settle(&mut self) -> Result<()> {
        loop {
            if let Some(done) = self.flusher.take()? {
                self.flushed(done)?;
            }
            self.begin_commit()?;
            if !self.flusher.busy {
                return Ok(());
            }
        }
    }
}

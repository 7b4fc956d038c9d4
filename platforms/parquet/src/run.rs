//! The whole run: survey, read, sum, write runs, publish. It never half-publishes: before the manifest is created nothing of it
//! is visible, and afterwards all of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use rufous_core::panics::Panicked;
use rufous_core::{Error, Result};
use rufous_store_api::{Published, RecordFile, RunFile};

use crate::options::{BatchReport, BatchRun};
use crate::progress::{Pace, Phase};
use crate::sums::{self, List, SpillDir, ToSink, ToStore};
use crate::survey::RunPlan;
use crate::work::{Base, Piece, Work};
use crate::worker::{Care, nobody};

/// Publishes may collide with another run's this often.
pub(crate) const MAX_CONFLICTS: usize = 5;

impl BatchRun<'_> {
    /// Runs and publishes, then merges runs where reads would suffer ([`merge`](Self::merge)). Without new sealed
    /// batches nothing is published.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish); those of `merge`, with the generation that is published all the same.
    pub fn run(&self) -> Result<BatchReport> {
        let mut report = self.publish()?;
        let number = report.manifest.number;
        let merged = self.merge();
        if let Some(merged) =
            merged.map_err(|e| e.at(format_args!("generation {number} is published; merging its runs")))?
        {
            report.manifest = merged;
        }
        Ok(report)
    }

    /// Runs and publishes. Nobody waits for runs to be merged.
    ///
    /// # Errors
    /// When an input is missing or damaged, a record cannot be decoded (unless skipped), or the job does not fit the data
    /// directory.
    pub fn publish(&self) -> Result<BatchReport> {
        for _ in 0..MAX_CONFLICTS {
            self.options.progress.enter(Phase::Planning);
            if let Some(report) = self.execute(self.plan()?)? {
                return Ok(report);
            }
            tracing::info!("another run published meanwhile: starting over from its generation");
        }
        Err(Error::try_again(format!(
            "job `{}`: other runs published {MAX_CONFLICTS} times while this one worked",
            self.plan.job()
        )))
    }

    /// Does what was planned. `None`: another run published since; nothing of this one is visible.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn execute(&self, planned: RunPlan) -> Result<Option<BatchReport>> {
        let (rows, bytes) = (planned.rows(), planned.bytes());
        let RunPlan {
            pieces,
            mut manifest,
            open,
            new,
            notes,
            permission_before,
            ..
        } = planned;
        let mut report = BatchReport {
            manifest: manifest.clone(),
            published: false,
            records: 0,
            bad: 0,
            outside: 0,
            keys: BTreeMap::new(),
            written: BTreeMap::new(),
            open,
            notes,
        };
        if !new {
            return Ok(Some(report));
        }
        report.notes.iter().for_each(|note| tracing::info!("{note}"));
        let progress = &self.options.progress;
        progress.begin(rows, bytes, self.plan);
        let base = Base {
            generations: self.generations,
            stores: manifest.stores.clone(),
        };
        let (work, Files { runs, written }) = self.sum(pieces, base)?;
        for ((_, sink), files) in self.plan.bulk_sinks().iter().zip(written) {
            let generation = manifest.sinks.entry(sink.name.to_string()).or_default();
            let records = files.iter().map(|f| f.records).sum();
            report.written.insert(sink.name.to_string(), records);
            generation.files.extend(files);
        }
        manifest.format = manifest.format_needed();
        for (face, delta) in self.plan.stores().iter().zip(runs) {
            let generation = manifest.stores.entry(face.name.to_string()).or_default();
            let keys = delta.iter().map(|d| d.keys).sum();
            progress.keys.fetch_add(keys, Relaxed);
            report.keys.insert(face.name.to_string(), keys);
            generation.runs.extend(delta.iter().cloned());
            generation.delta = delta;
        }
        progress.enter(Phase::Publishing);
        // Hours may have gone by since it was planned, and a sink that was given up may be taken up again.
        if let Some((namespace, before)) = permission_before
            && let Some(permitted) = manifest.drop_before.get_mut(&namespace)
            && *permitted != before
            && !self.sinks_have(permitted)
        {
            *permitted = before;
            report.notes.push(self.held_by_sinks());
        }
        match self.manifests.publish(&manifest)? {
            Published::Conflict => Ok(None),
            Published::Done => {
                progress.published();
                report.manifest = manifest;
                report.published = true;
                report.records = work.records.load(Relaxed);
                report.bad = work.bad.load(Relaxed);
                report.outside = work.outside.load(Relaxed);
                Ok(Some(report))
            }
        }
    }

    /// Reads all pieces and writes files, per store and sink.
    fn sum<'a>(&'a self, pieces: Vec<Piece>, base: Base<'a>) -> Result<(Work<'a>, Files)> {
        let threads = match self.options.threads() {
            _ if self.plan.in_order() => 1,
            threads if self.plan.domains().is_empty() => threads,
            // A domain of several partitions is one piece: those that get none would take memory from those that do.
            threads => threads.clamp(1, pieces.len().max(1)),
        };
        let mut work = Work {
            plan: self.plan,
            pieces,
            base,
            skip_bad: self.plan.sources().iter().map(|s| self.options.skips(s.name)).collect(),
            care: Care::None,
            share: share(self.options.memory, threads) / if self.plan.bulk_sinks().is_empty() { 1 } else { 2 },
            dir: SpillDir::below(&self.options.spill_dir),
            stop: &self.options.stop,
            progress: &self.options.progress,
            pace: Pace::new(self.options.rate),
            taken: AtomicUsize::new(0),
            latest: std::sync::Mutex::default(),
            records: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            window: self.options.window,
            outside: AtomicU64::new(0),
        };
        self.options.progress.enter(Phase::Reading);
        let sums = work.run(threads)?;
        self.options.progress.enter(Phase::Writing);
        let panicked = match self.write(sums, &work.dir)? {
            Ok(runs) => return Ok((work, runs)),
            Err(panicked) => panicked,
        };
        // Only where the threads' sums met did it panic. The records are known no more: all are tried.
        tracing::warn!("{panicked}; the input is read again, record by record, each added to itself");
        work = Work {
            care: Care::Twice,
            taken: AtomicUsize::new(0),
            latest: std::sync::Mutex::default(),
            records: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            outside: AtomicU64::new(0),
            ..work
        };
        let sums = work.run(threads)?;
        match self.write(sums, &work.dir)? {
            Ok(runs) => Ok((work, runs)),
            Err(panicked) => Err(nobody(self.plan.job(), &panicked)),
        }
    }

    /// The files of each store and of each sink, in the plan's order.
    fn write(&self, sums: Vec<Vec<List>>, dir: &SpillDir) -> Result<Result<Files, Panicked>> {
        let (generations, threads) = (self.generations, self.options.threads());
        let (mut sums, mut files) = (sums.into_iter(), Files::default());
        for (store, lists) in self.plan.stores().iter().zip(&mut sums) {
            match sums::write(lists, &ToStore { store, generations }, dir, threads) {
                Ok(written) => files.runs.push(written?),
                Err(panicked) => return Ok(Err(panicked)),
            }
        }
        for ((_, sink), lists) in self.plan.bulk_sinks().iter().zip(sums) {
            let sink = sink.name;
            match sums::write(lists, &ToSink { sink, generations }, dir, threads) {
                Ok(written) => files.written.push(written?),
                Err(panicked) => return Ok(Err(panicked)),
            }
        }
        Ok(Ok(files))
    }
}

/// What a run made, that no manifest names yet.
#[derive(Default)]
struct Files {
    /// Per store.
    runs: Vec<Vec<RunFile>>,
    /// Per sink that is a part of the generation.
    written: Vec<Vec<RecordFile>>,
}

/// What a process has without any sums: the program's pages, threads, what is read and decoded at a time.
const FIXED: usize = 64 << 20;

/// What the maps of one thread may hold. As much again is needed to sort them, and growing buffers leave room that nobody uses.
fn share(memory: usize, threads: usize) -> usize {
    memory.saturating_sub(FIXED).max(1 << 20) / 4 / threads.max(1)
}

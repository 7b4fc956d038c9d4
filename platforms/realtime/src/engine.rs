//! The loop: poll a log, cut, decode, run the steps, combine; swap maps and commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::{
    BadRecord, ChunkMeta, CutSpec, Deltas, Error, Executor, Frontier, Plan, RecordBatch, Result, SourceDecoder,
    SourcePartition,
};
use rufous_store_api::{Committed, Manifest, ManifestLog, Progress, RealtimeStore};

use crate::cutter::Cuts;
use crate::flush::{Chunk, Flushed, Flusher};
use crate::genesis::genesis;
use crate::log::{Log, PartitionInfo, Polled};
use crate::metrics::{Metrics, StreamReport};
use crate::partition::Partition;
use crate::repair::{Situation, repair};

/// What happens to a record that cannot be decoded. Never silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBadRecord {
    /// The stream stops with an error that names it.
    #[default]
    Fail,
    /// It is counted and reported; its offset is passed.
    Skip,
}

/// A source of the job and the log that it is bound to.
pub struct BoundLog {
    /// The source port's name.
    pub source: String,
    /// Its log.
    pub log: Box<dyn Log>,
}

/// How a stream runs.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// How often state is committed.
    pub commit_interval: Duration,
    /// Bytes that combining maps may hold before they are committed early.
    pub memory_budget: usize,
    /// Stops at the end that the log has when the stream starts.
    pub until_end: bool,
    /// What happens to records that cannot be decoded.
    pub on_bad_record: OnBadRecord,
    /// The same for single sources, by name.
    pub on_bad_record_of: BTreeMap<String, OnBadRecord>,
    /// Set from outside to commit and stop.
    pub stop: Arc<AtomicBool>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_secs(1),
            memory_budget: 128 << 20,
            until_end: false,
            on_bad_record: OnBadRecord::Fail,
            on_bad_record_of: BTreeMap::new(),
            stop: Arc::default(),
        }
    }
}

/// A job, its logs, and the store that it keeps its realtime state in.
pub struct Stream<'a> {
    /// The job.
    pub plan: &'a Plan,
    /// One log a source of the plan.
    pub logs: Vec<BoundLog>,
    /// The namespace that is written. It must be the one that the current manifest names.
    pub store: Arc<dyn RealtimeStore>,
    /// The job's manifests.
    pub manifests: &'a dyn ManifestLog,
    /// Live counters.
    pub metrics: Arc<Metrics>,
    /// How it runs.
    pub options: StreamOptions,
}

/// Commits that may fail one after the other before the stream gives up.
const MAX_FAILURES: u32 = 5;
/// How often the current manifest is compared with the shards.
const MANIFEST_INTERVAL: Duration = Duration::from_secs(2);

struct Bound {
    /// The source's place in the plan.
    source: u32,
    name: String,
    log: Box<dyn Log>,
    spec: CutSpec,
    decoder: Box<dyn SourceDecoder>,
    partitions: BTreeMap<u32, Partition>,
    /// Where `until_end` stops.
    targets: BTreeMap<u32, u64>,
}

impl Stream<'_> {
    /// Runs until it is told to stop, or to the present end of the log. Everything that was read is committed then.
    ///
    /// # Errors
    /// When the job does not fit the data directory, a log cannot be read, a record cannot be decoded (unless skipped), or
    /// commits keep failing.
    pub fn run(self) -> Result<StreamReport> {
        let Self {
            plan,
            logs,
            store,
            manifests,
            metrics,
            options,
        } = self;
        check(plan)?;
        let bound = bind(plan, logs)?;
        let sources = plan.sources().iter().map(|s| s.name.to_string()).collect();
        let stores: Vec<String> = plan.stores().iter().map(|s| s.name.to_string()).collect();
        std::thread::scope(|scope| {
            let flusher = Flusher::start(scope, store.clone(), sources, stores.clone());
            let mut engine = Engine {
                plan,
                stores,
                store,
                manifests,
                metrics: metrics.clone(),
                executor: plan.instantiate(),
                bound,
                flusher,
                spare: None,
                manifest: None,
                options,
                failures: 0,
                last_commit: Instant::now(),
                last_manifest: Instant::now(),
                records: RecordBatch::default(),
                cuts: Cuts::default(),
                times: Vec::new(),
                bad: Vec::new(),
            };
            engine.run()
        })?;
        Ok(metrics.report())
    }
}

/// Whether a job may run live.
///
/// # Errors
/// `InvalidRequest` with the reason: it writes to a sink, or needs an order that logs do not keep.
pub fn check(plan: &Plan) -> Result<()> {
    if let Some((sink, _)) = plan.sinks().first() {
        return Err(Error::invalid(format!(
            "sink `{sink}`: live jobs cannot write to sinks yet; run it on the memory platform, or end it in a store"
        )));
    }
    if plan.in_order() {
        return Err(Error::invalid(format!(
            "job `{}` needs its values in order, which logs of several partitions do not keep: run it in memory or in bulk over \
             Parquet, or make the value commutative (`Latest<T>` keeps the newest) and drop `.in_order()`",
            plan.job()
        )));
    }
    if plan.stores().is_empty() {
        return Err(Error::invalid(format!(
            "job `{}` has no store, so there is nothing to keep live",
            plan.job()
        )));
    }
    Ok(())
}

fn bind(plan: &Plan, logs: Vec<BoundLog>) -> Result<Vec<Bound>> {
    let mut logs: BTreeMap<String, Box<dyn Log>> = logs.into_iter().map(|b| (b.source, b.log)).collect();
    let mut bound = Vec::new();
    for (i, face) in plan.sources().iter().enumerate() {
        let log = logs.remove(face.name).ok_or_else(|| {
            Error::invalid(format!(
                "source `{}` is not bound: add `--source {}=LOCATION`",
                face.name, face.name
            ))
        })?;
        bound.push(Bound {
            source: i as u32,
            name: face.name.to_string(),
            spec: face.cut_spec(log.has_time()),
            decoder: face.decoder(log.format())?,
            log,
            partitions: BTreeMap::new(),
            targets: BTreeMap::new(),
        });
    }
    match logs.into_keys().next() {
        Some(name) => Err(Error::invalid(format!(
            "the job has no source `{name}` (it has: {})",
            plan.sources().iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
        ))),
        None => Ok(bound),
    }
}

struct Engine<'a> {
    plan: &'a Plan,
    stores: Vec<String>,
    store: Arc<dyn RealtimeStore>,
    manifests: &'a dyn ManifestLog,
    metrics: Arc<Metrics>,
    executor: Executor,
    bound: Vec<Bound>,
    flusher: Flusher,
    spare: Option<Vec<Box<dyn Deltas>>>,
    manifest: Option<Manifest>,
    options: StreamOptions,
    failures: u32,
    last_commit: Instant,
    last_manifest: Instant,
    records: RecordBatch,
    cuts: Cuts,
    times: Vec<Option<rufous_core::Timestamp>>,
    bad: Vec<BadRecord>,
}

impl Engine<'_> {
    fn run(&mut self) -> Result<()> {
        self.open()?;
        let mut idle_wait = Duration::from_millis(1);
        while !self.options.stop.load(Relaxed) {
            let mut busy = false;
            let timeout = if self.bound.len() == 1 {
                Duration::from_millis(50)
            } else {
                idle_wait
            };
            for i in 0..self.bound.len() {
                match self.bound[i].log.poll(timeout, &mut self.records)? {
                    Polled::Records => {
                        busy = true;
                        self.process(i)?;
                    }
                    Polled::Idle => {}
                    Polled::Lost { partition, start } => {
                        tracing::warn!(
                            source = self.bound[i].name,
                            partition,
                            start,
                            "offsets were deleted before they were read"
                        );
                        self.settle()?;
                        self.acquire(i)?;
                    }
                    Polled::PartitionsChanged => self.appeared(i)?,
                }
            }
            idle_wait = if busy {
                Duration::from_millis(1)
            } else {
                (idle_wait * 2).min(Duration::from_millis(50))
            };
            self.commit_when_due()?;
            if self.options.until_end && !busy && self.at_end() {
                break;
            }
        }
        self.settle()
    }

    /// P10, P10a: where to begin, then every partition.
    fn open(&mut self) -> Result<()> {
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
        Ok(())
    }

    /// Acquires all partitions of one source anew and reads on from their rows. Nothing of them may be in a map.
    fn acquire(&mut self, i: usize) -> Result<()> {
        let infos = self.bound[i].log.partitions()?;
        self.bound[i].partitions.clear();
        for info in &infos {
            self.acquire_one(i, info)?;
        }
        self.assign(i)
    }

    fn acquire_one(&mut self, i: usize, info: &PartitionInfo) -> Result<()> {
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
        let mut row: Option<Progress> = None;
        for store in &self.stores {
            let acquired = self.store.acquire(store, &p, &mut |found| repair(found, &situation))?;
            // One atomic write commits all stores of a job here, so their rows cannot differ (P15 needs nothing more).
            if row
                .as_ref()
                .is_some_and(|r| r.next != acquired.next || r.epoch != acquired.epoch)
            {
                return Err(Error::corrupt(format!(
                    "the progress rows of {p} differ between the job's stores: one of them was written by a foreign hand"
                )));
            }
            row = Some(acquired);
        }
        let row = row.ok_or_else(|| Error::invalid("a job without a store has no realtime state"))?;
        for hole in &row.holes {
            tracing::warn!(partition = %p, from = hole.from, to = hole.to, reason = hole.reason, "a lost range");
        }
        b.partitions
            .insert(info.partition, Partition::acquired(p, row, b.spec.clone(), info.end));
        Ok(())
    }

    fn assign(&mut self, i: usize) -> Result<()> {
        let b = &mut self.bound[i];
        let positions: Vec<_> = b.partitions.iter().map(|(p, s)| (*p, s.next)).collect();
        b.log.assign(&positions)
    }

    /// New partitions begin at their own start; the others go on where they are.
    fn appeared(&mut self, i: usize) -> Result<()> {
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

    fn process(&mut self, i: usize) -> Result<()> {
        let Self {
            records,
            cuts,
            times,
            bad,
            metrics,
            executor,
            options,
            ..
        } = self;
        let b = &mut self.bound[i];
        let Some(partition) = b.partitions.get_mut(&records.partition) else {
            return Err(Error::bug(format!(
                "the log of `{}` handed out partition {}, which was not assigned",
                b.name, records.partition
            )));
        };
        // A log that goes back hands out again what is in the maps already: only positions of our own make it count once.
        let again = records.skip_below(partition.next);
        if again > 0 {
            tracing::debug!(partition = %partition.id, records = again, "handed out again and passed over");
        }
        bad.clear();
        b.decoder.decode(records, times, bad);
        if let Some(first) = bad.first() {
            let policy = options
                .on_bad_record_of
                .get(&b.name)
                .copied()
                .unwrap_or(options.on_bad_record);
            report_bad(&b.name, &*b.log, records, first, bad.len(), policy)?;
            metrics.bad.fetch_add(bad.len() as u64, Relaxed);
        }
        partition.cutter.cut(records, times, cuts);
        for run in &cuts.runs {
            let chunk = b.decoder.chunk(run.range.clone());
            if run.batch < partition.retained_from() {
                // P14: below the drop permission; a record at or above the recorded cut would belong to a dropped batch.
                let offset = records.entries[run.range.end - 1].offset;
                if partition
                    .row
                    .cut(partition.retained_from())
                    .is_some_and(|cut| offset >= cut)
                {
                    return Err(Error::bug(format!(
                        "offset {offset} of {} is in batch {}, which was dropped: stopped",
                        partition.id, run.batch.0
                    )));
                }
                continue;
            }
            let meta = ChunkMeta {
                source: b.source,
                partition: records.partition,
                batch: run.batch,
            };
            executor.push(&meta, chunk)?;
        }
        partition.read(records.next, cuts);
        metrics.records.fetch_add(records.entries.len() as u64, Relaxed);
        metrics.bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        metrics.late.fetch_add(cuts.late, Relaxed);
        metrics.held.fetch_add(cuts.held, Relaxed);
        metrics.saw_time(cuts.last_time);
        if cuts.held > 0 {
            tracing::warn!(partition = %partition.id, held = cuts.held, "a record's time is far above its predecessors': the batch was raised by the largest step only (is a clock wrong?)");
        }
        Ok(())
    }

    fn commit_when_due(&mut self) -> Result<()> {
        if let Some(done) = self.flusher.try_take()? {
            self.flushed(done)?;
        }
        let full = self.executor.is_full(self.options.memory_budget);
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
            self.compare_manifest()?;
        }
        Ok(())
    }

    fn begin_commit(&mut self) -> Result<()> {
        self.last_commit = Instant::now();
        let advances: Vec<_> = self
            .bound
            .iter_mut()
            .flat_map(|b| b.partitions.values_mut())
            .filter_map(Partition::advance)
            .collect();
        if advances.is_empty() {
            return Ok(());
        }
        self.metrics.saw_steps(self.executor.emitted());
        let deltas = self.executor.take(self.spare.take().unwrap_or_default())?;
        self.flusher.send(Chunk { advances, deltas })
    }

    fn flushed(&mut self, done: Flushed) -> Result<()> {
        self.spare = Some(done.spare);
        let failure = match done.outcome {
            Ok(Committed::Done) => {
                self.failures = 0;
                self.metrics.commits.fetch_add(1, Relaxed);
                self.note(&done.advances);
                return Ok(());
            }
            Ok(Committed::Refused { partition, found }) => Error::closed(format!(
                "the store refused a chunk of {partition}: its row stands at {found:?} (next, epoch); another owner was here"
            )),
            Err(e) => e,
        };
        self.failures += 1;
        tracing::warn!(error = %failure, failures = self.failures, "a commit failed: everything read after it is read again");
        if self.failures >= MAX_FAILURES {
            return Err(failure);
        }
        // P12: drop the chunk and every chunk read after it, acquire again.
        self.executor.discard()?;
        for i in 0..self.bound.len() {
            self.acquire(i)?;
        }
        Ok(())
    }

    fn note(&mut self, advances: &[rufous_store_api::Advance]) {
        for b in &mut self.bound {
            let positions: Vec<_> = advances
                .iter()
                .filter(|a| a.partition.source == b.name)
                .map(|a| (a.partition.partition, a.to))
                .collect();
            if !positions.is_empty() {
                b.log.note_committed(&positions);
            }
        }
        let lag = self
            .bound
            .iter()
            .flat_map(|b| b.partitions.values())
            .map(|p| p.end.saturating_sub(p.row.next))
            .sum();
        self.metrics.lag.store(lag, Relaxed);
    }

    /// Commits all that was read and waits for it.
    fn settle(&mut self) -> Result<()> {
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

    fn at_end(&self) -> bool {
        self.bound.iter().all(|b| {
            b.targets
                .iter()
                .all(|(p, end)| b.partitions.get(p).is_none_or(|s| s.next >= *end))
        })
    }

    /// A manifest that arrives while the stream runs may disagree with its shards: they are repaired then (P32).
    fn compare_manifest(&mut self) -> Result<()> {
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

fn report_bad(
    source: &str,
    log: &dyn Log,
    records: &RecordBatch,
    bad: &BadRecord,
    count: usize,
    policy: OnBadRecord,
) -> Result<()> {
    let offset = records.entries.get(bad.entry).map_or(records.next, |e| e.offset);
    let place = format!(
        "source `{source}` ({}), partition {}, offset {offset}",
        log.location(),
        records.partition
    );
    match policy {
        OnBadRecord::Fail => Err(Error::invalid(format!(
            "{place}: {}; mend the record, or run with `--on-bad-record skip` to count it and go on",
            bad.reason
        ))),
        OnBadRecord::Skip => {
            tracing::warn!(
                "{place}: {} (skipped{})",
                bad.reason,
                if count > 1 {
                    format!(", and {} more of this chunk", count - 1)
                } else {
                    String::new()
                }
            );
            Ok(())
        }
    }
}

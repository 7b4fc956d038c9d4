//! The loop: poll a log, cut, decode, run the steps, combine; swap maps and commit.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::panics::catch;
use rufous_core::rules::{Rule, kept};
use rufous_core::{
    BadRecord, ChunkMeta, Deltas, Error, ErrorKind, Executor, Joint, Plan, RecordBatch, Result, Timestamp,
};
use rufous_store_api::asked::{self, Asker};
use rufous_store_api::{GenerationStore, Manifest, ManifestLog, RealtimeStore};

use crate::bind::{Bound, BoundLog, bind, check, check_guarantee};
use crate::close::close;
use crate::cutter::Cuts;
use crate::flush::Flusher;
use crate::log::Polled;
use crate::metrics::{Metrics, StreamReport};
use crate::options::StreamOptions;
use crate::panics::Careful;
use crate::sinks::{BoundSink, OpenSinks, Written};
use crate::state::Committed;

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
    /// The job's generations: a job with operators reads its state from them, others do not need them.
    pub generations: Option<&'a dyn GenerationStore>,
    /// Live counters.
    pub metrics: Arc<Metrics>,
    /// How it runs.
    pub options: StreamOptions,
}

impl Stream<'_> {
    /// Runs until it is told to stop, or to the present end of the log. Everything that was read is committed then.
    ///
    /// # Errors
    /// When the job does not fit the data directory, a log cannot be read, a record cannot be decoded (unless skipped), or
    /// commits keep failing.
    pub fn run(self) -> Result<StreamReport> {
        self.run_with(Vec::new())
    }

    /// The same for a job that writes to sinks, whose plan [identifies writes](Plan::identify_writes).
    ///
    /// # Errors
    /// As [`run`](Self::run); `InvalidRequest` when a sink that the live part writes is not bound; and when a sink takes nothing.
    pub fn run_with(self, sinks: Vec<BoundSink>) -> Result<StreamReport> {
        let Self {
            plan,
            logs,
            store,
            manifests,
            generations,
            metrics,
            options,
        } = self;
        check(plan)?;
        check_guarantee(plan, &*store, &options)?;
        let sinks = if plan.live_sinks().next().is_none() && sinks.is_empty() {
            None
        } else {
            Some(OpenSinks::new(plan, sinks)?)
        };
        let committed = match (plan.operators().first(), generations) {
            (None, _) => None,
            (Some(_), Some(generations)) => Some(Committed {
                plan,
                store: store.clone(),
                manifests,
                generations,
                known: Vec::new(),
            }),
            (Some(operator), None) => {
                return Err(Error::invalid(format!(
                    "{} reads state from the job's generations: name them in `Stream.generations`",
                    operator.name
                )));
            }
        };
        let mut bound = bind(plan, logs, &options)?;
        bound.iter_mut().for_each(|b| b.show_in(&metrics));
        let span = tracing::info_span!("stream", job = plan.job());
        let _entered = span.enter();
        let _running = metrics.run();
        for (_, sink) in plan.bulk_sinks() {
            tracing::info!(
                sink = sink.name,
                "written by batch runs, with each generation, and not by this process"
            );
        }
        let sources = plan.sources().iter().map(|s| s.name.to_string()).collect();
        let stores: Vec<String> = plan.live_stores().iter().map(|s| s.name.to_string()).collect();
        std::thread::scope(|scope| {
            let asker = committed.map(|mut committed| {
                let (asker, answers) = asked::channel();
                scope.spawn(move || answers.serve(|wanted| committed.values(wanted)));
                asker
            });
            let flusher = Flusher::start(
                scope,
                store.clone(),
                sources,
                stores.clone(),
                sinks.clone(),
                metrics.clone(),
            );
            let mut engine = Engine {
                plan,
                domains: plan.domains(),
                stores,
                store,
                manifests,
                metrics: metrics.clone(),
                executor: executor(plan, asker.as_ref(), options.memory_budget),
                asker,
                bound,
                flusher,
                sinks,
                written: Written::default(),
                spare: None,
                manifest: None,
                superseded: false,
                options,
                failures: 0,
                last_commit: Instant::now(),
                read_at_commit: 0,
                last_taken: plan.domains().iter().map(|_| Instant::now()).collect(),
                shut_out: Vec::new(),
                refused: Vec::new(),
                unproven: None,
                last_manifest: Instant::now(),
                records: RecordBatch::default(),
                cuts: Cuts::default(),
                times: Vec::new(),
                bad: Vec::new(),
                poison: Vec::new(),
                careful: None,
            };
            let done = engine.run();
            close(engine.bound.drain(..).map(|b| b.log).collect());
            done
        })?;
        Ok(metrics.report())
    }
}

pub(crate) struct Engine<'a> {
    pub(crate) plan: &'a Plan,
    /// Sources whose partitions have one order together.
    pub(crate) domains: Vec<Joint>,
    pub(crate) stores: Vec<String>,
    pub(crate) store: Arc<dyn RealtimeStore>,
    pub(crate) manifests: &'a dyn ManifestLog,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) executor: Executor,
    /// Where operators ask for what is committed.
    pub(crate) asker: Option<Asker>,
    pub(crate) bound: Vec<Bound>,
    pub(crate) flusher: Flusher,
    /// `None`: the job writes to none.
    pub(crate) sinks: Option<OpenSinks>,
    /// What waits for them.
    pub(crate) written: Written,
    pub(crate) spare: Option<Vec<Box<dyn Deltas>>>,
    pub(crate) manifest: Option<Manifest>,
    /// Whether the newest one is of another version of the job.
    pub(crate) superseded: bool,
    pub(crate) options: StreamOptions,
    pub(crate) failures: u32,
    pub(crate) last_commit: Instant,
    /// Records that were read when it began.
    pub(crate) read_at_commit: u64,
    /// By domain.
    pub(crate) last_taken: Vec<Instant>,
    /// When another writer lately shut this one out.
    pub(crate) shut_out: Vec<Instant>,
    /// When a chunk was lately refused since another process had its partitions.
    pub(crate) refused: Vec<Instant>,
    /// Another owner was met (P12): nothing is read until the group says what is this process's. When it was asked last.
    pub(crate) unproven: Option<Instant>,
    pub(crate) last_manifest: Instant,
    pub(crate) records: RecordBatch,
    pub(crate) cuts: Cuts,
    pub(crate) times: Vec<Option<Timestamp>>,
    /// Of `records`: those that cannot be used, ascending.
    pub(crate) bad: Vec<BadRecord>,
    /// Those of them that were decoded all the same: they are kept out of the steps.
    pub(crate) poison: Vec<usize>,
    pub(crate) careful: Option<Careful<'a>>,
}

/// A running instance that knows where its state is.
pub(crate) fn executor(plan: &Plan, asker: Option<&Asker>, budget: usize) -> Executor {
    let mut executor = plan.instantiate();
    // O22: batch runs write these.
    plan.bulk_sinks()
        .iter()
        .for_each(|(sink, _)| executor.mute_write(*sink));
    if let Some(asker) = asker {
        executor.remember(asker.state(), Some(budget / 4));
    }
    executor
}

impl Engine<'_> {
    fn run(&mut self) -> Result<()> {
        self.open()?;
        self.drop_covered()?;
        let mut idle_wait = Duration::from_millis(1);
        while !self.options.stop.load(Relaxed) {
            self.metrics.heartbeat.mark();
            self.prove_again()?;
            let mut busy = false;
            let timeout = if self.bound.len() == 1 {
                Duration::from_millis(50)
            } else {
                idle_wait
            };
            for i in 0..self.bound.len() {
                // Whoever was stopped while he acquired has no partitions to read for.
                if self.options.stop.load(Relaxed) {
                    break;
                }
                if self.rests(i)? {
                    continue;
                }
                match self.bound[i].log.poll(timeout, &mut self.records)? {
                    Polled::Records => {
                        busy = true;
                        match self.group_of(i) {
                            None => self.process(i)?,
                            Some(_) => self.show(i)?,
                        }
                    }
                    Polled::Idle => self.bound[i].listen(),
                    Polled::Lost { partition, start } => {
                        tracing::warn!(
                            source = self.bound[i].name,
                            partition,
                            start,
                            "offsets were deleted before they were read"
                        );
                        let done = self.settle().and_then(|()| match self.unproven {
                            Some(_) => Ok(()),
                            None => self.acquire(i),
                        });
                        self.or_pause(done)?;
                    }
                    Polled::Truncated { partition, end } => {
                        let done = self.truncated(i, partition, end);
                        self.or_pause(done)?;
                    }
                    // Later another process may be the owner, and all of it would be read again.
                    Polled::Revoked if self.store.is_shared() => self.settle()?,
                    Polled::Revoked => {}
                    Polled::PartitionsChanged => {
                        let done = match self.unproven {
                            // The group may answer now.
                            Some(_) => self.read_again(),
                            None => self.changed(i),
                        };
                        self.or_pause(done)?;
                    }
                }
            }
            busy |= self.take_shown()?;
            idle_wait = if busy {
                Duration::from_millis(1)
            } else {
                (idle_wait * 2).min(Duration::from_millis(50))
            };
            self.let_go()?;
            self.commit_when_due()?;
            if self.options.until_end && !busy && self.at_end() {
                self.settle()?;
                // A commit that failed took the positions back to the rows: then it is not the end yet.
                if self.at_end() {
                    self.show_waiting();
                    break;
                }
            }
        }
        self.settle()
    }

    pub(crate) fn process(&mut self, i: usize) -> Result<()> {
        let Self {
            records,
            times,
            bad,
            poison,
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
        poison.clear();
        b.decoder.decode(records, times, bad);
        let held = self.hold(i)?;
        if self.careful.is_some() {
            self.try_each(i)?;
        }
        if !self.bad.is_empty() {
            self.refuse(i)?;
        }
        match catch(|| self.push(i)) {
            // A generation that operators read was replaced: where the partition stands now is looked at anew.
            Ok(Err(e)) if e.kind() == ErrorKind::TryAgain && self.asker.is_some() => return self.pause(e),
            Ok(pushed) => pushed?,
            Err(panicked) => {
                let next = self.records.next;
                if let Some(partition) = self.bound[i].partitions.get_mut(&self.records.partition) {
                    partition.next = next;
                }
                return self.panicked(panicked);
            }
        }
        if held {
            self.assign(i)?;
        }
        if self.careful.is_some() {
            self.calm_down()
        } else {
            Ok(())
        }
    }

    /// Cuts the records and runs them through the steps.
    fn push(&mut self, i: usize) -> Result<()> {
        let Self {
            records,
            cuts,
            times,
            bad,
            poison,
            metrics,
            executor,
            plan,
            ..
        } = self;
        let b = &mut self.bound[i];
        let Some(partition) = b.partitions.get_mut(&records.partition) else {
            return Ok(());
        };
        partition.cutter.cut(records, times, cuts);
        for run in &cuts.runs {
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
                // O25: their cells are in a generation, and what is written of them is nowhere.
                let wanted = { &self.sinks }
                    .as_ref()
                    .is_some_and(|sinks| sinks.wants(&partition.id, offset));
                if wanted && kept(Rule::SinkHoldsPermission) {
                    return Err(Error::invalid(format!(
                        "offset {offset} of {} is in a batch whose cells may be dropped, and what the sinks get of it was not written: \
                         a generation was published meanwhile that let go of it; start the live part again, which says what can be done",
                        partition.id
                    )));
                }
                // Nobody adds these: what operators know is no longer the value before the next record.
                if kept(Rule::ForgetDropped) {
                    executor.forget(Some((b.source, records.partition)));
                }
                continue;
            }
            let meta = ChunkMeta {
                source: b.source,
                partition: records.partition,
                batch: if kept(Rule::BatchPerRecord) {
                    run.batch
                } else {
                    partition.cutter.batch()
                },
            };
            let mut push = |range: std::ops::Range<usize>| {
                if let Some(origins) = executor.origins(b.source) {
                    origins.begin(records.partition, run.batch);
                    origins.entries(records, times, bad, range.clone());
                }
                executor.push(&meta, b.decoder.chunk(range))
            };
            if plan.one_by_one() {
                for i in run.range.clone().filter(|i| !poison.contains(i)) {
                    push(i..i + 1)?;
                }
                continue;
            }
            let mut from = run.range.start;
            for &out in poison.iter().filter(|p| run.range.contains(p)) {
                push(from..out)?;
                from = out + 1;
            }
            push(from..run.range.end)?;
        }
        partition.read(records.next, records.leader_epoch, cuts);
        partition.measure(cuts);
        b.meter.read(records, cuts);
        if cuts.late > 0 {
            b.meter.show_late(records, times, &partition.cutter, cuts);
        }
        metrics.records.fetch_add(records.entries.len() as u64, Relaxed);
        metrics.bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        self.written.read(records.bytes.len());
        metrics.late.fetch_add(cuts.late, Relaxed);
        metrics.saw_lateness(&cuts.lateness);
        metrics.held.fetch_add(cuts.held, Relaxed);
        metrics.saw_time(cuts.last_time);
        metrics.received.mark();
        if cuts.held > 0 {
            tracing::warn!(partition = %partition.id, held = cuts.held, "a record's time is far above its predecessors': the batch was raised by the largest step only (is a clock wrong?)");
        }
        Ok(())
    }

    fn at_end(&self) -> bool {
        self.bound.iter().all(|b| {
            let read = |(p, end): (&u32, &u64)| b.partitions.get(p).is_none_or(|s| s.is_read(*end));
            b.is_settled() && b.targets.iter().all(read)
        })
    }
}

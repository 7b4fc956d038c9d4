//! The same over two sources (O3-O5): of one partitioning, where partition i of both has one order, or spread, where all partitions
//! of both have. So records wait, generations are level, and the partitions of a domain are rebuilt together. After every step each
//! answer must be the fold, in log order, of what it says it covers.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rufous::client::{Basis, Client, ClientParts};
use rufous::core::producer::Buffer;
use rufous::core::{BatchId, Batcher, ErrorKind, Format, Frontier, Plan, RecordBatch};
use rufous::prelude::*;
use rufous::realtime::{BoundLog, Log, PartitionInfo, Polled, Stream, StreamOptions};
use rufous::store_api::{
    Archive, Manifest, ManifestLog, Progress, Published, RealtimeReader, RealtimeStore, Repair, Until,
};
use rufous_integration_tests::run::Random;
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;
use rufous_store_memory::MemoryRealtime;
use rufous_store_offline::{Gc, Generations, Manifests};

use crate::archiving::Archiving;
use crate::faulty::{Fault, Faulty};
use crate::topic::{Partition, Produced, Topic};

/// Batches of eight hours: there are many times in one.
const SPAN: i64 = 8;
/// The job names them the other way round.
pub(crate) const LEFT: Source<str> = Source::new("z-left").batches(Batcher::of_hours(SPAN as u32));
pub(crate) const RIGHT: Source<str> = Source::new("a-right").batches(Batcher::of_hours(SPAN as u32));
const RUNNING: Store<String, i64> = Store::new("running");
pub(crate) const TRACE: Store<(String, i64), i64> = Store::new("trace");
const NEWEST: Store<String, Buffer<i64>> = Store::new("newest");
const WAS: Store<(String, i64), i64> = Store::new("was");

/// Which partitions are one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Partition i of both sources.
    Alike,
    /// All.
    Spread,
}

impl Shape {
    /// Of the left and the right source.
    fn partitions(self, source: &str) -> usize {
        match self {
            Self::Spread if source == LEFT.name() => 3,
            _ => 2,
        }
    }
}

pub(crate) fn job(shape: Shape) -> Job {
    let pairs = |source: Source<str>| {
        source.read().keyed(|line, out| {
            if let Some((key, value)) = line.split_once(' ') {
                out.emit(key, value.parse::<i64>().unwrap_or_default());
            }
        })
    };
    let both = pairs(LEFT).merge(pairs(RIGHT));
    // What the right source had last said of the key, as of the time of the left one's record.
    let (both, newest, left) = match shape {
        Shape::Alike => (
            both.within_partition(),
            pairs(RIGHT).within_partition().as_service(NEWEST),
            pairs(LEFT).within_partition(),
        ),
        Shape::Spread => (
            both.in_log_order(),
            pairs(RIGHT).broadcast().as_service(NEWEST),
            pairs(LEFT),
        ),
    };
    let trace = both
        .scan_by_key(RUNNING)
        .keyed_pairs(|key: &String, total, out| out.emit((key.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let was = left
        .left_join(newest)
        .keyed_pairs(|key: &String, (_, was), out| out.emit((key.as_str(), was.unwrap_or(i64::MIN)), 1))
        .sum_by_key(WAS);
    let name = match shape {
        Shape::Alike => "joint",
        Shape::Spread => "spread",
    };
    Job::new(name, (trace, was))
}

pub(crate) type Totals = BTreeMap<String, i64>;
pub(crate) type Emitted = BTreeMap<(String, i64), i64>;
/// Totals, what was emitted with them, and what records of the left source found.
pub(crate) type Answers = (Totals, Emitted, Emitted);

pub(crate) struct Joint {
    shape: Shape,
    random: Random,
    pub(crate) plan: Plan,
    /// By the plan's order of sources.
    topics: Vec<Topic>,
    /// All that was ever produced.
    history: Vec<Vec<Vec<Produced>>>,
    pub(crate) store: MemoryRealtime,
    shown: Arc<Mutex<MemoryRealtime>>,
    copy: Option<MemoryRealtime>,
    pub(crate) manifests: Arc<Manifests>,
    generations: Arc<Generations>,
    pub(crate) genesis: Frontier,
    dir: tempfile::TempDir,
    hour: i64,
    trimmed: bool,
    /// Retention deletes now and then.
    pub(crate) trims: bool,
    pub(crate) flaky: bool,
    pub(crate) trace: Vec<String>,
}

impl Joint {
    pub(crate) fn new(seed: u64, shape: Shape) -> Result<Self> {
        let plan = job(shape).plan()?;
        let topics: Vec<Topic> = plan.sources().iter().map(|_| Topic::default()).collect();
        for (face, topic) in plan.sources().iter().zip(&topics) {
            topic
                .partitions()
                .resize_with(shape.partitions(face.name), Partition::default);
        }
        let store = MemoryRealtime::new(plan.fingerprint(), plan.stores());
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        Ok(Self {
            shape,
            random: Random(seed),
            history: topics.iter().map(|t| vec![Vec::new(); t.partitions().len()]).collect(),
            topics,
            shown: Arc::new(Mutex::new(store.clone())),
            store,
            plan,
            copy: None,
            manifests: Arc::new(Manifests::new(dir.path().join("manifests"))),
            generations: Arc::new(Generations::new(dir.path().join("offline"))),
            genesis: Frontier::default(),
            dir,
            hour: 8_000,
            trimmed: false,
            trims: false,
            flaky: false,
            trace: Vec::new(),
        })
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        if self.trims && self.random.below(15) == 0 {
            self.retain();
            return self.check();
        }
        match self.random.below(100) {
            0..=34 => self.produce(),
            35..=58 => self.stream()?,
            59..=67 => {
                let polls = self.random.below(5);
                self.archive(Some(polls))?;
            }
            68..=79 => {
                let late = self.random.below(3) as i64;
                let until = (self.random.below(3) == 0).then(|| BatchId(self.hour / SPAN - late));
                self.publish(until)?;
            }
            80..=84 => self.roll_back()?,
            85..=88 => self.collect()?,
            89..=93 => self.lose_store(),
            94 => self.rebuild_alone()?,
            95..=96 => {
                self.trace.push("copy the store".into());
                self.copy = Some(self.store.copy());
            }
            _ => {}
        }
        self.check()
    }

    /// The faults stop; heartbeats come, and everything runs to its end.
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.trace.push("heal".into());
        for _ in 0..2 {
            self.run(Vec::new(), None)?;
            self.archive(None)?;
            self.publish(None)?;
            self.hour += 3 * SPAN;
            self.beat();
            self.archive(None)?;
            self.publish(None)?;
        }
        self.run(Vec::new(), None)?;
        self.check()?;
        let (got, basis) = self.read(true)?;
        let applied = applied(&basis);
        for (s, face) in self.plan.sources().iter().enumerate() {
            for (p, log) in self.history[s].iter().enumerate() {
                let last = log.iter().rfind(|r| r.payload.is_some()).map_or(0, |r| r.offset + 1);
                let of = applied
                    .get(&(face.name.to_string(), p as u32))
                    .copied()
                    .unwrap_or_default();
                ensure!(
                    of >= last,
                    "everything ran to its end, but {}/{p} stands at {of} of {last}",
                    face.name
                );
            }
        }
        self.same(&got, &basis)
    }

    pub(crate) fn put(&mut self, s: usize, p: usize, hour: i64, payload: Option<String>) {
        let mut partitions = self.topics[s].partitions();
        let at = &mut partitions[p];
        let record = Produced {
            offset: at.end,
            hour,
            payload: payload.map(String::into_bytes),
        };
        at.end += 1;
        at.records.push(record.clone());
        self.history[s][p].push(record);
    }

    fn beat(&mut self) {
        for s in 0..self.topics.len() {
            for p in 0..self.history[s].len() {
                self.put(s, p, self.hour, None);
            }
        }
    }

    fn produce(&mut self) {
        let s = self.random.below(2) as usize;
        let p = self.random.below(self.history[s].len() as u64) as usize;
        for _ in 0..1 + self.random.below(6) {
            let hour = match self.random.below(25) {
                0 => self.hour - 100,
                _ => self.hour + self.random.below(5) as i64 - 2,
            };
            let of = if self.shape == Shape::Spread { 0 } else { p };
            let line = format!("{of}-{} {}", self.random.below(3), self.random.below(9) as i64 - 4);
            let line = (self.random.below(12) > 0).then_some(line);
            self.put(s, p, hour, line);
        }
        self.hour += self.random.below(4) as i64;
        self.trace.push(format!("produce to {s}/{p} up to hour {}", self.hour));
    }

    fn stream(&mut self) -> Result<()> {
        let mut faults = Vec::new();
        for commit in 0..3 {
            let fault = match self.random.below(8) {
                0 => Fault::NotWritten,
                1 => Fault::AnswerLost,
                2 => Fault::Killed,
                3 => Fault::KilledAfter,
                _ => continue,
            };
            faults.push((commit, fault));
        }
        let mut polls = self.random.below(8);
        if self.flaky {
            faults = vec![(self.random.below(3) as i64, Fault::NotWritten)];
            polls += 8;
        }
        self.trace.push(format!("stream for {polls} polls, {faults:?}"));
        self.run(faults, Some(polls))
    }

    fn run(&mut self, faults: Vec<(i64, Fault)>, polls: Option<u64>) -> Result<()> {
        let may_fail = !faults.is_empty();
        let stop = Arc::new(AtomicBool::new(false));
        let log = |(face, topic): (&rufous::core::SourceFace, &Topic)| {
            BoundLog::new(face.name, topic.reader(3, polls, stop.clone()))
        };
        let stream = Stream {
            plan: &self.plan,
            logs: self.plan.sources().iter().zip(&self.topics).map(log).collect(),
            store: Faulty::over(self.store.clone(), faults),
            manifests: &*self.manifests,
            generations: Some(&*self.generations),
            metrics: Arc::default(),
            options: StreamOptions {
                until_end: true,
                commit_interval: Duration::ZERO,
                longest_pause: Duration::from_millis(1),
                // With none operators ask the store for nearly every key, and a queue holds one poll.
                memory_budget: [0, 128 << 20][self.random.below(2) as usize],
                stop: stop.clone(),
                ..StreamOptions::default()
            },
        };
        let done = stream.run();
        if self.genesis.0.is_empty()
            && let Some(first) = self.manifests.get(0)?
        {
            self.genesis = first.frontier;
        }
        match done {
            Err(e) if self.trimmed && e.to_string().contains("were lost before they were read") => {
                self.trace.push(format!("stopped: {e}"));
                Ok(())
            }
            Err(e) if !may_fail => Err(e).context("the stream failed by itself"),
            Err(e) if matches!(e.kind(), ErrorKind::InvalidRequest) => Err(e).context("the stream was refused"),
            _ => Ok(()),
        }
    }

    fn parquet(&self, source: &str) -> Result<Arc<dyn Archive>> {
        let dir = self.dir.path().join("archive").join(source);
        Ok(Arc::new(ParquetArchive::open(&dir, source)?))
    }

    fn archive(&mut self, polls: Option<u64>) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        self.trace.push(format!("archive for {polls:?} polls"));
        for (face, topic) in self.plan.sources().iter().zip(&self.topics) {
            // One of them is behind.
            let polls = polls.map(|n| n + self.random.below(3));
            let process = Archiving {
                topic: topic.clone(),
                face: face.clone(),
                start: self.genesis.clone(),
                chunk: 3,
            };
            { process.run(self.parquet(face.name)?, polls) }.context("the archiver failed by itself")?;
        }
        Ok(())
    }

    fn publish(&mut self, until: Option<BatchId>) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        let keep = self.random.below(3);
        self.trace.push(format!("publish until {until:?}, keep {keep}"));
        let mut inputs = BTreeMap::new();
        for face in self.plan.sources() {
            let input = BulkInput::Archive {
                archive: self.parquet(face.name)?,
                format: Format::Text,
                cut_spec: face.cut_spec(true).text(),
            };
            inputs.insert(face.name.to_string(), input);
        }
        let run = BatchRun {
            plan: &self.plan,
            inputs,
            manifests: &*self.manifests,
            generations: &*self.generations,
            options: BatchOptions {
                threads: 2,
                until,
                keep,
                ..BatchOptions::default()
            },
        };
        run.run().context("the bulk run failed by itself").map(drop)
    }

    fn roll_back(&mut self) -> Result<()> {
        let Some(now) = self.manifests.newest(0)? else {
            return Ok(());
        };
        let number = now.number.saturating_sub(1 + self.random.below(3));
        let Some(old) = self.manifests.get(number)? else {
            return Ok(());
        };
        if !old.below_drop(&now).is_empty() || number == now.number {
            return Ok(());
        }
        self.trace.push(format!("roll back from {} to {number}", now.number));
        let again: Manifest = old.rolled_back(&now, now.created_at);
        ensure!(
            self.manifests.publish(&again)? == Published::Done,
            "nobody else publishes"
        );
        Ok(())
    }

    fn collect(&mut self) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        self.trace.push("delete what nobody needs".into());
        let gc = Gc {
            keep: 0,
            grace: Duration::ZERO,
            dry_run: false,
        };
        { gc.collect(&self.manifests, None, &self.generations) }.context("gc failed by itself")?;
        Ok(())
    }

    fn lose_store(&mut self) {
        let copy = self.copy.take();
        let what = if copy.is_some() { "an old copy" } else { "lost" };
        self.trace.push(format!("the store is {what}"));
        self.store = copy.unwrap_or_else(|| MemoryRealtime::new(self.plan.fingerprint(), self.plan.stores()));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = self.store.clone();
    }

    /// A process rebuilt one partition of a domain, and was killed before it came to the other.
    fn rebuild_alone(&mut self) -> Result<()> {
        let Some(manifest) = self.manifests.newest(0)? else {
            return Ok(());
        };
        let rows = self.store.snapshot()?.partitions(TRACE.name())?;
        let Some((p, row)) = rows.get(self.random.below(rows.len().max(1) as u64) as usize).cloned() else {
            return Ok(());
        };
        let nothing = Frontier::default();
        let drop = manifest.drop_before.get(self.plan.fingerprint()).unwrap_or(&nothing);
        let fresh = Progress::standing_at(drop.of(&p), row.topic_id, row.cut_spec, row.fingerprint);
        for face in self.plan.stores() {
            self.store
                .acquire(face.name, &p, &mut |_| Ok(Repair::Replace(fresh.clone())))?;
        }
        self.trace.push(format!("{p} is rebuilt alone"));
        self.run(Vec::new(), None)
    }

    fn retain(&mut self) {
        let s = self.random.below(2) as usize;
        let mut partitions = self.topics[s].partitions();
        let p = self.random.below(partitions.len() as u64) as usize;
        let at = &mut partitions[p];
        let to = at.start + self.random.below(at.end - at.start + 1);
        at.start = to;
        at.records.retain(|r| r.offset >= to);
        drop(partitions);
        self.trimmed |= to > 0;
        self.trace.push(format!("partition {s}/{p} begins at {to} now"));
    }

    fn client(&self) -> Client {
        let store = self.shown.clone();
        let realtime = move |_: &str, _: &Until| -> rufous::Result<Option<Arc<dyn RealtimeReader>>> {
            let store = store.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Some(Arc::new(store.clone())))
        };
        Client::new(ClientParts {
            job: self.plan.job().to_string(),
            manifests: self.manifests.clone(),
            generations: self.generations.clone(),
            realtime: Arc::new(realtime),
        })
    }

    pub(crate) fn read(&self, accept_holes: bool) -> rufous::Result<(Answers, Basis)> {
        let client = self.client();
        let rows = |name: &str| {
            let face = self.plan.store(name).ok_or_else(|| rufous::Error::bug("no store"))?;
            let raw = client.raw(*face);
            if accept_holes { raw.accept_holes() } else { raw }.under(&[])
        };
        let bug = |e: &dyn std::fmt::Display| rufous::Error::bug(e.to_string());
        let mut got = Answers::default();
        for (k, v) in rows(RUNNING.name())?.0 {
            let key = rufous::core::key::decode_all(&k).map_err(|e| bug(&e))?;
            got.0.insert(key, i64::decode(&v).map_err(|e| bug(&e))?);
        }
        for (k, v) in rows(WAS.name())?.0 {
            let key = rufous::core::key::decode_all(&k).map_err(|e| bug(&e))?;
            got.2.insert(key, i64::decode(&v).map_err(|e| bug(&e))?);
        }
        let (trace, basis) = rows(TRACE.name())?;
        for (k, v) in trace {
            let key = rufous::core::key::decode_all(&k).map_err(|e| bug(&e))?;
            got.1.insert(key, i64::decode(&v).map_err(|e| bug(&e))?);
        }
        Ok((got, basis))
    }

    /// The fold over what is covered, in log order from its definition, without lost ranges.
    fn fold(&self, basis: &Basis) -> Answers {
        let applied = applied(basis);
        let holes = basis.coverage.holes();
        let mut all = Vec::new();
        for (face, log) in self.plan.sources().iter().zip(&self.history) {
            for (p, records) in log.iter().enumerate() {
                let to = applied
                    .get(&(face.name.to_string(), p as u32))
                    .copied()
                    .unwrap_or_default();
                let is_lost = |offset: u64| {
                    let of = |p2: &rufous::core::SourcePartition| p2.source == face.name && p2.partition == p as u32;
                    { holes.iter() }.any(|h| of(&h.partition) && (h.hole.from..h.hole.to).contains(&offset))
                };
                let mut stands: Option<(i64, i64)> = None;
                let begins = |r: &&Produced| {
                    let of = |(q, cut): (&rufous::core::SourcePartition, &rufous::core::Cut)| {
                        q.source == face.name && q.partition == p as u32 && r.offset < cut.cut
                    };
                    !self.genesis.0.iter().any(of)
                };
                for r in records.iter().take_while(|r| r.offset < to).filter(begins) {
                    let batch = r.hour.div_euclid(SPAN);
                    stands = match stands {
                        Some((b, t)) if b >= batch => Some((b, t.max(r.hour))),
                        _ => Some((batch, r.hour)),
                    };
                    if !is_lost(r.offset)
                        && let Some(payload) = &r.payload
                    {
                        all.push((stands, face.name, p, r.offset, r.hour, payload));
                    }
                }
            }
        }
        all.sort_unstable();
        let (mut totals, mut emitted, mut found) = Answers::default();
        // Of the right source: key, hour, offset, value.
        let mut said: Vec<(String, i64, u64, i64)> = Vec::new();
        for (stands, source, _, offset, hour, payload) in all {
            let line = String::from_utf8_lossy(payload);
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            if source == RIGHT.name() {
                said.push((key.to_string(), hour, offset, value.parse().unwrap_or_default()));
            } else {
                // O17, one batch back.
                let batch = stands.map_or(0, |(batch, _)| batch);
                let as_of = hour.max((batch - 1) * SPAN);
                let before = said.iter().filter(|(k, hour, ..)| k == key && *hour < as_of);
                let was = before.max_by_key(|(_, hour, offset, value)| (*hour, *offset, *value));
                let was = was.map_or(i64::MIN, |(.., value)| *value);
                *found.entry((key.to_string(), was)).or_default() += 1;
            }
            let total = totals.entry(key.to_string()).or_default();
            *total += value.parse::<i64>().unwrap_or_default();
            *emitted.entry((key.to_string(), *total)).or_default() += 1;
        }
        (totals, emitted, found)
    }

    fn same(&self, got: &Answers, basis: &Basis) -> Result<()> {
        let expected = self.fold(basis);
        if *got == expected {
            return Ok(());
        }
        let wrong: Vec<_> = { got.1.keys().chain(expected.1.keys()) }
            .filter(|k| got.1.get(*k) != expected.1.get(*k))
            .take(4)
            .map(|k| format!("{k:?}: {:?}, should be {:?}", got.1.get(k), expected.1.get(k)))
            .collect();
        bail!(
            "emitted: {}; found: {:?}, should be {:?}",
            wrong.join("; "),
            got.2,
            expected.2
        )
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        match self.read(false) {
            Ok((got, basis)) => self.same(&got, &basis)?,
            Err(e) if self.trimmed && matches!(e.kind(), ErrorKind::Incomplete | ErrorKind::CorruptData) => {}
            Err(e) => return Err(e).context("a read failed by itself"),
        }
        let newest = self.manifests.newest(0)?;
        if newest.is_some_and(|m| !m.holes.is_empty()) {
            return Ok(());
        }
        let client = self.client();
        for face in self.plan.stores() {
            match client.reconcile(face, None) {
                Ok(found) if found.agrees() == Some(false) => bail!("I6: the layers do not agree: {found:?}"),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::TryAgain => {}
                Err(e) => return Err(e).context("I6: a comparison failed by itself"),
            }
        }
        Ok(())
    }
}

fn applied(basis: &Basis) -> BTreeMap<(String, u32), u64> {
    let of = basis.coverage.partitions();
    { of.iter() }
        .map(|(p, c)| ((p.source.clone(), p.partition), c.applied))
        .collect()
}

/// A log of which another process has some partitions.
struct Partly(Box<dyn Log>, &'static [u32]);

impl Log for Partly {
    fn location(&self) -> String {
        self.0.location()
    }
    fn format(&self) -> Format {
        self.0.format()
    }
    fn has_time(&self) -> bool {
        self.0.has_time()
    }
    fn partitions(&mut self) -> rufous::Result<Vec<PartitionInfo>> {
        let mut all = self.0.partitions()?;
        for info in &mut all {
            info.owned = self.1.contains(&info.partition);
        }
        Ok(all)
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> rufous::Result<()> {
        assert!(positions.iter().all(|(p, _)| self.1.contains(p)), "{positions:?}");
        self.0.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> rufous::Result<Polled> {
        self.0.poll(timeout, into)
    }
}

/// Runs to the end, with these partitions of the left and the right log; what is left waiting, and whom it waits for.
pub(crate) fn to_end(
    world: &Joint,
    owned: [&'static [u32]; 2],
    budget: usize,
) -> Result<(u64, Vec<(String, u32, u64)>)> {
    let metrics = Arc::new(rufous::realtime::Metrics::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut logs = Vec::new();
    for (face, topic) in world.plan.sources().iter().zip(&world.topics) {
        let owned = owned[usize::from(face.name == RIGHT.name())];
        let log = Partly(topic.reader(3, None, stop.clone()), owned);
        logs.push(BoundLog::new(face.name, Box::new(log)));
    }
    let stream = Stream {
        plan: &world.plan,
        logs,
        store: Arc::new(world.store.clone()),
        manifests: &*world.manifests,
        generations: Some(&*world.generations),
        metrics: metrics.clone(),
        options: StreamOptions {
            until_end: true,
            commit_interval: Duration::ZERO,
            memory_budget: budget,
            stop,
            ..StreamOptions::default()
        },
    };
    let report = stream.run()?;
    let mut waiting_for = Vec::new();
    for (name, source) in metrics.sources() {
        for (p, partition) in source.partitions() {
            let n = partition.waiting_for.load(std::sync::atomic::Ordering::Relaxed);
            if n > 0 {
                waiting_for.push((name.clone(), p, n));
            }
        }
    }
    Ok((report.waiting, waiting_for))
}

/// O4: `until_end` ends although a tail waits, and says so; the tail is taken once the other source has a later record, be it a
/// heartbeat. With a queue of one poll as with a large one.
#[test]
fn a_tail_waits() -> Result<()> {
    let _alone = crate::alone();
    for budget in [0, 128 << 20] {
        let mut world = Joint::new(1, Shape::Alike)?;
        let source = |world: &Joint, port: Source<str>| {
            let found = world.plan.sources().iter().position(|face| face.name == port.name());
            found.context("a source of the job")
        };
        let (left, right) = (source(&world, LEFT)?, source(&world, RIGHT)?);
        for i in 0..20 {
            world.put(left, 0, 8_000 + i / 4, Some(format!("0-k {i}")));
        }
        world.put(right, 0, 8_002, Some("0-k 100".into()));
        let both: [&[u32]; 2] = [&[0, 1], &[0, 1]];
        let (waiting, whom) = to_end(&world, both, budget)?;
        // Hours 8000 and 8001, and the one of the right source, whose name is the smaller at equal times.
        let taken = |world: &Joint| -> Result<i64> { Ok(world.read(false)?.0.1.values().sum()) };
        ensure!(taken(&world)? == 9, "{}", taken(&world)?);
        // A small queue has not shown all of them.
        let all = if budget == 0 { 1..=12 } else { 12..=12 };
        ensure!(all.contains(&waiting), "{waiting}");
        ensure!(whom == [(RIGHT.name().to_string(), 0, waiting)], "{whom:?}");
        world.put(right, 0, 9_000, None);
        let (waiting, whom) = to_end(&world, both, budget)?;
        ensure!(taken(&world)? == 21, "{}", taken(&world)?);
        // The heartbeat itself waits for the left source.
        ensure!(
            waiting == 1 && whom == [(LEFT.name().to_string(), 0, 1)],
            "{waiting} {whom:?}"
        );
        world.genesis = world.manifests.get(0)?.context("genesis")?.frontier;
        world.check()?;
    }
    Ok(())
}

/// O6: partition i of both sources belongs to one process. Of what is given apart nothing is read, and answers say so.
#[test]
fn what_is_given_apart_is_not_read() -> Result<()> {
    let _alone = crate::alone();
    let mut world = Joint::new(2, Shape::Alike)?;
    for s in 0..2 {
        for p in 0..2 {
            world.put(s, p, 8_000 + s as i64, Some(format!("{p}-k 1")));
            world.put(s, p, 8_100, None);
        }
    }
    to_end(&world, [&[0, 1], &[0]], 128 << 20)?;
    let rows = world.store.snapshot()?.partitions(TRACE.name())?;
    for (p, row) in rows.iter() {
        let together = p.partition == 0;
        ensure!(row.released != together, "{p}: {row:?}");
        ensure!((row.next > 0) == together, "{p}: {row:?}");
    }
    ensure!(world.read(false).is_err(), "an answer without a partition");
    // The whole comes back to one process.
    to_end(&world, [&[0, 1], &[0, 1]], 128 << 20)?;
    world.genesis = world.manifests.get(0)?.context("genesis")?.frontier;
    world.check()?;
    ensure!(world.read(false)?.0.1.values().sum::<i64>() == 4);
    Ok(())
}

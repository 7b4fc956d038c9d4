//! The whole system in one place: a topic whose keys stay in their partition, the job's state, an archive, generations in
//! files; and all that may happen to them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rufous::client::{Basis, Client, ClientParts};
use rufous::core::producer::LastSeen;
use rufous::core::{BatchId, ErrorKind, Format, Frontier, Plan};
use rufous::prelude::*;
use rufous::realtime::{BoundLog, Stream, StreamOptions};
use rufous::store_api::{Archive, Manifest, ManifestLog, Published, RealtimeReader, Until};
use rufous_integration_tests::run::Random;
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;
use rufous_store_memory::MemoryRealtime;
use rufous_store_offline::{Gc, Generations, Manifests};

use crate::archiving::Archiving;
use crate::faulty::{Fault, Faulty};
use crate::fold::{Expected, History};
use crate::topic::{Partition, Produced, Topic};

pub(crate) const LINES: Source<str> = Source::new("lines");
const RUNNING: Store<String, i64> = Store::new("running");
const TRACE: Store<(String, i64), i64> = Store::new("trace");
const TIMES: Store<String, u64> = Store::new("times");
const WITH: Store<u64, i64> = Store::new("with");
const WAS: Store<(String, i64), i64> = Store::new("was");
const IDS: Store<(u32, String), LastSeen> = Store::new("ids");
const ONCE: Store<String, i64> = Store::new("once");

/// Batches for which ids are remembered.
pub(crate) const REMEMBERED: u32 = 2;

pub(crate) fn job() -> Job {
    let pairs = LINES
        .read()
        .keyed(|line, out| {
            if let Some((key, value)) = line.split_once(' ') {
                out.emit(key, value.parse::<i64>().unwrap_or_default());
            }
        })
        .within_partition();
    let trace = pairs
        .clone()
        .scan_by_key(RUNNING)
        .keyed_pairs(|key: &String, total, out| out.emit((key.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let with = pairs
        .clone()
        .map_values(|_| 1)
        .sum_by_key(TIMES)
        .totals(|_, n, out| out.emit(*n, 1))
        .sum_by_key(WITH);
    // What was known of the key as of the record's time.
    let was = pairs
        .left_join(RUNNING.as_service())
        .keyed_pairs(|key: &String, (_, was), out| out.emit((key.as_str(), was.unwrap_or(i64::MIN)), 1))
        .sum_by_key(WAS);
    let once = LINES
        .read()
        .dedupe_by(IDS, REMEMBERED, |line| line.to_string())
        .keyed(|line, out| {
            if let Some((key, _)) = line.split_once(' ') {
                out.emit(key, 1);
            }
        })
        .sum_by_key(ONCE);
    Job::new("operators", (trace, with, was, once))
}

pub(crate) struct World {
    random: Random,
    pub(crate) plan: Plan,
    pub(crate) topic: Topic,
    pub(crate) history: History,
    store: MemoryRealtime,
    /// The store as a client finds it.
    shown: Arc<Mutex<MemoryRealtime>>,
    copy: Option<MemoryRealtime>,
    pub(crate) manifests: Arc<Manifests>,
    generations: Arc<Generations>,
    genesis: Frontier,
    dir: tempfile::TempDir,
    hour: i64,
    /// Whether retention ever deleted anything.
    trimmed: bool,
    /// Commits fail more often, and the process goes on.
    pub(crate) flaky: bool,
    /// The log loses its beginning more often.
    pub(crate) trims: bool,
    pub(crate) trace: Vec<String>,
}

const PARTITIONS: usize = 2;

fn scratch() -> Result<tempfile::TempDir> {
    let memory = tempfile::tempdir_in("/dev/shm");
    Ok(memory.or_else(|_| tempfile::tempdir())?)
}

impl World {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let plan = job().plan()?;
        let topic = Topic::default();
        topic.partitions().resize_with(PARTITIONS, Partition::default);
        let store = MemoryRealtime::new(plan.fingerprint(), plan.stores());
        let dir = scratch()?;
        Ok(Self {
            random: Random(seed),
            shown: Arc::new(Mutex::new(store.clone())),
            store,
            plan,
            topic,
            history: History(vec![Vec::new(); PARTITIONS]),
            copy: None,
            manifests: Arc::new(Manifests::new(dir.path().join("manifests"))),
            generations: Arc::new(Generations::new(dir.path().join("offline"))),
            genesis: Frontier::default(),
            dir,
            hour: 1000,
            trimmed: false,
            flaky: false,
            trims: false,
            trace: Vec::new(),
        })
    }

    /// One thing that happens, by chance; then every answer is checked.
    pub(crate) fn step(&mut self) -> Result<()> {
        if self.trims && self.random.below(10) == 0 {
            self.retain();
            return self.check();
        }
        match self.random.below(100) {
            0..=29 => self.produce(),
            30..=54 => self.stream()?,
            55..=64 => {
                let polls = self.random.below(5);
                self.archive(Some(polls))?;
            }
            65..=76 => {
                let until = (self.random.below(3) == 0).then(|| BatchId(self.hour - self.random.below(6) as i64));
                self.publish(until)?;
            }
            77..=82 => self.roll_back()?,
            83..=87 => self.collect()?,
            88..=92 => self.lose_store(),
            93..=95 => {
                self.trace.push("copy the store".into());
                self.copy = Some(self.store.copy());
            }
            96 => self.retain(),
            _ => {}
        }
        self.check()
    }

    /// The faults stop; everything runs to its end.
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.trace.push("heal".into());
        for _ in 0..2 {
            self.run(Vec::new(), None)?;
            self.archive(None)?;
            self.publish(None)?;
            if self.trimmed {
                // A lost range is passed once its batch is sealed and published.
                self.hour += 10;
                (0..PARTITIONS).for_each(|p| self.put(p, 1, self.hour));
                self.archive(None)?;
                self.publish(None)?;
            }
        }
        self.run(Vec::new(), None)?;
        self.check()?;
        let ends: BTreeMap<u32, u64> = (0..).zip(self.topic.partitions().iter().map(|p| p.end)).collect();
        let (got, basis) = self.read(true)?;
        let applied = applied(&basis);
        ensure!(
            ends.iter()
                .all(|(p, end)| applied.get(p).copied().unwrap_or_default() == *end || *end == 0),
            "everything ran to its end, but the answer covers {applied:?} of {ends:?}"
        );
        self.same(&got, &ends, &basis)
    }

    pub(crate) fn put(&mut self, p: usize, key: u64, hour: i64) {
        let value = self.random.below(9) as i64 - 4;
        let mut partitions = self.topic.partitions();
        let at = &mut partitions[p];
        let record = Produced {
            offset: at.end,
            hour,
            payload: Some(format!("{p}-{key} {value}").into_bytes()),
        };
        at.end += 1;
        at.records.push(record.clone());
        self.history.0[p].push(record);
    }

    fn produce(&mut self) {
        let p = self.random.below(PARTITIONS as u64) as usize;
        for _ in 0..1 + self.random.below(6) {
            let hour = match self.random.below(25) {
                0 => self.hour - 100,
                _ => self.hour + self.random.below(4) as i64 - 2,
            };
            let key = self.random.below(4);
            self.put(p, key, hour);
        }
        self.hour += self.random.below(3) as i64;
        self.trace.push(format!("produce to {p} up to hour {}", self.hour));
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
        let stream = Stream {
            plan: &self.plan,
            logs: vec![BoundLog::new(LINES.name(), self.topic.reader(3, polls, stop.clone()))],
            store: Faulty::over(self.store.clone(), faults),
            manifests: &*self.manifests,
            generations: Some(&*self.generations),
            metrics: Arc::default(),
            options: StreamOptions {
                until_end: true,
                commit_interval: Duration::ZERO,
                longest_pause: Duration::from_millis(1),
                // With none operators ask the store for nearly every key.
                memory_budget: if self.flaky {
                    128 << 20
                } else {
                    [0, 128 << 20][self.random.below(2) as usize]
                },
                stop,
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
            // O12: it says so and waits for a generation.
            Err(e) if self.trimmed && e.to_string().contains("were lost before they were read") => {
                self.trace.push(format!("stopped: {e}"));
                Ok(())
            }
            Err(e) if !may_fail => Err(e).context("the stream failed by itself"),
            Err(e) if matches!(e.kind(), ErrorKind::InvalidRequest) => Err(e).context("the stream was refused"),
            _ => Ok(()),
        }
    }

    /// A process that reads to the end of the log, and what it says of lost ranges.
    pub(crate) fn run_to_end(&mut self) -> Result<()> {
        self.run(Vec::new(), None)?;
        match self.trace.last().filter(|t| t.starts_with("stopped: ")).cloned() {
            Some(said) => {
                self.trace.push("and that was all".into());
                bail!(said)
            }
            None => Ok(()),
        }
    }

    /// Retention of one partition.
    pub(crate) fn trim(&mut self, p: usize, to: u64) {
        let mut partitions = self.topic.partitions();
        partitions[p].start = to;
        partitions[p].records.retain(|r| r.offset >= to);
        drop(partitions);
        self.trimmed = true;
    }

    fn parquet(&self) -> Result<Arc<dyn Archive>> {
        Ok(Arc::new(ParquetArchive::open(
            &self.dir.path().join("archive"),
            LINES.name(),
        )?))
    }

    pub(crate) fn archive(&mut self, polls: Option<u64>) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        self.trace.push(format!("archive for {polls:?} polls"));
        let process = Archiving {
            topic: self.topic.clone(),
            face: self.plan.sources()[0].clone(),
            start: self.genesis.clone(),
            chunk: 3,
        };
        process
            .run(self.parquet()?, polls)
            .context("the archiver failed by itself")
    }

    pub(crate) fn publish(&mut self, until: Option<BatchId>) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        let keep = self.random.below(3);
        self.trace.push(format!("publish until {until:?}, keep {keep}"));
        let face = &self.plan.sources()[0];
        let input = BulkInput::Archive {
            archive: self.parquet()?,
            format: Format::Text,
            cut_spec: face.cut_spec(true).text(),
        };
        let run = BatchRun {
            plan: &self.plan,
            inputs: BTreeMap::from([(face.name.to_string(), input)]),
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

    /// P24.
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

    /// P25, O9: everything that may be deleted is deleted at once.
    fn collect(&mut self) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        // A rollback needs its files: those of the newest alone stay, and what somebody may have to be rebuilt from.
        self.trace.push("delete what nobody needs".into());
        let gc = Gc {
            keep: 0,
            grace: Duration::ZERO,
            dry_run: false,
        };
        gc.collect(&self.manifests, None, &self.generations)
            .context("gc failed by itself")?;
        Ok(())
    }

    /// P32: the disk is lost, or an old copy of it comes back (P16).
    fn lose_store(&mut self) {
        let fresh = || MemoryRealtime::new(self.plan.fingerprint(), self.plan.stores());
        let copy = self.copy.take();
        self.trace.push(format!(
            "the store is {}",
            if copy.is_some() { "an old copy" } else { "lost" }
        ));
        self.store = copy.unwrap_or_else(fresh);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = self.store.clone();
    }

    pub(crate) fn retain(&mut self) {
        let mut partitions = self.topic.partitions();
        let p = self.random.below(partitions.len() as u64) as usize;
        let at = &mut partitions[p];
        let to = at.start + self.random.below(at.end - at.start + 1);
        at.start = to;
        at.records.retain(|r| r.offset >= to);
        drop(partitions);
        self.trimmed |= to > 0;
        self.trace.push(format!("partition {p} begins at {to} now"));
    }

    fn client(&self) -> Client {
        let store = self.shown.clone();
        let realtime = move |_: &str, _: &Until| -> rufous::Result<Option<Arc<dyn RealtimeReader>>> {
            Ok(Some(Arc::new(
                store.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            )))
        };
        Client::new(ClientParts {
            job: self.plan.job().to_string(),
            manifests: self.manifests.clone(),
            generations: self.generations.clone(),
            realtime: Arc::new(realtime),
        })
    }

    /// Every store, of one moment: nobody works meanwhile.
    fn read(&self, accept_holes: bool) -> rufous::Result<(Expected, Basis)> {
        let client = self.client();
        let rows = |name: &str| {
            let face = self.plan.stores().iter().find(|s| s.name == name);
            let raw = client.raw(*face.ok_or_else(|| rufous::Error::bug("no store"))?);
            if accept_holes { raw.accept_holes() } else { raw }.under(&[])
        };
        let key = |e| rufous::Error::bug(format!("{e}"));
        let mut got = Expected::default();
        for (k, v) in rows(RUNNING.name())?.0 {
            got.running
                .insert(rufous::core::key::decode_all(&k).map_err(key)?, number(&v)?);
        }
        for (k, v) in rows(TRACE.name())?.0 {
            got.trace
                .insert(rufous::core::key::decode_all(&k).map_err(key)?, number(&v)?);
        }
        for (k, v) in rows(WAS.name())?.0 {
            got.was
                .insert(rufous::core::key::decode_all(&k).map_err(key)?, number(&v)?);
        }
        for (k, v) in rows(ONCE.name())?.0 {
            got.once
                .insert(rufous::core::key::decode_all(&k).map_err(key)?, number(&v)?);
        }
        let (with, basis) = rows(WITH.name())?;
        for (k, v) in with {
            let n = number(&v)?;
            if n != 0 {
                got.with.insert(rufous::core::key::decode_all(&k).map_err(key)?, n);
            }
        }
        Ok((got, basis))
    }

    fn same(&self, got: &Expected, to: &BTreeMap<u32, u64>, basis: &Basis) -> Result<()> {
        let genesis = self.genesis.0.iter().map(|(p, f)| (p.partition, 0, f.cut));
        let lost: Vec<_> = holes(basis).into_iter().chain(genesis).collect();
        let expected = self.history.fold(to, &lost);
        if *got == expected {
            return Ok(());
        }
        let wrong: Vec<_> = got
            .trace
            .keys()
            .chain(expected.trace.keys())
            .filter(|k| got.trace.get(*k) != expected.trace.get(*k))
            .take(4)
            .map(|k| format!("{k:?}: {:?}, should be {:?}", got.trace.get(k), expected.trace.get(k)))
            .collect();
        bail!(
            "emitted: {}; with: {:?}, should be {:?}; was: {:?}, should be {:?}; once: {:?}, should be {:?}",
            wrong.join("; "),
            got.with,
            expected.with,
            got.was,
            expected.was,
            got.once,
            expected.once
        )
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.genesis.0.is_empty() {
            return Ok(());
        }
        match self.read(false) {
            Ok((got, basis)) => self.same(&got, &applied(&basis), &basis)?,
            Err(e) if self.trimmed && matches!(e.kind(), ErrorKind::Incomplete | ErrorKind::CorruptData) => {}
            Err(e) => return Err(e).context("a read failed by itself"),
        }
        // What the archive lost and the stream had read is in no generation: the next stream begins anew without it (O12).
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

fn number(value: &[u8]) -> rufous::Result<i64> {
    use rufous::prelude::Codec;
    i64::decode(value).map_err(|e| rufous::Error::bug(format!("{e}")))
}

fn applied(basis: &Basis) -> BTreeMap<u32, u64> {
    let of = basis.coverage.partitions();
    of.iter().map(|(p, c)| (p.partition, c.applied)).collect()
}

fn holes(basis: &Basis) -> Vec<(u32, u64, u64)> {
    let holes = basis.coverage.holes();
    holes
        .iter()
        .map(|h| (h.partition.partition, h.hole.from, h.hole.to))
        .collect()
}

//! The whole system in one place: a topic, the job's state, an archive; and all that may happen to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rufous::client::{Basis, Client, ClientParts};
use rufous::core::rules::{Rule, kept};
use rufous::core::{BatchId, ErrorKind, Format, Plan, SourcePartition};
use rufous::prelude::*;
use rufous::realtime::{BoundLog, OnBadRecord, Stream, StreamOptions};
use rufous::store_api::{
    Archive, Committed, Manifest, ManifestLog, Published, RealtimeReader, RealtimeStore, Snapshot, Until,
};
use rufous_integration_tests::run::Random;
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;
use rufous_store_memory::{MemoryGenerations, MemoryManifests, MemoryRealtime};

use crate::archiving::{Archiving, Raced};
use crate::faulty::{Fault, Faulty};
use crate::oracle::{Counts, History};
use crate::topic::{Partition, Produced, Topic};

const LINES: Source<str> = Source::new("lines");
/// Every word by itself.
const WORDS: Store<String, u64> = Store::new("words");
/// Words by their first letter: another store, so that both must move together.
const INITIALS: Store<String, u64> = Store::new("initials");

fn job() -> Job {
    let words = LINES
        .read()
        .flat_map(|line, out| line.split(' ').for_each(|w| out.emit(w.to_string())));
    let counts = words
        .clone()
        .keyed(|w: &String, out| out.emit(w.as_str(), 1))
        .sum_by_key(WORDS);
    let initials = words.keyed(|w: &String, out| out.emit(&w[..1], 1)).sum_by_key(INITIALS);
    Job::new("protocol", (counts, initials))
}

/// What each store should count in a line.
const STORES: [(&str, fn(&str) -> Vec<String>); 2] = [
    ("words", |line| line.split(' ').map(str::to_string).collect()),
    ("initials", |line| line.split(' ').map(|w| w[..1].to_string()).collect()),
];

pub(crate) struct World {
    random: Random,
    plan: Plan,
    topic: Topic,
    history: History,
    store: MemoryRealtime,
    /// The store as a client finds it that was opened long ago.
    shown: Arc<Mutex<MemoryRealtime>>,
    /// It keeps the manifest that it saw first for as long as it can.
    old_client: Client,
    /// An old copy of the store.
    copy: Option<MemoryRealtime>,
    manifests: MemoryManifests,
    generations: MemoryGenerations,
    dir: tempfile::TempDir,
    hour: i64,
    produced: u64,
    /// Whether retention ever deleted anything.
    trimmed: bool,
    /// Looks at answers only, as a user would: not at what lies behind them.
    pub(crate) answers_only: bool,
    /// What happened so far.
    pub(crate) trace: Vec<String>,
}

/// How often the layers could be compared.
pub(crate) static COMPARED: AtomicU64 = AtomicU64::new(0);

fn scratch() -> Result<tempfile::TempDir> {
    let memory = tempfile::tempdir_in("/dev/shm");
    Ok(memory.or_else(|_| tempfile::tempdir())?)
}

impl World {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let plan = job().plan()?;
        let topic = Topic::default();
        topic.partitions().resize_with(2, Partition::default);
        let store = MemoryRealtime::new(plan.fingerprint(), plan.stores());
        let shown = Arc::new(Mutex::new(store.clone()));
        let (manifests, generations) = (MemoryManifests::default(), MemoryGenerations::default());
        let old_client = client(&plan, &manifests, &generations, shown.clone());
        Ok(Self {
            random: Random(seed),
            old_client: old_client.refresh_after(Duration::from_secs(3600)),
            store,
            shown,
            plan,
            topic,
            history: History(vec![Vec::new(), Vec::new()]),
            copy: None,
            manifests,
            generations,
            dir: scratch()?,
            hour: 1000,
            produced: 0,
            trimmed: false,
            answers_only: false,
            trace: Vec::new(),
        })
    }

    /// One thing that happens, by chance; then every answer is checked.
    pub(crate) fn step(&mut self) -> Result<()> {
        match self.random.below(100) {
            0..=29 => self.produce(),
            30..=54 => self.stream()?,
            55..=59 => self.zombie()?,
            60..=67 => {
                let polls = self.random.below(4);
                self.archive(Some(polls), false)?;
            }
            68..=70 => self.archive(None, true)?,
            71..=80 => self.publish()?,
            81..=86 => self.drop_cells()?,
            87..=88 => self.roll_back()?,
            89..=91 => self.lose_store(),
            92..=93 => self.copy_store(),
            94..=97 => self.retain(),
            _ => self.add_partition(),
        }
        self.check()
    }

    /// The faults stop; everything runs to its end (I7).
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.trace.push("heal".into());
        self.run_stream(Vec::new(), None, &self.store.clone())?;
        self.archive(None, false)?;
        self.publish_until(None)?;
        self.drop_cells()?;
        self.run_stream(Vec::new(), None, &self.store.clone())?;
        self.check()?;
        let ends: BTreeMap<u32, u64> = (0..).zip(self.topic.partitions().iter().map(|p| p.end)).collect();
        for (store, of) in STORES {
            let (counts, basis) = self.read(&self.new_client(), store, true)?;
            let applied = applied(&basis);
            ensure!(
                ends.iter()
                    .all(|(p, end)| applied.get(p).copied().unwrap_or_default() == *end || *end == 0),
                "everything ran to its end, but the answer covers {applied:?} of {ends:?}"
            );
            let holes = holes(&basis);
            ensure!(
                self.trimmed || holes.is_empty(),
                "a hole in a log that lost nothing: {holes:?}"
            );
            let without = [holes, self.before_genesis()?].concat();
            same(store, &counts, &self.history.fold(&ends, &without, of))?;
        }
        Ok(())
    }

    fn produce(&mut self) {
        let mut partitions = self.topic.partitions();
        let p = self.random.below(partitions.len() as u64) as usize;
        for _ in 0..1 + self.random.below(6) {
            // Mostly around now, in any order; sometimes days late, sometimes a clock that is wrong by weeks (P3).
            let hour = match self.random.below(25) {
                0 => self.hour - 100,
                1 => self.hour + 500,
                _ => self.hour + self.random.below(4) as i64 - 2,
            };
            let words = ["ash", "birch", "alder", "cedar"];
            let payload = match self.random.below(20) {
                0 => None,
                1 => Some(vec![0xff, 0xfe]),
                _ => {
                    let word = words[self.random.below(4) as usize];
                    Some(format!("{word} z{}", self.produced).into_bytes())
                }
            };
            self.produced += 1;
            let at = &mut partitions[p];
            let record = Produced {
                offset: at.end,
                hour,
                payload,
            };
            at.end += 1;
            at.records.push(record.clone());
            self.history.0[p].push(record);
            if self.random.below(5) == 0 {
                // Control records or an aborted transaction.
                at.end += 1 + self.random.below(2);
            }
        }
        drop(partitions);
        self.hour += self.random.below(3) as i64;
        self.trace.push(format!("produce to {p} up to hour {}", self.hour));
    }

    /// A process that runs for a while, with or without faults.
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
        let polls = self.random.below(8);
        self.trace.push(format!("stream for {polls} polls, {faults:?}"));
        self.run_stream(faults, Some(polls), &self.store.clone())
    }

    fn run_stream(&self, faults: Vec<(i64, Fault)>, polls: Option<u64>, store: &MemoryRealtime) -> Result<()> {
        // Told to stop while a commit fails, a stream ends with that failure, as a killed one does.
        let may_fail = faults.iter().any(|(_, f)| *f != Fault::Stalled);
        self.run(Faulty::over(store.clone(), faults), polls, may_fail)
    }

    fn run(&self, store: Arc<Faulty>, polls: Option<u64>, may_fail: bool) -> Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let stream = Stream {
            plan: &self.plan,
            logs: vec![BoundLog::new(LINES.name(), self.topic.reader(3, polls, stop.clone()))],
            store,
            manifests: &self.manifests,
            generations: None,
            metrics: Arc::default(),
            options: StreamOptions {
                until_end: true,
                commit_interval: Duration::ZERO,
                longest_pause: Duration::from_millis(1),
                on_bad_record: OnBadRecord::Skip,
                stop,
                ..StreamOptions::default()
            },
        };
        match stream.run() {
            Err(e) if !may_fail => Err(e).context("the stream failed by itself"),
            _ => Ok(()),
        }
    }

    /// A process hangs in a commit; another takes over; the first one wakes up (I2).
    fn zombie(&mut self) -> Result<()> {
        let at = self.random.below(3) as i64;
        let polls = self.random.below(3);
        self.trace
            .push(format!("zombie at commit {at}; the other reads {polls} polls"));
        let zombie = Faulty::over(self.store.clone(), vec![(at, Fault::Stalled)]);
        let (ended, world) = (AtomicBool::new(false), &*self);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let done = world.run(zombie.clone(), None, false);
                ended.store(true, Relaxed);
                done
            });
            let stalled = zombie.wait_stalled(|| ended.load(Relaxed));
            let second = world.run_stream(Vec::new(), Some(polls), &world.store);
            zombie.release();
            let first = first.join().map_err(|_| anyhow::anyhow!("the engine panicked"))?;
            second?;
            first?;
            if stalled && zombie.stalled_outcome() == Some(Committed::Done) {
                bail!("I2: a process that another one had replaced committed");
            }
            Ok(())
        })
    }

    fn parquet(&self) -> Result<Arc<dyn Archive>> {
        Ok(Arc::new(ParquetArchive::open(
            &self.dir.path().join("archive"),
            LINES.name(),
        )?))
    }

    /// Archives for a while; with a rival that archives everything just before the first entry of this one is made.
    fn archive(&mut self, polls: Option<u64>, race: bool) -> Result<()> {
        let Some(genesis) = self.manifests.get(0)? else {
            return Ok(());
        };
        self.trace.push(format!(
            "archive for {polls:?} polls{}",
            if race { ", with a rival" } else { "" }
        ));
        let process = Archiving {
            topic: self.topic.clone(),
            face: self.plan.sources()[0].clone(),
            start: genesis.frontier,
            chunk: 3,
        };
        let archive = self.parquet()?;
        if race {
            // Its entries end elsewhere, and there are more of them.
            let rival = Archiving {
                chunk: 2,
                ..process.clone()
            };
            process.run(Arc::new(Raced::new(archive, rival)), polls)
        } else {
            process.run(archive, polls)
        }
        .context("the archiver failed by itself")
    }

    fn publish(&mut self) -> Result<()> {
        let until = match self.random.below(3) {
            0 => Some(BatchId(self.hour - self.random.below(6) as i64)),
            _ => None,
        };
        self.publish_until(until)
    }

    fn publish_until(&mut self, until: Option<BatchId>) -> Result<()> {
        if self.manifests.newest(0)?.is_none() {
            return Ok(());
        }
        self.trace.push(format!("publish until {until:?}"));
        let face = &self.plan.sources()[0];
        let input = BulkInput::Archive {
            archive: self.parquet()?,
            format: Format::Text,
            cut_spec: face.cut_spec(true).text(),
        };
        let run = BatchRun {
            plan: &self.plan,
            inputs: BTreeMap::from([(face.name.to_string(), input)]),
            manifests: &self.manifests,
            generations: &self.generations,
            options: BatchOptions {
                threads: 1,
                until,
                skip_bad: true,
                ..BatchOptions::default()
            },
        };
        run.run().context("the bulk run failed by itself").map(drop)
    }

    /// P26, as any owner may: below the drop permission, shards that are aligned with it.
    fn drop_cells(&mut self) -> Result<()> {
        let Some(manifest) = self.manifests.newest(0)? else {
            return Ok(());
        };
        self.trace.push("drop".into());
        let snapshot = self.store.snapshot()?;
        for (p, row) in snapshot.partitions(WORDS.name())?.iter() {
            let d = if kept(Rule::DropPermission) {
                manifest.drop_before.get(self.plan.fingerprint()).map(|f| f.of(p))
            } else {
                Some(manifest.frontier.of(p))
            };
            if let Some(d) = d.filter(|d| row.aligned(*d).is_ok()) {
                self.store.drop_below(p, d.batch)?;
            }
        }
        Ok(())
    }

    /// P24: an older generation becomes current again, if the drop permission allows it.
    fn roll_back(&mut self) -> Result<()> {
        let Some(now) = self.manifests.newest(0)? else {
            return Ok(());
        };
        let number = self.random.below(now.number + 1);
        let Some(old) = self.manifests.get(number)? else {
            return Ok(());
        };
        let permitted = now.drop_before.iter().all(|(namespace, frontier)| {
            namespace != self.plan.fingerprint() || frontier.0.iter().all(|(p, d)| old.frontier.of(p).batch >= d.batch)
        });
        if !permitted || number == now.number {
            return Ok(());
        }
        self.trace.push(format!("roll back from {} to {number}", now.number));
        let again = Manifest {
            number: now.number + 1,
            drop_before: now.drop_before.clone(),
            ..old
        };
        ensure!(
            self.manifests.publish(&again)? == Published::Done,
            "nobody else publishes"
        );
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

    fn copy_store(&mut self) {
        self.trace.push("copy the store".into());
        self.copy = Some(self.store.copy());
    }

    fn retain(&mut self) {
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

    fn add_partition(&mut self) {
        let mut partitions = self.topic.partitions();
        if partitions.len() < 4 {
            partitions.push(Partition::default());
            self.history.0.push(Vec::new());
            drop(partitions);
            self.trace.push("a new partition".into());
        }
    }

    fn new_client(&self) -> Client {
        client(&self.plan, &self.manifests, &self.generations, self.shown.clone())
    }

    fn read(&self, client: &Client, store: &str, accept_holes: bool) -> rufous::Result<(Counts, Basis)> {
        let face = self.plan.stores().iter().find(|s| s.name == store);
        let raw = client.raw(*face.ok_or_else(|| rufous::Error::bug("no store"))?);
        let (rows, basis) = if accept_holes { raw.accept_holes() } else { raw }.under(&[])?;
        let mut counts = Counts::new();
        for (key, value) in rows {
            let word = face.map_or(String::new(), |f| f.key.text(&key).unwrap_or_default());
            counts.insert(word, number(&value));
        }
        Ok((counts, basis))
    }

    /// P10: what the log held no more when the job began belongs to nobody.
    fn before_genesis(&self) -> Result<Vec<(u32, u64, u64)>> {
        let genesis = self.manifests.get(0)?.context("the genesis manifest")?;
        Ok(genesis
            .frontier
            .0
            .iter()
            .map(|(p, f)| (p.partition, 0, f.cut))
            .collect())
    }

    /// I1, I4, I5.
    fn check(&self) -> Result<()> {
        if self.manifests.newest(0)?.is_none() {
            return Ok(());
        }
        let before = self.before_genesis()?;
        let clients = [self.new_client(), self.old_client.clone()];
        for ((store, of), client) in STORES.iter().flat_map(|s| clients.iter().map(move |c| (s, c))) {
            match self.read(client, store, false) {
                Ok((counts, basis)) => same(store, &counts, &self.history.fold(&applied(&basis), &before, of))?,
                // A lost range may not be passed over in silence: an error is the right answer, until it is repaired.
                Err(e) if self.trimmed && matches!(e.kind(), ErrorKind::Incomplete | ErrorKind::CorruptData) => {}
                Err(e) => return Err(e).with_context(|| format!("I1: a read of {store} failed by itself")),
            }
        }
        if self.answers_only {
            return Ok(());
        }
        self.reconcile(&clients[0])?;
        self.check_archive()?;
        self.check_rows()
    }

    /// I6: where the layers can be compared they agree, whatever happened before.
    fn reconcile(&self, client: &Client) -> Result<()> {
        for face in self.plan.stores() {
            match client.reconcile(face, None) {
                Ok(found) => match found.agrees() {
                    Some(true) => {
                        COMPARED.fetch_add(1, Relaxed);
                    }
                    Some(false) => bail!("I6: the layers do not agree: {found:?}"),
                    None => {}
                },
                Err(e) if e.kind() == ErrorKind::TryAgain => {}
                Err(e) => return Err(e).context("I6: a comparison failed by itself"),
            }
        }
        Ok(())
    }

    /// P18, P19: what the index names are the records of the log, each once, in order.
    fn check_archive(&self) -> Result<()> {
        let archive = self.parquet()?;
        let before = self.before_genesis()?;
        for p in archive.partitions()? {
            let start = before.iter().find(|(q, ..)| *q == p).map_or(0, |(_, _, cut)| *cut);
            let (mut end, mut found, mut lost) = (start, Vec::new(), Vec::new());
            for entry in archive.index(p, 0)? {
                ensure!(
                    entry.from == end,
                    "P18: partition {p}: an entry from {} after one to {end}",
                    entry.from
                );
                end = entry.to;
                if entry.hole.is_some() {
                    ensure!(self.trimmed, "a hole in a log that lost nothing");
                    lost.push((p, entry.from, entry.to));
                }
                for file in &entry.files {
                    archive.read(p, file, &mut |records| {
                        found.extend(records.entries.iter().map(|e| e.offset));
                        Ok(())
                    })?;
                }
            }
            let all = self.history.0[p as usize].iter().map(|r| r.offset);
            let is_lost = |o: u64| lost.iter().any(|(_, from, to)| (*from..*to).contains(&o));
            let expected: Vec<u64> = all.filter(|o| (start..end).contains(o) && !is_lost(*o)).collect();
            ensure!(
                found == expected,
                "P18: partition {p}: archived {found:?}, should be {expected:?}"
            );
        }
        Ok(())
    }

    fn check_rows(&self) -> Result<()> {
        let manifest = self.manifests.newest(0)?.context("a manifest")?;
        let dropped = &manifest.drop_before[self.plan.fingerprint()];
        let snapshot = self.store.snapshot()?;
        for (p, row) in snapshot.partitions(WORDS.name())?.iter() {
            ensure!(
                row.retained_from <= dropped.of(p).batch && dropped.of(p).batch <= manifest.frontier.of(p).batch,
                "I4: {p} retains from {:?}, may be dropped before {:?}, frontier {:?}",
                row.retained_from,
                dropped.of(p),
                manifest.frontier.of(p)
            );
            if !self.trimmed {
                self.same_cuts(p, row.cuts.iter().copied(), row.next)?;
            }
        }
        let archive = self.parquet()?;
        for p in archive.partitions()? {
            let entries = archive.index(p, 0)?;
            if !self.trimmed {
                let id = SourcePartition::new(LINES.name(), p);
                let end = entries.last().map_or(0, |e| e.to);
                self.same_cuts(&id, entries.iter().flat_map(|e| &e.cuts).copied(), end)?;
            }
        }
        Ok(())
    }

    /// I5: without lost ranges every layer cuts where the definition does.
    fn same_cuts(&self, p: &SourcePartition, cuts: impl Iterator<Item = (BatchId, u64)>, next: u64) -> Result<()> {
        let expected = self.history.cuts(p.partition);
        for (batch, offset) in cuts.filter(|(b, _)| *b != BatchId::MIN) {
            // A cut may name a later batch than asked for: batches without a record begin where the next one does.
            let at = expected.iter().find(|(b, _)| *b >= batch.0).map(|(_, o)| *o);
            ensure!(
                at == Some(offset) || (at.is_none() && offset >= next),
                "I5: {p} begins batch {} at {offset}, by definition at {at:?}",
                batch.0
            );
        }
        Ok(())
    }
}

fn client(
    plan: &Plan,
    manifests: &MemoryManifests,
    generations: &MemoryGenerations,
    store: Arc<Mutex<MemoryRealtime>>,
) -> Client {
    let shown: Arc<dyn RealtimeReader> = Arc::new(Shown(store));
    Client::new(ClientParts {
        job: plan.job().to_string(),
        manifests: Arc::new(manifests.clone()),
        generations: Arc::new(generations.clone()),
        realtime: Arc::new(move |_: &str, _: &Until| Ok(Some(shown.clone()))),
    })
}

/// The state as it is when a snapshot is taken: it is replaced when a shard is restored.
struct Shown(Arc<Mutex<MemoryRealtime>>);

impl RealtimeReader for Shown {
    fn snapshot(&self) -> rufous::Result<Box<dyn Snapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).snapshot()
    }
}

/// A count's canonical bytes: seven bits a byte, the least first.
fn number(value: &[u8]) -> u64 {
    value.iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f))
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

fn same(store: &str, got: &Counts, expected: &Counts) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    let keys = got.keys().chain(expected.keys());
    let wrong: Vec<_> = keys
        .filter(|k| got.get(*k) != expected.get(*k))
        .take(6)
        .map(|k| format!("{k}: {:?}, should be {:?}", got.get(k), expected.get(k)))
        .collect();
    bail!("I1: {store}: {}", wrong.join("; "))
}

//! A world in memory: manifests, generations and shards as plain maps, with hooks for races and damage.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rufous_algebra::Codec;
use rufous_client::{Client, ClientParts};
use rufous_core::key::to_bytes;
use rufous_core::{BatchId, Cut, Error, Frontier, Result, SourcePartition, Store, StoreFace, Timestamp};
use rufous_store_api::{
    Cell, Entries, GenerationStore, Hole, KeyRange, Manifest, ManifestLog, Progress, ProgressRows, Published,
    RealtimeReader, RunFile, RunWriter, Snapshot, SourceHole, StoreGeneration, Until,
};

pub const COUNTS: Store<String, u64> = Store::new("counts");
pub const HOURS: Store<(String, u32), u64> = Store::new("hours");

pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

pub type Hook = Box<dyn FnMut(&mut State) + Send>;

/// One shard of one store and partition.
#[derive(Clone)]
pub struct Shard {
    pub row: Progress,
    pub cells: BTreeMap<(Vec<u8>, BatchId), Vec<u8>>,
}

#[derive(Default)]
pub struct State {
    pub manifests: BTreeMap<u64, Manifest>,
    pub files: BTreeMap<String, Pairs>,
    /// Namespace, then (store, partition).
    pub shards: BTreeMap<String, BTreeMap<(String, SourcePartition), Shard>>,
    pub silent: bool,
    /// How long one waits for who is silent.
    pub hangs: std::time::Duration,
    /// How many snapshots were asked for.
    pub sought: usize,
    /// The owner answers this many snapshots, but no question about cells.
    pub dies_after_snapshot: bool,
    /// How often snapshots were asked for cells, and at which time of it the owner falls silent.
    pub asked: Arc<AtomicUsize>,
    pub dies_when_asked: Arc<AtomicUsize>,
    pub snapshots: usize,
    /// Keys that the generation was asked for, one by one.
    pub keys_read: usize,
    /// Values that the generation showed in ranges.
    pub values_read: usize,
    /// How often the realtime state was opened.
    pub opened: usize,
    /// The next one who reads is told that the namespace was deleted.
    pub deleted: bool,
    /// How long the owner takes for an answer about cells.
    pub slow: Duration,
    /// One for each snapshot that was not ended, and this one.
    pub held: Arc<()>,
    pub manifest_reads: usize,
    /// Runs after each snapshot was taken: what happens between it and the manifest.
    pub after_snapshot: Option<Hook>,
}

#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

pub fn p(n: u32) -> SourcePartition {
    SourcePartition::new("lines", n)
}

pub fn cut(batch: i64, cut: u64) -> Cut {
    Cut {
        batch: BatchId(batch),
        cut,
        batch_before: BatchId(batch - 1),
    }
}

pub fn key(k: &str) -> Vec<u8> {
    to_bytes(&k)
}

/// A row that read from the beginning: the cuts it saw, and where it is.
pub fn row(cuts: &[(i64, u64)], next: u64) -> Progress {
    let mut row = Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
    row.cuts.extend(cuts.iter().map(|(b, o)| (BatchId(*b), *o)));
    row.next = next;
    row.batch = row.cuts.last().map_or(BatchId::MIN, |c| c.0);
    row
}

pub fn hole(from: u64, to: u64) -> Hole {
    Hole {
        from,
        to,
        reason: "retention".into(),
    }
}

pub fn shard(row: Progress, cells: &[(&str, i64, u64)]) -> Shard {
    let cells = cells.iter().map(|(k, b, v)| ((key(k), BatchId(*b)), v.to_bytes()));
    Shard {
        row,
        cells: cells.collect(),
    }
}

pub fn pairs(values: &[(&str, u64)]) -> Pairs {
    values.iter().map(|(k, v)| (key(k), v.to_bytes())).collect()
}

pub fn manifest(number: u64, namespace: Option<&str>, frontier: &[(u32, Cut)]) -> Manifest {
    Manifest {
        format: 1,
        number,
        job: "words".into(),
        line: "1".into(),
        fingerprint: "f00d".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: namespace.map(Into::into),
        stores: BTreeMap::new(),
        frontier: Frontier(frontier.iter().map(|(n, c)| (p(*n), *c)).collect()),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(0),
        covered_until: format!("batch of manifest {number}"),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
    pub fn client(&self) -> Client {
        let (world, opened) = (self.clone(), self.clone());
        let parts = ClientParts {
            job: "words".into(),
            manifests: Arc::new(self.clone()),
            generations: Arc::new(world),
            realtime: Arc::new(move |namespace, _| {
                let mut s = opened.state();
                s.opened += 1;
                if !s.shards.contains_key(namespace) && !s.silent {
                    return Ok(None);
                }
                let reader: Arc<dyn RealtimeReader> = Arc::new(Reader(opened.clone(), namespace.into()));
                Ok(Some(reader))
            }),
        };
        Client::new(parts).refresh_after(Duration::MAX)
    }
    /// Publishes `m` with `values` as the one run of `counts`.
    pub fn publish(&self, m: Manifest, values: &[(&str, u64)]) {
        self.publish_store(m, &StoreFace::of(COUNTS), pairs(values));
    }
    pub fn publish_store(&self, mut m: Manifest, face: &StoreFace, values: Pairs) {
        let mut s = self.state();
        let path = format!("{}-{}", face.name, m.number);
        let run = RunFile {
            path: path.clone(),
            bytes: 0,
            checksum: String::new(),
            keys: values.len() as u64,
            first_key: String::new(),
            last_key: String::new(),
        };
        let generation = StoreGeneration {
            schema: face.schema(),
            runs: vec![run],
            ..Default::default()
        };
        m.stores.insert(face.name.into(), generation);
        s.files.insert(path, values);
        s.manifests.insert(m.number, m);
    }
    pub fn put(&self, namespace: &str, n: u32, shard: Shard) {
        self.put_store(namespace, "counts", n, shard);
    }
    pub fn put_store(&self, namespace: &str, store: &str, n: u32, shard: Shard) {
        let mut s = self.state();
        s.shards
            .entry(namespace.into())
            .or_default()
            .insert((store.into(), p(n)), shard);
    }
    pub fn manifest_hole(&self, number: u64, n: u32, h: Hole) {
        let mut s = self.state();
        s.manifests.get_mut(&number).unwrap().holes.push(SourceHole {
            partition: p(n),
            hole: h,
        });
    }
}

impl ManifestLog for World {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        Ok(self.state().manifests.get(&number).cloned())
    }
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        let mut s = self.state();
        s.manifest_reads += 1;
        Ok(s.manifests.range(at_least..).next_back().map(|(_, m)| m.clone()))
    }
    fn publish(&self, _: &Manifest) -> Result<Published> {
        Err(Error::bug("a reader publishes nothing"))
    }
}

impl World {
    fn file(&self, g: &StoreGeneration) -> Result<Pairs> {
        let path = &g.runs[0].path;
        let found = self.state().files.get(path).cloned();
        found.ok_or_else(|| Error::try_again(format!("run {path} is gone")))
    }
}

impl GenerationStore for World {
    fn begin_run(&self, _: &StoreFace) -> Result<Box<dyn RunWriter>> {
        Err(Error::bug("a reader writes nothing"))
    }
    fn get(&self, _: &StoreFace, g: &StoreGeneration, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let file = self.file(g)?;
        self.state().keys_read += keys.len();
        Ok(keys.iter().map(|k| file.get(k).cloned()).collect())
    }
    fn scan(
        &self,
        _: &StoreFace,
        g: &StoreGeneration,
        prefix: &[u8],
        f: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.file(g)?
            .iter()
            .filter(|(k, _)| k.starts_with(prefix))
            .try_for_each(|(k, v)| f(k, v))
    }
    fn ranges(
        &self,
        _: &StoreFace,
        g: &StoreGeneration,
        ranges: &[KeyRange],
        f: &mut dyn FnMut(usize, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let file = self.file(g)?;
        for (place, range) in ranges.iter().enumerate() {
            for (key, value) in file.range(range.clone()) {
                self.state().values_read += 1;
                f(place, key, value)?;
            }
        }
        Ok(())
    }
    fn verify(&self, _: &StoreFace, _: &StoreGeneration) -> Result<()> {
        Ok(())
    }
    fn begin_records(&self, _: &str) -> Result<Box<dyn RunWriter>> {
        Err(Error::bug("a reader writes nothing"))
    }
    fn entries<'a>(&'a self, _: &str, _: &RunFile, _: &[u8]) -> Result<Box<dyn Entries + 'a>> {
        Err(Error::bug("this world has no sinks"))
    }
    fn verify_records(&self, _: &str, _: &RunFile) -> Result<()> {
        Ok(())
    }
}

struct Reader(World, String);

impl RealtimeReader for Reader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        let mut s = self.0.state();
        s.sought += 1;
        if s.silent {
            drop(s);
            let began = Instant::now();
            while began.elapsed() < self.0.state().hangs {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Err(Error::try_again("asked for 2.0 s"));
        }
        if std::mem::take(&mut s.deleted) {
            return Err(Error::closed("n1 was deleted"));
        }
        s.snapshots += 1;
        let shards = s.shards.get(&self.1).cloned().unwrap_or_default();
        let taken = Taken {
            namespace: self.1.clone(),
            shards,
            dead: s.dies_after_snapshot,
            asked: s.asked.clone(),
            dies_when_asked: s.dies_when_asked.clone(),
            slow: s.slow,
            deadline: None,
            _held: s.held.clone(),
        };
        if let Some(mut hook) = s.after_snapshot.take() {
            hook(&mut s);
            s.after_snapshot = Some(hook);
        }
        Ok(Box::new(taken))
    }
}

struct Taken {
    namespace: String,
    shards: BTreeMap<(String, SourcePartition), Shard>,
    dead: bool,
    asked: Arc<AtomicUsize>,
    dies_when_asked: Arc<AtomicUsize>,
    slow: Duration,
    deadline: Option<Instant>,
    _held: Arc<()>,
}

impl Taken {
    /// Every cell of a store; batches below the frontier too: the client filters again.
    fn all(&self, store: &str) -> Result<Vec<(&[u8], Cell)>> {
        let asked = self.asked.fetch_add(1, Relaxed) + 1;
        if self.dead || asked == self.dies_when_asked.load(Relaxed) {
            return Err(Error::try_again("asked for 2.0 s"));
        }
        let left = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.map_or(self.slow, |left| left.min(self.slow)));
        if left.is_some_and(|left| left < self.slow) {
            return Err(Error::try_again("process 17: receiving took too long"));
        }
        let of_store = self.shards.iter().filter(|((s, _), _)| s == store);
        let mut found: Vec<_> = (0..)
            .zip(of_store)
            .flat_map(|(i, (_, shard))| {
                shard.cells.iter().map(move |((k, b), v)| {
                    (
                        k.as_slice(),
                        Cell {
                            partition: i,
                            batch: *b,
                            value: v.clone(),
                        },
                    )
                })
            })
            .collect();
        found.sort_by(|a, b| (a.1.batch, a.0).cmp(&(b.1.batch, b.0)));
        Ok(found)
    }
}

impl Snapshot for Taken {
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn set_until(&mut self, until: &Until) {
        self.deadline = until.deadline();
    }
    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        let of_store = self.shards.iter().filter(|((s, _), _)| s == store);
        Ok(of_store.map(|((_, p), shard)| (p.clone(), shard.row.clone())).collect())
    }
    fn cells(&self, store: &str, keys: &[Vec<u8>], _: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let all = self.all(store)?;
        let of = |key: &Vec<u8>| all.iter().filter(|(k, _)| k == key).map(|(_, c)| c.clone()).collect();
        Ok(keys.iter().map(of).collect())
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        _: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        self.all(store)?
            .into_iter()
            .filter(|(k, _)| k.starts_with(prefix))
            .try_for_each(|(k, c)| f(k, c))
    }
}

/// A small generator of numbers (xorshift64*): tests are the same on every run.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n.max(1)
    }
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

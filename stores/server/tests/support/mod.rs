//! A job in memory behind a real server: real stores, a real socket, and the sums of everything as plain collections.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod http;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rufous_algebra::{Codec, Hll};
use rufous_client::{Client, ClientParts};
use rufous_core::key::to_bytes;
use rufous_core::{
    AsKey, BatchId, Cut, Delta, Deltas, Error, Frontier, HopSize, Result, SourcePartition, Store, StoreFace, Timestamp,
    WindowedStore,
};
use rufous_server::{Observed, Served, Server, ServerOptions};
use rufous_store_api::{
    Advance, Commit, Committed, GenerationStore, Hole, Manifest, ManifestLog, Progress, Published, RealtimeReader,
    RealtimeStore, Repair, StoreGeneration, Until,
};
use rufous_store_memory::{MemoryGenerations, MemoryManifests, MemoryRealtime};

pub const COUNTS: Store<String, u64> = Store::new("counts");
pub const HOURS: Store<(String, u32), u64> = Store::new("hours");
pub const VISITORS: Store<(String, i32), Hll<12>> = Store::new("visitors");
pub const VIEWS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::hours(1), HopSize::days(1)]);

const NAMESPACE: &str = "n1";
pub const HOUR: i64 = 3_600_000;

type Sums = BTreeMap<Vec<u8>, u64>;

/// What is added to a store by a commit.
struct List(Vec<(u32, i64, Vec<u8>, Vec<u8>)>);

impl Deltas for List {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn for_each(&self, f: &mut dyn FnMut(Delta<'_>) -> Result<()>) -> Result<()> {
        self.0.iter().try_for_each(|(partition, batch, key, value)| {
            f(Delta {
                source: 0,
                partition: *partition,
                batch: BatchId(*batch),
                key,
                value,
            })
        })
    }
    fn clear(&mut self) {
        self.0.clear();
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

pub fn faces() -> Vec<StoreFace> {
    vec![
        StoreFace::of(COUNTS),
        StoreFace::of(HOURS),
        StoreFace::of(VISITORS),
        StoreFace::windowed(VIEWS),
    ]
}

pub fn p(n: u32) -> SourcePartition {
    SourcePartition::new("lines", n)
}

/// One partition of one source, batch after batch. What `sums` holds is what every read must say.
pub struct World {
    pub manifests: MemoryManifests,
    pub generations: MemoryGenerations,
    pub realtime: MemoryRealtime,
    pub silent: Arc<AtomicBool>,
    /// How long each read of the realtime part takes, in milliseconds.
    pub slow: Arc<AtomicU64>,
    pub panics: Arc<AtomicBool>,
    /// An owner that hangs: who asks now waits as long as somebody waits for him.
    pub hangs: Arc<AtomicBool>,
    /// What the console shows.
    pub observed: Option<Arc<dyn Observed>>,
    pub sums: BTreeMap<&'static str, Sums>,
    pub visitors: BTreeMap<Vec<u8>, Hll<12>>,
    pub next: u64,
    batch: i64,
    epoch: u64,
    number: u64,
}

impl Default for World {
    fn default() -> Self {
        let realtime = MemoryRealtime::new(NAMESPACE, &faces());
        let mut world = Self {
            manifests: MemoryManifests::default(),
            generations: MemoryGenerations::default(),
            realtime,
            silent: Arc::default(),
            slow: Arc::default(),
            panics: Arc::default(),
            hangs: Arc::default(),
            observed: None,
            sums: faces().iter().map(|f| (f.name, Sums::new())).collect(),
            visitors: BTreeMap::new(),
            next: 0,
            batch: 1,
            epoch: 0,
            number: 0,
        };
        for face in faces() {
            let mut begin = |_: Option<&Progress>| {
                Ok(Repair::Replace(Progress::standing_at(
                    Cut::ORIGIN,
                    "t".into(),
                    "c".into(),
                    "f".into(),
                )))
            };
            world.epoch = world.realtime.acquire(face.name, &p(0), &mut begin).unwrap().epoch;
        }
        world.manifest(BTreeMap::new(), Frontier::default());
        world
    }
}

impl World {
    fn manifest(&mut self, stores: BTreeMap<String, StoreGeneration>, frontier: Frontier) {
        let manifest = Manifest {
            format: 1,
            number: self.number,
            job: "words".into(),
            line: "1".into(),
            fingerprint: "f00d".into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: Some(NAMESPACE.into()),
            stores,
            frontier,
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(0),
            covered_until: format!("batch {}", self.batch),
            window: None,
            not_repeatable: Vec::new(),
            sinks: BTreeMap::new(),
        };
        assert_eq!(self.manifests.publish(&manifest).unwrap(), Published::Done);
        self.number += 1;
    }

    /// Reads one record, which adds all this: (store, key, value).
    pub fn commit(&mut self, adds: &[(&'static str, Vec<u8>, u64)]) {
        self.commit_with(adds, Vec::new(), 1);
    }
    fn commit_with(&mut self, adds: &[(&'static str, Vec<u8>, u64)], holes: Vec<Hole>, offsets: u64) {
        let mut lists: BTreeMap<&'static str, Sums> = BTreeMap::new();
        for (store, key, value) in adds {
            *lists.entry(store).or_default().entry(key.clone()).or_default() += value;
            *self.sums.get_mut(store).unwrap().entry(key.clone()).or_default() += value;
        }
        let lists: Vec<(&str, List)> = lists
            .into_iter()
            .map(|(store, sums)| {
                let of = sums.into_iter().map(|(k, v)| (0, self.batch, k, v.to_bytes()));
                (store, List(of.collect()))
            })
            .collect();
        self.commit_lists(&lists, holes, offsets);
    }
    /// Adds items to what is counted apart.
    pub fn visit(&mut self, key: (&str, i32), items: impl Iterator<Item = u64>) {
        let key = to_bytes(&key);
        let mut delta = Hll::<12>::default();
        for item in items {
            delta.insert(&item);
            self.visitors.entry(key.clone()).or_default().insert(&item);
        }
        let list = List(vec![(0, self.batch, key, delta.to_bytes())]);
        self.commit_lists(&[("visitors", list)], Vec::new(), 1);
    }
    /// Every key of a store with its value.
    fn rows(&self, store: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        if store == "visitors" {
            return self.visitors.iter().map(|(k, v)| (k.clone(), v.to_bytes())).collect();
        }
        self.sums[store]
            .iter()
            .map(|(k, v)| (k.clone(), v.to_bytes()))
            .collect()
    }
    fn commit_lists(&mut self, lists: &[(&str, List)], holes: Vec<Hole>, offsets: u64) {
        let deltas: Vec<(&str, &dyn Deltas)> = lists.iter().map(|(s, l)| (*s, l as &dyn Deltas)).collect();
        let first = self.realtime.snapshot().unwrap().partitions("counts").unwrap();
        let begins = first[0].1.batch < BatchId(self.batch);
        let advance = Advance {
            partition: p(0),
            epoch: self.epoch,
            from: self.next,
            to: self.next + offsets,
            batch: BatchId(self.batch),
            cuts: if begins {
                vec![(BatchId(self.batch), self.next)]
            } else {
                Vec::new()
            },
            holes,
            leader_epoch: -1,
            last_time: Some(Timestamp(self.batch * HOUR)),
            running: None,
        };
        let commit = Commit {
            advances: &[advance],
            sources: &["lines"],
            deltas: &deltas,
        };
        assert_eq!(self.realtime.commit(&commit).unwrap(), Committed::Done);
        self.next += offsets;
    }
    /// Adds to the counts, one record each.
    pub fn count(&mut self, adds: &[(&str, u64)]) {
        for (key, value) in adds {
            self.commit(&[("counts", to_bytes(key), *value)]);
        }
    }
    pub fn view(&mut self, key: &str, at: i64, value: u64) {
        let hops = VIEWS.windows().grid().unwrap();
        let adds = [HopSize::hours(1), HopSize::days(1)].map(|size| {
            let mut bytes = to_bytes(&key);
            hops.hop(size, Timestamp(at)).encode_key(&mut bytes);
            ("views", bytes, value)
        });
        self.commit(&adds);
    }
    /// Offsets that were deleted before they were read (P34).
    pub fn lose(&mut self, offsets: u64) {
        let hole = Hole {
            from: self.next,
            to: self.next + offsets,
            reason: "retention".into(),
        };
        self.commit_with(&[], vec![hole], offsets);
    }
    /// Ends the batch and publishes everything as a generation.
    pub fn publish(&mut self) {
        self.publish_but(None);
    }
    /// The same; the value of a key has three bytes too many.
    pub fn damage_value(&mut self, store: &str, key: &str) {
        self.publish_but(Some((store, to_bytes(&key))));
    }
    fn publish_but(&mut self, damaged: Option<(&str, Vec<u8>)>) {
        self.batch += 1;
        let mut stores = BTreeMap::new();
        for face in faces() {
            let mut writer = self.generations.begin_run(&face).unwrap();
            for (key, mut bytes) in self.rows(face.name) {
                if damaged
                    .as_ref()
                    .is_some_and(|(store, of)| *store == face.name && *of == key)
                {
                    bytes.extend_from_slice(&[0xff; 3]);
                }
                writer.push(&key, &bytes).unwrap();
            }
            let generation = StoreGeneration {
                schema: face.schema(),
                runs: writer.finish().unwrap().into_iter().collect(),
                ..StoreGeneration::default()
            };
            stores.insert(face.name.to_string(), generation);
        }
        let cut = Cut {
            batch: BatchId(self.batch),
            cut: self.next,
            batch_before: BatchId(self.batch - 1),
        };
        self.manifest(stores, Frontier([(p(0), cut)].into()));
    }

    pub fn client(&self) -> Client {
        let reader: Arc<dyn RealtimeReader> = Arc::new(Reader {
            realtime: self.realtime.clone(),
            slow: self.slow.clone(),
            panics: self.panics.clone(),
            silent: self.silent.clone(),
            hangs: self.hangs.clone(),
        });
        Client::new(ClientParts {
            job: "words".into(),
            manifests: Arc::new(self.manifests.clone()),
            generations: Arc::new(self.generations.clone()),
            realtime: Arc::new(move |_, _| Ok(Some(reader.clone()))),
        })
        .refresh_after(Duration::ZERO)
    }
    pub fn server(&self, options: ServerOptions) -> Server {
        let served = Served {
            job: "words".into(),
            instance: "main".into(),
            client: self.client(),
            stores: faces(),
            observed: self.observed.clone(),
        };
        Server::new(served, options).unwrap()
    }
    /// A server on a port of its own, until it is dropped.
    pub fn serve(&self, options: ServerOptions) -> Running {
        Running::begin(self.server(options))
    }
}

/// A realtime part that takes its time, panics, or does not answer when it is told to.
struct Reader {
    realtime: MemoryRealtime,
    slow: Arc<AtomicU64>,
    panics: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl RealtimeReader for Reader {
    fn snapshot(&self) -> Result<Box<dyn rufous_store_api::Snapshot>> {
        assert!(!self.panics.load(Ordering::Relaxed), "told to panic");
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::try_again("asked for 2.0 s"));
        }
        let ms = self.slow.load(Ordering::Relaxed);
        if ms > 0 {
            std::thread::sleep(Duration::from_millis(ms));
        }
        self.realtime.snapshot()
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn rufous_store_api::Snapshot>> {
        let began = Instant::now();
        if self.hangs.load(Ordering::Relaxed) {
            while !until.is_over() && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Err(Error::try_again("the owner hangs"));
        }
        self.snapshot()
    }
}

pub struct Running {
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn begin(server: Server) -> Self {
        let bound = server.bind("0").unwrap();
        let address = bound.address();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            bound
                .serve(async move {
                    let _ = stopped.await;
                })
                .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
    pub fn get(&self, path: &str) -> http::Answer {
        http::ask(self.address, "GET", path, &[], b"")
    }
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> http::Answer {
        http::ask(self.address, "GET", path, headers, b"")
    }
    pub fn post(&self, path: &str, body: &serde_json::Value) -> http::Answer {
        let headers = [("content-type", "application/json")];
        http::ask(self.address, "POST", path, &headers, body.to_string().as_bytes())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
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
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

//! A log that is a list, and the sums of a store read cell by cell. Nothing here is shared with the code under test.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rufous_core::{Entry, Error, Format, Frontier, Job, Plan, RecordBatch, Result, Source, Store};
use rufous_realtime::{BoundLog, Log, Metrics, PartitionInfo, Polled, Stream, StreamOptions, StreamReport};
use rufous_store_api::{RealtimeReader, RealtimeStore};
use rufous_store_memory::{MemoryManifests, MemoryRealtime};

pub(crate) const LINES: Source<str> = Source::new("lines");
pub(crate) const COUNTS: Store<String, u64> = Store::new("counts");

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Rec {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) time: i64,
    pub(crate) heartbeat: bool,
}

impl Rec {
    pub(crate) fn text(text: &str) -> Self {
        Self {
            value: Some(text.as_bytes().to_vec()),
            time: 0,
            heartbeat: false,
        }
    }
    pub(crate) fn at(time: i64, text: &str) -> Self {
        Self {
            time,
            ..Self::text(text)
        }
    }
}

/// Partitions of records; the offset is the index.
pub(crate) type Lists = Arc<Mutex<Vec<Vec<Rec>>>>;

pub(crate) fn lists(partitions: Vec<Vec<Rec>>) -> Lists {
    Arc::new(Mutex::new(partitions))
}

pub(crate) fn texts(lines: &[&str]) -> Lists {
    lists(vec![lines.iter().map(|l| Rec::text(l)).collect()])
}

/// Hands out the lists, at most `chunk` records at a time.
pub(crate) struct ListLog {
    lists: Lists,
    chunk: usize,
    positions: BTreeMap<u32, u64>,
    turn: usize,
}

impl ListLog {
    pub(crate) fn new(lists: &Lists, chunk: usize) -> Self {
        Self {
            lists: lists.clone(),
            chunk,
            positions: BTreeMap::new(),
            turn: 0,
        }
    }
}

impl Log for ListLog {
    fn location(&self) -> String {
        "a list".into()
    }
    fn format(&self) -> Format {
        Format::Text
    }
    fn has_time(&self) -> bool {
        true
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let lists = self.lists.lock().unwrap();
        let info = |(p, l): (usize, &Vec<Rec>)| PartitionInfo {
            partition: p as u32,
            start: 0,
            end: l.len() as u64,
            topic_id: "list".into(),
            owned: true,
        };
        Ok(lists.iter().enumerate().map(info).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.positions = positions.iter().copied().collect();
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut RecordBatch) -> Result<Polled> {
        let lists = self.lists.lock().unwrap();
        for _ in 0..lists.len() {
            self.turn = (self.turn + 1) % lists.len();
            let Some(position) = self.positions.get_mut(&(self.turn as u32)) else {
                continue;
            };
            let list = &lists[self.turn];
            let from = *position as usize;
            let to = list.len().min(from + self.chunk);
            if from >= to {
                continue;
            }
            into.clear();
            into.partition = self.turn as u32;
            for (offset, rec) in list.iter().enumerate().take(to).skip(from) {
                let value = match &rec.value {
                    Some(bytes) => into.push_bytes(bytes),
                    None => rufous_core::Span::NONE,
                };
                into.entries.push(Entry {
                    time_ms: rec.time,
                    heartbeat: rec.heartbeat,
                    ..Entry::plain(offset as u64, value)
                });
            }
            into.next = to as u64;
            *position = to as u64;
            return Ok(Polled::Records);
        }
        drop(lists);
        std::thread::sleep(Duration::from_micros(200));
        Ok(Polled::Idle)
    }
}

/// Counts lines.
pub(crate) fn count_lines() -> Plan {
    Job::new(
        "count",
        LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS),
    )
    .plan()
    .unwrap()
}

/// What a stream works on; several runs may share it.
pub(crate) struct Bed {
    pub(crate) memory: MemoryRealtime,
    pub(crate) manifests: MemoryManifests,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) options: StreamOptions,
    pub(crate) chunk: usize,
}

impl Bed {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            memory: MemoryRealtime::new(plan.fingerprint(), &plan.live_stores()),
            manifests: MemoryManifests::default(),
            metrics: Arc::default(),
            options: StreamOptions {
                commit_interval: Duration::from_millis(1),
                until_end: true,
                ..StreamOptions::default()
            },
            chunk: 7,
        }
    }
    /// Runs the job to the end of the lists over the memory store.
    pub(crate) fn run(&self, plan: &Plan, lists: &Lists) -> Result<StreamReport> {
        self.run_on(plan, Arc::new(self.memory.clone()), vec![self.bind(lists)])
    }
    pub(crate) fn bind(&self, lists: &Lists) -> BoundLog {
        BoundLog::new("lines", Box::new(ListLog::new(lists, self.chunk)))
    }
    /// The same over any store and logs.
    pub(crate) fn run_on(
        &self,
        plan: &Plan,
        store: Arc<dyn RealtimeStore>,
        logs: Vec<BoundLog>,
    ) -> Result<StreamReport> {
        let options = StreamOptions {
            stop: Arc::new(AtomicBool::new(self.options.stop.load(Relaxed))),
            ..self.options.clone()
        };
        Stream {
            plan,
            logs,
            store,
            manifests: &self.manifests,
            generations: None,
            metrics: self.metrics.clone(),
            options,
        }
        .run()
    }
    pub(crate) fn sums(&self, plan: &Plan) -> BTreeMap<String, u64> {
        sums(&self.memory, plan, "counts")
    }
}

/// Every key of a store of whole numbers with the sum of its cells.
pub(crate) fn sums(store: &dyn RealtimeReader, plan: &Plan, name: &str) -> BTreeMap<String, u64> {
    let face = plan.store(name).unwrap();
    let mut sums = BTreeMap::new();
    let snapshot = store.snapshot().unwrap();
    snapshot
        .scan(name, &[], &Frontier::default(), &mut |key, cell| {
            let value = face
                .value
                .json(&cell.value)
                .map_err(|e| Error::corrupt(e.to_string()))?;
            *sums.entry(face.key.text(key).unwrap()).or_default() += value.as_u64().unwrap();
            Ok(())
        })
        .unwrap();
    sums
}

/// How often each of the lines occurs.
pub(crate) fn counted<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.to_string()).or_default() += 1;
    }
    counts
}

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Refused, with nothing written: another owner was there.
    Refused,
    /// An error before anything was written.
    Before,
    /// Written, and the answer was lost.
    After,
}

/// A store whose commits fail as told; it counts commits from 0.
pub(crate) struct Faulty {
    inner: MemoryRealtime,
    commits: std::sync::atomic::AtomicU64,
    fault: Box<dyn Fn(u64) -> Fault + Send + Sync>,
}

impl Faulty {
    pub(crate) fn new(inner: MemoryRealtime, fault: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Self {
        Self {
            inner,
            commits: Default::default(),
            fault: Box::new(fault),
        }
    }
}

impl RealtimeReader for Faulty {
    fn snapshot(&self) -> Result<Box<dyn rufous_store_api::Snapshot>> {
        self.inner.snapshot()
    }
}

impl RealtimeStore for Faulty {
    fn acquire(
        &self,
        store: &str,
        p: &rufous_core::SourcePartition,
        repair: &mut dyn FnMut(Option<&rufous_store_api::Progress>) -> Result<rufous_store_api::Repair>,
    ) -> Result<rufous_store_api::Progress> {
        self.inner.acquire(store, p, repair)
    }
    fn commit(&self, commit: &rufous_store_api::Commit<'_>) -> Result<rufous_store_api::Committed> {
        match (self.fault)(self.commits.fetch_add(1, Relaxed)) {
            Fault::None => self.inner.commit(commit),
            Fault::Refused => Ok(rufous_store_api::Committed::Refused {
                partition: commit.advances[0].partition.clone(),
                found: None,
            }),
            Fault::Before => Err(Error::try_again("the connection was lost before the write")),
            Fault::After => {
                self.inner.commit(commit)?;
                Err(Error::try_again("the connection was lost after the write"))
            }
        }
    }
    fn drop_below(&self, p: &rufous_core::SourcePartition, batch: rufous_core::BatchId) -> Result<()> {
        self.inner.drop_below(p, batch)
    }
}

//! The model platform: a job over plain collections, in one thread, without I/O. Unit tests of jobs run here, and the other
//! platforms are compared with it.
//!
//! ```
//! use rufous_core::{Job, Source, Store};
//! use rufous_platform_memory::JobTest;
//!
//! const LINES: Source<str> = Source::new("lines");
//! const COUNTS: Store<String, u64> = Store::new("counts");
//! let counts = LINES.read()
//!     .keyed(|line, out| for word in line.split(' ') { out.emit(word, 1) })
//!     .sum_by_key(COUNTS);
//!
//! let run = Job::new("word-count", counts).test().given(LINES, ["to be or", "not to be"]).run()?;
//! assert_eq!(run.get(COUNTS, "to"), Some(2));
//! assert_eq!(run.get(COUNTS, "a"), None);
//! # Ok::<(), rufous_core::Error>(())
//! ```
#![forbid(unsafe_code)]

use std::any::Any;
use std::borrow::Borrow;
use std::collections::BTreeMap;

use rufous_algebra::Codec;
use rufous_core::{
    Anywhere, AsKey, BatchId, Chunk, ChunkMeta, Data, Error, Executor, Format, Job, Key, KeyOf, Plan, Platform,
    RecordBatch, Result, Runs, Sink, Source, SourceRecord, Store, key,
};

type Feed = Box<dyn Fn(&Plan, u32, &mut Executor) -> Result<()>>;

/// Collections bound to the sources of a job.
#[derive(Default)]
pub struct Memory {
    inputs: BTreeMap<&'static str, Feed>,
}

impl Memory {
    /// With no source bound.
    pub fn new() -> Self {
        Self::default()
    }
    /// Binds a source to records.
    #[must_use]
    pub fn source<T, I>(mut self, port: Source<T>, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        let mut all = <T as Data>::Chunk::default();
        for record in records {
            all.add(record.borrow());
        }
        let feed = move |_: &Plan, source: u32, run: &mut Executor| {
            let mut chunk = <T as Data>::Chunk::default();
            for record in all.iter() {
                chunk.add(record);
                if chunk.len() == 1024 {
                    push(run, source, &mut chunk)?;
                }
            }
            push(run, source, &mut chunk)
        };
        self.inputs.insert(port.name(), Box::new(feed));
        self
    }
    /// Binds a source to raw records, decoded as a log's are. A record that cannot be decoded fails the run.
    #[must_use]
    pub fn raw<T: ?Sized>(mut self, port: Source<T>, format: Format, batches: Vec<RecordBatch>) -> Self {
        let name = port.name();
        let feed = move |plan: &Plan, source: u32, run: &mut Executor| {
            let face = &plan.sources()[source as usize];
            let mut decoder = face.decoder(format)?;
            let (mut times, mut bad) = (Vec::new(), Vec::new());
            for records in &batches {
                decoder.decode(records, &mut times, &mut bad);
                if let Some(bad) = bad.first() {
                    return Err(Error::invalid(format!(
                        "source `{name}`, offset {}: {}",
                        records.entries[bad.entry].offset, bad.reason
                    )));
                }
                run.push(
                    &ChunkMeta {
                        source,
                        partition: records.partition,
                        batch: BatchId(0),
                    },
                    decoder.chunk(0..records.entries.len()),
                )?;
            }
            Ok(())
        };
        self.inputs.insert(name, Box::new(feed));
        self
    }
}

fn push(run: &mut Executor, source: u32, chunk: &mut dyn Any) -> Result<()> {
    run.push(
        &ChunkMeta {
            source,
            partition: 0,
            batch: BatchId(0),
        },
        chunk,
    )
}

impl Platform for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
}

impl Runs<Anywhere> for Memory {
    type Report = Totals;
    fn run(&self, job: &Job) -> Result<Totals> {
        let plan = job.plan()?;
        let bound = || self.inputs.keys().copied().collect::<Vec<_>>().join(", ");
        let mut run = plan.instantiate();
        for (i, face) in plan.sources().iter().enumerate() {
            let feed = self.inputs.get(face.name).ok_or_else(|| {
                Error::invalid(format!(
                    "source `{}` is not bound on memory: add `.source({}, ...)` (bound sources: {})",
                    face.name,
                    face.name.to_uppercase(),
                    bound()
                ))
            })?;
            feed(&plan, i as u32, &mut run)?;
        }
        let mut totals = Totals {
            stores: BTreeMap::new(),
            sinks: BTreeMap::new(),
        };
        for (i, store) in plan.stores().iter().enumerate() {
            let mut sums: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            run.swap(i, None)?.for_each(&mut |delta| {
                let mut sum = Vec::new();
                let before = sums.get(delta.key).map(Vec::as_slice);
                store
                    .value
                    .sum(&mut before.into_iter().chain([delta.value]), &mut sum)
                    .map_err(|e| Error::bug(format!("store `{}`: {e}", store.name)))?;
                sums.insert(delta.key.to_vec(), sum);
                Ok(())
            })?;
            totals.stores.insert(store.name, sums);
        }
        for (i, (sink, _)) in plan.sinks().iter().enumerate() {
            totals.sinks.insert(sink, run.take_written(i)?);
        }
        Ok(totals)
    }
}

/// What a run left in its stores and sinks.
pub struct Totals {
    stores: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>,
    sinks: BTreeMap<&'static str, Box<dyn Any + Send>>,
}

impl Totals {
    /// The value of a key; `None` when no record had it, or the store is not of this job.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn get<K: Key + KeyOf<Q>, V: Codec, Q: AsKey>(&self, store: Store<K, V>, wanted: Q) -> Option<V> {
        let bytes = self.stores.get(store.name())?.get(&key::to_bytes(&wanted))?;
        Some(V::decode(bytes).expect("bytes that were just written"))
    }
    /// Every key and value, in key order.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn all<K: Key, V: Codec>(&self, store: Store<K, V>) -> Vec<(K, V)> {
        let pairs = self.bytes(store.name()).into_iter().flatten();
        pairs
            .map(|(k, v)| {
                (
                    key::decode_all(k).expect("bytes that were just written"),
                    V::decode(v).expect("bytes that were just written"),
                )
            })
            .collect()
    }
    /// Every key and value of a store as canonical bytes: what platforms are compared by.
    pub fn bytes(&self, store: &str) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.stores.get(store)
    }
    /// What was written to a sink, in no particular order.
    pub fn written<T: Clone + 'static>(&self, sink: Sink<T>) -> Vec<T> {
        self.sinks
            .get(sink.name())
            .and_then(|w| w.downcast_ref::<Vec<T>>())
            .cloned()
            .unwrap_or_default()
    }
}

/// `job.test().given(SOURCE, records).run()`: a job over lists.
pub trait JobTest {
    /// Begins a test run.
    fn test(&self) -> TestRun<'_>;
}

impl JobTest for Job {
    fn test(&self) -> TestRun<'_> {
        TestRun {
            job: self,
            memory: Memory::new(),
        }
    }
}

/// A job and the lists it will run over.
#[must_use = "nothing runs before `.run()`"]
pub struct TestRun<'a> {
    job: &'a Job,
    memory: Memory,
}

impl TestRun<'_> {
    /// The records of a source.
    pub fn given<T, I>(self, port: Source<T>, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        Self {
            memory: self.memory.source(port, records),
            ..self
        }
    }
    /// Runs the job.
    ///
    /// # Errors
    /// When a source is not given, or the job is malformed.
    pub fn run(self) -> Result<Totals> {
        self.job.run_on(&self.memory)
    }
}

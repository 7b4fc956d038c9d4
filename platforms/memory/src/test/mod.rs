//! A job over lists: `job.test().given(SOURCE, records).run()`.
//!
//! Time is virtual: the log's clock starts at 2020-01-01 UTC and moves a second with every record, or as the test says.
//! Late records lie behind it, repeated ones are delivered twice and count once. `.every_split()` asks more of a job than
//! `.run()`: that its answers do not depend on how it is run.
//!
//! ```
//! use rufous_core::{Error, Job, Source, Store, TimeBucket, Timestamp};
//! use rufous_platform_memory::JobTest;
//!
//! const LINES: Source<str> = Source::new("lines").timed_by(|line| Timestamp(line[..13].parse().unwrap_or(0)));
//! const HOURLY: Store<(String, TimeBucket), u64> = Store::new("hourly");
//! let words = LINES.read().keyed(|line, out| {
//!     let hour = TimeBucket::hour(Timestamp(line[..13].parse().unwrap_or(0)));
//!     for word in line[13..].split_whitespace() { out.emit((word, hour), 1) }
//! });
//! let job = Job::new("hourly", words.sum_by_key(HOURLY));
//!
//! let run = job.test()
//!     .partitions(LINES, 2)
//!     .given(LINES, ["1600000000000 a b", "1600000001000 a"])
//!     .advance(3_600_000)
//!     .given(LINES, ["1600003600000 b"])
//!     .late(LINES, 7_200_000, ["1600000002000 a"])       // logged an hour late, in the hour that it is of
//!     .again(LINES, 2)                                   // the last two are delivered twice
//!     .every_split()?;
//! assert_eq!(run.get(HOURLY, ("a", TimeBucket::hour(Timestamp(1_600_000_000_000)))), Some(3));
//! # Ok::<(), rufous_core::Error>(())
//! ```

mod compare;
mod layers;
mod split;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use rufous_core::service::Serves;
use rufous_core::{Error, Job, Key, Result, Runs, Service, Sink, Source, SourceRecord, Store, Timestamp};

use crate::memory::Memory;
use crate::totals::Totals;

/// 2020-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_577_836_800_000);

/// A job over lists.
pub trait JobTest<S> {
    /// Begins a test run.
    fn test(&self) -> TestRun<'_, S>;
}

impl<S> JobTest<S> for Job<S> {
    fn test(&self) -> TestRun<'_, S> {
        TestRun {
            job: self,
            memory: Memory::new(),
            script: Script {
                now: START,
                tick_ms: 1_000,
                partitions: BTreeMap::new(),
                again: Vec::new(),
                lens: BTreeMap::new(),
                approximate: BTreeSet::new(),
                sinks: BTreeMap::new(),
                two_types: None,
            },
        }
    }
}

/// A job and the lists it will run over.
#[must_use = "nothing runs before `.run()`"]
pub struct TestRun<'a, S> {
    job: &'a Job<S>,
    memory: Memory,
    script: Script,
}

/// Compares what two runs wrote to a sink, as multisets; says what differs.
type CompareSink = Box<dyn Fn(&Totals, &Totals) -> Option<String>>;

/// How the records came.
struct Script {
    /// The virtual clock.
    now: Timestamp,
    tick_ms: i64,
    partitions: BTreeMap<&'static str, u32>,
    /// After so many records of a source, so many of them come again.
    again: Vec<(&'static str, usize, usize)>,
    lens: BTreeMap<&'static str, usize>,
    approximate: BTreeSet<&'static str>,
    sinks: BTreeMap<&'static str, CompareSink>,
    /// A source that was given records of two types.
    two_types: Option<&'static str>,
}

impl Script {
    fn check(&self) -> Result<()> {
        match self.two_types {
            Some(name) => Err(Error::invalid(format!(
                "source `{name}` is given records of two types: one port, one type"
            ))),
            None => Ok(()),
        }
    }
}

impl<S> TestRun<'_, S> {
    fn log<T: SourceRecord + ?Sized>(&mut self, port: Source<T>, time: Timestamp, record: &T) {
        match self.memory.inputs.log(port) {
            Some(records) => {
                records.log(time, record);
                *self.script.lens.entry(port.name()).or_default() += 1;
            }
            None => self.script.two_types = Some(port.name()),
        }
    }
    fn tick(&mut self) -> Timestamp {
        let now = self.script.now;
        self.script.now = Timestamp(now.0.saturating_add(self.script.tick_ms));
        now
    }
    /// Records of a source, each logged at the clock's time, which then moves by a tick. A second call adds more.
    pub fn given<T, I>(mut self, port: Source<T>, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        self.memory.inputs.log(port);
        for record in records {
            let now = self.tick();
            self.log(port, now, record.borrow());
        }
        self
    }
    /// Records of a source with the log's timestamps. The clock moves to the greatest of them.
    pub fn given_at<T, B>(mut self, port: Source<T>, records: impl IntoIterator<Item = (Timestamp, B)>) -> Self
    where
        T: SourceRecord + ?Sized,
        B: Borrow<T>,
    {
        self.memory.inputs.log(port);
        for (time, record) in records {
            self.script.now = self.script.now.max(time);
            self.log(port, time, record.borrow());
        }
        self
    }
    /// Records that are logged now with timestamps `by_ms` behind the clock: late ones.
    pub fn late<T, I>(mut self, port: Source<T>, by_ms: u64, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        self.memory.inputs.log(port);
        for record in records {
            let now = self.tick();
            let time = Timestamp(now.0.saturating_sub_unsigned(by_ms));
            self.log(port, time, record.borrow());
        }
        self
    }
    /// The last `n` records of a source are delivered a second time, as a log does after a lost session: it is the same
    /// records again, so they count once. Platforms drop them by their positions before any closure sees them, and so does
    /// this model; to count something twice, give it twice.
    pub fn again<T: ?Sized>(mut self, port: Source<T>, n: usize) -> Self {
        let len = self.script.lens.get(port.name()).copied().unwrap_or_default();
        self.script.again.push((port.name(), len, n.min(len)));
        self
    }
    /// Moves the virtual clock.
    pub fn advance(mut self, ms: u64) -> Self {
        self.script.now = Timestamp(self.script.now.0.saturating_add_unsigned(ms));
        self
    }
    /// Sets the virtual clock. Going back makes the records that follow late.
    pub fn clock(mut self, now: Timestamp) -> Self {
        self.script.now = now;
        self
    }
    /// How far the clock moves with a record: 1,000 ms unless said.
    pub fn every(mut self, ms: u32) -> Self {
        self.script.tick_ms = i64::from(ms);
        self
    }
    /// Binds a service.
    pub fn service<K: Key, V: Clone + Send + 'static>(mut self, port: Service<K, V>, to: impl Serves<K, V>) -> Self {
        self.memory.services.bind(port, to);
        self
    }
    /// Deals a source's records to `n` partitions in turn, where one is the rule.
    pub fn partitions<T: ?Sized>(mut self, port: Source<T>, n: u32) -> Self {
        self.script.partitions.insert(port.name(), n.max(1));
        self.memory.inputs.partitions.insert(port.name(), n.max(1));
        self
    }
    /// The same, by a number of each record (modulo `n`): for jobs that say
    /// [`within_partition`](rufous_core::KeyedProducer::within_partition), as a producer deals them by key.
    pub fn partitions_by<T>(mut self, port: Source<T>, n: u32, by: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self
    where
        T: SourceRecord + ?Sized,
    {
        match self.memory.inputs.log(port) {
            Some(records) => records.deal(by),
            None => self.script.two_types = Some(port.name()),
        }
        self.partitions(port, n)
    }
    /// Values of this store are of the approximate tier: another order may give other bytes within the same bounds, so
    /// `every_split` compares its keys alone.
    pub fn approximate<K, V>(mut self, store: Store<K, V>) -> Self {
        self.script.approximate.insert(store.name());
        self
    }
    /// `every_split` compares the records of this sink, as a multiset; of other sinks it compares the number.
    pub fn compare<T: Clone + PartialEq + Debug + 'static>(mut self, sink: Sink<T>) -> Self {
        let compare = move |whole: &Totals, other: &Totals| compare::multiset(whole.written(sink), other.written(sink));
        self.script.sinks.insert(sink.name(), Box::new(compare));
        self
    }
    /// Runs the job whole.
    ///
    /// # Errors
    /// When a source is not given, or the job is malformed.
    pub fn run(self) -> Result<Totals>
    where
        Memory: Runs<S, Report = Totals>,
    {
        self.script.check()?;
        self.job.run_on(&self.memory)
    }
}

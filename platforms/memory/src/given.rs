//! Collections that stand for the sources of a job.

use std::any::Any;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use rufous_core::{
    Chunk, ChunkMeta, Data, Error, Executor, Format, Plan, RecordBatch, Result, Source, SourceRecord, Timestamp,
};

/// Records in a stored chunk.
pub(crate) const CHUNK: usize = 1024;

/// The records of one source.
pub(crate) trait Given: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// What orders a record: its event time, if the source declares one; else the log's.
    fn time(&self, record: usize) -> Option<Timestamp>;
    /// The log's timestamp of a record.
    fn log_time(&self, record: usize) -> Option<Timestamp>;
    /// The event time of a record, if the source declares one.
    fn event_time(&self, record: usize) -> Option<Timestamp>;
    /// The partition that a record is dealt to, where that does not go in turn.
    fn partition(&self, record: usize) -> Option<u64>;
    /// Runs these records through a job, in one chunk.
    fn push_some(&self, records: &[usize], meta: &ChunkMeta, run: &mut Executor) -> Result<()>;
    /// The same for records that stand `times` times each in the input.
    fn push_repeated(&self, records: &[usize], times: NonZeroU64, meta: &ChunkMeta, run: &mut Executor) -> Result<()>;
    /// To add records of the same type.
    fn as_any(&mut self) -> &mut dyn Any;
    /// Runs records `[from, to)` through a job, in one chunk.
    fn push(&self, from: usize, to: usize, meta: &ChunkMeta, run: &mut Executor) -> Result<()>;
}

pub(crate) struct Records<T: Data + ?Sized> {
    port: Source<T>,
    /// Chunks of [`CHUNK`] records; each is read by one thread at a time.
    chunks: Vec<Mutex<T::Chunk>>,
    len: usize,
    /// The log's timestamps, if there are any.
    times: Vec<Timestamp>,
    /// Of raw records the partitions that they came from.
    partitions: Vec<u32>,
    /// Says the partition of a record.
    deal: Option<Box<dyn Fn(&T) -> u64 + Send + Sync>>,
}

impl<T: Data + ?Sized> Records<T> {
    pub(crate) fn new<I: IntoIterator<Item: Borrow<T>>>(port: Source<T>, records: I) -> Self {
        let mut all = Self {
            port,
            chunks: Vec::new(),
            len: 0,
            times: Vec::new(),
            partitions: Vec::new(),
            deal: None,
        };
        for record in records {
            all.add(record.borrow());
        }
        all
    }
    fn add(&mut self, record: &T) {
        self.last_chunk(|chunk| chunk.add(record));
    }
    /// The chunk that has room for one more record.
    fn last_chunk(&mut self, add: impl FnOnce(&mut T::Chunk)) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Mutex::default());
        }
        self.len += 1;
        if let Some(chunk) = self.chunks.last_mut() {
            add(chunk.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
    }
    fn chunk<R>(&self, record: usize, f: impl FnOnce(&T::Chunk) -> R) -> R {
        f(&self.chunks[record / CHUNK]
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: SourceRecord + ?Sized> Records<T> {
    pub(crate) fn at<B: Borrow<T>>(port: Source<T>, records: impl IntoIterator<Item = (Timestamp, B)>) -> Self {
        let mut all = Self::new(port, std::iter::empty::<&T>());
        for (time, record) in records {
            all.log(time, record.borrow());
        }
        all
    }
    /// Deals records to partitions by this number.
    pub(crate) fn deal(&mut self, by: impl Fn(&T) -> u64 + Send + Sync + 'static) {
        self.deal = Some(Box::new(by));
    }
    /// Appends a record that is logged at this time. All records of a source have times, or none has.
    pub(crate) fn log(&mut self, time: Timestamp, record: &T) {
        let offset = self.len as u64;
        self.times.push(time);
        self.last_chunk(|chunk| T::logged(chunk, record, offset, time));
    }
    /// Decodes raw records as a log's are. One that cannot be decoded is an error.
    pub(crate) fn decoded(port: Source<T>, plan: &Plan, format: Format, batches: &[RecordBatch]) -> Result<Self> {
        let name = port.name();
        let mut all = Self::new(port, std::iter::empty::<&T>());
        let face = plan.sources().iter().find(|s| s.name == name);
        let face = face.ok_or_else(|| Error::invalid(format!("the job has no source `{name}`")))?;
        let mut decoder = face.decoder(format)?;
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        for records in batches {
            decoder.decode(records, &mut times, &mut bad);
            if let Some(bad) = bad.first() {
                return Err(Error::invalid(format!(
                    "source `{name}`, offset {}: {}",
                    records.entries[bad.entry].offset, bad.reason
                )));
            }
            let chunk: &mut dyn Any = decoder.chunk(0..records.entries.len());
            let chunk = chunk.downcast_ref::<T::Chunk>();
            let chunk = chunk.ok_or_else(|| Error::bug(format!("source `{name}` decodes another type")))?;
            chunk.iter().for_each(|record| all.add(record));
            all.partitions.resize(all.len, records.partition);
        }
        Ok(all)
    }
}

impl<T: Data + ?Sized> Given for Records<T> {
    fn len(&self) -> usize {
        self.len
    }
    fn time(&self, record: usize) -> Option<Timestamp> {
        self.event_time(record).or_else(|| self.log_time(record))
    }
    fn log_time(&self, record: usize) -> Option<Timestamp> {
        self.times.get(record).copied()
    }
    fn event_time(&self, record: usize) -> Option<Timestamp> {
        self.chunk(record, |chunk| {
            chunk
                .iter_from(record % CHUNK)
                .next()
                .and_then(|r| self.port.time_of(r))
        })
    }
    fn partition(&self, record: usize) -> Option<u64> {
        match &self.deal {
            Some(by) => self.chunk(record, |chunk| chunk.iter_from(record % CHUNK).next().map(by)),
            None => self.partitions.get(record).map(|p| u64::from(*p)),
        }
    }
    fn push_some(&self, records: &[usize], meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        self.push_repeated(records, NonZeroU64::MIN, meta, run)
    }
    fn push_repeated(&self, records: &[usize], times: NonZeroU64, meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        let mut some = T::Chunk::default();
        for &record in records {
            self.chunk(record, |chunk| {
                chunk.iter_from(record % CHUNK).take(1).for_each(|r| some.add(r));
            });
        }
        run.push_repeated(meta, times, &mut some)
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
    fn push(&self, from: usize, to: usize, meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        if from.is_multiple_of(CHUNK) && to == self.len.min(from + CHUNK) {
            return self.chunk(from, |chunk| run.push_shared(meta, chunk));
        }
        self.push_some(&(from..to).collect::<Vec<_>>(), meta, run)
    }
}

/// Makes the records once the plan is known: raw ones need its decoders.
pub(crate) type Make = Box<dyn Fn(&Plan) -> Result<Option<Box<dyn Given>>> + Send + Sync>;

/// What is bound to the sources.
#[derive(Default)]
pub(crate) struct Inputs {
    given: BTreeMap<&'static str, Input>,
    /// How many partitions a source has, where that is said.
    pub(crate) partitions: BTreeMap<&'static str, u32>,
}

enum Input {
    Records(Box<dyn Given>),
    Raw(Make),
}

impl Inputs {
    pub(crate) fn records(&mut self, source: &'static str, given: impl Given + 'static) {
        self.given.insert(source, Input::Records(Box::new(given)));
    }
    /// The records of a source that records were given to before, to add some; new ones else.
    pub(crate) fn log<T: SourceRecord + ?Sized>(&mut self, port: Source<T>) -> Option<&mut Records<T>> {
        let new = || Input::Records(Box::new(Records::<T>::new(port, std::iter::empty::<&T>())));
        match self.given.entry(port.name()).or_insert_with(new) {
            Input::Records(given) => given.as_any().downcast_mut(),
            Input::Raw(_) => None,
        }
    }
    pub(crate) fn raw(&mut self, source: &'static str, make: Make) {
        self.given.insert(source, Input::Raw(make));
    }
    /// The records of every source of the plan, in its order.
    ///
    /// # Errors
    /// When one is not bound, or what is bound has no place.
    pub(crate) fn of<'a>(&'a self, plan: &Plan, platform: &str) -> Result<Vec<Bound<'a>>> {
        if let Some(name) = self
            .given
            .keys()
            .find(|name| plan.sources().iter().all(|s| s.name != **name))
        {
            return Err(Error::invalid(format!(
                "job `{}` has no source `{name}` (it has: {})",
                plan.job(),
                plan.sources().iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
            )));
        }
        let mut all = Vec::new();
        for face in plan.sources() {
            all.push(match self.given.get(face.name) {
                Some(Input::Records(given)) => Bound::Kept(&**given),
                Some(Input::Raw(make)) => match make(plan)? {
                    Some(given) => Bound::Made(given),
                    None => return Err(Error::bug(format!("source `{}` could not be made", face.name))),
                },
                None => {
                    let bound = self.given.keys().copied().collect::<Vec<_>>().join(", ");
                    return Err(Error::invalid(format!(
                        "source `{}` is not bound on {platform}: add `.source({}, ...)` (bound sources: {})",
                        face.name,
                        face.name.to_uppercase().replace('-', "_"),
                        if bound.is_empty() { "none" } else { &bound }
                    )));
                }
            });
        }
        Ok(all)
    }
}

impl Inputs {
    /// The partition of every record of a source.
    pub(crate) fn dealt(&self, source: &str, given: &Bound<'_>) -> Vec<u32> {
        let n = self.partitions.get(source).copied();
        let partition = |i: usize| match (given.partition(i), n) {
            (Some(by), Some(n)) => (by % u64::from(n.max(1))) as u32,
            (Some(raw), None) => raw as u32,
            (None, n) => (i % n.unwrap_or(1).max(1) as usize) as u32,
        };
        (0..given.len()).map(partition).collect()
    }
}

/// The records of a source, for one run.
pub(crate) enum Bound<'a> {
    Kept(&'a dyn Given),
    Made(Box<dyn Given>),
}

impl Bound<'_> {
    fn given(&self) -> &dyn Given {
        match self {
            Self::Kept(given) => *given,
            Self::Made(given) => &**given,
        }
    }
    pub(crate) fn len(&self) -> usize {
        self.given().len()
    }
    pub(crate) fn time(&self, record: usize) -> Option<Timestamp> {
        self.given().time(record)
    }
    pub(crate) fn log_time(&self, record: usize) -> Option<Timestamp> {
        self.given().log_time(record)
    }
    pub(crate) fn event_time(&self, record: usize) -> Option<Timestamp> {
        self.given().event_time(record)
    }
    pub(crate) fn partition(&self, record: usize) -> Option<u64> {
        self.given().partition(record)
    }
    pub(crate) fn push_some(&self, records: &[usize], meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        self.given().push_some(records, meta, run)
    }
    pub(crate) fn push_repeated(
        &self,
        records: &[usize],
        times: NonZeroU64,
        meta: &ChunkMeta,
        run: &mut Executor,
    ) -> Result<()> {
        self.given().push_repeated(records, times, meta, run)
    }
    pub(crate) fn push(&self, from: usize, to: usize, meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        self.given().push(from, to, meta, run)
    }
}

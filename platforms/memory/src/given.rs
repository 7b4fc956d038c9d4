//! Collections that stand for the sources of a job.

use std::any::Any;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use rufous_core::{
    BatchId, Chunk, ChunkMeta, Clock, Data, Error, Executor, Format, Plan, RecordBatch, Result, RunningBatch, Source,
    SourceFace, SourceRecord, Timestamp,
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
    /// Partition, offset and log time of a record that was decoded, as its log has them.
    fn raw(&self, record: usize) -> Option<(u32, u64, Option<Timestamp>)>;
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
    /// Of decoded records: partition, offset and log time.
    raw: Vec<(u32, u64, Option<Timestamp>)>,
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
            raw: Vec::new(),
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
            let entries = records.entries.iter().filter(|e| !e.heartbeat);
            all.raw.extend(entries.map(|e| (records.partition, e.offset, e.time())));
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
            None => self.raw.get(record).map(|(p, ..)| u64::from(*p)),
        }
    }
    fn raw(&self, record: usize) -> Option<(u32, u64, Option<Timestamp>)> {
        self.raw.get(record).copied()
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
    /// How many partitions the records of a source are dealt to in turn, where it is not one.
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
            let held = match self.given.get(face.name) {
                Some(Input::Records(given)) => Held::Kept(&**given),
                Some(Input::Raw(make)) => match make(plan)? {
                    Some(given) => Held::Made(given),
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
            };
            let mut bound = Bound {
                held,
                places: Vec::new(),
            };
            if plan.traces(all.len()) {
                let partitions = self.partitions.get(face.name).copied().unwrap_or(1);
                bound.places = places(face, bound.given(), partitions);
            }
            all.push(bound);
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

enum Held<'a> {
    Kept(&'a dyn Given),
    Made(Box<dyn Given>),
}

/// The records of a source, for one run.
pub(crate) struct Bound<'a> {
    held: Held<'a>,
    /// Where each record stands in its log; empty unless a step asks.
    places: Vec<Place>,
}

/// Where a record stands in a log.
#[derive(Clone, Copy)]
struct Place {
    partition: u32,
    batch: BatchId,
    offset: u64,
    time: Option<Timestamp>,
}

/// The records as a log of so many partitions has them, cut into batches (P1).
fn places(face: &SourceFace, given: &dyn Given, partitions: u32) -> Vec<Place> {
    let partitions = partitions as usize;
    let place = |record: usize| {
        let dealt = || match given.partition(record) {
            // Offsets have gaps then, as those of logs have.
            Some(by) => ((by % partitions as u64) as u32, record as u64),
            None => ((record % partitions) as u32, (record / partitions) as u64),
        };
        given.raw(record).unwrap_or_else(|| {
            let (partition, offset) = dealt();
            (partition, offset, given.log_time(record))
        })
    };
    let spec = face.cut_spec((0..given.len()).any(|record| place(record).2.is_some()));
    let mut running = BTreeMap::new();
    let one = |record: usize| {
        let (partition, offset, log_time) = place(record);
        let event_time = given.event_time(record);
        let clock = match spec.clock {
            Clock::Log => log_time,
            Clock::Event => event_time,
        };
        let running = running.entry(partition).or_insert(RunningBatch::at(BatchId::MIN));
        Place {
            partition,
            batch: running.advance(&spec, clock, offset).0,
            offset,
            time: event_time.or(log_time),
        }
    };
    (0..given.len()).map(one).collect()
}

impl Bound<'_> {
    fn given(&self) -> &dyn Given {
        match &self.held {
            Held::Kept(given) => *given,
            Held::Made(given) => &**given,
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
    /// The log's timestamp of a record, as given or as its log has it.
    pub(crate) fn logged(&self, record: usize) -> Option<Timestamp> {
        self.log_time(record).or_else(|| self.given().raw(record)?.2)
    }
    pub(crate) fn event_time(&self, record: usize) -> Option<Timestamp> {
        self.given().event_time(record)
    }
    pub(crate) fn partition(&self, record: usize) -> Option<u64> {
        self.given().partition(record)
    }
    pub(crate) fn push_some(&self, records: &[usize], meta: &ChunkMeta, run: &mut Executor) -> Result<()> {
        let given = self.given();
        let place = |record: &usize| self.places.get(*record);
        let same = |a: &usize, b: &usize| {
            let lane = |record| place(record).map(|p| (p.partition, p.batch));
            lane(a) == lane(b)
        };
        for some in records.chunk_by(same) {
            if let (Some(origins), Some(first)) = (run.origins(meta.source), some.first().and_then(place)) {
                origins.begin(first.partition, first.batch);
                some.iter()
                    .filter_map(place)
                    .for_each(|p| origins.add(p.time, p.offset));
            }
            given.push_some(some, meta, run)?;
        }
        Ok(())
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
        if self.places.is_empty() {
            return self.given().push(from, to, meta, run);
        }
        self.push_some(&(from..to).collect::<Vec<_>>(), meta, run)
    }
}

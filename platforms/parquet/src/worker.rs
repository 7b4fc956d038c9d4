//! One thread of a bulk run: its own steps and combining maps, and what becomes of records that panic.
//!
//! After a panic of the job's code the maps hold half of something. They are dropped, and the pieces that were summed into
//! them are read again: first with the records of the piece that panicked tried one by one, then with all of them, at last
//! with each added to itself. What panics there is a bad record, under the policy for bad records; the live engine judges by
//! the same trial. What was summed without a panic is then taken out of the maps, so that the next panic costs little.

mod flowed;
mod windowed;
mod written;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rufous_core::panics::{Panicked, catch};
use rufous_core::{
    BadRecord, BatchId, ChunkMeta, ColumnBatch, Error, Executor, Format, Origins, RecordBatch, Result, SourceDecoder,
    Timestamp, Trial,
};

use rufous_store_api::asked::Asker;

use crate::columns::FileReader;
use crate::sums::{List, Sorted, SpillWriter};
use crate::work::{Piece, Work};
use flowed::Flowed;
use written::Written;

/// How records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// As fast as it goes.
    None,
    /// Each record is tried alone before.
    Alone,
    /// And added to itself.
    Twice,
}

type Decoders = Vec<Option<(Format, Box<dyn SourceDecoder>)>>;

pub(crate) struct Worker<'a> {
    work: &'a Work<'a>,
    executor: Executor,
    /// What was written to the sinks of the generation, in the plan's order.
    written: Vec<Written>,
    /// Where operators ask for their state.
    asker: Option<Asker>,
    decoders: Decoders,
    /// Decoders for trials.
    second: Decoders,
    /// Once something panicked.
    trial: Option<Trial<'a>>,
    /// Per store the sums that were taken out, in that order; then per sink of the generation what was written.
    sums: Vec<Vec<List>>,
    /// The same of pieces that are not at their end: these sums are only good together with what the maps hold.
    pending: Vec<Vec<List>>,
    /// The domain that the maps are of, where keys stay in one.
    domain: Option<u32>,
    /// Bytes of sums in memory.
    kept: usize,
    /// Pieces that are in the maps.
    mine: Vec<usize>,
    /// What they held.
    records: u64,
    bad: u64,
    outside: u64,
    /// What was told of them.
    flowed: Flowed,
    /// Where the job's order stood before them.
    latest: Option<Timestamp>,
    /// The footer of the Parquet file that was read last.
    footer: Option<Arc<FileReader>>,
    /// Space for the times of a chunk.
    times: Vec<Option<Timestamp>>,
}

/// A running instance that knows where its state is. It forgets nothing: what it was given is in no store yet.
fn executor(work: &Work<'_>, asker: Option<&Asker>) -> Executor {
    let mut executor = work.plan.instantiate();
    // O22: the live part writes these.
    work.plan.live_sinks().for_each(|(sink, _)| executor.mute_write(sink));
    if let Some(asker) = asker {
        executor.remember(asker.state(), None);
    }
    executor
}

/// Whether an operator reads the store, so that each of its keys is in one domain.
fn is_state(work: &Work<'_>, store: usize) -> bool {
    work.plan.operators().iter().any(|o| o.store == store)
}

fn written(work: &Work<'_>) -> Vec<Written> {
    let sinks = work.plan.bulk_sinks().iter();
    sinks
        .map(|(i, sink)| Written::new(*i, sink.name, sink.encode))
        .collect()
}

fn none(work: &Work<'_>) -> Decoders {
    work.plan.sources().iter().map(|_| None).collect()
}

impl<'a> Worker<'a> {
    pub(crate) fn new(work: &'a Work<'a>, asker: Option<Asker>) -> Self {
        Self {
            work,
            executor: executor(work, asker.as_ref()),
            written: written(work),
            asker,
            decoders: none(work),
            second: none(work),
            trial: None,
            sums: work.lists(),
            pending: work.lists(),
            domain: None,
            kept: 0,
            mine: Vec::new(),
            records: 0,
            bad: 0,
            outside: 0,
            flowed: Flowed::default(),
            latest: None,
            footer: None,
            times: Vec::new(),
        }
    }

    /// Takes pieces until there are none.
    pub(crate) fn run(mut self) -> Result<Vec<Vec<List>>> {
        let done = self.pieces();
        if done.is_err() {
            // Nobody needs what the others would still read.
            self.work.taken.store(usize::MAX / 2, Relaxed);
        }
        done.map(|()| self.sums)
    }

    fn pieces(&mut self) -> Result<()> {
        loop {
            let i = self.work.taken.fetch_add(1, Relaxed);
            if self.work.pieces.get(i).is_none() {
                break;
            }
            self.mine.push(i);
            match catch(|| self.piece(i, self.work.care)) {
                Ok(done) => done?,
                Err(panicked) => self.again(&panicked, Some(i))?,
            }
            // Here what the maps hold is whole; in the middle of a piece it is not.
            if self.asker.is_some()
                || self.pending.iter().any(|lists| !lists.is_empty())
                || self.is_full(self.work.share / 2)
            {
                match catch(|| self.take()) {
                    Ok(done) => done?,
                    Err(panicked) => self.again(&panicked, None)?,
                }
            }
        }
        match catch(|| self.take()) {
            Ok(done) => done,
            Err(panicked) => self.again(&panicked, None),
        }
    }

    /// Whether sums, or what was written, should go out.
    fn is_full(&mut self, share: usize) -> bool {
        self.executor.is_full(share) || self.written_bytes() > share
    }

    fn written_bytes(&self) -> usize {
        self.written.iter().map(Written::bytes).sum()
    }

    /// Takes what became of a chunk of this source and partition.
    fn keep_written(&mut self, source: u32, partition: u32) -> Result<()> {
        if self.written.is_empty() || self.executor.written() == 0 {
            return Ok(());
        }
        let name = self
            .work
            .plan
            .sources()
            .get(source as usize)
            .map_or("", |face| face.name);
        for written in &mut self.written {
            let chunk = self.executor.take_identified(written.sink)?;
            written.add(&chunk, name, partition)?;
        }
        Ok(())
    }

    /// The maps are full: their sums go to files.
    #[cold]
    fn spill(&mut self) -> Result<()> {
        let deltas = self.executor.take(Vec::new())?;
        for (store, (lists, deltas)) in self.pending.iter_mut().zip(deltas).enumerate() {
            if !deltas.is_empty() {
                let mut file = SpillWriter::of(&self.work.dir, &*deltas)?;
                file.domain = self.domain.filter(|_| is_state(self.work, store));
                self.work.progress.spilled.fetch_add(file.bytes(), Relaxed);
                lists.push(List::File(file));
            }
        }
        let lists = self.pending.iter_mut().skip(self.work.plan.stores().len());
        for (lists, written) in lists.zip(&mut self.written).filter(|(_, written)| !written.is_empty()) {
            let file = written.spilled(&self.work.dir)?;
            self.work.progress.spilled.fetch_add(file.bytes(), Relaxed);
            lists.push(List::File(file));
        }
        Ok(())
    }

    /// The sums of the pieces in the maps are whole.
    fn take(&mut self) -> Result<()> {
        // As long as all that was taken is not more than the maps may hold, it has a place in memory.
        let waiting = self.executor.bytes().saturating_add(self.written_bytes());
        if self.kept.saturating_add(waiting) > self.work.share {
            self.spill()?;
        }
        let deltas = self.executor.take(Vec::new())?;
        if !self.written.is_empty() && self.executor.written() > 0 {
            return Err(Error::bug("something was written to a sink by no record"));
        }
        for (store, (lists, deltas)) in self.pending.iter_mut().zip(deltas).enumerate() {
            if !deltas.is_empty() {
                let mut sorted = Sorted::of(&*deltas)?;
                sorted.domain = self.domain.filter(|_| is_state(self.work, store));
                self.kept += sorted.bytes();
                lists.push(List::Memory(sorted));
            }
        }
        let lists = self.pending.iter_mut().skip(self.work.plan.stores().len());
        for (lists, written) in lists.zip(&mut self.written).filter(|(_, written)| !written.is_empty()) {
            let sorted = written.sorted();
            self.kept += sorted.bytes();
            lists.push(List::Memory(sorted));
        }
        for (sums, pending) in self.sums.iter_mut().zip(&mut self.pending) {
            sums.append(pending);
        }
        self.mine.clear();
        if self.asker.is_some() {
            // No key of a partition comes again.
            self.executor.forget(None);
            self.domain = None;
        }
        self.flowed.passed(self.work.progress, self.executor.passed());
        self.flowed.settle();
        self.work.records.fetch_add(std::mem::take(&mut self.records), Relaxed);
        self.work.bad.fetch_add(std::mem::take(&mut self.bad), Relaxed);
        self.work.outside.fetch_add(std::mem::take(&mut self.outside), Relaxed);
        self.latest = *self.work.latest.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    /// Reads the pieces in the maps again; `at` panicked.
    #[cold]
    fn again(&mut self, panicked: &Panicked, at: Option<usize>) -> Result<()> {
        tracing::warn!(
            "{panicked}; {} pieces of the input are read again, record by record",
            self.mine.len()
        );
        let mut last = panicked.clone();
        let attempts = at
            .map(|i| (Some(i), Care::Alone))
            .into_iter()
            .chain([(None, Care::Alone), (None, Care::Twice)]);
        for (only, care) in attempts {
            let broken = std::mem::replace(&mut self.executor, executor(self.work, self.asker.as_ref()));
            // What it holds is foreign, and may panic again while it is dropped.
            drop(catch(|| drop(broken)));
            (self.decoders, self.second) = (none(self.work), none(self.work));
            self.pending = self.work.lists();
            self.written = written(self.work);
            (self.records, self.bad, self.outside) = (0, 0, 0);
            self.flowed.take_back(self.work.progress);
            if self.work.plan.in_order() {
                // Such a run has one thread.
                *self.work.latest.lock().unwrap_or_else(PoisonError::into_inner) = self.latest;
            }
            let outcome = catch(|| {
                for i in self.mine.clone() {
                    let careful = only.is_none_or(|only| only == i);
                    self.piece(i, if careful { care } else { self.work.care })?;
                }
                self.take()
            });
            match outcome {
                Ok(done) => return done,
                Err(panicked) => last = panicked,
            }
        }
        Err(nobody(self.work.plan.job(), &last))
    }

    fn piece(&mut self, i: usize, care: Care) -> Result<()> {
        let work = self.work;
        match work.pieces.get(i) {
            Some(Piece::Ordered(pieces)) => pieces.iter().try_for_each(|piece| self.one(piece, care)),
            Some(Piece::Joint { domain, members }) => self.joint(*domain, members, care),
            Some(piece) => self.one(piece, care),
            None => Ok(()),
        }
    }

    fn one(&mut self, piece: &Piece, care: Care) -> Result<()> {
        match piece {
            Piece::Ordered(_) | Piece::Joint { .. } => {
                Err(Error::bug("what must be read in order holds no such thing again"))
            }
            Piece::Archived {
                source,
                partition,
                format,
                archive,
                file,
            } => archive.read(*partition, file, &mut |records| {
                let chunk = self.decode(*source, *format, Given::Records(records), care)?;
                let place = |i: usize| {
                    let offset = records.entries.get(i).map_or(records.next, |e| e.offset);
                    format!(
                        "source `{}`, partition {partition}, offset {offset} (archive file {})",
                        archive.source(),
                        file.path
                    )
                };
                self.count(*source, records.entries.len(), NonZeroU64::MIN, &chunk.bad, place)?;
                let mut meta = meta(*source);
                if self.asker.is_some() {
                    meta.partition = *partition;
                    self.of_domain(*partition);
                }
                let from = Place::Log(records, *partition, file.batch);
                self.push(chunk, &meta, NonZeroU64::MIN, from)
            }),
            Piece::RowGroup {
                source,
                partition,
                file,
                group,
            } => {
                // It stays for the next row group, which is mostly of the same file.
                let reader = self.footer.insert(file.reader()?).clone();
                self.row_group((*source, *partition), &reader, *group, care)
            }
            Piece::Lines { source, file, piece } => file.read(piece, &mut |lines| {
                let chunk = self.decode(*source, file.format(), Given::Records(lines.batch), care)?;
                let from = Place::Log(lines.batch, lines.batch.partition, BatchId::MAX);
                self.bounded(chunk, &meta(*source), from, |i| lines.place(i))
            }),
        }
    }

    fn row_group(
        &mut self,
        (source, partition): (u32, u32),
        reader: &FileReader,
        group: usize,
        care: Care,
    ) -> Result<()> {
        // Columns need no format; the decoder of structs is asked for under the name of theirs.
        let format = Format::JsonLines;
        if let Some(window) = &self.work.window {
            return self.row_group_within((source, partition), reader, group, window, care);
        }
        if self.work.plan.may_repeat(source as usize) && reader.repeats(group) {
            return reader.read_repeated(group, &mut |columns, n| {
                let chunk = self.decode(source, format, Given::Columns(columns), care)?;
                let place = |_| format!("{}, row group {group}, a value of {n} or more rows", reader.name());
                self.count(source, columns.rows, n, &chunk.bad, place)?;
                // Of such a source no step asks.
                self.push(chunk, &meta(source), n, Place::Rows(partition, &|_| 0))
            });
        }
        let mut row = 0;
        reader.read_row_group(group, &mut |columns| {
            let chunk = self.decode(source, format, Given::Columns(columns), care)?;
            let place = |i: usize| format!("{}, row group {group}, row {}", reader.name(), row + i);
            let from = Place::Rows(partition, &|i| row_of(group, (row + i) as u64));
            self.bounded(chunk, &meta(source), from, place)?;
            row += columns.rows;
            Ok(())
        })
    }

    /// Counts and sums records of a bounded input, of which each stands there once.
    fn bounded(
        &mut self,
        mut chunk: Decoded,
        meta: &ChunkMeta,
        from: Place<'_>,
        place: impl Fn(usize) -> String,
    ) -> Result<()> {
        self.count(meta.source, chunk.len, NonZeroU64::MIN, &chunk.bad, &place)?;
        if let Some(window) = &self.work.window {
            self.outside += chunk.leave_out(window);
        }
        if self.work.plan.in_order() {
            match &self.work.window {
                Some(window) => {
                    let inside = chunk.times.iter().map(|time| time.filter(|t| window.contains(*t)));
                    self.work.in_order(&inside.collect::<Vec<_>>(), &place)?;
                }
                None => self.work.in_order(&chunk.times, &place)?,
            }
            chunk.one_by_one = true;
        }
        self.push(chunk, meta, NonZeroU64::MIN, from)
    }

    fn decode(&mut self, source: u32, format: Format, given: Given<'_>, care: Care) -> Result<Decoded> {
        self.decode_at(source as usize, source, format, given, care)
    }

    /// The same by a decoder of one's own, where several chunks of a source are held at a time.
    pub(crate) fn decode_at(
        &mut self,
        slot: usize,
        source: u32,
        format: Format,
        given: Given<'_>,
        care: Care,
    ) -> Result<Decoded> {
        let mut chunk = Decoded {
            slot,
            len: given.len(),
            times: std::mem::take(&mut self.times),
            bad: Vec::new(),
            poison: Vec::new(),
            one_by_one: self.work.plan.one_by_one(),
        };
        let decoder = decoder(self.work, &mut self.decoders, slot, source, format)?;
        given.decode(decoder, &mut chunk.times, &mut chunk.bad)?;
        if care != Care::None {
            let decoder = self::decoder(self.work, &mut self.second, source as usize, source, format)?;
            let (mut times, mut bad) = (Vec::new(), Vec::new());
            given.decode(decoder, &mut times, &mut bad)?;
            let trial = self.trial.get_or_insert_with(|| {
                let sinks = self.work.plan.bulk_sinks().iter();
                Trial::new(self.work.plan).encoding(sinks.map(|(i, sink)| (*i, sink.encode)).collect())
            });
            let window = self.work.window.as_ref();
            for entry in 0..chunk.len {
                // What lies outside is not summed, whatever it would do.
                let time = chunk.times.get(entry).copied().flatten();
                if window.is_some_and(|window| !time.is_some_and(|t| window.contains(t))) {
                    continue;
                }
                if let Some(origins) = trial.origins(source) {
                    let from = match given {
                        Given::Records(records) => Place::Log(records, records.partition, BatchId::MAX),
                        Given::Columns(_) => Place::Rows(0, &|i| i as u64),
                    };
                    from.say(&times, &bad, entry..entry + 1, origins);
                }
                let one = decoder.chunk(entry..entry + 1);
                if let Some(panicked) = trial.record(source, one, care == Care::Twice) {
                    chunk.poison.push(entry);
                    chunk.bad.push(BadRecord {
                        entry,
                        reason: panicked.to_string(),
                    });
                }
            }
            chunk.bad.sort_by_key(|b| b.entry);
        }
        Ok(chunk)
    }

    /// The domain of the keys that follow (O1).
    pub(crate) fn of_domain(&mut self, domain: u32) {
        self.domain = Some(domain);
    }
    /// The first place for decoders of one's own.
    pub(crate) fn spare_slot(&self) -> usize {
        self.work.plan.sources().len()
    }
    /// Those are not needed any more.
    pub(crate) fn drop_spare(&mut self) {
        self.decoders.truncate(self.spare_slot());
    }

    /// Runs the good ones through the steps.
    fn push(&mut self, mut chunk: Decoded, meta: &ChunkMeta, times: NonZeroU64, from: Place<'_>) -> Result<()> {
        let all = 0..chunk.len;
        self.push_some(&mut chunk, all, meta, times, from)?;
        self.times = chunk.times;
        Ok(())
    }

    /// The same of a part of them.
    pub(crate) fn push_some(
        &mut self,
        chunk: &mut Decoded,
        range: Range<usize>,
        meta: &ChunkMeta,
        times: NonZeroU64,
        from: Place<'_>,
    ) -> Result<()> {
        chunk.push(range, &mut self.executor, meta, times, from, &mut self.decoders)?;
        self.keep_written(meta.source, from.partition())?;
        if self.asker.is_some() && self.executor.remembered() > self.work.share {
            return Err(Error::invalid(format!(
                "job `{}`: the keys that its operators remember of a domain take more than {} MiB: give the run more \
                 memory (`--memory`) or fewer threads (`--threads`); nothing is published",
                self.work.plan.job(),
                self.work.share >> 20
            )));
        }
        if self.is_full(self.work.share) {
            self.spill()?;
        }
        Ok(())
    }

    /// Waits where a rate is kept, and stops when it was told to.
    fn breathe(&self, rows: u64) -> Result<()> {
        let work = self.work;
        let mut wait = work.pace.wait(rows).unwrap_or_default();
        loop {
            if work.stop.load(Relaxed) {
                return Err(Error::closed(format!(
                    "job `{}`: the run was stopped: nothing of it is published",
                    work.plan.job()
                )));
            }
            if wait.is_zero() {
                return Ok(());
            }
            let nap = wait.min(Duration::from_millis(50));
            std::thread::sleep(nap);
            wait -= nap;
        }
    }

    /// Counts records, each of which stands `times` times in the input.
    pub(crate) fn count(
        &mut self,
        source: u32,
        records: usize,
        times: NonZeroU64,
        bad: &[BadRecord],
        place: impl Fn(usize) -> String,
    ) -> Result<()> {
        let rows = records as u64 * times.get();
        self.records += rows;
        self.flowed.passed(self.work.progress, self.executor.passed());
        self.flowed
            .read(self.work.progress, source, rows, bad.len() as u64 * times.get());
        self.breathe(rows)?;
        let Some(first) = bad.first() else { return Ok(()) };
        if self.work.skip_bad.get(source as usize) != Some(&true) {
            return Err(Error::invalid(format!(
                "{}: {}; mend the record or the function, or run with `--on-bad-record skip` to count it and go on",
                place(first.entry),
                first.reason
            )));
        }
        self.bad += bad.len() as u64 * times.get();
        tracing::warn!(
            "{}: {} (skipped, {} of this chunk)",
            place(first.entry),
            first.reason,
            bad.len()
        );
        Ok(())
    }
}

/// A generation is one sum over all partitions and batches: one lane combines most.
fn meta(source: u32) -> ChunkMeta {
    ChunkMeta {
        source,
        partition: 0,
        batch: BatchId(0),
    }
}

/// The error for a panic that no single record repeats.
pub(crate) fn nobody(job: &str, panicked: &Panicked) -> Error {
    Error::invalid(format!(
        "job `{job}`: {panicked}; no single record panics when it is tried alone or added to itself, so none can be named or \
         skipped: the function is not pure, or it panics for some sums of values (both break what a job must promise); mend \
         it and run again"
    ))
}

fn decoder<'d>(
    work: &Work<'_>,
    decoders: &'d mut Decoders,
    slot: usize,
    source: u32,
    format: Format,
) -> Result<&'d mut dyn SourceDecoder> {
    if slot >= decoders.len() {
        decoders.resize_with(slot + 1, || None);
    }
    let (Some(slot), Some(face)) = (decoders.get_mut(slot), work.plan.sources().get(source as usize)) else {
        return Err(Error::bug(format!("there is no source number {source}")));
    };
    if slot.as_ref().is_none_or(|(f, _)| *f != format) {
        *slot = Some((format, face.decoder(format)?));
    }
    match slot {
        Some((_, decoder)) => Ok(&mut **decoder),
        None => Err(Error::bug("a decoder that was just made is gone")),
    }
}

/// What a decoder is given.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Records(&'a RecordBatch),
    Columns(&'a ColumnBatch),
}

impl Given<'_> {
    fn len(self) -> usize {
        match self {
            Self::Records(records) => records.entries.len(),
            Self::Columns(columns) => columns.rows,
        }
    }
    fn decode(
        self,
        decoder: &mut dyn SourceDecoder,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()> {
        match self {
            Self::Records(records) => {
                decoder.decode(records, times, bad);
                Ok(())
            }
            Self::Columns(columns) => decoder.decode_columns(columns, times, bad),
        }
    }
}

/// Where records come from, for steps that ask.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A log, or a file of lines: partition and batch of all of them.
    Log(&'a RecordBatch, u32, BatchId),
    /// Columns: the number of their file, and what row `i` of them is in it.
    Rows(u32, &'a dyn Fn(usize) -> u64),
}

impl Place<'_> {
    fn partition(self) -> u32 {
        match self {
            Self::Log(_, partition, _) | Self::Rows(partition, _) => partition,
        }
    }

    fn say(self, times: &[Option<Timestamp>], bad: &[BadRecord], range: Range<usize>, origins: &mut Origins) {
        match self {
            Self::Log(records, partition, batch) => {
                origins.begin(partition, batch);
                origins.entries(records, times, bad, range);
            }
            Self::Rows(_, row) => {
                origins.begin(0, BatchId::MAX);
                origins.rows(row, times, bad, range);
            }
        }
    }
}

/// A row of a row group as one number.
fn row_of(group: usize, row: u64) -> u64 {
    (group as u64) << 32 | row
}

/// Records that wait in their source's decoder.
pub(crate) struct Decoded {
    /// The place of the decoder.
    slot: usize,
    len: usize,
    pub(crate) times: Vec<Option<Timestamp>>,
    pub(crate) bad: Vec<BadRecord>,
    /// Those that were decoded and do not count: of the bad ones, and those outside the run's window. Ascending.
    poison: Vec<usize>,
    one_by_one: bool,
}

impl Decoded {
    fn push(
        &mut self,
        range: Range<usize>,
        executor: &mut Executor,
        meta: &ChunkMeta,
        times: NonZeroU64,
        from: Place<'_>,
        decoders: &mut Decoders,
    ) -> Result<()> {
        let Some(Some((_, decoder))) = decoders.get_mut(self.slot) else {
            return Err(Error::bug("a chunk without a decoder"));
        };
        let mut push = |range: Range<usize>| {
            if let Some(origins) = executor.origins(meta.source) {
                from.say(&self.times, &self.bad, range.clone(), origins);
            }
            executor.push_repeated(meta, times, decoder.chunk(range))
        };
        if self.one_by_one {
            let good = { range }.filter(|i| self.poison.binary_search(i).is_err());
            return { good }.try_for_each(|i| push(i..i + 1));
        }
        let mut from = range.start;
        for &out in self.poison.iter().filter(|out| range.contains(out)) {
            if from < out {
                push(from..out)?;
            }
            from = out + 1;
        }
        push(from..range.end)
    }
}

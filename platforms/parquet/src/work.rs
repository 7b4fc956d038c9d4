//! Pieces of input, taken by several threads from one list; each thread has its own steps and combining maps.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rufous_core::{BadRecord, BatchId, ChunkMeta, Error, Executor, Format, Plan, Result, SourceDecoder, Timestamp};
use rufous_store_api::{Archive, ArchivedFile};

use crate::columns::FileReader;
use crate::merge::Sorted;

/// One piece: a file of the archive, or a row group of a Parquet file.
pub(crate) enum Piece {
    Archived {
        source: u32,
        partition: u32,
        format: Format,
        archive: Arc<dyn Archive>,
        file: ArchivedFile,
    },
    RowGroup {
        source: u32,
        path: PathBuf,
        reader: Arc<FileReader>,
        group: usize,
    },
}

/// What all threads share.
pub(crate) struct Work<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) pieces: Vec<Piece>,
    /// Per source whether records that cannot be read are skipped.
    pub(crate) skip_bad: Vec<bool>,
    pub(crate) taken: AtomicUsize,
    /// The event time of the last record, for a job in order.
    pub(crate) latest: Mutex<Option<Timestamp>>,
    pub(crate) records: AtomicU64,
    pub(crate) bad: AtomicU64,
}

impl Work<'_> {
    /// Reads everything with `threads` threads; returns each thread's sums, one list a store.
    pub(crate) fn run(&self, threads: usize) -> Result<Vec<Vec<Sorted>>> {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.clamp(1, self.pieces.len().max(1)))
                .map(|_| scope.spawn(|| self.worker()))
                .collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|_| Err(Error::bug("a batch thread panicked"))))
                .collect()
        })
    }

    fn worker(&self) -> Result<Vec<Sorted>> {
        let mut executor = self.plan.instantiate();
        let mut decoders: Vec<Option<(Format, Box<dyn SourceDecoder>)>> =
            self.plan.sources().iter().map(|_| None).collect();
        loop {
            let i = self.taken.fetch_add(1, Relaxed);
            let Some(piece) = self.pieces.get(i) else { break };
            let (source, format) = match piece {
                Piece::Archived { source, format, .. } => (*source, *format),
                // Columns need no format; the decoder of structs is asked for under the name of theirs.
                Piece::RowGroup { source, .. } => (*source, Format::JsonLines),
            };
            let slot = &mut decoders[source as usize];
            if slot.as_ref().is_none_or(|(f, _)| *f != format) {
                *slot = Some((format, self.plan.sources()[source as usize].decoder(format)?));
            }
            if let Some((_, decoder)) = slot {
                self.piece(piece, source, &mut **decoder, &mut executor)
                    .inspect_err(|_| {
                        // Nobody needs what the others would still read.
                        self.taken.store(usize::MAX / 2, Relaxed);
                    })?;
            }
        }
        let deltas = executor.take(Vec::new())?;
        deltas.iter().map(|d| Sorted::of(&**d)).collect()
    }

    fn piece(
        &self,
        piece: &Piece,
        source: u32,
        decoder: &mut dyn SourceDecoder,
        executor: &mut Executor,
    ) -> Result<()> {
        // A generation is one sum over all partitions and batches: one lane combines most.
        let meta = ChunkMeta {
            source,
            partition: 0,
            batch: BatchId(0),
        };
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        match piece {
            Piece::Archived {
                partition,
                archive,
                file,
                ..
            } => archive.read(*partition, file, &mut |records| {
                bad.clear();
                decoder.decode(records, &mut times, &mut bad);
                self.count(source, records.entries.len(), NonZeroU64::MIN, &bad, |i| {
                    let offset = records.entries.get(i).map_or(records.next, |e| e.offset);
                    format!(
                        "source `{}`, partition {partition}, offset {offset} (archive file {})",
                        archive.source(),
                        file.path
                    )
                })?;
                executor.push(&meta, decoder.chunk(0..records.entries.len()))
            }),
            Piece::RowGroup {
                path, reader, group, ..
            } if self.plan.may_repeat(source as usize) && reader.repeats(*group) => {
                reader.read_repeated(*group, &mut |columns, n| {
                    bad.clear();
                    decoder.decode_columns(columns, &mut times, &mut bad)?;
                    self.count(source, columns.rows, n, &bad, |_| {
                        format!("{}, row group {group}, a value of {n} or more rows", path.display())
                    })?;
                    executor.push_repeated(&meta, n, decoder.chunk(0..columns.rows))
                })
            }
            Piece::RowGroup {
                path, reader, group, ..
            } => {
                let mut row = 0;
                reader.read_row_group(*group, &mut |columns| {
                    bad.clear();
                    decoder.decode_columns(columns, &mut times, &mut bad)?;
                    self.count(source, columns.rows, NonZeroU64::MIN, &bad, |i| {
                        format!("{}, row group {group}, row {}", path.display(), row + i)
                    })?;
                    let first = row;
                    row += columns.rows;
                    if self.plan.in_order() {
                        self.in_order(path, *group, first, &times)?;
                        return (0..columns.rows).try_for_each(|i| executor.push(&meta, decoder.chunk(i..i + 1)));
                    }
                    executor.push(&meta, decoder.chunk(0..columns.rows))
                })
            }
        }
    }

    /// The files of a job in order must be in that order: they are read once, and not sorted.
    fn in_order(&self, path: &Path, group: usize, row: usize, times: &[Option<Timestamp>]) -> Result<()> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, time) in times.iter().enumerate() {
            let Some(time) = *time else { continue };
            if let Some(before) = latest.filter(|before| time < *before) {
                return Err(Error::invalid(format!(
                    "{}, row group {group}, row {}: event time {time} comes after {before}, and job `{}` needs its records in \
                     order: sort the files by that column, and name them so that they are read in order",
                    path.display(),
                    row + i,
                    self.plan.job()
                )));
            }
            *latest = Some(time);
        }
        Ok(())
    }

    /// Counts records, each of which stands `times` times in the input.
    fn count(
        &self,
        source: u32,
        records: usize,
        times: NonZeroU64,
        bad: &[BadRecord],
        place: impl Fn(usize) -> String,
    ) -> Result<()> {
        self.records.fetch_add(records as u64 * times.get(), Relaxed);
        let Some(first) = bad.first() else { return Ok(()) };
        if self.skip_bad.get(source as usize) != Some(&true) {
            return Err(Error::invalid(format!(
                "{}: {}; mend the record, or run with `--on-bad-record skip` to count it and go on",
                place(first.entry),
                first.reason
            )));
        }
        self.bad.fetch_add(bad.len() as u64 * times.get(), Relaxed);
        tracing::warn!(
            "{}: {} (skipped, {} of this chunk)",
            place(first.entry),
            first.reason,
            bad.len()
        );
        Ok(())
    }
}

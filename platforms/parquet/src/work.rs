//! Pieces of input, taken by several threads from one list.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Format, Plan, Result, Timestamp, Wanted};
use rufous_store_api::{Archive, ArchivedFile, GenerationStore, StoreGeneration, Window, asked};

use crate::columns::ParquetFile;
use crate::input::lines::LinesFile;
use crate::joint::Member;
use crate::progress::{Pace, Progress};
use crate::sums::{List, SpillDir};
use crate::worker::{Care, Worker};

/// One piece: a file of the archive, a row group of a Parquet file, or lines of a file.
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
        /// The number of the file.
        partition: u32,
        file: Arc<ParquetFile>,
        group: usize,
    },
    Lines {
        source: u32,
        file: Arc<LinesFile>,
        piece: Range<u64>,
    },
    /// All that one thread must read in this order: what an operator emits depends on the records before.
    Ordered(Vec<Piece>),
    /// The same of a domain of several partitions, which have one order, with its number.
    Joint { domain: u32, members: Vec<Member> },
}

/// A generation, as operators read it.
#[derive(Clone)]
pub(crate) struct Base<'a> {
    pub(crate) generations: &'a dyn GenerationStore,
    pub(crate) stores: BTreeMap<String, StoreGeneration>,
}

impl Base<'_> {
    fn values(&self, plan: &Plan, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        let Some(face) = plan.stores().get(wanted.store) else {
            return Err(Error::bug("an operator asks for a store that the plan does not have"));
        };
        match self.stores.get(face.name).filter(|g| !g.runs.is_empty()) {
            Some(generation) if kept(Rule::StateOfBase) => self.generations.get(face, generation, wanted.keys),
            _ => Ok(vec![None; wanted.keys.len()]),
        }
    }
}

/// What all threads share.
pub(crate) struct Work<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) pieces: Vec<Piece>,
    /// Where operators find their state before the first record: the generation that is extended (O8).
    pub(crate) base: Base<'a>,
    /// Per source whether bad records are skipped.
    pub(crate) skip_bad: Vec<bool>,
    /// How all records are read.
    pub(crate) care: Care,
    /// Bytes that the maps of one thread may hold, and where the sums go that are more.
    pub(crate) share: usize,
    pub(crate) dir: SpillDir,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) progress: &'a Progress,
    pub(crate) pace: Pace,
    pub(crate) taken: AtomicUsize,
    /// The event time of the last record, for a job in order.
    pub(crate) latest: Mutex<Option<Timestamp>>,
    pub(crate) records: AtomicU64,
    pub(crate) bad: AtomicU64,
    /// The only event time that counts, and how many of the records that were read lie outside.
    pub(crate) window: Option<Window>,
    pub(crate) outside: AtomicU64,
}

impl Work<'_> {
    /// None yet, per store and per sink of the generation.
    pub(crate) fn lists(&self) -> Vec<Vec<List>> {
        let all = self.plan.stores().len() + self.plan.bulk_sinks().len();
        (0..all).map(|_| Vec::new()).collect()
    }

    /// Reads everything with `threads` threads; returns their sums, per store, and what they wrote, per sink of the generation.
    pub(crate) fn run(&self, threads: usize) -> Result<Vec<Vec<List>>> {
        std::thread::scope(|scope| {
            let asker = (!self.plan.operators().is_empty()).then(|| {
                let (asker, answers) = asked::channel();
                scope.spawn(move || answers.serve(|wanted| self.base.values(self.plan, wanted)));
                asker
            });
            let workers: Vec<_> = (0..threads.clamp(1, self.pieces.len().max(1)))
                .map(|_| {
                    let asker = asker.clone();
                    scope.spawn(move || Worker::new(self, asker).run())
                })
                .collect();
            drop(asker);
            let mut sums = self.lists();
            for worker in workers {
                let theirs = worker
                    .join()
                    .unwrap_or_else(|_| Err(Error::bug("a batch thread panicked")))?;
                sums.iter_mut().zip(theirs).for_each(|(all, theirs)| all.extend(theirs));
            }
            Ok(sums)
        })
    }

    /// The files of a job in order must be in that order: they are read once, and not sorted.
    pub(crate) fn in_order(&self, times: &[Option<Timestamp>], place: impl Fn(usize) -> String) -> Result<()> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, time) in times.iter().enumerate() {
            let Some(time) = *time else { continue };
            if let Some(before) = latest.filter(|before| time < *before) {
                return Err(Error::invalid(format!(
                    "{}: event time {time} comes after {before}, and job `{}` needs its records in order: sort the files by \
                     that column, and name them so that they are read in order",
                    place(i),
                    self.plan.job()
                )));
            }
            *latest = Some(time);
        }
        Ok(())
    }
}

//! Panics of the job's functions: whose record is it, and what becomes of all the others (row 16).
//!
//! After a panic the combining maps hold half of something. They are dropped, and everything since the last commit is read
//! again (P12), this time carefully: before records go the normal way each one is tried alone in an executor of its own. Those
//! that panic there are bad records. A panic that comes nevertheless is tried once more with each record added to itself (a
//! `combine` that panics is not called for one record alone). A panic that no single record reproduces has no culprit that
//! could be named, and stops the stream.

use std::collections::BTreeMap;

use rufous_core::panics::{Panicked, catch};
use rufous_core::sink::Encode;
use rufous_core::{BadRecord, BatchId, Error, Result, SourceDecoder, Trial};

use crate::commit::Landed;
use crate::engine::{Engine, executor};
use crate::partition::Partition;
use crate::sinks::OpenSinks;

/// Records that are still tried alone after the last bad one: they come in swarms, and each costs what was read since the
/// last commit.
const CALM: u64 = 1 << 16;

/// Reading what was read when something panicked.
pub(crate) struct Careful<'a> {
    /// Each record is added to itself as well.
    twice: bool,
    /// Per source and partition the position up to which it was read then.
    until: BTreeMap<(usize, u32), u64>,
    /// Records behind the suspects that are tried before the care ends.
    calm: u64,
    /// One a source, once needed.
    decoders: Vec<Option<Box<dyn SourceDecoder>>>,
    trial: Trial<'a>,
}

impl Engine<'_> {
    /// How the sinks encode that this process writes, by their places in the plan.
    fn encodes(&self) -> Vec<(usize, Encode)> {
        let encodes = self.sinks.as_ref().map(OpenSinks::encodes).unwrap_or_default();
        self.plan.live_sinks().map(|(sink, _)| sink).zip(encodes).collect()
    }

    /// Something of the job panicked, here or in the flush thread: everything since the last commit is read again.
    ///
    /// # Errors
    /// When the same records panicked before though each was tried alone.
    #[cold]
    pub(crate) fn panicked(&mut self, panicked: Panicked) -> Result<()> {
        let mut until = BTreeMap::new();
        for (i, b) in self.bound.iter().enumerate() {
            let read = b.partitions.iter().map(|(p, s)| ((i, *p), s.next));
            until.extend(read);
        }
        let twice = match self.careful.take() {
            None => false,
            Some(before) => {
                for (of, to) in before.until {
                    let known = until.entry(of).or_default();
                    *known = to.max(*known);
                }
                if before.twice {
                    return Err(self.nobody(&panicked, &until));
                }
                true
            }
        };
        tracing::warn!(
            "{panicked}; everything since the last commit is read again, record by record{}",
            if twice { ", each added to itself" } else { "" }
        );
        let old = {
            let new = executor(self.plan, self.asker.as_ref(), self.options.memory_budget);
            std::mem::replace(&mut self.executor, new)
        };
        // What it holds is foreign, and may panic again while it is dropped.
        drop(catch(|| drop(old)));
        self.spare = None;
        self.careful = Some(Careful {
            twice,
            until,
            calm: CALM,
            decoders: self.bound.iter().map(|_| None).collect(),
            trial: Trial::new(self.plan).encoding(self.encodes()),
        });
        // What is on its way was taken out before: it is whole, unless it was the one that panicked.
        if let Some(done) = self.flusher.take()?
            && let Landed::Passing(failure) = self.landed(done)?
        {
            return self.pause(failure);
        }
        let done = self.read_again();
        self.or_pause(done)
    }

    fn nobody(&self, panicked: &Panicked, until: &BTreeMap<(usize, u32), u64>) -> Error {
        let ranges: Vec<_> = until
            .iter()
            .filter(|(_, to)| **to > 0)
            .filter_map(|((i, p), to)| {
                Some(format!(
                    "{} up to offset {to}",
                    self.bound.get(*i)?.partitions.get(p)?.id
                ))
            })
            .collect();
        Error::invalid(format!(
            "job `{}`: {panicked}; no single record of those read since the last commit ({}) panics when it is tried alone or \
             added to itself, so none can be named or skipped: {}; mend it and start again",
            self.plan.job(),
            ranges.join(", "),
            if self.plan.judges_alone() {
                "the function is not pure, or it panics for some sums of values (both break what a job must promise)"
            } else {
                "what becomes of a record depends on those before it, or on the snapshot of its batch, so records are not tried alone"
            }
        ))
    }

    /// Tries the records that were just decoded one by one; adds those that panic to the bad ones.
    #[cold]
    pub(crate) fn try_each(&mut self, i: usize) -> Result<()> {
        let Self {
            careful: Some(careful),
            bound,
            records,
            bad,
            plan,
            poison,
            ..
        } = self
        else {
            return Ok(());
        };
        let decoder = match &mut careful.decoders[i] {
            Some(decoder) => decoder,
            none => none.insert(plan.sources()[i].decoder(bound[i].log.format())?),
        };
        let (mut times, mut theirs) = (Vec::new(), Vec::new());
        decoder.decode(records, &mut times, &mut theirs);
        for entry in 0..records.entries.len() {
            if let Some(origins) = careful.trial.origins(i as u32) {
                origins.begin(records.partition, BatchId::MAX);
                origins.entries(records, &times, &theirs, entry..entry + 1);
            }
            let outcome = careful
                .trial
                .record(i as u32, decoder.chunk(entry..entry + 1), careful.twice);
            if let Some(panicked) = outcome {
                careful.calm = CALM;
                poison.push(entry);
                bad.push(BadRecord {
                    entry,
                    reason: panicked.to_string(),
                });
            }
        }
        bad.sort_by_key(|b| b.entry);
        careful.calm = careful.calm.saturating_sub(records.entries.len() as u64);
        Ok(())
    }

    /// When all suspects were read again they are committed at once, so that the next panic costs only what follows; when no
    /// bad record came for a while, the care ends.
    pub(crate) fn calm_down(&mut self) -> Result<()> {
        let Some(careful) = &self.careful else { return Ok(()) };
        if careful.until.is_empty() {
            if careful.calm == 0 {
                self.careful = None;
            }
            return Ok(());
        }
        if self.are_past_suspects(|s| s.next) {
            self.settle()?;
            // The commit itself may have failed or panicked: then it is all read again.
            if self.are_past_suspects(|s| s.row.next)
                && let Some(careful) = &mut self.careful
            {
                careful.until.clear();
                careful.twice = false;
            }
        }
        Ok(())
    }

    fn are_past_suspects(&self, position: impl Fn(&Partition) -> u64) -> bool {
        self.careful.iter().flat_map(|c| &c.until).all(|((i, p), to)| {
            // A partition that is gone has nothing left to read again.
            let partition = self.bound.get(*i).and_then(|b| b.partitions.get(p));
            partition.is_none_or(|s| position(s) >= *to)
        })
    }
}

//! The same for all batches at once: batches of one state in a row are a run, found by where states divide and not batch by batch. So
//! the cost is that of a partition, however many batches it has.

use super::State;
use crate::core::{BatchId, Cut};
use crate::store_api::{IndexEntry, Progress};

/// What is known of a partition.
#[derive(Clone, Copy, Default)]
pub(in crate::app) struct Ends<'a> {
    pub(in crate::app) row: Option<&'a Progress>,
    /// The first entry of the archive's index, and the last.
    pub(in crate::app) first: Option<&'a IndexEntry>,
    pub(in crate::app) last: Option<&'a IndexEntry>,
    pub(in crate::app) frontier: Option<Cut>,
    /// The archive was not heard now: `first` and `last` are of before, or not known.
    pub(in crate::app) archive_unsure: bool,
    /// The live part has read all that its log has: nobody is further.
    pub(in crate::app) at_end: bool,
    /// The same of the generations, and of `frontier`.
    pub(in crate::app) frontier_unsure: bool,
}

/// What batches are that may be further than it is known.
pub(in crate::app) const UNKNOWN: &str = "unknown";

/// Batches of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Run {
    pub(in crate::app) from: i64,
    /// The first batch after them.
    pub(in crate::app) to: i64,
    pub(in crate::app) state: &'static str,
}

impl Ends<'_> {
    /// The name of a state, unless who was not heard may know a later one.
    fn name(&self, state: State) -> &'static str {
        match state {
            State::Sealed if self.archive_unsure || self.frontier_unsure => UNKNOWN,
            // Who archives may be batches ahead of who counts.
            State::Open if self.archive_unsure && !self.at_end => UNKNOWN,
            State::Archived if self.frontier_unsure => UNKNOWN,
            state => state.name(),
        }
    }
    /// The first batch that is known to have begun.
    fn first_batch(&self) -> Option<BatchId> {
        let of_archive = self.first.and_then(|e| {
            let begun = e.cuts.first().map(|(batch, _)| *batch);
            begun.or(Some(e.batch_after().batch))
        });
        let of_row = self
            .row
            .and_then(|row| row.cuts.iter().map(|(batch, _)| *batch).find(|b| *b != BatchId::MIN));
        let of_row = of_row.or(self.row.map(|row| row.batch));
        let all = [of_archive, of_row];
        all.into_iter().flatten().filter(|b| *b != BatchId::MIN).min()
    }
    /// The last one.
    pub(in crate::app) fn running(&self) -> Option<BatchId> {
        let of_archive = self.last.map(|e| e.batch_after().batch);
        let all = [of_archive, self.row.map(|row| row.batch)];
        all.into_iter().flatten().filter(|b| *b != BatchId::MIN).max()
    }
    /// The first batch of which some offsets are in no file.
    fn archived_before(&self) -> BatchId {
        let Some(last) = self.last else {
            return BatchId::MIN;
        };
        let running = last.batch_after().batch;
        // It may have ended with the last entry: then the row knows where the next one began.
        let after = running.0.checked_add(1).map(BatchId);
        match after.zip(self.row) {
            Some((after, row)) if row.cut(after).is_some_and(|next| next <= last.to) => after,
            _ => running,
        }
    }
}

/// All batches from the first to the running one, as runs. Batches in which nothing came are what those around them are.
pub(in crate::app) fn runs(known: &Ends<'_>) -> Vec<Run> {
    if known.frontier.is_some_and(|cut| cut.batch == BatchId::MAX) {
        // A bounded input is one batch.
        let state = State::Published.name();
        return vec![Run { from: 0, to: 1, state }];
    }
    let (Some(first), Some(running)) = (known.first_batch(), known.running()) else {
        return Vec::new();
    };
    let covered = known.frontier.map_or(BatchId::MIN, |cut| cut.batch);
    let kept = known.row.map_or(BatchId::MIN, |row| row.retained_from);
    let archived = known.archived_before();
    let end = running.0.saturating_add(1);
    let mut divide = [first.0, covered.0, kept.0, archived.0, running.0, end];
    divide.sort_unstable();
    let mut found: Vec<Run> = Vec::new();
    for (from, to) in divide.iter().copied().zip(divide.iter().copied().skip(1)) {
        let (from, to) = (from.max(first.0), to.min(end));
        if from >= to {
            continue;
        }
        let of = BatchId(from);
        let state = known.name(State::of(of < covered, of >= kept, of == running, of < archived));
        match found.last_mut() {
            Some(last) if last.state == state && last.to == from => last.to = to,
            _ => found.push(Run { from, to, state }),
        }
    }
    found
}

/// Says of batches in a run that they are something else.
pub(in crate::app) fn overlay(runs: &mut Vec<Run>, from: i64, to: i64, state: &'static str) {
    let mut found: Vec<Run> = Vec::with_capacity(runs.len() + 2);
    let mut push = |from: i64, to: i64, state: &'static str| {
        if from >= to {
            return;
        }
        match found.last_mut() {
            Some(last) if last.state == state && last.to == from => last.to = to,
            _ => found.push(Run { from, to, state }),
        }
    };
    for run in runs.iter() {
        push(run.from, run.to.min(from), run.state);
        push(run.from.max(from), run.to.min(to), state);
        push(run.from.max(to), run.to, run.state);
    }
    *runs = found;
}

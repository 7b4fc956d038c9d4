//! Domains of several partitions (O1): partition i of several sources, or all partitions of some; they have one order (O3).

use std::panic::Location;

use crate::batch::{Clock, CutSpec};
use crate::error::{Error, Result};
use crate::graph::Domain;

use super::graph::call;
use super::operators::OperatorFace;
use super::plan::Plan;

/// Sources whose partitions go together (O1), and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint {
    /// Their places in [`Plan::sources`], ascending.
    pub sources: Vec<usize>,
    /// All partitions of all of them are one domain; else partition i of each of them is one.
    pub spread: bool,
}

impl Joint {
    /// Whether the partitions of a source are among them.
    pub fn has(&self, source: usize) -> bool {
        self.sources.contains(&source)
    }
    /// The number of the domain that partition `partition` of one of them is of.
    pub fn domain(&self, partition: u32) -> u32 {
        if self.spread { 0 } else { partition }
    }
}

/// The coarsest of what was said of all ways that lead to a place; `None`: of one of them nothing was said.
pub(super) fn coarsest(mut all: impl Iterator<Item = Option<Domain>>) -> Option<Domain> {
    let first = all.next()??;
    all.try_fold(first, |coarsest, other| Some(coarsest.max(other?)))
}

/// Whether keys may come from all partitions. A copy of the right side for each left partition would emit the same as one order of
/// all partitions, which is an order of each part of them: so it is run as that.
pub(super) fn is_spread(domain: Option<Domain>) -> bool {
    matches!(domain, Some(Domain::Log | Domain::Broadcast))
}

/// Of the records that come to an operator.
///
/// # Errors
/// `InvalidRequest` when they are the right side of a join, which says nothing of their own order.
pub(super) fn of_records(
    said: Option<Domain>,
    label: (&str, &str),
    at: &'static Location<'static>,
) -> Result<Option<Domain>> {
    match said {
        Some(Domain::Broadcast) => Err(Error::invalid(format!(
            "{}: its records come from behind `.broadcast()`, which is for what a join finds: say `.within_partition()` if a key stays \
             in its partition, else `.in_log_order()`",
            call(label, None, at)
        ))),
        said => Ok(said),
    }
}

/// Of a join, whose left records see right ones: both ways must have the order, or each left partition has all of the right side.
pub(super) fn of_join(left: Option<Domain>, right: Option<Domain>) -> Option<Domain> {
    match (left, right) {
        (left, Some(Domain::Broadcast)) => left.max(right),
        (left, right) => coarsest([left, right].into_iter()),
    }
}

impl Plan {
    /// The domains of several partitions. Operators that share a source share its domains, and the coarsest wins (O1, O5). Most jobs
    /// have none.
    pub fn domains(&self) -> Vec<Joint> {
        let mut groups: Vec<Joint> = Vec::new();
        for operator in self.operators().iter().filter(|o| o.is_joint()) {
            let mut all = operator.sources.clone();
            let (meets, others): (Vec<_>, Vec<_>) = std::mem::take(&mut groups)
                .into_iter()
                .partition(|group| group.sources.iter().any(|s| all.contains(s)));
            groups = others;
            let spread = operator.spread || meets.iter().any(|group| group.spread);
            all.extend(meets.into_iter().flat_map(|group| group.sources));
            all.sort_unstable();
            all.dedup();
            groups.push(Joint { sources: all, spread });
        }
        groups.sort_unstable_by(|a, b| a.sources.cmp(&b.sources));
        groups
    }

    /// Whether the operators that read a store may find a key of partition `one` in partition `other`, too (O1); each is the place of
    /// a source and a number.
    pub fn goes_with(&self, store: usize, one: (usize, u32), other: (usize, u32)) -> bool {
        let mut of_store = self.operators().iter().filter(|o| o.store == store);
        let both = |o: &OperatorFace| o.sources.contains(&one.0) && o.sources.contains(&other.0);
        one == other || of_store.any(|o| both(o) && (o.spread || one.1 == other.1))
    }

    /// What to say of a source that has more partitions than before (O14, P41), when operators read it.
    pub fn more_partitions(&self, source: &str, before: usize, now: usize) -> Error {
        let place = self.sources().iter().position(|s| s.name == source);
        let reads = |o: &&OperatorFace| place.is_some_and(|s| o.sources.contains(&s));
        let operator = self.operators().iter().find(reads).or(self.operators().first());
        let name = operator.map_or("", |o| o.name.as_str());
        let why = match operator {
            Some(o) if o.spread => {
                format!("and {name} takes all in one order, in which those of a new one may stand before what it took")
            }
            _ => format!("so keys move between them, and {name} needs each in one"),
        };
        Error::invalid(format!(
            "source `{source}` had {before} partitions and has {now} now, {why}: `backfill` a new version of the job, or start with \
             another --instance"
        ))
    }

    /// Whether records of all sources of an operator have one order: one batcher, and one kind of clock. How each source is cut,
    /// in the plan's order.
    ///
    /// # Errors
    /// `InvalidRequest` with the two sources that differ.
    pub fn check_clocks(&self, specs: &[CutSpec]) -> Result<()> {
        let cuts = |s: usize| Some((self.sources().get(s)?.name, specs.get(s)?));
        for group in self.domains() {
            let operators = self.operators().iter().filter(|o| o.is_joint());
            let name = { operators }
                .find(|o| o.sources.iter().any(|s| group.has(*s)))
                .map_or("", |o| o.name.as_str());
            let mut all = group.sources.iter().filter_map(|&s| cuts(s));
            let Some((first, spec)) = all.next() else { continue };
            if spec.batcher.is_by_offset() {
                return Err(without_time(name, first));
            }
            for (other, theirs) in all {
                if theirs.batcher.is_by_offset() {
                    return Err(without_time(name, other));
                }
                if theirs.batcher != spec.batcher {
                    return Err(Error::invalid(format!(
                        "{name}: `{first}` has batches of {} and `{other}` of {}; the sources of one operator need one batcher",
                        spec.batcher, theirs.batcher
                    )));
                }
                if theirs.clock != spec.clock {
                    let clock = |clock| match clock {
                        Clock::Log => "the log's time",
                        Clock::Event => "event time",
                    };
                    return Err(Error::invalid(format!(
                        "{name}: `{first}` is cut by {} and `{other}` by {}; the sources of one operator need one kind of clock",
                        clock(spec.clock),
                        clock(theirs.clock)
                    )));
                }
            }
        }
        Ok(())
    }
}

fn without_time(operator: &str, source: &str) -> Error {
    Error::invalid(format!(
        "{operator}: `{source}` has batches of offsets, which have no times, so its records have no common order with those of \
         other partitions: declare an event time by `timed_by`, or read a log that has times"
    ))
}

impl OperatorFace {
    /// Whether its domains have several partitions.
    pub fn is_joint(&self) -> bool {
        self.spread || self.sources.len() > 1
    }
    /// Partition i of one source goes with partition i of the others: they have the same number.
    pub(super) fn same_partitions(&self, sources: &[(&str, usize)]) -> Result<()> {
        let mut all = self.sources.iter().filter_map(|&s| sources.get(s));
        let Some((first, n)) = all.next() else { return Ok(()) };
        match all.find(|(_, other)| other != n) {
            None => Ok(()),
            Some((other, m)) => Err(Error::invalid(format!(
                "{}: `{first}` has {n} partitions and `{other}` has {m}, so a key of partition i of one is not in partition i of the \
                 other: give them the same number, written by the same partitioner",
                self.name
            ))),
        }
    }
}

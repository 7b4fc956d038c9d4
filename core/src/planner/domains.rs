//! Domains of several sources (O1): partition i of all of them is one, and has one order (O3).

use crate::batch::{Clock, CutSpec};
use crate::error::{Error, Result};

use super::operators::OperatorFace;
use super::plan::Plan;

impl Plan {
    /// The sources of operators that read several, by their places in [`sources`](Self::sources): partition i of each of such a
    /// group is one domain. Operators that share a source share their domains (O5). Most jobs have none.
    pub fn domains(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for operator in self.operators().iter().filter(|o| o.sources.len() > 1) {
            let mut all = operator.sources.clone();
            let (meets, others): (Vec<_>, Vec<_>) = std::mem::take(&mut groups)
                .into_iter()
                .partition(|group| group.iter().any(|s| all.contains(s)));
            groups = others;
            all.extend(meets.into_iter().flatten());
            all.sort_unstable();
            all.dedup();
            groups.push(all);
        }
        groups.sort_unstable();
        groups
    }

    /// Whether records of all sources of an operator have one order: one batcher, and one kind of clock. How each source is cut,
    /// in the plan's order.
    ///
    /// # Errors
    /// `InvalidRequest` with the two sources that differ.
    pub fn check_clocks(&self, specs: &[CutSpec]) -> Result<()> {
        let cuts = |s: usize| Some((self.sources().get(s)?.name, specs.get(s)?));
        for group in self.domains() {
            let operators = self.operators().iter().filter(|o| o.sources.len() > 1);
            let name = { operators }
                .find(|o| o.sources.iter().any(|s| group.contains(s)))
                .map_or("", |o| o.name.as_str());
            let mut all = group.iter().filter_map(|&s| cuts(s));
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
         other sources: declare an event time by `timed_by`, or read a log that has times"
    ))
}

impl OperatorFace {
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

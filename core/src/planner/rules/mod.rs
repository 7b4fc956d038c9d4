//! Rewrites of the plan, one a file. A rule keeps the answer and the number of visible effects (writes, counts); the tests
//! compare both on random graphs with plain collections.
//!
//! | rule | equation |
//! |---|---|
//! | `share-sources` | `read(P), read(P) = s, s` with `s = read(P)` |
//! | `filter-keys-first` | `x.map_values(f).filter_keys(p) = x.filter_keys(p).map_values(f)` |
//! | `filter-values-first` | `x.map_keys(f).filter_values(p) = x.filter_values(p).map_keys(f)` |
//! | `combine-before-keys` | `x.flat_map_keys(f).sum = x.sum.flat_map_keys(f).sum` |
//! | `times` | `read(P).steps.sum = distinct(read(P)).steps.times(n).sum` |

mod combine_before_keys;
mod filter_keys_first;
mod filter_values_first;
mod share_sources;
mod times;

use super::explain::numbers;
use super::graph::{Id, PlanGraph, PlanNode};

/// A rewrite.
pub(super) trait Rule: Sync {
    fn name(&self) -> &'static str;
    /// Applies it wherever its precondition holds; says what it did, a line each.
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String>;
}

/// In the order in which they are applied: filters move before combiners are placed.
const ALL: [&dyn Rule; 5] = [
    &share_sources::ShareSources,
    &filter_keys_first::FilterKeysFirst,
    &filter_values_first::FilterValuesFirst,
    &combine_before_keys::CombineBeforeKeys,
    &times::Times,
];

/// Which rules the planner applies. All of them, unless a test says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    names: Vec<&'static str>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::all()
    }
}

impl Rules {
    /// Every rule.
    pub fn all() -> Self {
        Self { names: Self::names() }
    }
    /// None: the job runs as it was said.
    pub fn none() -> Self {
        Self { names: Vec::new() }
    }
    /// One rule; none if there is no such rule.
    pub fn only(name: &str) -> Self {
        Self {
            names: Self::names().into_iter().filter(|n| *n == name).collect(),
        }
    }
    /// The names of all rules.
    pub fn names() -> Vec<&'static str> {
        ALL.iter().map(|r| r.name()).collect()
    }
    pub(super) fn chosen(&self) -> impl Iterator<Item = &'static dyn Rule> {
        ALL.into_iter().filter(|r| self.names.contains(&r.name()))
    }
}

/// Filters of one row that were moved, and the steps before which they stand now; both in running order.
struct Moved {
    filters: Vec<Id>,
    passed: Vec<Id>,
}

impl Moved {
    /// `#4 #6 filter by key before #2 #3`
    fn say(&self, graph: &PlanGraph, by: &str) -> String {
        let said = |ids: &[Id]| {
            let ids: Vec<usize> = ids.iter().map(|id| graph.nodes[*id].said[0]).collect();
            numbers(&ids)
        };
        let s = if self.filters.len() == 1 { "s" } else { "" };
        format!(
            "{} filter{s} by {by} before {}",
            said(&self.filters),
            said(&self.passed)
        )
    }
}

/// Moves filters before the steps that they may pass. Along a row of both, in which each has one input and is the only reader
/// of the one before, filters come first; each kind keeps its order. One walk: many filters behind many steps stay linear.
fn filters_first(
    graph: &mut PlanGraph,
    filters: impl Fn(&PlanNode) -> bool,
    may_be_passed: impl Fn(&PlanNode) -> bool,
) -> Vec<Moved> {
    // Where a chunk ends decides in which order the branches of a fork get what one record makes.
    if graph.in_order || graph.one_by_one {
        return Vec::new();
    }
    let readers = graph.readers();
    let mut rows: Vec<Vec<Id>> = Vec::new();
    // The row that a node ends.
    let mut ends: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for id in graph.order() {
        let node = &graph.nodes[id];
        let [input] = node.inputs[..] else { continue };
        if !filters(node) && !may_be_passed(node) {
            continue;
        }
        let row = ends[input].filter(|_| readers[input].len() == 1).unwrap_or(rows.len());
        if row == rows.len() {
            rows.push(Vec::new());
        }
        rows[row].push(id);
        ends[id] = Some(row);
    }
    let mut moved = Vec::new();
    // Who reads the last filter of a row reads the last step that it passed.
    let mut instead: Vec<Id> = (0..graph.nodes.len()).collect();
    let mut inputs: Vec<(Id, Id, bool)> = Vec::new();
    for mut row in rows {
        while row.last().is_some_and(|&id| !filters(&graph.nodes[id])) {
            row.pop();
        }
        let (first, passed): (Vec<Id>, Vec<Id>) = row.iter().partition(|&&id| filters(&graph.nodes[id]));
        let (Some(&head), Some(&old), Some(&new)) = (row.first(), row.last(), passed.last()) else {
            continue;
        };
        instead[old] = new;
        let mut above = None;
        for &id in first.iter().chain(&passed) {
            inputs.push((id, above.unwrap_or(graph.nodes[head].inputs[0]), above.is_none()));
            above = Some(id);
        }
        let behind = row.iter().copied().skip_while(|id| filters(&graph.nodes[*id]));
        moved.push(Moved {
            filters: behind.filter(|id| filters(&graph.nodes[*id])).collect(),
            passed,
        });
    }
    for input in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        *input = instead[*input];
    }
    for (id, above, head) in inputs {
        // What a row follows on may be another row's end.
        graph.nodes[id].inputs = vec![if head { instead[above] } else { above }];
    }
    moved
}

#[cfg(test)]
mod bench {
    //! What the tests of all rules need. Answers are compared with those of the same job without rules, which other tests
    //! compare with plain collections.

    use std::collections::BTreeMap;

    use super::Rules;
    use crate::*;

    pub(super) const LINES: Source<str> = Source::new("lines");
    pub(super) const TOTALS: Store<u64, u64> = Store::new("totals");
    pub(super) const OTHERS: Store<u64, u64> = Store::new("others");
    pub(super) const SEEN: Counter = Counter::new("seen");

    /// Length of a line, and its first byte.
    pub(super) fn pairs() -> KeyedProducer<u64, u64> {
        LINES
            .read()
            .keyed(|line, out| out.emit(line.len() as u64, u64::from(line.bytes().next().unwrap_or(0))))
    }

    pub(super) fn totals(job: &Job, rules: &Rules) -> BTreeMap<(String, Vec<u8>), Vec<u8>> {
        let plan = job.plan_with(rules).expect("a plan");
        let mut run = plan.instantiate();
        let mut chunk = TextChunk::default();
        for i in 0..200_u64 {
            chunk.push(&"abcdefg"[(i * 5 % 7) as usize..]);
        }
        let meta = ChunkMeta {
            source: 0,
            partition: 0,
            batch: BatchId(0),
        };
        run.push(&meta, &mut chunk).expect("a run");
        let mut all = BTreeMap::new();
        for (store, deltas) in plan.stores().iter().zip(run.take(Vec::new()).expect("a run")) {
            let mut add = |d: Delta<'_>| {
                let before = all.insert((store.name.to_string(), d.key.to_vec()), d.value.to_vec());
                assert_eq!(before, None, "one cell a key");
                Ok(())
            };
            deltas.for_each(&mut add).expect("cells");
        }
        assert!(!all.is_empty(), "a comparison of nothing proves nothing");
        all
    }

    /// How often a rule fires on a job, whose answers stay the same.
    pub(super) fn fires(rule: &str, job: &Job) -> usize {
        let plain = totals(job, &Rules::none());
        assert_eq!(totals(job, &Rules::only(rule)), plain, "{rule} alone");
        assert_eq!(totals(job, &Rules::all()), plain, "all rules");
        let text = job.plan_with(&Rules::only(rule)).expect("a plan").explain(None);
        text.lines()
            .filter(|line| line.trim_start().starts_with(&format!("{rule}: ")))
            .count()
    }
}

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

use super::graph::{Id, PlanGraph};

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

/// Moves `later`, the only reader of `earlier`, before it. Both have one input each.
fn swap(graph: &mut PlanGraph, readers: &mut [Vec<Id>], earlier: Id, later: Id) {
    let above = graph.nodes[earlier].inputs[0];
    let below = std::mem::replace(&mut readers[later], vec![earlier]);
    for &reader in &below {
        for input in &mut graph.nodes[reader].inputs {
            if *input == later {
                *input = earlier;
            }
        }
    }
    for reader in &mut readers[above] {
        if *reader == earlier {
            *reader = later;
        }
    }
    readers[earlier] = below;
    graph.nodes[later].inputs = vec![above];
    graph.nodes[earlier].inputs = vec![later];
}

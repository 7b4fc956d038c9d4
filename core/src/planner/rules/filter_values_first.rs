//! `x.map_keys(f).filter_values(p) = x.filter_values(p).map_keys(f)`.
//!
//! Preconditions: the filter is the only reader of the key step, and both have one input. Key steps cannot count. `map_keys`
//! makes one pair of each and does not touch its value, so `p` sees the values that it saw. Not past `flat_map_keys`: what
//! that drops `p` has never seen.

use super::{Rule, filters_first};
use crate::graph::{Arity, Contract};
use crate::planner::graph::PlanGraph;

pub(super) struct FilterValuesFirst;

impl Rule for FilterValuesFirst {
    fn name(&self) -> &'static str {
        "filter-values-first"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let moved = filters_first(
            graph,
            |node| node.kind.contract() == Some(Contract::Values(Arity::Filter)),
            |node| node.kind.contract() == Some(Contract::Keys(Arity::One)),
        );
        let mut changes = Vec::new();
        for moved in moved {
            for &filter in &moved.filters {
                graph.nodes[filter].output = graph.nodes[graph.nodes[filter].inputs[0]].output.clone();
            }
            changes.push(format!(
                "{}: values stay as they are there, and fewer keys are made",
                moved.say(graph, "value")
            ));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use crate::planner::rules::bench::*;
    use crate::*;

    #[test]
    fn it_passes_every_key_step() {
        let keys = pairs().map_keys(|k| k.to_string()).map_keys(|k| k.len() as u64);
        let job = Job::new("j", keys.filter_values(|v| v % 2 == 1).sum_by_key(TOTALS));
        assert_eq!(fires("filter-values-first", &job), 1);
    }
    /// The other reader would lose pairs.
    #[test]
    fn not_past_a_fork() {
        let keys = pairs().map_keys(|k| k + 1);
        let some = keys.clone().filter_values(|v| v % 2 == 1).sum_by_key(TOTALS);
        let job = Job::new("j", (some, keys.sum_by_key(OTHERS)));
        assert_eq!(fires("filter-values-first", &job), 0);
    }
    #[test]
    fn not_past_a_value_step() {
        let job = Job::new(
            "j",
            pairs()
                .map_values(|v| v + 1)
                .filter_values(|v| v % 2 == 1)
                .sum_by_key(TOTALS),
        );
        assert_eq!(fires("filter-values-first", &job), 0);
    }
}

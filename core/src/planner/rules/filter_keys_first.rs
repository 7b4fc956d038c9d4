//! `x.map_values(f).filter_keys(p) = x.filter_keys(p).map_values(f)`.
//!
//! Preconditions: the filter is the only reader of the value step (else the others would lose pairs), both have one input,
//! and the value step counts nothing (it runs for fewer pairs). `map_values` makes one pair of each and does not touch its
//! key, so `p` sees the keys that it saw, each as often. Not past `flat_map_values`: what that drops `p` has never seen, and
//! it may be what `p` cannot take (a division by zero).

use super::{Rule, filters_first};
use crate::graph::{Arity, Contract};
use crate::planner::graph::{Kind, PlanGraph};

pub(super) struct FilterKeysFirst;

impl Rule for FilterKeysFirst {
    fn name(&self) -> &'static str {
        "filter-keys-first"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let moved = filters_first(
            graph,
            |node| node.kind.contract() == Some(Contract::Keys(Arity::Filter)),
            |node| {
                let values = node.kind.contract() == Some(Contract::Values(Arity::One));
                values && node.counts.is_empty()
            },
        );
        let mut changes = Vec::new();
        for moved in moved {
            // The filters see the values that the first step saw.
            for &filter in &moved.filters {
                let above = &graph.nodes[graph.nodes[filter].inputs[0]];
                let (gives, output) = (above.gives, above.output.clone());
                let node = &mut graph.nodes[filter];
                (node.gives, node.output) = (gives, output);
                if let Kind::Step(step) = &mut node.kind {
                    step.takes = gives;
                }
            }
            changes.push(format!(
                "{}: keys stay as they are there, and fewer values are made",
                moved.say(graph, "key")
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
    fn it_passes_value_steps_that_change_the_type() {
        let texts = pairs().map_values(|v| v.to_string()).map_values(|v| v.len() as u64);
        let job = Job::new("j", texts.filter_keys(|k| k % 2 == 1).sum_by_key(TOTALS));
        assert_eq!(fires("filter-keys-first", &job), 1);
        let plan = job.plan().unwrap().explain(None);
        let place = |word: &str| plan.split("plan\n").nth(1).unwrap().find(word).unwrap();
        assert!(place("filter-keys") < place("map-values"), "{plan}");
    }
    /// The other reader would lose pairs.
    #[test]
    fn not_past_a_fork() {
        let values = pairs().map_values(|v| v + 1);
        let some = values.clone().filter_keys(|k| *k > 3).sum_by_key(TOTALS);
        let job = Job::new("j", (some, values.sum_by_key(OTHERS)));
        assert_eq!(fires("filter-keys-first", &job), 0);
    }
    /// Trap 18: the number of visible effects stays.
    #[test]
    fn not_past_a_step_that_counts() {
        let values = pairs().flat_map_values(|v, out| {
            out.count(SEEN, 1);
            out.emit(*v);
        });
        let job = Job::new("j", values.counting([SEEN]).filter_keys(|k| *k > 3).sum_by_key(TOTALS));
        assert_eq!(fires("filter-keys-first", &job), 0);
        let job = Job::new("j", pairs().counted(SEEN).filter_keys(|k| *k > 3).sum_by_key(TOTALS));
        assert_eq!(fires("filter-keys-first", &job), 0);
    }
    #[test]
    fn not_past_a_merge_or_a_key_step() {
        let merged = pairs().map_values(|v| v + 1).merge(pairs());
        let job = Job::new("j", merged.filter_keys(|k| *k > 3).sum_by_key(TOTALS));
        assert_eq!(fires("filter-keys-first", &job), 0);
        let job = Job::new(
            "j",
            pairs().map_keys(|k| k + 1).filter_keys(|k| *k > 3).sum_by_key(TOTALS),
        );
        assert_eq!(fires("filter-keys-first", &job), 0);
    }
}

//! `x.flat_map_keys(f).sum = x.sum.flat_map_keys(f).sum`, the inner sum in memory.
//!
//! Preconditions: nothing but key steps with one reader each lies between `flat_map_keys` and the sum, so that values arrive
//! as they are; the sum is commutative and adds the values themselves (it brings a combiner along exactly then). Key steps
//! cannot count. Each key is then expanded once for many of its values: sum over records of f(k) x v = sum over keys of
//! f(k) x (sum of v).

use super::Rule;
use crate::graph::{Arity, Contract};
use crate::planner::graph::{Id, Kind, PlanGraph, PlanNode};

pub(super) struct CombineBeforeKeys;

/// Per node: the sum behind it, if only key steps with one reader each are between. One walk from the ends up, so that a chain
/// of key steps is not walked once for each of them.
fn sums_behind(graph: &PlanGraph, order: &[Id], readers: &[Vec<Id>]) -> Vec<Option<Id>> {
    let mut behind = vec![None; graph.nodes.len()];
    for &id in order.iter().rev() {
        let [next] = readers[id][..] else { continue };
        behind[id] = match &graph.nodes[next].kind {
            Kind::Sum(_) => Some(next),
            Kind::Step(s) if matches!(s.contract, Contract::Keys(_)) => behind[next],
            _ => None,
        };
    }
    behind
}

impl Rule for CombineBeforeKeys {
    fn name(&self) -> &'static str {
        "combine-before-keys"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let readers = graph.readers();
        let order = graph.order();
        let behind = sums_behind(graph, &order, &readers);
        // Behind a combiner another one would find little left to add.
        let mut done = vec![false; graph.nodes.len()];
        let mut changes = Vec::new();
        for id in order {
            let Some(Contract::Keys(arity)) = graph.nodes[id].kind.contract() else {
                continue;
            };
            let inputs = graph.nodes[id].inputs.clone();
            let combined =
                |&input: &Id| done[input] || matches!(graph.nodes[input].kind, Kind::Sum(_) | Kind::Combine { .. });
            // Key steps leave added values as they are.
            done[id] = inputs.iter().all(combined);
            let Some(sum) = behind[id].filter(|_| matches!(arity, Arity::Many | Arity::Times(_)) && !done[id]) else {
                continue;
            };
            let Kind::Sum(said) = &graph.nodes[sum].kind else {
                continue;
            };
            let Some(make) = said.combine.clone() else {
                continue;
            };
            let store = said.store.name;
            done[id] = true;
            let above = &graph.nodes[inputs[0]];
            let combine = PlanNode {
                kind: Kind::Combine {
                    make,
                    takes: above.gives,
                    before: graph.nodes[id].names.first().cloned().unwrap_or_default(),
                },
                gives: above.gives,
                output: above.output.clone(),
                said: Vec::new(),
                names: Vec::new(),
                counts: Vec::new(),
                at: graph.nodes[id].at,
                inputs,
                gone: false,
            };
            graph.nodes.push(combine);
            done.push(true);
            graph.nodes[id].inputs = vec![graph.nodes.len() - 1];
            changes.push(format!(
                "values for store `{store}` are added before #{} multiplies their keys: a key is expanded for many values at once",
                graph.nodes[id].said[0]
            ));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use crate::planner::rules::bench::*;
    use crate::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn three(k: &u64, out: &mut KeysOut<'_, u64>) {
        (0..3).for_each(|i| out.emit(k / 2 + i));
    }

    #[test]
    fn keys_are_expanded_once_a_commit() {
        let calls = Arc::new(AtomicU64::new(0));
        let seen = calls.clone();
        let keys = pairs().flat_map_keys(move |k, out| {
            seen.fetch_add(1, Relaxed);
            three(k, out);
        });
        let job = Job::new("j", keys.sum_by_key(TOTALS));
        totals(&job, &Rules::none());
        assert_eq!(calls.swap(0, Relaxed), 200);
        totals(&job, &Rules::all());
        assert_eq!(calls.swap(0, Relaxed), 7, "as often as there are keys");
        assert_eq!(fires("combine-before-keys", &job), 1);
    }
    #[test]
    fn also_through_other_key_steps_but_once() {
        let keys = pairs()
            .flat_map_keys(three)
            .filter_keys(|k| k % 2 == 0)
            .flat_map_keys(three);
        assert_eq!(fires("combine-before-keys", &Job::new("j", keys.sum_by_key(TOTALS))), 1);
    }
    /// What joins behind a combiner is not added up yet: found by a random graph.
    #[test]
    fn again_where_a_merge_brings_single_values() {
        let some = pairs().map_keys(|k| k + 1);
        let keys = some
            .clone()
            .flat_map_keys(three)
            .merge(some)
            .map_keys(|k| k + 1)
            .flat_map_keys(three);
        assert_eq!(fires("combine-before-keys", &Job::new("j", keys.sum_by_key(TOTALS))), 2);
    }
    /// The values in between must be those that are summed.
    #[test]
    fn not_before_a_value_step() {
        let job = Job::new(
            "j",
            pairs().flat_map_keys(three).map_values(|v| v * v).sum_by_key(TOTALS),
        );
        assert_eq!(fires("combine-before-keys", &job), 0);
    }
    /// A sink must see single pairs.
    #[test]
    fn not_where_somebody_else_reads() {
        let keys = pairs().flat_map_keys(three);
        let lengths = keys
            .clone()
            .pairs()
            .keyed(|(k, v), out| out.emit(*k, v * v))
            .sum_by_key(OTHERS);
        assert_eq!(
            fires(
                "combine-before-keys",
                &Job::new("j", (keys.sum_by_key(TOTALS), lengths))
            ),
            0
        );
    }
    /// What is absorbed is no value yet.
    #[test]
    fn not_before_an_aggregation() {
        const LARGEST: Store<u64, rufous_algebra::Max<u64>> = Store::new("largest");
        let job = Job::new("j", pairs().flat_map_keys(three).aggregate_by_key(LARGEST));
        assert_eq!(fires("combine-before-keys", &job), 0);
    }
    /// Deltas are added up already.
    #[test]
    fn not_behind_a_sum() {
        let job = Job::new(
            "j",
            pairs()
                .sum_by_key(TOTALS)
                .deltas()
                .flat_map_keys(three)
                .sum_by_key(OTHERS),
        );
        assert_eq!(fires("combine-before-keys", &job), 0);
    }
}

//! `x.flat_map_keys(f).sum = x.sum.flat_map_keys(f).sum`, the inner sum in memory.
//!
//! Preconditions: nothing but key steps with one reader each lies between `flat_map_keys` and the sum, so that values arrive
//! as they are; the sum is commutative and adds the values themselves (it brings a combiner along exactly then). Key steps
//! cannot count. Each key is then expanded once for all its values: sum over records of f(k) x v = sum over keys of
//! f(k) x (sum of v).

use super::Rule;
use crate::graph::{Arity, Contract};
use crate::planner::graph::{Id, Kind, PlanGraph, PlanNode};

pub(super) struct CombineBeforeKeys;

/// The sum behind a key step, if only key steps are between.
fn sum_behind(graph: &PlanGraph, readers: &[Vec<Id>], step: Id) -> Option<Id> {
    let mut at = step;
    loop {
        let [next] = readers[at][..] else { return None };
        match &graph.nodes[next].kind {
            Kind::Sum(_) => return Some(next),
            Kind::Step(s) if matches!(s.contract, Contract::Keys(_)) => at = next,
            _ => return None,
        }
    }
}

impl Rule for CombineBeforeKeys {
    fn name(&self) -> &'static str {
        "combine-before-keys"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let readers = graph.readers();
        // Behind a combiner another one would find little left to add.
        let mut done = vec![false; graph.nodes.len()];
        let mut changes = Vec::new();
        for id in graph.order() {
            if graph.nodes[id].kind.contract() != Some(Contract::Keys(Arity::Many)) {
                continue;
            }
            let inputs = graph.nodes[id].inputs.clone();
            let combined =
                |&input: &Id| done[input] || matches!(graph.nodes[input].kind, Kind::Sum(_) | Kind::Combine { .. });
            let Some(sum) = sum_behind(graph, &readers, id) else {
                continue;
            };
            let Kind::Sum(said) = &graph.nodes[sum].kind else {
                continue;
            };
            let (Some(make), false) = (said.combine.clone(), inputs.iter().all(combined)) else {
                continue;
            };
            let store = said.store.name;
            let mut at = id;
            while at != sum {
                done[at] = true;
                at = readers[at][0];
            }
            let above = &graph.nodes[inputs[0]];
            let combine = PlanNode {
                kind: Kind::Combine {
                    make,
                    takes: above.gives,
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
                "values for store `{store}` are added before #{} multiplies their keys: each key is expanded once a commit",
                graph.nodes[id].said[0]
            ));
        }
        changes
    }
}

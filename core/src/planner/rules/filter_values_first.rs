//! `x.map_keys(f).filter_values(p) = x.filter_values(p).map_keys(f)`, and so for `flat_map_keys`.
//!
//! Preconditions: the filter is the only reader of the key step, and both have one input. Key steps cannot count. A key step
//! does not touch values: all copies of one pass the filter, or none does.

use super::{Rule, swap};
use crate::graph::{Arity, Contract};
use crate::planner::graph::PlanGraph;

pub(super) struct FilterValuesFirst;

impl Rule for FilterValuesFirst {
    fn name(&self) -> &'static str {
        "filter-values-first"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let mut readers = graph.readers();
        let mut changes = Vec::new();
        for filter in graph.ids().collect::<Vec<_>>() {
            if graph.nodes[filter].kind.contract() != Some(Contract::Values(Arity::Filter)) {
                continue;
            }
            let mut passed = Vec::new();
            while let [earlier] = graph.nodes[filter].inputs[..] {
                let node = &graph.nodes[earlier];
                let keys = matches!(node.kind.contract(), Some(Contract::Keys(Arity::One | Arity::Many)));
                if !keys || node.inputs.len() != 1 || readers[earlier].len() != 1 {
                    break;
                }
                let output = graph.nodes[node.inputs[0]].output.clone();
                swap(graph, &mut readers, earlier, filter);
                graph.nodes[filter].output = output;
                passed.push(format!("#{}", graph.nodes[earlier].said[0]));
            }
            if !passed.is_empty() {
                changes.push(format!(
                    "#{} filters by value before {}, which keeps values as they are: fewer keys are made",
                    graph.nodes[filter].said[0],
                    passed.join(" ")
                ));
            }
        }
        changes
    }
}

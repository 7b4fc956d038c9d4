//! `x.map_values(f).filter_keys(p) = x.filter_keys(p).map_values(f)`, and so for `flat_map_values`.
//!
//! Preconditions: the filter is the only reader of the value step (else the others would lose pairs), both have one input,
//! and the value step counts nothing (it runs for fewer pairs). A value step does not touch keys, so `p` sees the same ones.

use super::{Rule, swap};
use crate::graph::{Arity, Contract};
use crate::planner::graph::{Kind, PlanGraph};

pub(super) struct FilterKeysFirst;

impl Rule for FilterKeysFirst {
    fn name(&self) -> &'static str {
        "filter-keys-first"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let mut readers = graph.readers();
        let mut changes = Vec::new();
        for filter in graph.ids().collect::<Vec<_>>() {
            if graph.nodes[filter].kind.contract() != Some(Contract::Keys(Arity::Filter)) {
                continue;
            }
            let mut passed = Vec::new();
            while let [earlier] = graph.nodes[filter].inputs[..] {
                let node = &graph.nodes[earlier];
                let values = matches!(node.kind.contract(), Some(Contract::Values(Arity::One | Arity::Many)));
                if !values || node.inputs.len() != 1 || !node.counts.is_empty() || readers[earlier].len() != 1 {
                    break;
                }
                let above = &graph.nodes[node.inputs[0]];
                let (gives, output) = (above.gives, above.output.clone());
                swap(graph, &mut readers, earlier, filter);
                let node = &mut graph.nodes[filter];
                (node.gives, node.output) = (gives, output);
                if let Kind::Step(step) = &mut node.kind {
                    step.takes = gives;
                }
                passed.push(format!("#{}", graph.nodes[earlier].said[0]));
            }
            if !passed.is_empty() {
                changes.push(format!(
                    "#{} filters by key before {}, which keeps keys as they are: fewer values are made",
                    graph.nodes[filter].said[0],
                    passed.join(" ")
                ));
            }
        }
        changes
    }
}

//! `read(P).steps.sum = distinct(read(P)).steps.times(n).sum`.
//!
//! Precondition: the record has a single field, so that an entry of a dictionary-coded column is a record; no sum is in
//! order. The rule only allows it: a platform that finds the column coded so runs each different record once, with the number
//! of times that it stands in the input; sums add `value.times(n)`, counters count n, sinks receive n copies. Steps see no
//! difference: closures are pure.

use super::Rule;
use crate::planner::graph::{Kind, PlanGraph};

pub(super) struct Times;

impl Rule for Times {
    fn name(&self) -> &'static str {
        "times"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        let in_order = |id: usize| matches!(&graph.nodes[id].kind, Kind::Sum(sum) if sum.in_order);
        if graph.ids().any(in_order) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for node in graph.nodes.iter_mut().filter(|n| !n.gone) {
            if let Kind::Source { face, repeats } = &mut node.kind
                && let Some([field]) = face.fields
            {
                *repeats = true;
                changes.push(format!(
                    "a record of source `{}` is its field `{}` alone: where that column is coded by a dictionary, each entry runs \
                     once and counts as often as it occurs",
                    face.name, field.name
                ));
            }
        }
        changes
    }
}

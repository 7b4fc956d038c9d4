//! What holds of every plan. A rule that breaks one stops the planning with its name: a plan is never run in doubt.

use super::graph::{Kind, PlanGraph};
use crate::error::{Error, Result};

/// What no rule may change: ends, names, and the steps that count.
#[derive(PartialEq, Eq)]
pub(super) struct Kept {
    ends: Vec<String>,
    names: Vec<String>,
    counts: Vec<(usize, Vec<&'static str>)>,
    said: Vec<usize>,
}

impl Kept {
    pub(super) fn of(graph: &PlanGraph) -> Self {
        let nodes = || graph.ids().map(|id| &graph.nodes[id]);
        let label = |kind: &Kind| {
            let (word, about) = kind.label();
            format!("{word} {about}")
        };
        let mut kept = Self {
            ends: nodes().filter(|n| n.kind.is_end()).map(|n| label(&n.kind)).collect(),
            names: nodes().flat_map(|n| n.names.iter().cloned()).collect(),
            counts: nodes()
                .filter(|n| !n.counts.is_empty())
                .flat_map(|n| n.said.iter().map(|&said| (said, n.counts.clone())))
                .collect(),
            said: nodes().flat_map(|n| n.said.iter().copied()).collect(),
        };
        kept.ends.sort();
        kept.names.sort();
        kept.counts.sort();
        kept.said.sort_unstable();
        kept
    }
}

/// # Errors
/// The invariant that does not hold, and where: a bug of ours.
pub(super) fn check(graph: &PlanGraph, before: &Kept) -> Result<()> {
    let broken = |id: usize, what: String| Err(Error::bug(format!("{} {what}", graph.call(id))));
    for id in graph.ids() {
        let node = &graph.nodes[id];
        let source = matches!(node.kind, Kind::Source { .. });
        if node.inputs.is_empty() != source {
            return broken(id, format!("has {} inputs", node.inputs.len()));
        }
        for &input in &node.inputs {
            let Some(from) = graph.nodes.get(input).filter(|n| !n.gone) else {
                return broken(id, "reads a step that was removed".into());
            };
            let takes = node.kind.takes().unwrap_or(node.gives);
            if from.gives.id != takes.id {
                return broken(id, format!("takes {} and is given {}", takes.name, from.gives.name));
            }
        }
    }
    let readers = graph.readers();
    if let Some(id) = graph
        .ids()
        .find(|&id| readers[id].is_empty() && !graph.nodes[id].kind.is_end())
    {
        return broken(id, "is read by nobody".into());
    }
    if graph.order().len() != graph.ids().count() {
        return Err(Error::bug("the plan has a circle"));
    }
    let after = Kept::of(graph);
    for (what, same) in [
        ("stores and sinks", after.ends == before.ends),
        ("names", after.names == before.names),
        ("counters", after.counts == before.counts),
        ("steps that were said", after.said == before.said),
    ] {
        if !same {
            return Err(Error::bug(format!(
                "the {what} of the plan are no longer those of the job"
            )));
        }
    }
    Ok(())
}

//! The plan as values, for those who draw it.

use std::collections::HashMap;

use super::explain;
use super::graph::{Kind, PlanGraph, PlanNode};
use super::layout::Layout;
use crate::graph::{Arity, Contract};
use crate::port::COUNTERS;

/// A node of the plan. Its place in [`Plan::drawn`](crate::Plan::drawn) is the number by which `explain` calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drawn {
    /// What it does to records: `source`, `map`, `filter`, `flat_map`, `pass`, `join`, `scan`, `merge`, `combine`, `remember`, `sum` or
    /// `write`.
    pub kind: &'static str,
    /// The word of the step, as `explain` says it.
    pub word: &'static str,
    /// What it is about: of sources, sums and writes the port.
    pub about: String,
    /// The names that it was given.
    pub names: Vec<String>,
    /// The nodes that it reads.
    pub inputs: Vec<usize>,
    /// What comes out, in words.
    pub output: String,
    /// What holds of it, for people; empty: nothing more.
    pub note: String,
    /// The line of the user's code; empty of what the planner added.
    pub at: String,
    /// Its place in [`Executor::passed`](crate::Executor::passed); sources have none.
    pub step: Option<usize>,
    /// Whether records go on from it: an end counts none.
    pub goes_on: bool,
}

fn kind(node: &PlanNode) -> &'static str {
    match &node.kind {
        Kind::Source { .. } => "source",
        Kind::Merge => "merge",
        Kind::Combine { .. } => "combine",
        Kind::Sum(_) => "sum",
        Kind::Scan { .. } => "scan",
        Kind::AsOf { .. } => "join",
        Kind::Tap(_) => "remember",
        Kind::Write(_) => "write",
        Kind::Step(step) if step.joins.is_some() => "join",
        Kind::Step(step) => match step.contract {
            Contract::OptionMap if step.word.contains("filter") => "filter",
            Contract::Keys(Arity::Filter) | Contract::Values(Arity::Filter) => "filter",
            Contract::OptionMap
            | Contract::Keys(Arity::One | Arity::Coarser)
            | Contract::Values(Arity::One | Arity::Coarser) => "map",
            Contract::FlatMap
            | Contract::Keys(Arity::Times(_) | Arity::Many)
            | Contract::Values(Arity::Times(_) | Arity::Many) => "flat_map",
            Contract::Passes => "pass",
        },
    }
}

pub(super) fn drawn(graph: &PlanGraph, layout: &Layout) -> Vec<Drawn> {
    let places: HashMap<_, _> = layout.order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let readers = graph.readers();
    let one = |&id: &usize| {
        let node = &graph.nodes[id];
        let (word, about) = node.kind.label();
        Drawn {
            kind: kind(node),
            word,
            about: about.into(),
            names: node.names.clone(),
            inputs: node.inputs.iter().filter_map(|i| places.get(i).copied()).collect(),
            output: node.output.clone(),
            note: explain::notes(graph, node).join("; "),
            at: format!("{}:{}", node.at.file(), node.at.line()),
            step: layout.step.get(&id).map(|step| *step as usize),
            goes_on: !readers[id].is_empty(),
        }
    };
    let mut all: Vec<Drawn> = layout.order.iter().map(one).collect();
    if !layout.counters.is_empty() {
        let counts = layout.order.iter().enumerate();
        let counts = counts.filter(|(_, id)| !graph.nodes[**id].counts.is_empty());
        all.push(Drawn {
            kind: "sum",
            word: "sum-by-key",
            about: COUNTERS.name().into(),
            names: Vec::new(),
            inputs: counts.map(|(place, _)| place).collect(),
            output: String::new(),
            note: format!("holds {}", layout.counters.join(" ")),
            at: String::new(),
            step: Some(layout.step.len()),
            goes_on: false,
        });
    }
    all
}

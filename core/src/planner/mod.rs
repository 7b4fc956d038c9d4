//! From what was said to what runs. The planner reads the graph and never the typed face.
//!
//! - `normal`: the nodes that do something, with their names, counters and lines; here the job is checked;
//! - [`rules`]: rewrites, one a file: equation, precondition, tests; after each the invariants are checked;
//! - `domains`: which sources have one order together, and what they must have in common;
//! - `operators`: what operators with memory need of the graph above them;
//! - `invariants`: what holds of every plan, whatever the rules did;
//! - `layout`: steps in running order; [`Plan`]: the result; `explain`, `dot`, `drawn`: the result for people.
//!
//! Neighbouring steps need no rule to be fused: a chunk goes through all of them while it is in the cache, and a step costs
//! two downcasts a chunk, of its input and its output: 0.7 ns a record in all (`benches/RESULTS.md`). A rule that made one
//! closure of two would save that, and lose the step's own line in errors and counts.

mod domains;
mod dot;
mod drawn;
mod explain;
mod graph;
mod invariants;
mod layout;
mod normal;
mod operators;
mod plan;
pub mod rules;

use std::panic::Location;
use std::sync::Arc;

pub use domains::Joint;
pub use drawn::Drawn;
pub use operators::OperatorFace;
pub use plan::Plan;
pub use rules::Rules;

use crate::error::Result;
use crate::graph::Node;

/// What a job is called by.
pub(crate) struct Identity<'a> {
    pub(crate) job: &'static str,
    pub(crate) version: u32,
    pub(crate) arguments: &'a str,
    /// Where the job is made.
    pub(crate) at: &'static Location<'static>,
}

/// Checks a job and plans it.
pub(crate) fn plan(identity: &Identity<'_>, tails: &[Arc<Node>], rules: &Rules) -> Result<Plan> {
    let said = normal::Said::of(identity, tails)?;
    let mut graph = said.normal()?;
    let before = invariants::Kept::of(&graph);
    invariants::check(&graph, &before).map_err(|e| e.at("before any planner rule"))?;
    let mut reasons = Vec::new();
    for rule in rules.chosen() {
        let changes = rule.apply(&mut graph);
        invariants::check(&graph, &before).map_err(|e| e.at(format_args!("after planner rule `{}`", rule.name())))?;
        reasons.extend(changes.into_iter().map(|why| (rule.name(), why)));
    }
    layout::lay_out(identity, &said, graph, reasons)
}

#[cfg(test)]
mod tests;

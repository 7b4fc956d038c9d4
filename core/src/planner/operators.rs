//! What operators with memory need of the graph above them: records of their own, in an order, from known sources.
//!
//! What an operator emits depends on the records before it (O1). So nothing above it may add records up, repeat them or change
//! their order, and somebody must say which partitions a key may come from.

use std::collections::BTreeMap;

use super::graph::{Id, Kind, PlanGraph, PlanNode, call};
use super::normal::{Said, line};
use crate::error::{Error, Result};
use crate::graph::{Contract, Domain, Node, NodeKind, Step};

/// An operator of a plan, for platforms.
#[derive(Clone, Debug)]
pub struct OperatorFace {
    /// Its word and the line of the user's code.
    pub name: String,
    /// The place of its store in [`Plan::stores`](super::Plan::stores).
    pub store: usize,
    /// The name of that store.
    pub store_name: &'static str,
    /// The places of its sources in [`Plan::sources`](super::Plan::sources).
    pub sources: Vec<usize>,
    /// Which partitions have a common order; `None`: nobody said.
    pub domain: Option<Domain>,
    /// Whether sums of its values are approximate, and what they are.
    pub approximate: Option<String>,
}

/// What is known of each node that was said.
pub(super) struct Operators {
    domains: Vec<Option<Domain>>,
}

impl Operators {
    /// # Errors
    /// `InvalidRequest` when an operator stands where it cannot have its records one by one.
    pub(super) fn of(said: &Said, in_order: bool) -> Result<Self> {
        let mut domains: Vec<Option<Domain>> = Vec::with_capacity(said.nodes.len());
        // What may come in groups that nobody specifies, and the store whose deltas they are.
        let mut grouped: Vec<Option<&'static str>> = Vec::with_capacity(said.nodes.len());
        for node in &said.nodes {
            let inputs: Vec<usize> = said.inputs(node).collect();
            let mut above = inputs.iter().map(|&i| domains[i]);
            let first = above.next().flatten();
            let common = first.filter(|d| above.all(|other| other == Some(*d)));
            let deltas = inputs.iter().find_map(|&i| grouped[i]);
            let (domain, deltas) = match &node.kind {
                NodeKind::Domain(Domain::Log) => {
                    return Err(Error::invalid(format!(
                        "`.in_log_order()` ({}): one order over all partitions is not reached yet (it takes one process, \
                         heartbeats, and waiting for the slowest partition): if a key stays in its partition say \
                         `.within_partition()`, or give the source one partition",
                        line(node.at)
                    )));
                }
                NodeKind::Domain(domain) => (Some(*domain), deltas),
                NodeKind::Deltas => (common, inputs.first().and_then(|&i| store(&said.nodes[i]))),
                NodeKind::Scan(scan) => {
                    if let Some(of) = deltas {
                        return Err(Error::invalid(format!(
                            "{}: deltas of `{of}` come in unspecified groups, so there is no value after each record: put the \
                             operator before that sum, or use `totals(..)` of `{of}` alone",
                            call((scan.word, scan.store.name), None, node.at)
                        )));
                    }
                    if in_order {
                        return Err(Error::invalid(format!(
                            "{}: in a job in order of event time operators are not reached yet: their order is that of the log, \
                             so drop `.in_order()`",
                            call((scan.word, scan.store.name), None, node.at)
                        )));
                    }
                    (common, scan.grouped.then_some(scan.store.name))
                }
                // Records are absorbed before their keys become those of hops.
                NodeKind::Absorb(_) => (common, Some("windowed states")),
                _ => (common, deltas),
            };
            domains.push(domain);
            grouped.push(deltas);
        }
        Ok(Self { domains })
    }

    pub(super) fn domain(&self, said: usize) -> Option<Domain> {
        self.domains.get(said).copied().flatten()
    }
}

fn store(node: &Node) -> Option<&'static str> {
    match &node.kind {
        NodeKind::Sum(sum) => Some(sum.store.name),
        _ => None,
    }
}

/// An operator reads what its sum reads: the inputs of its plan node. Records that the sum absorbs are made values of before.
pub(super) fn beside(graph: &mut PlanGraph, sum: Option<Id>, node: &Node) -> Result<std::collections::VecDeque<Id>> {
    let found = sum.and_then(|id| match &graph.nodes[id].kind {
        Kind::Sum(said) => Some((graph.nodes[id].inputs.clone(), said.single.clone(), said.takes)),
        _ => None,
    });
    let Some((inputs, single, takes)) = found else {
        return Err(Error::bug("an operator stands on something else than a sum"));
    };
    let Some((make, gives)) = single else {
        return Ok(inputs.into());
    };
    let id = graph.nodes.len();
    graph.nodes.push(PlanNode {
        kind: Kind::Step(Step {
            word: "absorb-one",
            about: "",
            // Nothing passes it: neither filters nor combiners know what it is.
            contract: Contract::OptionMap,
            takes,
            make,
            counts: None,
            joins: None,
            traces: false,
        }),
        inputs,
        said: Vec::new(),
        names: Vec::new(),
        counts: Vec::new(),
        gives,
        output: node.output.clone(),
        at: node.at,
        gone: false,
    });
    Ok([id].into())
}

fn is_scan(node: &PlanNode) -> bool {
    !node.gone && matches!(node.kind, Kind::Scan { .. })
}

/// Per node: whether an operator stands behind it.
pub(super) fn above(graph: &PlanGraph) -> Vec<bool> {
    let mut above = vec![false; graph.nodes.len()];
    if !graph.nodes.iter().any(is_scan) {
        return above;
    }
    for id in graph.order().into_iter().rev() {
        if above[id] || is_scan(&graph.nodes[id]) {
            for &input in &graph.nodes[id].inputs {
                above[input] = true;
            }
        }
    }
    above
}

/// Per node how many ways lead to it from each source, by name: one, or several.
fn ways<'a>(graph: &'a PlanGraph, order: &[Id]) -> Vec<BTreeMap<&'a str, bool>> {
    let mut ways: Vec<BTreeMap<&str, bool>> = vec![BTreeMap::new(); graph.nodes.len()];
    for &id in order {
        let mut here = BTreeMap::new();
        if let Kind::Source { face, .. } = &graph.nodes[id].kind {
            here.insert(face.name, false);
        }
        for &input in &graph.nodes[id].inputs {
            for (source, several) in &ways[input] {
                here.entry(*source).and_modify(|s| *s = true).or_insert(*several);
            }
        }
        ways[id] = here;
    }
    ways
}

/// Whether an operator gets what several branches make of one record.
pub(super) fn meets_itself(graph: &PlanGraph) -> bool {
    if !graph.nodes.iter().any(is_scan) {
        return false;
    }
    let ways = ways(graph, &graph.order());
    let several = |id: Id| ways[id].values().any(|several| *several);
    graph.ids().any(|id| is_scan(&graph.nodes[id]) && several(id))
}

/// Which operator gets the records of which sources, in the order of their steps.
pub(super) fn sources<'a>(graph: &'a PlanGraph, order: &[Id]) -> BTreeMap<Id, Vec<&'a str>> {
    if !graph.nodes.iter().any(is_scan) {
        return BTreeMap::new();
    }
    let ways = ways(graph, order);
    let of = |&id: &Id| (id, ways[id].keys().copied().collect());
    order.iter().filter(|id| is_scan(&graph.nodes[**id])).map(of).collect()
}

impl OperatorFace {
    /// Whether a run over so many partitions of each source has an order for this operator; sources in the plan's order.
    ///
    /// # Errors
    /// `InvalidRequest` with the word that is missing.
    pub fn check_partitions(&self, sources: &[(&str, usize)]) -> Result<()> {
        let several = self
            .sources
            .iter()
            .filter_map(|&s| sources.get(s))
            .find(|(_, n)| *n > 1);
        match (several, self.domain) {
            (Some((source, n)), None) => Err(Error::invalid(format!(
                "{}: keys may come from {n} partitions of `{source}`, which have no common order. If a key stays in its \
                 partition add `.within_partition()` before it (one order over all partitions, `.in_log_order()`, is not \
                 reached yet)",
                self.name
            ))),
            _ => Ok(()),
        }
    }
    /// Whether two layers that divide a log emit the same here.
    ///
    /// # Errors
    /// `InvalidRequest` with what would differ.
    pub fn check_layers(&self, sources: &[&str]) -> Result<()> {
        if let Some(what) = &self.approximate {
            return Err(Error::invalid(format!(
                "{} reads `{}` ({what}, approximate): the layers would emit different values; use an exact type or one layer (in \
                 memory, or in bulk over a bounded input)",
                self.name, self.store_name
            )));
        }
        if self.sources.len() > 1 {
            let names = self.sources.iter().filter_map(|&s| sources.get(s));
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            return Err(Error::invalid(format!(
                "{} gets the records of {}, which have no common order between layers yet: merge behind the operator, or give \
                 each source an operator and a store of its own",
                self.name,
                names.join(" and ")
            )));
        }
        Ok(())
    }
}

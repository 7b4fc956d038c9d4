//! From what was said to the nodes that do something. Names, declarations, and merges with one reader become attributes of
//! their neighbours; the job is checked on the way, so that a refusal names a line of the user's code.

use std::any::TypeId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;

use super::Identity;
use super::domains::is_spread;
use super::graph::{Id, Kind, PlanGraph, PlanNode, call};
use super::operators::{self, Operators, beside};
use crate::error::{Error, Result};
use crate::graph::{Arity, Contract, Node, NodeKind, topological};
use crate::port::{COUNTERS, hyphens_stand_alone};

/// A job's nodes, numbered as they are shown.
pub(crate) struct Said {
    pub(crate) nodes: Vec<Arc<Node>>,
    number: HashMap<*const Node, usize>,
}

type At = &'static Location<'static>;

pub(super) fn line(at: At) -> String {
    format!("{}:{}", at.file(), at.line())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl Said {
    pub(crate) fn of(identity: &Identity<'_>, tails: &[Arc<Node>]) -> Result<Self> {
        if !is_name(identity.job) {
            return Err(Error::invalid(format!(
                "job name `{}` ({}): names are made of a-z, 0-9 and '-'",
                identity.job,
                line(identity.at)
            )));
        }
        let nodes = topological(tails);
        let number = nodes.iter().enumerate().map(|(i, n)| (Arc::as_ptr(n), i)).collect();
        let said = Self { nodes, number };
        said.check_ports()?;
        Ok(said)
    }

    /// The numbers of a node's inputs.
    pub(crate) fn inputs(&self, node: &Node) -> impl Iterator<Item = usize> {
        node.inputs
            .iter()
            .filter_map(|i| self.number.get(&Arc::as_ptr(i)).copied())
    }

    /// One port, one type; one store, one sum; one sink, one write.
    fn check_ports(&self) -> Result<()> {
        let mut sources: HashMap<&str, (String, TypeId, At)> = HashMap::new();
        let mut stores: HashMap<&str, ((TypeId, TypeId), At)> = HashMap::new();
        let mut sinks: HashMap<&str, (TypeId, At)> = HashMap::new();
        for node in &self.nodes {
            match &node.kind {
                NodeKind::Source(face) => {
                    let found = (face.describe(), node.gives.id, node.at);
                    let first = sources.entry(face.name).or_insert_with(|| found.clone());
                    if first.0 == found.0 && first.1 != found.1 {
                        return Err(Error::invalid(format!(
                            "source `{}` is declared twice with different types of the same fields ({} and {}): one port, one type",
                            face.name,
                            line(first.2),
                            line(found.2)
                        )));
                    }
                    if first.0 != found.0 {
                        return Err(Error::invalid(format!(
                            "source `{}` is declared twice: `{}` ({}) and `{}` ({}); one port has one type, one clock and one \
                             batcher",
                            face.name,
                            first.0,
                            line(first.2),
                            found.0,
                            line(found.2)
                        )));
                    }
                }
                NodeKind::Sum(sum) => {
                    let name = sum.store.name;
                    if name == COUNTERS.name() {
                        return Err(Error::invalid(format!(
                            "store `{name}` ({}): this name is kept for the job's counters; choose another",
                            line(node.at)
                        )));
                    }
                    if let Some(windows) = sum.store.windows {
                        windows
                            .grid()
                            .map_err(|e| e.at(format_args!("store `{name}` ({})", line(node.at))))?;
                    }
                    let Some((types, at)) = stores.insert(name, (sum.types, node.at)) else {
                        continue;
                    };
                    let (first, second) = (line(at), line(node.at));
                    return Err(Error::invalid(if types == sum.types {
                        format!(
                            "store `{name}` ends two sums ({first} and {second}): merge them before the sum, or give each a store \
                             of its own"
                        )
                    } else {
                        format!(
                            "store `{name}` is declared twice with different types ({first} and {second}): one port, one type"
                        )
                    }));
                }
                NodeKind::Write(write) => {
                    if let Some((record, at)) = sinks.insert(write.sink, (write.record, node.at)) {
                        let (name, first, second) = (write.sink, line(at), line(node.at));
                        return Err(Error::invalid(if record == write.record {
                            format!(
                                "sink `{name}` ends two writes ({first} and {second}): merge them before the write, or give each a \
                                 sink of its own"
                            )
                        } else {
                            format!(
                                "sink `{name}` is declared twice with different types ({first} and {second}): one port, one type"
                            )
                        }));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many readers each node has once names and declarations are gone.
    fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0_usize; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let n = if passes(&node.kind) { readers[i] } else { 1 };
            for input in self.inputs(node) {
                readers[input] = readers[input].saturating_add(n);
            }
        }
        readers
    }

    /// The graph that rules work on.
    pub(crate) fn normal(&self) -> Result<PlanGraph> {
        let readers = self.readers();
        let mut graph = PlanGraph {
            nodes: Vec::new(),
            in_order: self.nodes.iter().any(|n| matches!(n.kind, NodeKind::InOrder)),
            one_by_one: false,
        };
        let named = |n: &&Arc<Node>| matches!(n.kind, NodeKind::Named(_));
        let named: HashSet<usize> = self.nodes.iter().filter(named).flat_map(|n| self.inputs(n)).collect();
        let mut annotated = Annotated::default();
        let operators = Operators::of(self, graph.in_order)?;
        // Where a node's records come from. A merge with one reader gives its list away instead of copying it.
        let mut origins: Vec<VecDeque<Id>> = Vec::with_capacity(self.nodes.len());
        // The plan's node that a said node became; of an annotation, that of the step before it.
        let mut became: Vec<Option<Id>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let mut all = VecDeque::new();
            for input in self.inputs(node).skip(node.kind.skips()).take(node.kind.reads()) {
                let list = if readers[input] > 1 {
                    origins[input].clone()
                } else {
                    std::mem::take(&mut origins[input])
                };
                join(&mut all, list);
            }
            let before = self.inputs(node).next();
            let kind = match &node.kind {
                NodeKind::Source(face) => Kind::Source {
                    face: face.clone(),
                    repeats: false,
                },
                NodeKind::Step(step) => Kind::Step(step.clone()),
                NodeKind::Absorb(absorbing) => Kind::Combine {
                    make: absorbing.make.clone(),
                    takes: absorbing.takes,
                    before: String::new(),
                },
                NodeKind::Sum(sum) => Kind::Sum(sum.clone()),
                NodeKind::Scan(scan) => {
                    let kind = Kind::Scan {
                        scan: scan.clone(),
                        domain: operators.domain(i),
                    };
                    let sum = before.and_then(|b| became[b]);
                    if node.kind.skips() == 0 {
                        all = beside(&mut graph, sum)?;
                    }
                    if let Some(together) = scan.by_partition.as_ref().filter(|_| is_spread(operators.domain(i))) {
                        operators::key_together(&mut graph, sum, together)?;
                    }
                    kind
                }
                NodeKind::AsOf(join) => Kind::AsOf {
                    join: join.clone(),
                    domain: operators.domain(i),
                },
                NodeKind::Write(write) => Kind::Write(write.clone()),
                // A name keeps it, too: names survive.
                NodeKind::Merge if readers[i] > 1 || named.contains(&i) => Kind::Merge,
                kind => {
                    let target = before.and_then(|b| became[b]);
                    match kind {
                        NodeKind::Named(name) => annotated.name(&mut graph, target, name, node.at)?,
                        NodeKind::Counting(counters) => annotated.counting(&mut graph, target, counters, node.at)?,
                        _ => {}
                    }
                    became.push(if matches!(kind, NodeKind::Merge) { None } else { target });
                    origins.push(all);
                    continue;
                }
            };
            let id = graph.nodes.len();
            let counts = match &kind {
                Kind::Step(step) => step.counts.into_iter().collect(),
                _ => Vec::new(),
            };
            graph.nodes.push(PlanNode {
                kind,
                inputs: all.into(),
                said: vec![i],
                names: Vec::new(),
                counts,
                gives: node.gives,
                output: node.output.clone(),
                at: node.at,
                gone: false,
            });
            became.push(Some(id));
            origins.push(VecDeque::from([id]));
        }
        operators::remember_versions(&mut graph)?;
        annotated.apart_from_stores(&graph)?;
        operators::check_loops(&graph)?;
        graph.one_by_one = operators::meets_itself(&graph);
        Ok(graph)
    }
}

/// Nodes that have no life of their own.
fn passes(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Named(_)
            | NodeKind::Counting(_)
            | NodeKind::InOrder
            | NodeKind::Deltas
            | NodeKind::Domain(_)
            | NodeKind::Written
    )
}

/// `all ++ more`, moving the shorter one: a chain of a thousand merges stays linear whichever way it leans.
fn join(all: &mut VecDeque<Id>, mut more: VecDeque<Id>) {
    if all.len() >= more.len() {
        all.append(&mut more);
    } else {
        while let Some(id) = all.pop_back() {
            more.push_front(id);
        }
        *all = more;
    }
}

/// The names that were given so far, with their lines.
#[derive(Default)]
struct Annotated<'a> {
    names: HashMap<&'a str, At>,
}

impl<'a> Annotated<'a> {
    fn name(&mut self, graph: &mut PlanGraph, target: Option<Id>, name: &'a str, at: At) -> Result<()> {
        if !is_name(name) {
            return Err(Error::invalid(format!(
                "step name `{name}` ({}): names are made of a-z, 0-9 and '-'",
                line(at)
            )));
        }
        if !hyphens_stand_alone(name) {
            return Err(Error::invalid(format!(
                "step name `{name}` ({}): each '-' is to stand between two of a-z and 0-9: a variable could not say it otherwise",
                line(at)
            )));
        }
        if let Some(first) = self.names.insert(name, at) {
            return Err(Error::invalid(format!(
                "two steps are named `{name}` ({} and {}): state, metrics and options go by the name, so it must be one step's",
                line(first),
                line(at)
            )));
        }
        let Some(node) = target.map(|id| &mut graph.nodes[id]) else {
            return Ok(());
        };
        if let Some(first) = node.names.first() {
            return Err(Error::invalid(format!(
                "{} is given a second name, `{name}` ({}): keep one",
                call(node.kind.label(), Some(first), node.at),
                line(at)
            )));
        }
        node.names.push(name.into());
        Ok(())
    }

    /// Options go by the name alone.
    fn apart_from_stores(&self, graph: &PlanGraph) -> Result<()> {
        for node in &graph.nodes {
            if let Kind::Sum(sum) = &node.kind
                && let Some(at) = self.names.get(sum.store.name)
            {
                return Err(Error::invalid(format!(
                    "step name `{}` ({}) is the name of a store ({}), too: options go by the name, so give the step another",
                    sum.store.name,
                    line(at),
                    line(node.at)
                )));
            }
        }
        match self.names.get(COUNTERS.name()) {
            Some(at) => Err(Error::invalid(format!(
                "step name `{}` ({}): this name is kept for the job's counters; choose another",
                COUNTERS.name(),
                line(at)
            ))),
            None => Ok(()),
        }
    }

    fn counting(&mut self, graph: &mut PlanGraph, target: Option<Id>, counters: &[&'static str], at: At) -> Result<()> {
        let step = target.map(|id| &mut graph.nodes[id]).filter(|n| {
            matches!(
                n.kind.contract(),
                Some(Contract::FlatMap | Contract::Values(Arity::Many))
            )
        });
        let Some(node) = step else {
            return Err(Error::invalid(format!(
                "`.counting` ({}) stands after something whose closure cannot count: put it right after the `flat_map`, `keyed`, \
                 `keyed_pairs` or `flat_map_values` that does",
                line(at)
            )));
        };
        node.counts.extend(counters);
        Ok(())
    }
}

//! What operators with memory need of the graph above them: records of their own, in an order, from known sources.
//!
//! What an operator emits depends on the records before it (O1). So nothing above it may add records up, repeat them or change
//! their order, and somebody must say which partitions a key may come from.
//!
//! A join with a store of the job reads versions of it: the planner adds their store beside the sum that builds the joined
//! one, and a tap that remembers them. No edge leads from the tap to the join: what is joined may be built of what the join
//! emits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::domains::{coarsest, is_spread, of_join, of_records};
use super::graph::{Id, Kind, PlanGraph, PlanNode, call};
use super::normal::{Said, line};
use crate::erased::{ChunkType, Meets};
use crate::error::{Error, Result};
use crate::graph::{Arity, AsOf, Contract, Domain, Make, Node, NodeKind, Step, Sum};

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
    /// Whether its keys may come from all partitions of its sources, and so have one state whatever partition a record is of.
    pub spread: bool,
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
        // What was promised of the records that come out: ids of a partition promise nothing of other keys.
        let mut promised: Vec<Option<Domain>> = Vec::with_capacity(said.nodes.len());
        // What may come in groups that nobody specifies, and the store whose deltas they are.
        let mut grouped: Vec<Option<&'static str>> = Vec::with_capacity(said.nodes.len());
        for node in &said.nodes {
            let inputs: Vec<usize> = said
                .inputs(node)
                .skip(node.kind.skips())
                .take(node.kind.reads())
                .collect();
            let common = coarsest(inputs.iter().map(|&i| promised[i]));
            let deltas = inputs.iter().find_map(|&i| grouped[i]);
            let (domain, deltas) = match &node.kind {
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
                    let domain = of_records(common, (scan.word, scan.store.name), node.at)?;
                    let domain = match scan.by_partition {
                        Some(_) => domain.max(Some(Domain::Partition)),
                        None => domain,
                    };
                    (domain, scan.grouped.then_some(scan.store.name))
                }
                NodeKind::AsOf(join) => {
                    if let Some(of) = deltas {
                        return Err(Error::invalid(format!(
                            "{}: deltas of `{of}` come in unspecified groups, which have no time of their own: join before that \
                             sum",
                            call((join.word, join.store), None, node.at)
                        )));
                    }
                    if in_order {
                        return Err(Error::invalid(format!(
                            "{}: in a job in order of event time joins with a store are not reached yet: their order is that of \
                             the log, so drop `.in_order()`",
                            call((join.word, join.store), None, node.at)
                        )));
                    }
                    (of_records(common, (join.word, join.store), node.at)?, None)
                }
                // Records are absorbed before their keys become those of hops.
                NodeKind::Absorb(_) => (common, Some("windowed states")),
                _ => (common, deltas),
            };
            let ids = matches!(&node.kind, NodeKind::Scan(scan) if scan.by_partition.is_some());
            promised.push(if ids { common } else { domain });
            domains.push(domain);
            grouped.push(deltas);
        }
        // What a join finds comes the way of the store.
        let mut of_joins = Vec::new();
        for (i, node) in said.nodes.iter().enumerate() {
            let NodeKind::AsOf(join) = &node.kind else { continue };
            let (at, sum) = joined(said, join, node)?;
            let built: Vec<usize> = said.inputs(&said.nodes[at]).collect();
            if let Some(of) = built.iter().find_map(|&b| grouped[b]) {
                return Err(Error::invalid(format!(
                    "{}: `{}` is built of deltas of `{of}`, which come in unspecified groups and have no time of their own: join \
                     `{of}`, or build it of records",
                    call((join.word, join.store), None, node.at),
                    sum.store.name
                )));
            }
            of_joins.push((i, of_join(domains[i], coarsest(built.iter().map(|&b| promised[b])))));
        }
        for (i, domain) in of_joins {
            domains[i] = domain;
        }
        Ok(Self { domains })
    }

    pub(super) fn domain(&self, said: usize) -> Option<Domain> {
        self.domains.get(said).copied().flatten()
    }
}

/// The sum that builds what a join reads.
fn joined<'a>(said: &'a Said, join: &AsOf, node: &Node) -> Result<(usize, &'a Sum)> {
    let name = call((join.word, join.store), None, node.at);
    let found = said.nodes.iter().enumerate().find_map(|(i, node)| match &node.kind {
        NodeKind::Sum(sum) if sum.store.name == join.store => Some((i, sum)),
        _ => None,
    });
    let Some((at, sum)) = found else {
        return Err(Error::invalid(format!(
            "{name}: this job sums nothing into `{}`: sum into it, or, if it is the store of another job, bind its answers to a \
             service port (`.left_join(SERVICE)`)",
            join.store
        )));
    };
    if sum.types != join.types {
        return Err(Error::invalid(format!(
            "{name}: store `{}` is declared twice with different types ({} and {}): one port, one type",
            join.store,
            line(said.nodes[at].at),
            line(node.at)
        )));
    }
    if sum.store.windows.is_some() {
        return Err(Error::invalid(format!(
            "{name}: `{}` is a windowed store, whose keys are hops: join a store of the keys themselves",
            join.store
        )));
    }
    Ok((at, sum))
}

fn store(node: &Node) -> Option<&'static str> {
    match &node.kind {
        NodeKind::Sum(sum) => Some(sum.store.name),
        _ => None,
    }
}

/// An operator reads what its sum reads: the inputs of its plan node. Records that the sum absorbs are made values of before.
pub(super) fn beside(graph: &mut PlanGraph, sum: Option<Id>) -> Result<VecDeque<Id>> {
    let Some(sum) = sum else {
        return Err(Error::bug("an operator stands on nothing"));
    };
    let Kind::Sum(said) = &graph.nodes[sum].kind else {
        return Err(Error::bug("an operator stands on something else than a sum"));
    };
    let (inputs, single, takes) = (graph.nodes[sum].inputs.clone(), said.single.clone(), said.takes);
    let Some((make, gives)) = single else {
        return Ok(inputs.into());
    };
    let step = Step {
        word: "absorb-one",
        about: "",
        // Nothing passes it: neither filters nor combiners know what it is.
        contract: Contract::OptionMap,
        takes,
        make,
        counts: None,
        joins: None,
        traces: false,
    };
    let id = added(graph, sum, Kind::Step(step), gives, inputs);
    Ok([id].into())
}

/// The keys of an operator's state, found one step before its sum, are those of all partitions together.
pub(super) fn key_together(graph: &mut PlanGraph, sum: Option<Id>, make: &Make) -> Result<()> {
    let found = sum.and_then(|sum| graph.nodes[sum].inputs.first().copied());
    match found.map(|id| &mut graph.nodes[id].kind) {
        Some(Kind::Step(step)) => {
            step.make = make.clone();
            Ok(())
        }
        _ => Err(Error::bug("an operator finds its keys in no step")),
    }
}

/// Beside the sum of each store that is joined: its versions, their store, and the tap that joins read.
pub(super) fn remember_versions(graph: &mut PlanGraph) -> Result<()> {
    let joins: Vec<(Id, AsOf)> = graph
        .ids()
        .filter_map(|id| match &graph.nodes[id].kind {
            Kind::AsOf { join, .. } => Some((id, join.clone())),
            _ => None,
        })
        .collect();
    let mut made: BTreeMap<&'static str, (Id, AsOf)> = BTreeMap::new();
    for (id, join) in joins {
        if let Some((first, of)) = made.get(join.versions.name) {
            if of.reading.horizon != join.reading.horizon {
                return Err(Error::invalid(format!(
                    "{} and {} look {} and {} batches back: the versions of a store are kept for one horizon, so say the same",
                    graph.call(*first),
                    graph.call(id),
                    of.reading.horizon,
                    join.reading.horizon
                )));
            }
            continue;
        }
        let sum_of = |name: &str| {
            graph
                .ids()
                .find(|&id| matches!(&graph.nodes[id].kind, Kind::Sum(sum) if sum.store.name == name))
        };
        let Some(sum) = sum_of(join.store) else {
            return Err(Error::bug(format!("{} has no sum", graph.call(id))));
        };
        if join.stamped.is_some()
            && let Some(taken) = sum_of(join.versions.name)
        {
            return Err(Error::invalid(format!(
                "{}: this name is kept for the versions of `{}`, which {} reads; choose another",
                graph.call(taken),
                join.store,
                graph.call(id)
            )));
        }
        let mut inputs: Vec<Id> = beside(graph, Some(sum))?.into();
        if let Some(stamped) = &join.stamped {
            let step = Step {
                word: "stamp",
                about: "",
                contract: Contract::OptionMap,
                takes: stamped.takes,
                make: stamped.stamp.clone(),
                counts: None,
                traces: true,
                joins: None,
            };
            inputs = vec![added(graph, id, Kind::Step(step), join.tapped, inputs)];
            let sum = Sum {
                word: "sum-by-key",
                store: join.versions,
                types: stamped.types,
                takes: join.tapped,
                make: stamped.sum.clone(),
                combine: None,
                in_order: false,
                single: None,
            };
            added(graph, id, Kind::Sum(sum), join.tapped, inputs.clone());
        }
        added(graph, id, Kind::Tap(join.clone()), join.tapped, inputs);
        made.insert(join.versions.name, (id, join));
    }
    Ok(())
}

/// A node that nobody said, because of one that somebody did.
fn added(graph: &mut PlanGraph, because: Id, kind: Kind, gives: ChunkType, inputs: Vec<Id>) -> Id {
    let (output, at) = (graph.nodes[because].output.clone(), graph.nodes[because].at);
    graph.nodes.push(PlanNode {
        kind,
        inputs,
        said: Vec::new(),
        names: Vec::new(),
        counts: Vec::new(),
        gives,
        output,
        at,
        gone: false,
    });
    graph.nodes.len() - 1
}

/// O18: between a join and the store that it reads the key stays.
pub(super) fn check_loops(graph: &PlanGraph) -> Result<()> {
    let readers = graph.readers();
    let order = graph.order();
    for id in graph.ids() {
        let Kind::AsOf { join, .. } = &graph.nodes[id].kind else {
            continue;
        };
        let mut behind = vec![false; graph.nodes.len()];
        behind[id] = true;
        for &at in &order {
            if behind[at] {
                readers[at].iter().for_each(|&r| behind[r] = true);
            }
        }
        let mut before = vec![false; graph.nodes.len()];
        for &at in order.iter().rev() {
            let node = &graph.nodes[at];
            if before[at] || matches!(&node.kind, Kind::Sum(sum) if sum.store.name == join.store) {
                node.inputs.iter().for_each(|&i| before[i] = true);
            }
        }
        let between = |at: &Id| *at != id && behind[*at] && before[*at] && !keeps_key(&graph.nodes[*at].kind);
        if let Some(at) = order.iter().copied().find(between) {
            return Err(Error::invalid(format!(
                "{}: store `{}` depends on it through {}; only value steps may lie between a join and the store that it reads",
                graph.call(id),
                join.store,
                graph.call(at)
            )));
        }
    }
    Ok(())
}

fn keeps_key(kind: &Kind) -> bool {
    match kind {
        Kind::Step(step) => {
            let ours = step.word == "absorb-one" || step.word == "stamp";
            ours || matches!(
                step.contract,
                Contract::Values(_) | Contract::Passes | Contract::Keys(Arity::Filter)
            )
        }
        Kind::Merge | Kind::AsOf { .. } => true,
        _ => false,
    }
}

fn is_operator(node: &PlanNode) -> bool {
    !node.gone && matches!(node.kind, Kind::Scan { .. } | Kind::AsOf { .. } | Kind::Tap(_))
}

/// Per node: whether an operator stands behind it.
pub(super) fn above(graph: &PlanGraph) -> Vec<bool> {
    let mut above = vec![false; graph.nodes.len()];
    if !graph.nodes.iter().any(is_operator) {
        return above;
    }
    for id in graph.order().into_iter().rev() {
        if above[id] || is_operator(&graph.nodes[id]) {
            for &input in &graph.nodes[id].inputs {
                above[input] = true;
            }
        }
    }
    above
}

/// Per node how many ways lead to it from each source, by name: one, or several; but for those through one node.
fn ways<'a>(graph: &'a PlanGraph, order: &[Id], but: Option<Id>) -> Vec<BTreeMap<&'a str, bool>> {
    let mut ways: Vec<BTreeMap<&str, bool>> = vec![BTreeMap::new(); graph.nodes.len()];
    for &id in order.iter().filter(|id| but != Some(**id)) {
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

/// What operators get: in which ways, from which sources.
pub(super) struct Fed<'a> {
    /// Per operator its sources, in the order of their names; of a join those of both sides.
    pub(super) sources: BTreeMap<Id, Vec<&'a str>>,
    /// Per operator how records meet themselves there.
    pub(super) meets: BTreeMap<Id, Meets>,
    /// Those whose keys may come from all partitions.
    pub(super) spread: BTreeSet<Id>,
}

pub(super) fn fed<'a>(graph: &'a PlanGraph, order: &[Id]) -> Fed<'a> {
    let mut fed = Fed {
        sources: BTreeMap::new(),
        meets: BTreeMap::new(),
        spread: BTreeSet::new(),
    };
    if !graph.nodes.iter().any(is_operator) {
        return fed;
    }
    let all_ways = ways(graph, order, None);
    let rooms = rooms(graph, order, &all_ways);
    for id in graph.ids().filter(|&id| is_operator(&graph.nodes[id])) {
        let (sources, meets, spread) = match &graph.nodes[id].kind {
            Kind::Tap(join) | Kind::AsOf { join, .. } => { rooms.get(join.versions.name) }
                .map(|room| (room.sources.clone(), room.meets, room.spread))
                .unwrap_or((BTreeSet::new(), Meets::Not, false)),
            kind => {
                let several = all_ways[id].values().any(|several| *several);
                let meets = if several { Meets::OneByOne } else { Meets::Not };
                let spread = matches!(kind, Kind::Scan { domain, .. } if is_spread(*domain));
                (all_ways[id].keys().copied().collect(), meets, spread)
            }
        };
        fed.sources.insert(id, sources.into_iter().collect());
        fed.meets.insert(id, meets);
        if spread {
            fed.spread.insert(id);
        }
    }
    fed
}

/// What taps and joins of one store of versions share.
struct Room<'a> {
    tap: Id,
    joins: Vec<Id>,
    /// Of all of them.
    sources: BTreeSet<&'a str>,
    meets: Meets,
    /// Whether one of the joins finds keys of all partitions.
    spread: bool,
}

fn rooms<'a>(
    graph: &PlanGraph,
    order: &[Id],
    all_ways: &[BTreeMap<&'a str, bool>],
) -> BTreeMap<&'static str, Room<'a>> {
    let mut rooms: BTreeMap<&'static str, Room<'a>> = BTreeMap::new();
    for id in graph.ids() {
        if let Kind::Tap(join) = &graph.nodes[id].kind {
            let room = Room {
                tap: id,
                joins: Vec::new(),
                sources: all_ways[id].keys().copied().collect(),
                meets: Meets::Not,
                spread: false,
            };
            rooms.insert(join.versions.name, room);
        }
    }
    for id in graph.ids() {
        let Kind::AsOf { join, domain } = &graph.nodes[id].kind else {
            continue;
        };
        if let Some(room) = rooms.get_mut(join.versions.name) {
            room.joins.push(id);
            room.spread |= is_spread(*domain);
            room.sources.extend(all_ways[id].keys().copied());
        }
    }
    for room in rooms.values_mut() {
        let meet = |join: &Id| {
            all_ways[*join]
                .keys()
                .any(|source| all_ways[room.tap].contains_key(source))
        };
        if !room.joins.iter().any(meet) {
            continue;
        }
        room.meets = match room.joins[..] {
            [join] if is_loop(graph, order, all_ways, join, room.tap) => Meets::Loop,
            _ => Meets::OneByOne,
        };
    }
    rooms
}

/// Whether a record comes to a join in one way, and to what the join reads through it alone.
fn is_loop(graph: &PlanGraph, order: &[Id], all_ways: &[BTreeMap<&str, bool>], join: Id, tap: Id) -> bool {
    let sources = &all_ways[join];
    let besides = ways(graph, order, Some(join));
    let one_way = sources.values().all(|several| !several);
    one_way && !besides[tap].keys().any(|source| sources.contains_key(source))
}

/// Whether an operator gets what several branches make of one record.
pub(super) fn meets_itself(graph: &PlanGraph) -> bool {
    fed(graph, &graph.order()).meets.values().any(|m| *m == Meets::OneByOne)
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
                 partition add `.within_partition()` before it, else `.in_log_order()` (one process, heartbeats in every partition)",
                self.name
            ))),
            _ if self.spread => Ok(()),
            _ => self.same_partitions(sources),
        }
    }
    /// Whether two layers that divide a log emit the same here.
    ///
    /// # Errors
    /// `InvalidRequest` with what would differ.
    pub fn check_layers(&self) -> Result<()> {
        if let Some(what) = &self.approximate {
            return Err(Error::invalid(format!(
                "{} reads `{}` ({what}, approximate): the layers would emit different values; use an exact type or one layer (in \
                 memory, or in bulk over a bounded input)",
                self.name, self.store_name
            )));
        }
        Ok(())
    }
}

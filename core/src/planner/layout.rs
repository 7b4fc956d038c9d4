//! From the graph to steps in running order.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use super::Identity;
use super::graph::{Id, Kind, PlanGraph};
use super::normal::Said;
use super::operators::OperatorFace;
use super::plan::{Pieces, Plan, StepMaker};
use super::{dot, drawn, explain};
use crate::erased::{About, Extent, Follower, Meets, Rooms, Shape, Standing, sum_stage};
use crate::error::{Error, Result};
use crate::evidence::{SourceFace, StoreFace};
use crate::graph::{Arity, Contract, Step};
use crate::port::COUNTERS;
use crate::service::ServiceFace;

/// What the graph comes to.
pub(super) struct Layout {
    pub(super) order: Vec<Id>,
    /// Per node its step; sources have none.
    pub(super) step: HashMap<Id, u32>,
    pub(super) sources: Vec<SourceFace>,
    pub(super) stores: Vec<StoreFace>,
    pub(super) counters: Vec<&'static str>,
}

pub(super) fn lay_out(
    identity: &Identity<'_>,
    said: &Said,
    graph: PlanGraph,
    reasons: Vec<(&'static str, String)>,
) -> Result<Plan> {
    let order = graph.order();
    let mut layout = Layout {
        order: Vec::new(),
        step: HashMap::new(),
        sources: Vec::new(),
        stores: Vec::new(),
        counters: Vec::new(),
    };
    let mut repeats = Vec::new();
    let mut number: HashMap<Id, usize> = HashMap::new();
    for &id in &order {
        match &graph.nodes[id].kind {
            Kind::Source { face, repeats: may } => {
                let known = layout.sources.iter().position(|s| s.name == face.name);
                number.insert(id, known.unwrap_or(layout.sources.len()));
                if known.is_none() {
                    layout.sources.push(face.clone());
                    repeats.push(*may);
                }
            }
            _ => {
                let step = layout.step.len() as u32;
                layout.step.insert(id, step);
            }
        }
    }
    let steps = layout.step.len();
    let readers = graph.readers();
    let traced = graph.traced(false);
    let asked = graph.asked();
    let mut services: Vec<ServiceFace> = Vec::new();
    let mut shape = Shape {
        next: vec![Vec::new(); steps],
        sources: vec![Vec::new(); layout.sources.len()],
        traced_sources: vec![false; layout.sources.len()],
        traced: Vec::with_capacity(steps + 1),
        traces: traced.contains(&true),
        identifies: false,
        batchers: layout.sources.iter().map(SourceFace::batcher).collect(),
        asked: vec![Vec::new(); layout.sources.len()],
        sums: Vec::new(),
        counters: None,
        writes: Vec::new(),
        holders: Vec::new(),
        combiners: Vec::new(),
        operators: Vec::new(),
        fans: Vec::new(),
        about: Vec::with_capacity(steps + 1),
        one_lane: graph.in_order,
    };
    for &id in &order {
        let node = &graph.nodes[id];
        let Some(&step) = layout.step.get(&id) else { continue };
        for (branch, input) in (0..).zip(&node.inputs) {
            let follower = Follower { step, branch };
            match layout.step.get(input) {
                Some(&from) => shape.next[from as usize].push(follower),
                None => {
                    shape.sources[number[input]].push(follower);
                    shape.traced_sources[number[input]] |= traced[*input];
                    let behind = &mut shape.asked[number[input]];
                    for face in &asked[*input] {
                        if behind.iter().all(|known| known.name != face.name) {
                            behind.push(*face);
                        }
                    }
                }
            }
        }
        shape.traced.push(traced[id]);
    }
    let mut makers = Vec::with_capacity(steps + 1);
    let mut sinks = Vec::new();
    let mut faces = Vec::new();
    let mut operators_at = Vec::new();
    let fed = super::operators::fed(&graph, &order);
    // A join may stand before the store that it reads.
    let places: HashMap<&str, usize> = order
        .iter()
        .filter_map(|&id| match &graph.nodes[id].kind {
            Kind::Sum(sum) => Some(sum.store.name),
            _ => None,
        })
        .zip(0..)
        .collect();
    let standing = |id: Id, store: &str| {
        let Some(&store) = places.get(store) else {
            return Err(Error::bug(format!("{} has no store", graph.call(id))));
        };
        Ok(Standing {
            store,
            extent: match fed.sources.get(&id) {
                _ if fed.spread.contains(&id) => Extent::All,
                Some(sources) if sources.len() > 1 => Extent::Alike,
                _ => Extent::Partition,
            },
            meets: fed.meets.get(&id).copied().unwrap_or(Meets::Not),
        })
    };
    let mut pools: HashMap<TypeId, u32> = HashMap::new();
    let mut names = HashMap::new();
    for &id in &order {
        let node = &graph.nodes[id];
        let Some(&step) = layout.step.get(&id) else { continue };
        let goes_on = !shape.next[step as usize].is_empty();
        let mut emits = true;
        let make: StepMaker = match &node.kind {
            Kind::Source { .. } => continue,
            Kind::Step(Step { joins: Some(joins), .. }) => {
                match services.iter().find(|known| known.name == joins.face.name) {
                    None => services.push(joins.face),
                    Some(known) if known.is(&joins.face) => {}
                    Some(_) => {
                        return Err(Error::invalid(format!(
                            "service `{}` is declared twice with different types ({}): one port, one type",
                            joins.face.name,
                            graph.call(id)
                        )));
                    }
                }
                let make = joins.make.clone();
                Arc::new(move |services, _| make(services))
            }
            Kind::Step(s) => {
                let (make, takes) = (s.make.clone(), s.takes);
                Arc::new(move |_, _| Ok(make(takes)))
            }
            Kind::Merge => {
                let pass = node.gives.pass;
                Arc::new(move |_, _| Ok(pass()))
            }
            Kind::Combine { make, takes, .. } => {
                emits = false;
                shape.combiners.push(shape.holders.len());
                shape.fans.push(known_fan(&graph, &readers, id));
                shape.holders.push(step);
                let (make, takes) = (make.clone(), *takes);
                Arc::new(move |_, _| Ok(make(takes)))
            }
            Kind::Sum(sum) => {
                emits = false;
                shape.holders.push(step);
                shape.sums.push(step);
                layout.stores.push(sum.store);
                names.insert(sum.store.name.to_string(), step);
                let (make, takes) = (sum.make.clone(), sum.takes);
                Arc::new(move |_, _| Ok(make(takes)))
            }
            Kind::Scan { scan, domain } => {
                let standing = standing(id, scan.store.name)?;
                operators_at.push((step, id));
                let approximate = scan.approximate.then(|| scan.store.value.schema());
                faces.push((id, standing.store, scan.store.name, *domain, approximate));
                let make = scan.make.clone();
                Arc::new(move |_, _| Ok(make(standing)))
            }
            Kind::AsOf { join, domain } => {
                let standing = standing(id, join.versions.name)?;
                let approximate = join.approximate.then(|| join.versions.value.schema());
                faces.push((id, standing.store, join.versions.name, *domain, approximate));
                let make = join.make.clone();
                Arc::new(move |_, rooms: &Rooms| make(standing, rooms))
            }
            Kind::Tap(join) => {
                emits = false;
                let standing = standing(id, join.versions.name)?;
                operators_at.push((step, id));
                let make = join.tap.clone();
                Arc::new(move |_, rooms: &Rooms| make(standing, rooms))
            }
            Kind::Write(write) => {
                emits = goes_on;
                shape.writes.push(step);
                sinks.push((write.sink, write.record));
                let make = write.make.clone();
                Arc::new(move |_, _| Ok(make(goes_on)))
            }
        };
        for counter in &node.counts {
            if !layout.counters.contains(counter) {
                layout.counters.push(counter);
            }
        }
        let fresh = pools.len() as u32;
        let out = emits.then(|| (node.gives, *pools.entry(node.gives.id).or_insert(fresh)));
        makers.push((make, out));
        shape.about.push(About {
            name: graph.call(id),
            named: node.names.first().filter(|_| emits).cloned(),
            counts: node.counts.clone(),
            asks: match &node.kind {
                Kind::Step(step) => step.joins.as_ref().map(|j| j.face.name),
                _ => None,
            },
        });
    }
    if !layout.counters.is_empty() {
        layout.counters.sort_unstable();
        let step = makers.len() as u32;
        makers.push((Arc::new(|_, _| Ok(sum_stage::<u64>("counters"))), None));
        shape.next.push(Vec::new());
        shape.traced.push(false);
        shape.about.push(About {
            name: format!("store `{}`", COUNTERS.name()),
            named: None,
            counts: Vec::new(),
            asks: None,
        });
        shape.counters = Some(shape.sums.len());
        shape.sums.push(step);
        shape.holders.push(step);
        names.insert(COUNTERS.name().to_string(), step);
        layout.stores.push(StoreFace::of(COUNTERS));
    }
    let place = |name: &&str| layout.sources.iter().position(|s| s.name == *name);
    for (step, id) in operators_at {
        let sources = fed.sources.get(&id).into_iter().flatten().filter_map(place);
        shape.operators.push((step, sources.map(|s| s as u32).collect()));
    }
    let operators = faces
        .into_iter()
        .map(|(id, store, store_name, domain, approximate)| {
            let names = fed.sources.get(&id).into_iter().flatten();
            OperatorFace {
                name: graph.call(id),
                store,
                store_name,
                sources: names.filter_map(place).collect(),
                domain,
                spread: fed.spread.contains(&id),
                approximate,
            }
        })
        .collect();
    // The same with writes that know which records they write, for platforms that ask.
    let identified = (!sinks.is_empty()).then(|| {
        let traced = graph.traced(true);
        let mut shape = shape.clone();
        shape.identifies = true;
        shape.traces = traced.contains(&true);
        for &id in &order {
            let Some(&step) = layout.step.get(&id) else { continue };
            shape.traced[step as usize] = traced[id];
            for input in &graph.nodes[id].inputs {
                if let Some(&source) = number.get(input) {
                    shape.traced_sources[source] |= traced[*input];
                }
            }
        }
        Arc::new(shape)
    });
    layout.order = order;
    Ok(Plan::of(Pieces {
        grouped_sinks: graph.grouped_sinks(),
        identified,
        job: identity.job,
        said_fingerprint: explain::fingerprint(identity, said),
        fingerprint: explain::fingerprint(identity, said),
        head: explain::head(identity, said),
        said: explain::said(said),
        planned: explain::planned(&graph, &layout),
        why: explain::why(&reasons),
        dot: dot::dot(identity, said, &graph, &layout),
        drawn: drawn::drawn(&graph, &layout),
        in_order: shape.one_lane,
        one_by_one: shape.one_lane || graph.one_by_one,
        operators,
        steps: graph_names(&graph, &layout),
        holders: shape.holders.clone(),
        held: names,
        shape: Arc::new(shape),
        makers,
        pools: pools.len(),
        sources: layout.sources,
        repeats,
        stores: layout.stores,
        counters: layout.counters,
        sinks,
        services,
    }))
}

/// How many pairs become of one on the way from a combiner to its sums, if every step between says so beforehand.
fn known_fan(graph: &PlanGraph, readers: &[Vec<Id>], combiner: Id) -> Option<u64> {
    let (mut fan, mut at) = (1_u64, combiner);
    loop {
        let [next] = readers[at][..] else { return None };
        match &graph.nodes[next].kind {
            Kind::Sum(_) => return Some(fan),
            kind => match kind.contract() {
                Some(Contract::Keys(Arity::One | Arity::Coarser | Arity::Filter)) => {}
                Some(Contract::Keys(Arity::Times(n))) => fan = fan.saturating_mul(u64::from(n)),
                _ => return None,
            },
        }
        at = next;
    }
}

/// The steps that were given names.
fn graph_names(graph: &PlanGraph, layout: &Layout) -> HashMap<String, Option<u32>> {
    let mut names = HashMap::new();
    for &id in &layout.order {
        for name in &graph.nodes[id].names {
            // A combiner belongs to the key step behind it, whose option it takes.
            let combine = graph.nodes[id]
                .inputs
                .iter()
                .find(|&&input| matches!(graph.nodes[input].kind, Kind::Combine { .. }))
                .and_then(|input| layout.step.get(input).copied());
            names.insert(name.clone(), combine);
        }
    }
    names
}

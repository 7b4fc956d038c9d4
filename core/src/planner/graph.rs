//! The graph that rules rewrite: nodes that do something, in an arena. A node's identity is its place.

use std::panic::Location;

use crate::erased::ChunkType;
use crate::evidence::SourceFace;
use crate::graph::{AsOf, Contract, Domain, Make, Scan, Step, Sum, Write};
use crate::service::ServiceFace;

pub(crate) type Id = usize;

pub(crate) struct PlanNode {
    pub(crate) kind: Kind,
    /// In the order in which they were said. A producer merged with itself stands here twice.
    pub(crate) inputs: Vec<Id>,
    /// The numbers of what was said that this node stands for.
    pub(crate) said: Vec<usize>,
    /// The names it was given: they stay with it whatever the rules do.
    pub(crate) names: Vec<String>,
    /// What its closure may count.
    pub(crate) counts: Vec<&'static str>,
    /// What comes out.
    pub(crate) gives: ChunkType,
    /// The same for people.
    pub(crate) output: String,
    /// The line of the user's code.
    pub(crate) at: &'static Location<'static>,
    /// Whether a rule has removed it.
    pub(crate) gone: bool,
}

pub(crate) enum Kind {
    Source {
        face: SourceFace,
        /// Whether its records may come with the number of times that they occur.
        repeats: bool,
    },
    Step(Step),
    /// Several inputs for several readers.
    Merge,
    /// Values added before a step that multiplies their keys.
    Combine {
        make: Make,
        takes: ChunkType,
        /// The name of that step, which is the combiner's too; empty without one.
        before: String,
    },
    Sum(Sum),
    /// An operator beside the sum whose store is its state: both read the same.
    Scan {
        scan: Scan,
        domain: Option<Domain>,
    },
    /// A join with what a tap remembers.
    AsOf {
        join: AsOf,
        domain: Option<Domain>,
    },
    /// Remembers what comes to a store of versions, for joins.
    Tap(AsOf),
    Write(Write),
}

impl Kind {
    pub(crate) fn takes(&self) -> Option<ChunkType> {
        match self {
            Self::Source { .. } | Self::Merge => None,
            Self::Step(s) => Some(s.takes),
            Self::Combine { takes, .. } => Some(*takes),
            Self::Sum(s) => Some(s.takes),
            Self::Scan { scan, .. } => Some(scan.takes),
            Self::AsOf { join, .. } => Some(join.takes),
            Self::Tap(join) => Some(join.tapped),
            Self::Write(w) => Some(w.takes),
        }
    }
    /// The word of the step and what it is about.
    pub(crate) fn label(&self) -> (&'static str, &str) {
        match self {
            Self::Source { face, .. } => ("read", face.name),
            Self::Step(s) => (s.word, s.about),
            Self::Merge => ("merge", ""),
            Self::Combine { before, .. } => ("combine", before),
            Self::Sum(s) => (s.word, s.store.name),
            Self::Scan { scan, .. } => (scan.word, scan.store.name),
            Self::AsOf { join, .. } => (join.word, join.store),
            Self::Tap(join) => ("remember", join.versions.name),
            Self::Write(w) => ("write", w.sink),
        }
    }
    pub(crate) fn contract(&self) -> Option<Contract> {
        match self {
            Self::Step(s) => Some(s.contract),
            _ => None,
        }
    }
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Write(_) | Self::Tap(_))
    }
}

pub(crate) struct PlanGraph {
    pub(crate) nodes: Vec<PlanNode>,
    /// Whether the job needs its records in order.
    pub(crate) in_order: bool,
    /// Whether an operator gets what branches of one source make of a record: then records go through the job one by one, so
    /// that the order is that of the records, and of the branches for each.
    pub(crate) one_by_one: bool,
}

impl PlanGraph {
    /// The nodes that are left.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        (0..self.nodes.len()).filter(|&id| !self.nodes[id].gone)
    }
    /// Per node: who reads it, once for every time that it is an input.
    pub(crate) fn readers(&self) -> Vec<Vec<Id>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for &input in &self.nodes[id].inputs {
                readers[input].push(id);
            }
        }
        readers
    }
    /// Per node: whether a step behind it asks where its records come from; `writes`: as writes do for sinks that tell
    /// records apart. Sums let nobody know that.
    pub(crate) fn traced(&self, writes: bool) -> Vec<bool> {
        let readers = self.readers();
        let mut traced = vec![false; self.nodes.len()];
        for id in self.order().into_iter().rev() {
            traced[id] = readers[id].iter().any(|&reader| match &self.nodes[reader].kind {
                Kind::Step(step) => step.traces || traced[reader],
                Kind::Scan { scan, .. } => scan.traces || traced[reader],
                Kind::AsOf { .. } | Kind::Tap(_) => true,
                Kind::Write(_) => writes || traced[reader],
                Kind::Merge => traced[reader],
                Kind::Source { .. } | Kind::Combine { .. } | Kind::Sum(_) => false,
            });
        }
        traced
    }
    /// The sinks that get what a sum emits, and the store of the first sum above each: such records are made of many.
    pub(crate) fn grouped_sinks(&self) -> Vec<(&'static str, &'static str)> {
        let mut above: Vec<Option<&'static str>> = vec![None; self.nodes.len()];
        let mut found = Vec::new();
        for id in self.order() {
            let node = &self.nodes[id];
            above[id] = node.inputs.iter().find_map(|&input| match &self.nodes[input].kind {
                Kind::Sum(sum) => Some(sum.store.name),
                Kind::Combine { .. } => above[input].or(Some("a sum")),
                _ => above[input],
            });
            if let (Kind::Write(write), Some(store)) = (&node.kind, above[id]) {
                found.push((write.sink, store));
            }
        }
        found
    }
    /// Per node: the services that steps behind it ask.
    pub(crate) fn asked(&self) -> Vec<Vec<ServiceFace>> {
        let readers = self.readers();
        let mut asked: Vec<Vec<ServiceFace>> = vec![Vec::new(); self.nodes.len()];
        for id in self.order().into_iter().rev() {
            let mut all: Vec<ServiceFace> = Vec::new();
            for &reader in &readers[id] {
                let own = match &self.nodes[reader].kind {
                    Kind::Step(step) => step.joins.as_ref().map(|j| j.face),
                    _ => None,
                };
                for face in asked[reader].iter().copied().chain(own) {
                    if all.iter().all(|known| known.name != face.name) {
                        all.push(face);
                    }
                }
            }
            asked[id] = all;
        }
        asked
    }
    /// The nodes with every input before its readers; of two that may stand first the lower one does. Fewer than there are
    /// when the graph has a circle.
    pub(crate) fn order(&self) -> Vec<Id> {
        let readers = self.readers();
        let mut missing: Vec<usize> = self.nodes.iter().map(|n| n.inputs.len()).collect();
        let mut ready: std::collections::BTreeSet<Id> = self.ids().filter(|&id| missing[id] == 0).collect();
        let mut order = Vec::new();
        while let Some(id) = ready.pop_first() {
            order.push(id);
            for &reader in &readers[id] {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
        order
    }
    /// What to call a node in a message: its word, its port or name, its line.
    pub(crate) fn call(&self, id: Id) -> String {
        let node = &self.nodes[id];
        call(node.kind.label(), node.names.first().map(String::as_str), node.at)
    }
}

/// ``step `keyed` named `words` (src/job.rs:12)``
pub(crate) fn call((word, about): (&str, &str), name: Option<&str>, at: &Location<'_>) -> String {
    let what = match (word, about) {
        ("read" | "source", about) => format!("source `{about}`"),
        ("sum-by-key" | "aggregate-by-key" | "windowed-sum-by-key", about) => format!("store `{about}`"),
        ("write", about) => format!("sink `{about}`"),
        ("combine", "") => "combiner of a step without a name".into(),
        ("combine", about) => format!("combiner of step `{about}`"),
        ("scan-by-key", about) => format!("scan `{about}`"),
        ("left-join-as-of" | "join-as-of", about) => format!("join with `{about}`"),
        ("dedupe-by", about) => format!("dedupe `{about}`"),
        ("changes" | "totals", about) => format!("{word} of `{about}`"),
        (word, _) => format!("step `{word}`"),
    };
    let name = name.map_or_else(String::new, |n| format!(" named `{n}`"));
    format!("{what}{name} ({}:{})", at.file(), at.line())
}

//! What was said: an immutable graph of shared nodes. A node's identity is its allocation, so a diamond stays a diamond
//! and two equal-looking stores stay two.

use std::any::TypeId;
use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;

use crate::erased::{ChunkType, Reading, Rooms, Stage, Standing};
use crate::error::Result;
use crate::evidence::{SourceFace, StoreFace};
use crate::service::{ServiceFace, Services};

/// Makes the running step, for the chunks that it is going to get.
pub(crate) type Make = Arc<dyn Fn(ChunkType) -> Box<dyn Stage> + Send + Sync>;

/// One step of a job.
pub struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) inputs: Vec<Arc<Node>>,
    /// What comes out, in words: Rust type names are not stable, so they are shown and never compared.
    pub(crate) output: String,
    /// The chunks that come out.
    pub(crate) gives: ChunkType,
    /// The line of the user's code.
    pub(crate) at: &'static Location<'static>,
}

/// Few kinds, so that optimisation contracts stay apart.
#[derive(Clone)]
pub(crate) enum NodeKind {
    Source(SourceFace),
    Step(Step),
    /// All inputs' records.
    Merge,
    /// The input under a stable name.
    Named(String),
    /// What the input's closure may count.
    Counting(Vec<&'static str>),
    /// What follows needs its records in order.
    InOrder,
    /// Records absorbed into states before their keys are multiplied.
    Absorb(Absorbing),
    Sum(Sum),
    /// What a sum emits: its input.
    Deltas,
    /// Which records come before which, for the operators behind it (O1).
    Domain(Domain),
    /// An operator on a sum, whose store is its state. A second input is what it reads in place of the sum's.
    Scan(Scan),
    /// A join with a store of the job. A second input keeps the sum that builds it in the job.
    AsOf(AsOf),
    Write(Write),
    /// What a write passes on: its input.
    Written,
}

/// A step without state.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) word: &'static str,
    /// What it is about, for people.
    pub(crate) about: &'static str,
    pub(crate) contract: Contract,
    pub(crate) takes: ChunkType,
    pub(crate) make: Make,
    /// What it counts by itself.
    pub(crate) counts: Option<&'static str>,
    /// Whether it asks where its records come from.
    pub(crate) traces: bool,
    /// What it looks up, if it is a join.
    pub(crate) joins: Option<Joining>,
}

/// A join with a service: it is made once that is bound.
#[derive(Clone)]
pub(crate) struct Joining {
    pub(crate) face: ServiceFace,
    pub(crate) make: Arc<dyn Fn(&Services) -> Result<Box<dyn Stage>> + Send + Sync>,
}

/// What a step promises to the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// One record or none for each.
    OptionMap,
    /// Any number for each.
    FlatMap,
    /// The value is untouched; the closure sees the key alone and cannot count.
    Keys(Arity),
    /// The key is untouched; a closure sees the value alone, a join the key, too.
    Values(Arity),
    /// Every record passes by.
    Passes,
}

/// How many pairs come out for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    /// The same pair, or none.
    Filter,
    /// Another one.
    One,
    /// Another one, which many pairs share that had different ones.
    Coarser,
    /// Just so many, known beforehand.
    Times(u8),
    /// Any number.
    Many,
}

#[derive(Clone)]
pub(crate) struct Absorbing {
    pub(crate) takes: ChunkType,
    pub(crate) make: Make,
}

#[derive(Clone)]
pub(crate) struct Sum {
    pub(crate) word: &'static str,
    pub(crate) store: StoreFace,
    /// Type identity of key and value: one port name must not stand for two types.
    pub(crate) types: (TypeId, TypeId),
    pub(crate) takes: ChunkType,
    pub(crate) make: Make,
    /// A combiner of its inputs, where values may be added before they arrive.
    pub(crate) combine: Option<Make>,
    /// Whether the values are added in order.
    pub(crate) in_order: bool,
    /// Where records are absorbed: what makes a value of each, for operators on the sum.
    pub(crate) single: Option<(Make, ChunkType)>,
}

/// Which partitions have a common order, and so may hold one key (O1). A coarser one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// Each partition by itself: a key stays in its partition.
    Partition,
    /// Each partition of the left side of a join with all of the right one.
    Broadcast,
    /// All partitions together, in the order of O3.
    Log,
}

/// An operator that emits what becomes of a sum, record by record.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) word: &'static str,
    /// The store of the sum.
    pub(crate) store: StoreFace,
    pub(crate) takes: ChunkType,
    pub(crate) make: Arc<dyn Fn(Standing) -> Box<dyn Stage> + Send + Sync>,
    /// Whether what it emits may be added up on the way, so that nothing behind it sees single records.
    pub(crate) grouped: bool,
    /// Whether sums of its values are approximate.
    pub(crate) approximate: bool,
    /// What it was told, for people and for the fingerprint.
    pub(crate) note: String,
    /// Whether it asks for the batches of its records.
    pub(crate) traces: bool,
    /// Whether it reads its second input, and not what the sum reads.
    pub(crate) own_input: bool,
    /// A key is one of its partition already, so that nobody has to promise it. What makes the keys where all partitions are one
    /// domain.
    pub(crate) by_partition: Option<Make>,
}

/// Makes a running step that shares state with others.
pub(crate) type MakeShared = Arc<dyn Fn(Standing, &Rooms) -> Result<Box<dyn Stage>> + Send + Sync>;

/// A join with a store of the job, as of event time (O17).
#[derive(Clone)]
pub(crate) struct AsOf {
    pub(crate) word: &'static str,
    /// The store that is joined, and the type identity of its key and value.
    pub(crate) store: &'static str,
    pub(crate) types: (TypeId, TypeId),
    /// Where its versions are: a store that the planner adds, or the joined one.
    pub(crate) versions: StoreFace,
    pub(crate) stamped: Option<Stamped>,
    pub(crate) reading: Reading,
    pub(crate) takes: ChunkType,
    pub(crate) make: MakeShared,
    /// Remembers what comes to the store of versions.
    pub(crate) tap: MakeShared,
    /// The chunks of that store.
    pub(crate) tapped: ChunkType,
    /// Whether sums of its values are approximate.
    pub(crate) approximate: bool,
}

/// How the versions of a store are made of what is added to it.
#[derive(Clone)]
pub(crate) struct Stamped {
    pub(crate) takes: ChunkType,
    pub(crate) stamp: Make,
    pub(crate) sum: Make,
    pub(crate) types: (TypeId, TypeId),
}

#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) sink: &'static str,
    pub(crate) record: TypeId,
    pub(crate) takes: ChunkType,
    /// Given whether the records go on.
    pub(crate) make: Arc<dyn Fn(bool) -> Box<dyn Stage> + Send + Sync>,
}

impl NodeKind {
    /// How many of its first inputs are there only to take part in the job.
    pub(crate) fn skips(&self) -> usize {
        usize::from(matches!(self, Self::Scan(scan) if scan.own_input))
    }
    /// How many inputs it reads after those.
    pub(crate) fn reads(&self) -> usize {
        if matches!(self, Self::AsOf(_)) { 1 } else { usize::MAX }
    }
    /// The word of the step and what it is about.
    pub(crate) fn label(&self) -> (&'static str, &str) {
        match self {
            Self::Source(s) => ("source", s.name),
            Self::Step(s) => (s.word, s.about),
            Self::Merge => ("merge", ""),
            Self::Named(name) => ("named", name),
            Self::Counting(_) => ("counting", ""),
            Self::InOrder => ("in-order", ""),
            Self::Absorb(_) => ("absorb", ""),
            Self::Sum(s) => (s.word, s.store.name),
            Self::Deltas => ("deltas", ""),
            Self::Domain(Domain::Partition) => ("within-partition", ""),
            Self::Domain(Domain::Log) => ("in-log-order", ""),
            Self::Domain(Domain::Broadcast) => ("broadcast", ""),
            Self::Scan(s) => (s.word, s.store.name),
            Self::AsOf(join) => (join.word, join.store),
            Self::Write(w) => ("write", w.sink),
            Self::Written => ("records", ""),
        }
    }
}

/// A graph may be a hundred thousand steps deep: the standard order, each node dropping its inputs, would overflow the
/// stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.inputs);
        while let Some(node) = rest.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                rest.append(&mut node.inputs);
            }
        }
    }
}

/// All nodes above the tails, each once, every input before its consumers.
pub(crate) fn topological(tails: &[Arc<Node>]) -> Vec<Arc<Node>> {
    let mut order: Vec<Arc<Node>> = Vec::new();
    let mut seen = HashSet::new();
    // An explicit stack, for the same reason.
    let mut stack: Vec<(Arc<Node>, usize)> = Vec::new();
    for tail in tails {
        if seen.insert(Arc::as_ptr(tail)) {
            stack.push((tail.clone(), 0));
        }
        while let Some((node, next)) = stack.last_mut() {
            match node.inputs.get(*next) {
                Some(input) => {
                    *next += 1;
                    if seen.insert(Arc::as_ptr(input)) {
                        let input = input.clone();
                        stack.push((input, 0));
                    }
                }
                None => order.extend(stack.pop().map(|(node, _)| node)),
            }
        }
    }
    order
}

//! What was said: an immutable graph of shared nodes. A node's identity is its allocation, so a diamond stays a diamond
//! and two equal-looking stores stay two.

use std::sync::Arc;

use crate::erased::{CloneChunk, Stage};
use crate::evidence::{SourceFace, StoreFace};

pub(crate) type Make = Arc<dyn Fn() -> Box<dyn Stage> + Send + Sync>;

/// One step of a job.
pub struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) inputs: Vec<Arc<Node>>,
    /// What comes out, in words: Rust type names are not stable, so they are shown and never compared.
    pub(crate) output: String,
    pub(crate) clone: CloneChunk,
}

/// Few kinds, so that optimisation contracts stay apart.
pub(crate) enum NodeKind {
    Source(SourceFace),
    Step {
        word: &'static str,
        make: Make,
    },
    /// Both inputs' records.
    Merge,
    /// The input under a stable name.
    Named(String),
    Sum {
        word: &'static str,
        store: StoreFace,
        /// Type identity of key and value: one port name must not stand for two types.
        types: (std::any::TypeId, std::any::TypeId),
        make: Make,
    },
    Write {
        sink: &'static str,
        record: std::any::TypeId,
        make: Make,
    },
}

impl Node {
    /// The word of the step and what it is about.
    pub(crate) fn label(&self) -> (&str, &str) {
        match &self.kind {
            NodeKind::Source(s) => ("source", s.name),
            NodeKind::Step { word, .. } => (word, ""),
            NodeKind::Merge => ("merge", ""),
            NodeKind::Named(name) => ("named", name),
            NodeKind::Sum { word, store, .. } => (word, store.name),
            NodeKind::Write { sink, .. } => ("write", sink),
        }
    }
}

/// All nodes above the tails, each once, every input before its consumers.
pub(crate) fn topological(tails: &[Arc<Node>]) -> Vec<Arc<Node>> {
    let mut order: Vec<Arc<Node>> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    // An explicit stack: a job of a hundred thousand steps must not overflow the thread's.
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

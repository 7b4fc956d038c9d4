//! The plan: the graph in the order in which it runs, its ports, and the text that identifies it.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::erased::{CloneChunk, Executor, Slot};
use crate::error::{Error, Result};
use crate::evidence::{SourceFace, StoreFace};
use crate::graph::{Make, Node, NodeKind, topological};

struct Step {
    make: Make,
    to: Vec<usize>,
    clone: CloneChunk,
}

/// A checked job, ready to run. It can be instantiated any number of times.
pub struct Plan {
    job: &'static str,
    fingerprint: String,
    logical: String,
    steps: Vec<Step>,
    sources: Vec<SourceFace>,
    source_outputs: Vec<(Vec<usize>, CloneChunk)>,
    stores: Vec<StoreFace>,
    store_steps: Vec<usize>,
    sinks: Vec<(&'static str, TypeId)>,
    sink_steps: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(job: &'static str, version: u32, arguments: &str, tails: &[Arc<Node>]) -> Result<Self> {
        if job.is_empty() || !job.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(Error::invalid(format!(
                "job name `{job}`: names are made of a-z, 0-9 and '-'"
            )));
        }
        let nodes = topological(tails);
        let logical = describe(&nodes);
        let fingerprint = fingerprint(job, version, arguments, &nodes);
        let mut plan = Self {
            job,
            fingerprint,
            logical,
            steps: Vec::new(),
            sources: Vec::new(),
            source_outputs: Vec::new(),
            stores: Vec::new(),
            store_steps: Vec::new(),
            sinks: Vec::new(),
            sink_steps: Vec::new(),
        };
        plan.lay_out(&nodes)?;
        Ok(plan)
    }

    fn lay_out(&mut self, nodes: &[Arc<Node>]) -> Result<()> {
        /// Where a node's records come from once merges and names are gone.
        #[derive(Clone)]
        enum Origin {
            Source(usize),
            Step(usize),
        }
        let mut origins: HashMap<*const Node, Vec<Origin>> = HashMap::new();
        let mut source_names: HashMap<&str, String> = HashMap::new();
        let mut store_types = HashMap::new();
        for node in nodes {
            let inputs: Vec<Origin> = node
                .inputs
                .iter()
                .filter_map(|i| origins.get(&Arc::as_ptr(i)))
                .flatten()
                .cloned()
                .collect();
            let make = match &node.kind {
                NodeKind::Source(face) => {
                    // The same port read twice is one source; its clones share the records.
                    let describe = face.describe();
                    if let Some(other) = source_names.get(face.name) {
                        if *other != describe {
                            return Err(Error::invalid(format!(
                                "source `{}` is declared twice with different types or clocks: one port, one type",
                                face.name
                            )));
                        }
                        let i = self
                            .sources
                            .iter()
                            .position(|s| s.name == face.name)
                            .unwrap_or_default();
                        origins.insert(Arc::as_ptr(node), vec![Origin::Source(i)]);
                        continue;
                    }
                    source_names.insert(face.name, describe);
                    self.sources.push(face.clone());
                    self.source_outputs.push((Vec::new(), node.clone));
                    origins.insert(Arc::as_ptr(node), vec![Origin::Source(self.sources.len() - 1)]);
                    continue;
                }
                NodeKind::Merge | NodeKind::Named(_) => {
                    origins.insert(Arc::as_ptr(node), inputs);
                    continue;
                }
                NodeKind::Step { make, .. } => make,
                NodeKind::Sum { store, types, make, .. } => {
                    if let Some(other) = store_types.insert(store.name, *types) {
                        return Err(Error::invalid(if other == *types {
                            format!(
                                "store `{}` ends two sums: merge them before the sum, or give each a store of its own",
                                store.name
                            )
                        } else {
                            format!(
                                "store `{}` is declared twice with different types: one port, one type",
                                store.name
                            )
                        }));
                    }
                    self.stores.push(*store);
                    self.store_steps.push(self.steps.len());
                    make
                }
                NodeKind::Write { sink, record, make } => {
                    if self.sinks.iter().any(|(name, _)| name == sink) {
                        return Err(Error::invalid(format!(
                            "sink `{sink}` ends two writes: merge them before the write, or give each a sink of its own"
                        )));
                    }
                    self.sinks.push((sink, *record));
                    self.sink_steps.push(self.steps.len());
                    make
                }
            };
            let index = self.steps.len();
            self.steps.push(Step {
                make: make.clone(),
                to: Vec::new(),
                clone: node.clone,
            });
            for origin in inputs {
                match origin {
                    Origin::Source(i) => self.source_outputs[i].0.push(index),
                    Origin::Step(i) => self.steps[i].to.push(index),
                }
            }
            origins.insert(Arc::as_ptr(node), vec![Origin::Step(index)]);
        }
        Ok(())
    }

    /// The job's name.
    pub fn job(&self) -> &'static str {
        self.job
    }
    /// Identifies graph, arguments, version and schemas: 16 hexadecimal digits. Rust type names take no part.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    /// The sources; their places here are the numbers in [`ChunkMeta`](crate::ChunkMeta).
    pub fn sources(&self) -> &[SourceFace] {
        &self.sources
    }
    /// The stores; their places here are the numbers in [`Executor::swap`].
    pub fn stores(&self) -> &[StoreFace] {
        &self.stores
    }
    /// The sinks by name, with the type of their records.
    pub fn sinks(&self) -> &[(&'static str, TypeId)] {
        &self.sinks
    }
    /// The store of this name.
    pub fn store(&self, name: &str) -> Option<&StoreFace> {
        self.stores.iter().find(|s| s.name == name)
    }
    /// A running instance with empty state.
    pub fn instantiate(&self) -> Executor {
        let slot = |s: &Step| Slot {
            stage: (s.make)(),
            to: s.to.clone(),
            clone: s.clone,
        };
        Executor {
            slots: self.steps.iter().map(slot).collect(),
            sources: self.source_outputs.clone(),
            sums: self.store_steps.clone(),
            writes: self.sink_steps.clone(),
        }
    }
    /// The logical graph as text.
    pub fn explain(&self) -> String {
        format!("job {} (fingerprint {})\n{}", self.job, self.fingerprint, self.logical)
    }
}

fn describe(nodes: &[Arc<Node>]) -> String {
    let number: HashMap<_, _> = nodes.iter().enumerate().map(|(i, n)| (Arc::as_ptr(n), i)).collect();
    let mut text = String::new();
    for (i, node) in nodes.iter().enumerate() {
        let (word, about) = node.label();
        let inputs: Vec<_> = node
            .inputs
            .iter()
            .filter_map(|n| number.get(&Arc::as_ptr(n)))
            .map(|n| format!("#{n}"))
            .collect();
        let note = match &node.kind {
            NodeKind::Source(s) => format!("batches of {}", s.batcher()),
            NodeKind::Sum { store, .. } => store.schema(),
            _ => String::new(),
        };
        let line = format!(
            "  #{i:<3} {word:<17} {about:<18} {:<10} -> {:<28} {note}",
            inputs.join(" "),
            node.output
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What two processes compare before they take part in one job. Rust type names are not stable, so they are left out.
fn fingerprint(job: &str, version: u32, arguments: &str, nodes: &[Arc<Node>]) -> String {
    let number: HashMap<_, _> = nodes.iter().enumerate().map(|(i, n)| (Arc::as_ptr(n), i)).collect();
    let mut text = format!("rufous-job/1\n{job}\nversion {version}\narguments {arguments}\n");
    for node in nodes {
        let (word, about) = node.label();
        let _ = write!(text, "{word} {about}");
        for input in &node.inputs {
            let _ = write!(
                text,
                " #{}",
                number.get(&Arc::as_ptr(input)).copied().unwrap_or_default()
            );
        }
        let _ = match &node.kind {
            NodeKind::Source(s) => writeln!(text, " {}", s.describe()),
            NodeKind::Sum { store, .. } => writeln!(text, " {}", store.schema()),
            _ => writeln!(text),
        };
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

#[cfg(test)]
mod tests;

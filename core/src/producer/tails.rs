//! The ends of a job. An end may have a second life: its output goes on.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{Anywhere, DeltaProducer, KeyedProducer, Producer, same};
use crate::graph::{Node, NodeKind};

/// Totals in a store: an end of a job.
#[must_use = "a sum does nothing until a job is made of it: `Job::new(name, sum)`"]
pub struct Summed<K, V, S = Anywhere> {
    pub(crate) node: Arc<Node>,
    _t: PhantomData<(fn() -> K, fn() -> V, fn() -> S)>,
}

impl<K, V, S> Clone for Summed<K, V, S> {
    fn clone(&self) -> Self {
        Self::of(self.node.clone())
    }
}

impl<K, V, S> Summed<K, V, S> {
    pub(super) fn of(node: Arc<Node>) -> Self {
        Self { node, _t: PhantomData }
    }
}

impl<K, V> Summed<K, V> {
    /// What is added to the store, for a second sum: values of one key may be added up already, so only steps that commute
    /// with addition may follow (O16). The store takes part in the job also if only the deltas are used.
    #[track_caller]
    pub fn deltas(self) -> DeltaProducer<K, V> {
        DeltaProducer::of(KeyedProducer::of(same(NodeKind::Deltas, vec![self.node])))
    }
}

/// Records on their way to a sink: an end of a job.
#[must_use = "a write does nothing until a job is made of it: `Job::new(name, write)`"]
pub struct Written<T, S = Anywhere> {
    pub(crate) node: Arc<Node>,
    _t: PhantomData<(fn() -> T, fn() -> S)>,
}

impl<T, S> Clone for Written<T, S> {
    fn clone(&self) -> Self {
        Self::of(self.node.clone())
    }
}

impl<T, S> Written<T, S> {
    pub(super) fn of(node: Arc<Node>) -> Self {
        Self { node, _t: PhantomData }
    }
    /// The records that are written, to go on with. The sink takes part in the job also if only these are used.
    #[track_caller]
    pub fn records(self) -> Producer<T, S> {
        Producer::of(same(NodeKind::Written, vec![self.node]))
    }
}

//! Records.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Anywhere, Either, InOrder, KeyedProducer, Written, common, counted, node, same, step};
use crate::data::Data;
use crate::decode::SourceRecord;
use crate::erased::{self, ChunkType, KeyedOut, Out};
use crate::evidence::SourceFace;
use crate::graph::{Contract, Node, NodeKind, Write};
use crate::key::AsKey;
use crate::port::{Counter, Sink, Source};

/// A stream of records.
#[must_use = "a producer does nothing until it ends in a store or a sink and a job is made of it"]
pub struct Producer<T: ?Sized, S = Anywhere> {
    pub(super) node: Arc<Node>,
    _t: PhantomData<(fn(Box<T>), fn() -> S)>,
}

impl<T: ?Sized, S> Clone for Producer<T, S> {
    fn clone(&self) -> Self {
        Self::of(self.node.clone())
    }
}

impl<T: ?Sized, S> Producer<T, S> {
    pub(super) fn of(node: Arc<Node>) -> Self {
        Self { node, _t: PhantomData }
    }
    common!();
}

impl<T: SourceRecord + ?Sized> Producer<T> {
    #[track_caller]
    pub(crate) fn source(port: Source<T>) -> Self {
        Self::of(node::<T>(
            NodeKind::Source(SourceFace::of(port)),
            ChunkType::of::<T::Chunk>(),
            vec![],
        ))
    }
}

impl<T: ?Sized> Producer<T> {
    /// The same records for sums that need them in order: of event time where the source declares one, of the input
    /// otherwise; equal times in order of source, partition and offset. Only platforms that keep this order run such a job.
    #[track_caller]
    pub fn in_order(self) -> Producer<T, InOrder> {
        Producer::of(same(NodeKind::InOrder, vec![self.node]))
    }
}

impl<T: Data + ?Sized, S> Producer<T, S> {
    #[track_caller]
    fn then<U: Clone + Send + 'static>(
        self,
        word: &'static str,
        contract: Contract,
        f: impl Fn(&T, &mut Out<'_, U>) + Send + Sync + 'static,
    ) -> Producer<U, S> {
        let f = Arc::new(f);
        let make = move || erased::flat_map::<T, U, _>(word, f.clone());
        Producer::of(step::<U>(
            self.node,
            word,
            contract,
            (ChunkType::of::<T::Chunk>(), ChunkType::of::<Vec<U>>()),
            make,
        ))
    }
    /// One record for each.
    #[track_caller]
    pub fn map<U: Clone + Send + 'static>(self, f: impl Fn(&T) -> U + Send + Sync + 'static) -> Producer<U, S> {
        self.then("map", Contract::OptionMap, move |item, out| out.emit(f(item)))
    }
    /// One record or none for each.
    #[track_caller]
    pub fn filter_map<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&T) -> Option<U> + Send + Sync + 'static,
    ) -> Producer<U, S> {
        self.then("filter-map", Contract::OptionMap, move |item, out| {
            if let Some(u) = f(item) {
                out.emit(u);
            }
        })
    }
    /// Any number of records for each.
    #[track_caller]
    pub fn flat_map<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&T, &mut Out<'_, U>) + Send + Sync + 'static,
    ) -> Producer<U, S> {
        self.then("flat-map", Contract::FlatMap, f)
    }
    /// The records that satisfy `f`.
    #[track_caller]
    pub fn filter(self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        let f = Arc::new(f);
        let make = move || erased::filter::<T, _>(f.clone());
        let chunks = ChunkType::of::<T::Chunk>();
        Self::of(step::<T>(
            self.node,
            "filter",
            Contract::OptionMap,
            (chunks, chunks),
            make,
        ))
    }
    /// Any number of pairs for each. The emitted key may borrow from the record: nothing is allocated.
    #[track_caller]
    pub fn keyed<K: 'static, V: Clone + Send + 'static>(
        self,
        f: impl Fn(&T, &mut KeyedOut<'_, K, V>) + Send + Sync + 'static,
    ) -> KeyedProducer<K, V, S> {
        let f = Arc::new(f);
        let make = move || erased::to_keyed::<T, K, V, _>("keyed", f.clone());
        let chunks = (ChunkType::of::<T::Chunk>(), ChunkType::keyed::<V>());
        KeyedProducer::of(step::<(K, V)>(self.node, "keyed", Contract::FlatMap, chunks, make))
    }
    /// Counts the records that pass by.
    #[track_caller]
    pub fn counted(self, counter: Counter) -> Self {
        self.counted_by(counter, |_| 1)
    }
    /// Adds `n` of each record that passes by to a counter.
    #[track_caller]
    pub fn counted_by(self, counter: Counter, n: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        let n = Arc::new(n);
        let make = move || erased::counted_records::<T, _>(counter.name(), n.clone());
        Self::of(counted(self.node, counter, ChunkType::of::<T::Chunk>(), make))
    }
}

impl<T: Clone + Send + 'static, S> Producer<T, S> {
    /// The record stays as the value.
    #[track_caller]
    pub fn key_by<Q: AsKey + 'static>(
        self,
        f: impl Fn(&T) -> Q + Send + Sync + 'static,
    ) -> KeyedProducer<Q::Key, T, S> {
        let f = Arc::new(f);
        let make = move || erased::key_by::<T, Q, _>(f.clone());
        let chunks = (ChunkType::of::<Vec<T>>(), ChunkType::keyed::<T>());
        KeyedProducer::of(step::<(Q::Key, T)>(
            self.node,
            "key-by",
            Contract::OptionMap,
            chunks,
            make,
        ))
    }
    /// The records of both, each saying which side it comes from.
    #[track_caller]
    pub fn either<U: Clone + Send + 'static>(self, other: Producer<U, S>) -> Producer<Either<T, U>, S> {
        let left = self.then("either-left", Contract::OptionMap, |item, out| {
            out.emit(Either::Left(item.clone()))
        });
        let right = other.then("either-right", Contract::OptionMap, |item, out| {
            out.emit(Either::Right(item.clone()))
        });
        left.merge(right)
    }
    /// Ends in a sink. What is written may go on: [`Written::records`].
    #[track_caller]
    pub fn write(self, sink: Sink<T>) -> Written<T, S> {
        let kind = NodeKind::Write(Write {
            sink: sink.name(),
            record: TypeId::of::<T>(),
            takes: ChunkType::of::<Vec<T>>(),
            make: Arc::new(erased::write_stage::<T>),
        });
        Written::of(node::<T>(kind, ChunkType::of::<Vec<T>>(), vec![self.node]))
    }
}

/// Nobody has it: a bound that says why a method is missing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "lines of text are borrowed from the log and cannot be kept as they are",
    label = "this step keeps its records",
    note = "make them owned first: `.map(|line| line.to_string())`",
    note = "for pairs, `keyed(|line, out| out.emit(key, value))` needs no copy of the line"
)]
pub trait Kept {}

impl<S> Producer<str, S> {
    #[doc(hidden)]
    pub fn key_by<Q: AsKey>(self, _: impl Fn(&str) -> Q) -> KeyedProducer<Q::Key, String, S>
    where
        Self: Kept,
    {
        KeyedProducer::of(self.node)
    }
    #[doc(hidden)]
    pub fn write(self, _: Sink<String>) -> Written<String, S>
    where
        Self: Kept,
    {
        Written::of(self.node)
    }
}

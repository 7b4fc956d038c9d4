//! The typed face of the graph. Functions belong to no platform; the only bounds a user meets are on keys and values.
//!
//! | method | from -> to |
//! |---|---|
//! | `map` `filter` `filter_map` `flat_map` | records -> records |
//! | `keyed` `key_by` | records -> pairs |
//! | `map_values` `filter_values` `keyed_pairs` `values` `pairs` | pairs -> pairs, records |
//! | `merge` `named` | the same |
//! | `sum_by_key` `aggregate_by_key` `write` | ends of a job |

mod keyed;

pub use keyed::{KeyedProducer, Summed};

use std::any::{TypeId, type_name};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::data::{Data, KeyedChunk};
use crate::decode::SourceRecord;
use crate::erased::{self, CloneChunk, KeyedOut, Out, Stage, cloner};
use crate::evidence::SourceFace;
use crate::graph::{Make, Node, NodeKind};
use crate::key::AsKey;
use crate::port::{Sink, Source};

/// A job that may run on every platform.
pub struct Anywhere;

/// A stream of records.
#[must_use = "a producer does nothing until it ends in a store or a sink and a job is made of it"]
pub struct Producer<T: ?Sized, S = Anywhere> {
    node: Arc<Node>,
    _t: PhantomData<(fn(Box<T>), fn() -> S)>,
}

impl<T: ?Sized, S> Clone for Producer<T, S> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            _t: PhantomData,
        }
    }
}

/// Records on their way to a sink: an end of a job.
#[must_use = "a write does nothing until a job is made of it: `Job::new(name, write)`"]
pub struct Written<S = Anywhere> {
    pub(crate) node: Arc<Node>,
    _s: PhantomData<fn() -> S>,
}

pub(crate) fn short_name<T: ?Sized>() -> String {
    // `alloc::string::String` -> `String`, inside generics as well.
    let mut out = String::new();
    let mut word = String::new();
    for c in type_name::<T>().chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                out.push_str(&word);
                word.clear();
                out.push(c);
            }
        }
    }
    out + &word
}

pub(crate) fn step(
    word: &'static str,
    output: String,
    clone: CloneChunk,
    input: Arc<Node>,
    make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
) -> Arc<Node> {
    let make: Make = Arc::new(make);
    Arc::new(Node {
        kind: NodeKind::Step { word, make },
        inputs: vec![input],
        output,
        clone,
    })
}

impl<T: SourceRecord + ?Sized> Producer<T> {
    pub(crate) fn source(port: Source<T>) -> Self {
        let face = SourceFace::of(port);
        let node = Node {
            kind: NodeKind::Source(face),
            inputs: vec![],
            output: short_name::<T>(),
            clone: cloner::<T::Chunk>(),
        };
        Self {
            node: Arc::new(node),
            _t: PhantomData,
        }
    }
}

impl<T: Data + ?Sized, S> Producer<T, S> {
    fn then<U: Clone + Send + 'static>(
        self,
        word: &'static str,
        f: impl Fn(&T, &mut Out<U>) + Send + Sync + 'static,
    ) -> Producer<U, S> {
        let f = Arc::new(f);
        let node = step(word, short_name::<U>(), cloner::<Vec<U>>(), self.node, move || {
            erased::flat_map(word, f.clone())
        });
        Producer { node, _t: PhantomData }
    }
    /// One record for each.
    pub fn map<U: Clone + Send + 'static>(self, f: impl Fn(&T) -> U + Send + Sync + 'static) -> Producer<U, S> {
        self.then("map", move |item, out| out.emit(f(item)))
    }
    /// One record or none for each.
    pub fn filter_map<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&T) -> Option<U> + Send + Sync + 'static,
    ) -> Producer<U, S> {
        self.then("filter-map", move |item, out| {
            if let Some(u) = f(item) {
                out.emit(u);
            }
        })
    }
    /// Any number of records for each.
    pub fn flat_map<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&T, &mut Out<U>) + Send + Sync + 'static,
    ) -> Producer<U, S> {
        self.then("flat-map", f)
    }
    /// Any number of pairs for each. The emitted key may borrow from the record: nothing is allocated.
    pub fn keyed<K: 'static, V: Clone + Send + 'static>(
        self,
        f: impl Fn(&T, &mut KeyedOut<K, V>) + Send + Sync + 'static,
    ) -> KeyedProducer<K, V, S> {
        let f = Arc::new(f);
        let node = step(
            "keyed",
            short_name::<(K, V)>(),
            cloner::<KeyedChunk<V>>(),
            self.node,
            move || erased::to_keyed("keyed", f.clone()),
        );
        KeyedProducer::of(node)
    }
    /// Gives the step before it a stable name: metrics, options and `explain` use it.
    pub fn named(self, name: &str) -> Self {
        let node = Node {
            kind: NodeKind::Named(name.into()),
            output: self.node.output.clone(),
            clone: self.node.clone,
            inputs: vec![self.node],
        };
        Self {
            node: Arc::new(node),
            _t: PhantomData,
        }
    }
    /// The records of both. Merged with itself, a producer gives each record twice.
    pub fn merge(self, other: Self) -> Self {
        let node = Node {
            kind: NodeKind::Merge,
            output: self.node.output.clone(),
            clone: self.node.clone,
            inputs: vec![self.node, other.node],
        };
        Self {
            node: Arc::new(node),
            _t: PhantomData,
        }
    }
}

impl<T: Clone + Send + 'static, S> Producer<T, S> {
    /// The records that satisfy `f`.
    pub fn filter(self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.then("filter", move |item, out| {
            if f(item) {
                out.emit(item.clone());
            }
        })
    }
    /// The record stays as the value.
    pub fn key_by<Q: AsKey>(self, f: impl Fn(&T) -> Q + Send + Sync + 'static) -> KeyedProducer<Q::Key, T, S> {
        let f = Arc::new(move |item: &T, out: &mut KeyedOut<Q::Key, T>| out.emit(f(item), item.clone()));
        let node = step(
            "key-by",
            short_name::<(Q::Key, T)>(),
            cloner::<KeyedChunk<T>>(),
            self.node,
            move || erased::to_keyed("key-by", f.clone()),
        );
        KeyedProducer::of(node)
    }
    /// Ends in a sink.
    pub fn write(self, sink: Sink<T>) -> Written<S> {
        let make: Make = Arc::new(|| Box::new(Write::<T> { written: Vec::new() }));
        let kind = NodeKind::Write {
            sink: sink.name(),
            record: TypeId::of::<T>(),
            make,
        };
        let node = Node {
            kind,
            inputs: vec![self.node],
            output: "()".into(),
            clone: cloner::<Vec<T>>(),
        };
        Written {
            node: Arc::new(node),
            _s: PhantomData,
        }
    }
}

struct Write<T> {
    written: Vec<T>,
}

impl<T: Clone + Send + 'static> Stage for Write<T> {
    fn push(
        &mut self,
        _: &erased::ChunkMeta,
        chunk: &mut dyn std::any::Any,
        _: &mut erased::Downstream<'_>,
    ) -> crate::Result<()> {
        self.written.append(erased::down::<Vec<T>>(chunk, "write")?);
        Ok(())
    }
    fn take_written(&mut self) -> Option<Box<dyn std::any::Any + Send>> {
        Some(Box::new(std::mem::take(&mut self.written)))
    }
}

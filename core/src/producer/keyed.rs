//! Pairs, and the sums they end in.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::{Absorb, Codec, Commutative, Semigroup};

use super::{Anywhere, Producer, short_name, step};
use crate::data::KeyedChunk;
use crate::erased::{self, KeyedOut, Stage, cloner};
use crate::error::Error;
use crate::evidence::StoreFace;
use crate::graph::{Node, NodeKind};
use crate::key::Key;
use crate::port::Store;

/// A stream of pairs.
#[must_use = "a producer does nothing until it ends in a store or a sink and a job is made of it"]
pub struct KeyedProducer<K, V, S = Anywhere> {
    node: Arc<Node>,
    _t: PhantomData<(fn() -> K, fn() -> V, fn() -> S)>,
}

impl<K, V, S> Clone for KeyedProducer<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            _t: PhantomData,
        }
    }
}

/// Totals in a store: an end of a job.
#[must_use = "a sum does nothing until a job is made of it: `Job::new(name, sum)`"]
pub struct Summed<K, V, S = Anywhere> {
    pub(crate) node: Arc<Node>,
    _t: PhantomData<(fn() -> K, fn() -> V, fn() -> S)>,
}

impl<K, V, S> KeyedProducer<K, V, S> {
    pub(super) fn of(node: Arc<Node>) -> Self {
        Self { node, _t: PhantomData }
    }
}

impl<K: Key, V: Clone + Send + 'static> KeyedProducer<K, V> {
    /// Totals per key in `store`; the values are what is added, in any order.
    pub fn sum_by_key(self, store: Store<K, V>) -> Summed<K, V>
    where
        V: Commutative + Codec,
    {
        self.summed("sum-by-key", store, || erased::sum_stage::<V>("sum-by-key"))
    }
    /// Totals per key in `store`; each record is absorbed into its key's state, no state is built per record.
    pub fn aggregate_by_key<W>(self, store: Store<K, W>) -> Summed<K, W>
    where
        W: Absorb<V> + Commutative + Codec,
    {
        self.summed("aggregate-by-key", store, || {
            erased::absorb_stage::<V, W>("aggregate-by-key")
        })
    }
}

impl<K: Key, V: Clone + Send + 'static, S> KeyedProducer<K, V, S> {
    fn summed<W: Semigroup + Codec>(
        self,
        word: &'static str,
        store: Store<K, W>,
        make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
    ) -> Summed<K, W, S> {
        let kind = NodeKind::Sum {
            word,
            store: StoreFace::of(store),
            types: (TypeId::of::<K>(), TypeId::of::<W>()),
            make: Arc::new(make),
        };
        let node = Node {
            kind,
            inputs: vec![self.node],
            output: short_name::<(K, W)>(),
            clone: cloner::<()>(),
        };
        Summed {
            node: Arc::new(node),
            _t: PhantomData,
        }
    }
    /// Pairs to pairs.
    pub fn keyed_pairs<K2: 'static, U: Clone + Send + 'static>(
        self,
        f: impl Fn(&K, &V, &mut KeyedOut<K2, U>) + Send + Sync + 'static,
    ) -> KeyedProducer<K2, U, S> {
        let f = Arc::new(f);
        let node = step(
            "keyed-pairs",
            short_name::<(K2, U)>(),
            cloner::<KeyedChunk<U>>(),
            self.node,
            move || erased::keyed_to_keyed("keyed-pairs", f.clone()),
        );
        KeyedProducer::of(node)
    }
    /// The pairs as records.
    pub fn pairs(self) -> Producer<(K, V), S> {
        let f = Arc::new(|chunk: &mut KeyedChunk<V>, out: &mut Vec<(K, V)>| {
            out.clear();
            let values = std::mem::take(&mut chunk.values);
            for (key, value) in chunk.keys().zip(values) {
                out.push((
                    crate::key::decode_all(key).map_err(|e| Error::bug(format!("step pairs: {e}")))?,
                    value,
                ));
            }
            Ok(())
        });
        let node = step(
            "pairs",
            short_name::<(K, V)>(),
            cloner::<Vec<(K, V)>>(),
            self.node,
            move || erased::keyed_whole("pairs", f.clone()),
        );
        Producer { node, _t: PhantomData }
    }
}

impl<K: 'static, V: Clone + Send + 'static, S> KeyedProducer<K, V, S> {
    fn values_with<U: Clone + Send + 'static>(
        self,
        word: &'static str,
        f: impl Fn(V) -> Option<U> + Send + Sync + 'static,
    ) -> KeyedProducer<K, U, S> {
        let f = Arc::new(move |chunk: &mut KeyedChunk<V>, out: &mut KeyedChunk<U>| {
            out.clear();
            let mut from = 0;
            for (&end, value) in chunk.ends.iter().zip(chunk.values.drain(..)) {
                if let Some(u) = f(value) {
                    out.bytes.extend_from_slice(&chunk.bytes[from as usize..end as usize]);
                    out.ends.push(out.bytes.len() as u32);
                    out.values.push(u);
                }
                from = end;
            }
            Ok(())
        });
        let node = step(
            word,
            short_name::<(K, U)>(),
            cloner::<KeyedChunk<U>>(),
            self.node,
            move || erased::keyed_whole(word, f.clone()),
        );
        KeyedProducer::of(node)
    }
    /// Another value; the key is untouched.
    pub fn map_values<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&V) -> U + Send + Sync + 'static,
    ) -> KeyedProducer<K, U, S> {
        self.values_with("map-values", move |v| Some(f(&v)))
    }
    /// The pairs whose value satisfies `f`.
    pub fn filter_values(self, f: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        self.values_with("filter-values", move |v| f(&v).then_some(v))
    }
    /// The values as records.
    pub fn values(self) -> Producer<V, S> {
        let f = Arc::new(|chunk: &mut KeyedChunk<V>, out: &mut Vec<V>| {
            out.clear();
            out.append(&mut chunk.values);
            Ok(())
        });
        let node = step("values", short_name::<V>(), cloner::<Vec<V>>(), self.node, move || {
            erased::keyed_whole("values", f.clone())
        });
        Producer { node, _t: PhantomData }
    }
    /// The pairs of both.
    pub fn merge(self, other: Self) -> Self {
        let node = Node {
            kind: NodeKind::Merge,
            output: self.node.output.clone(),
            clone: self.node.clone,
            inputs: vec![self.node, other.node],
        };
        Self::of(Arc::new(node))
    }
    /// Gives the step before it a stable name.
    pub fn named(self, name: &str) -> Self {
        let node = Node {
            kind: NodeKind::Named(name.into()),
            output: self.node.output.clone(),
            clone: self.node.clone,
            inputs: vec![self.node],
        };
        Self::of(Arc::new(node))
    }
}

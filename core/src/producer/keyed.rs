//! Pairs, and the sums they end in.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::{Absorb, Codec, Commutative, Semigroup};

use super::{Anywhere, InOrder, Producer, Summed, common, counted, node, same, step};
use crate::erased::{self, ChunkType, KeyedOut, KeysOut, Out, Stage};
use crate::evidence::StoreFace;
use crate::graph::{Arity, Contract, Make, Node, NodeKind, Step, Sum};
use crate::key::{AsKey, Key};
use crate::port::{Counter, Store};

/// A stream of pairs.
#[must_use = "a producer does nothing until it ends in a store or a sink and a job is made of it"]
pub struct KeyedProducer<K, V, S = Anywhere> {
    pub(super) node: Arc<Node>,
    _t: PhantomData<(fn() -> K, fn() -> V, fn() -> S)>,
}

impl<K, V, S> Clone for KeyedProducer<K, V, S> {
    fn clone(&self) -> Self {
        Self::of(self.node.clone())
    }
}

impl<K, V, S> KeyedProducer<K, V, S> {
    pub(super) fn of(node: Arc<Node>) -> Self {
        Self { node, _t: PhantomData }
    }
    common!();
}

impl<K, V> KeyedProducer<K, V> {
    /// The same pairs for sums that need them in order: see [`Producer::in_order`].
    #[track_caller]
    pub fn in_order(self) -> KeyedProducer<K, V, InOrder> {
        KeyedProducer::of(same(NodeKind::InOrder, vec![self.node]))
    }
}

impl<K: Key, V: Clone + Send + 'static> KeyedProducer<K, V> {
    /// Totals per key in `store`; the values are what is added, in any order.
    #[track_caller]
    pub fn sum_by_key(self, store: Store<K, V>) -> Summed<K, V>
    where
        V: Commutative + Codec,
    {
        let combine: Make = Arc::new(|_| erased::combine_stage::<V>());
        self.summed(
            "sum-by-key",
            store,
            || erased::sum_stage::<V>("sum-by-key"),
            Some(combine),
            false,
            None,
        )
    }
    /// Totals per key in `store`; each record is absorbed into its key's state, no state is built per record.
    #[track_caller]
    pub fn aggregate_by_key<W>(self, store: Store<K, W>) -> Summed<K, W>
    where
        W: Absorb<V> + Commutative + Codec,
    {
        let make = || erased::absorb_stage::<V, W>("aggregate-by-key");
        self.summed("aggregate-by-key", store, make, None, false, Some(single::<V, W>()))
    }
}

impl<K: Key, V: Clone + Send + 'static> KeyedProducer<K, V, InOrder> {
    /// Totals per key in `store`; the values are added in order.
    #[track_caller]
    pub fn sum_by_key(self, store: Store<K, V>) -> Summed<K, V, InOrder>
    where
        V: Semigroup + Codec,
    {
        self.summed(
            "sum-by-key",
            store,
            || erased::sum_stage::<V>("sum-by-key"),
            None,
            true,
            None,
        )
    }
    /// Totals per key in `store`; the records of a key are absorbed in order.
    #[track_caller]
    pub fn aggregate_by_key<W>(self, store: Store<K, W>) -> Summed<K, W, InOrder>
    where
        W: Absorb<V> + Codec,
    {
        let make = || erased::absorb_stage::<V, W>("aggregate-by-key");
        self.summed("aggregate-by-key", store, make, None, true, None)
    }
}

/// What makes a value of each record, for operators on a sum that absorbs them.
fn single<V: Clone + Send + 'static, W: Absorb<V>>() -> (Make, ChunkType) {
    let make: Make = Arc::new(|_| {
        let value = |item: &V| {
            let mut value = W::zero();
            value.absorb(item);
            value
        };
        erased::map_values::<V, W, _>("absorb-one", Arc::new(value))
    });
    (make, ChunkType::keyed::<W>())
}

impl<K: Key, V: Clone + Send + 'static, S> KeyedProducer<K, V, S> {
    #[track_caller]
    fn summed<W: Semigroup + Codec>(
        self,
        word: &'static str,
        store: Store<K, W>,
        make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
        combine: Option<Make>,
        in_order: bool,
        single: Option<(Make, ChunkType)>,
    ) -> Summed<K, W, S> {
        let kind = NodeKind::Sum(Sum {
            word,
            store: StoreFace::of(store),
            types: (TypeId::of::<K>(), TypeId::of::<W>()),
            takes: ChunkType::keyed::<V>(),
            make: Arc::new(move |_| make()),
            combine,
            in_order,
            single,
        });
        Summed::of(node::<(K, W)>(kind, ChunkType::keyed::<W>(), vec![self.node]))
    }
    /// Pairs to pairs, any number for each.
    #[track_caller]
    pub fn keyed_pairs<K2: 'static, U: Clone + Send + 'static>(
        self,
        f: impl Fn(&K, &V, &mut KeyedOut<'_, K2, U>) + Send + Sync + 'static,
    ) -> KeyedProducer<K2, U, S> {
        let f = Arc::new(f);
        let make = move || erased::keyed_to_keyed::<K, V, K2, U, _>("keyed-pairs", f.clone());
        self.to::<K2, U>("keyed-pairs", Contract::FlatMap, make)
    }
    /// Another key; the value is untouched.
    #[track_caller]
    pub fn map_keys<Q: AsKey + 'static>(
        self,
        f: impl Fn(&K) -> Q + Send + Sync + 'static,
    ) -> KeyedProducer<Q::Key, V, S> {
        let f = Arc::new(f);
        self.to("map-keys", Contract::Keys(Arity::One), move || {
            erased::map_keys::<K, V, Q, _>(f.clone())
        })
    }
    /// The pairs whose key satisfies `f`.
    #[track_caller]
    pub fn filter_keys(self, f: impl Fn(&K) -> bool + Send + Sync + 'static) -> Self {
        let f = Arc::new(f);
        let chunks = ChunkType::keyed::<V>();
        let step = Step {
            word: "filter-keys",
            about: "",
            contract: Contract::Keys(Arity::Filter),
            takes: chunks,
            make: Arc::new(move |chunks| match chunks.keyed {
                Some(keyed) => erased::filter_keys::<K, _>(f.clone(), keyed),
                // The planner's check of types comes before this.
                None => (chunks.pass)(),
            }),
            counts: None,
            traces: false,
            joins: None,
        };
        Self::of(node::<(K, V)>(NodeKind::Step(step), chunks, vec![self.node]))
    }
    /// Any number of keys for each; all get the value. Values of a key may be added up before, so the closure may run once
    /// for many pairs.
    #[track_caller]
    pub fn flat_map_keys<K2: 'static>(
        self,
        f: impl Fn(&K, &mut KeysOut<'_, K2>) + Send + Sync + 'static,
    ) -> KeyedProducer<K2, V, S> {
        let f = Arc::new(f);
        let make = move || erased::flat_map_keys::<K, V, K2, _>(f.clone());
        self.to("flat-map-keys", Contract::Keys(Arity::Many), make)
    }
    /// Value and key change places.
    #[track_caller]
    pub fn swap(self) -> KeyedProducer<V, K, S>
    where
        V: Key,
    {
        let make = || erased::swap::<K, V>();
        let chunks = (ChunkType::keyed::<V>(), ChunkType::keyed::<K>());
        KeyedProducer::of(step::<(V, K)>(self.node, "swap", Contract::OptionMap, chunks, make))
    }
    /// The pairs as records.
    #[track_caller]
    pub fn pairs(self) -> Producer<(K, V), S> {
        let make = || erased::pairs::<K, V>();
        let chunks = (ChunkType::keyed::<V>(), ChunkType::of::<Vec<(K, V)>>());
        Producer::of(step::<(K, V)>(self.node, "pairs", Contract::OptionMap, chunks, make))
    }
    /// The keys as records.
    #[track_caller]
    pub fn keys(self) -> Producer<K, S> {
        let make = || erased::keys::<K, V>();
        let chunks = (ChunkType::keyed::<V>(), ChunkType::of::<Vec<K>>());
        Producer::of(step::<K>(self.node, "keys", Contract::OptionMap, chunks, make))
    }
}

impl<K: 'static, V: Clone + Send + 'static, S> KeyedProducer<K, V, S> {
    #[track_caller]
    fn to<K2: 'static, U: Clone + Send + 'static>(
        self,
        word: &'static str,
        contract: Contract,
        make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
    ) -> KeyedProducer<K2, U, S> {
        let chunks = (ChunkType::keyed::<V>(), ChunkType::keyed::<U>());
        KeyedProducer::of(step::<(K2, U)>(self.node, word, contract, chunks, make))
    }
    /// Another value; the key is untouched.
    #[track_caller]
    pub fn map_values<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&V) -> U + Send + Sync + 'static,
    ) -> KeyedProducer<K, U, S> {
        let f = Arc::new(f);
        let make = move || erased::map_values::<V, U, _>("map-values", f.clone());
        self.to("map-values", Contract::Values(Arity::One), make)
    }
    /// The pairs whose value satisfies `f`.
    #[track_caller]
    pub fn filter_values(self, f: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        let f = Arc::new(f);
        self.to("filter-values", Contract::Values(Arity::Filter), move || {
            erased::filter_values::<V, _>(f.clone())
        })
    }
    /// Any number of values for each, under the same key.
    #[track_caller]
    pub fn flat_map_values<U: Clone + Send + 'static>(
        self,
        f: impl Fn(&V, &mut Out<'_, U>) + Send + Sync + 'static,
    ) -> KeyedProducer<K, U, S> {
        let f = Arc::new(f);
        let make = move || erased::flat_map_values::<V, U, _>(f.clone());
        self.to("flat-map-values", Contract::Values(Arity::Many), make)
    }
    /// The values with where they come from, for tests.
    #[cfg(any(test, feature = "testing"))]
    #[track_caller]
    pub fn with_origins(self) -> KeyedProducer<K, (crate::Origin, V), S> {
        let chunks = (ChunkType::keyed::<V>(), ChunkType::keyed::<(crate::Origin, V)>());
        let step = Step {
            word: "origins",
            about: "",
            contract: Contract::FlatMap,
            takes: chunks.0,
            make: Arc::new(|_| erased::with_origins::<V>()),
            counts: None,
            traces: true,
            joins: None,
        };
        KeyedProducer::of(node::<(K, (crate::Origin, V))>(
            NodeKind::Step(step),
            chunks.1,
            vec![self.node],
        ))
    }
    /// The values as records.
    #[track_caller]
    pub fn values(self) -> Producer<V, S> {
        let make = || erased::values::<V>();
        let chunks = (ChunkType::keyed::<V>(), ChunkType::of::<Vec<V>>());
        Producer::of(step::<V>(self.node, "values", Contract::OptionMap, chunks, make))
    }
    /// Counts the pairs that pass by.
    #[track_caller]
    pub fn counted(self, counter: Counter) -> Self {
        self.counted_by(counter, |_| 1)
    }
    /// Adds `n` of each value that passes by to a counter.
    #[track_caller]
    pub fn counted_by(self, counter: Counter, n: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        let n = Arc::new(n);
        let make = move || erased::counted_keyed::<V, _>(counter.name(), n.clone());
        Self::of(counted(self.node, counter, ChunkType::keyed::<V>(), make))
    }
}

//! Sums over hops of event time.

use std::any::TypeId;
use std::sync::Arc;

use rufous_algebra::{Absorb, Codec, Commutative};

use super::{KeyedProducer, Summed, node, step};
use crate::erased::{self, ChunkType, SharedGrid};
use crate::evidence::StoreFace;
use crate::graph::{Absorbing, Arity, Contract, Make, Node, NodeKind, Sum};
use crate::key::Key;
use crate::time::Timestamp;
use crate::window::{Hop, WindowedStore};

impl<K: Key, V: Clone + Send + 'static> KeyedProducer<(K, Timestamp), V> {
    /// Totals per key and hop: each value is added to one hop of every size of the store, the one that holds its instant,
    /// whichever batch owns the record. Values of a key are added up within the smallest spans first; the few sums that are left
    /// are added to the hops.
    ///
    /// ```
    /// use rufous_core::{HopSize, Job, Message, Source, WindowedStore};
    ///
    /// const PAGES: Source<Message<str>> = Source::new("pages");
    /// const VIEWS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::minutes(5), HopSize::hours(1)]);
    ///
    /// let views = PAGES.read()
    ///     .keyed(|page, out| if let (Some(page), Some(at)) = (page.value(), page.time()) { out.emit((page, at), 1) })
    ///     .windowed_sum_by_key(VIEWS);
    /// let plan = Job::new("views", views).plan()?;
    /// assert_eq!(plan.stores()[0].schema(), "(text,hop) in hops 5m,1h -> u64");
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn windowed_sum_by_key(self, store: WindowedStore<K, V>) -> Summed<(K, Hop), V>
    where
        V: Commutative + Codec,
    {
        let grid: SharedGrid = Arc::new(store.windows().grid());
        let combine: Make = Arc::new(|_| erased::combine_stage::<V>());
        expanded(starts(self, &grid), grid, store, Some(combine))
    }
    /// The same for records that are absorbed into a state, as [`aggregate_by_key`](Self::aggregate_by_key) does: once for each
    /// record, however many sizes of hops there are.
    #[track_caller]
    pub fn windowed_aggregate_by_key<W>(self, store: WindowedStore<K, W>) -> Summed<(K, Hop), W>
    where
        W: Absorb<V> + Commutative + Codec,
    {
        let grid: SharedGrid = Arc::new(store.windows().grid());
        let absorbing = Absorbing {
            takes: ChunkType::keyed::<V>(),
            make: Arc::new(|_| erased::absorb_first_stage::<V, W>()),
        };
        let states = node::<((K, Timestamp), W)>(
            NodeKind::Absorb(absorbing),
            ChunkType::keyed::<W>(),
            vec![starts(self, &grid)],
        );
        expanded(states, grid, store, None)
    }
}

/// Instants become the starts of their atoms.
#[track_caller]
fn starts<K: Key, V: Clone + Send + 'static>(pairs: KeyedProducer<(K, Timestamp), V>, grid: &SharedGrid) -> Arc<Node> {
    let (chunks, grid) = (ChunkType::keyed::<V>(), grid.clone());
    let make = move || erased::hop_starts::<V>(grid.clone());
    let contract = Contract::Keys(Arity::Coarser);
    step::<((K, Timestamp), V)>(pairs.node, "hops", contract, (chunks, chunks), make)
}

/// Keys with the start of an atom become keys with hops, whose values are summed.
#[track_caller]
fn expanded<K: Key, V: Commutative + Codec>(
    input: Arc<Node>,
    grid: SharedGrid,
    store: WindowedStore<K, V>,
    combine: Option<Make>,
) -> Summed<(K, Hop), V> {
    let chunks = ChunkType::keyed::<V>();
    let make = move || erased::expand_hops::<V>(grid.clone());
    let contract = Contract::Keys(Arity::Times(store.windows().sizes().len() as u8));
    let hops = step::<((K, Hop), V)>(input, "expand-hops", contract, (chunks, chunks), make);
    let kind = NodeKind::Sum(Sum {
        word: "windowed-sum-by-key",
        store: StoreFace::windowed(store),
        types: (TypeId::of::<(K, Hop)>(), TypeId::of::<V>()),
        takes: chunks,
        make: Arc::new(|_| erased::sum_stage::<V>("windowed-sum-by-key")),
        combine,
        in_order: false,
        single: None,
    });
    Summed::of(node::<((K, Hop), V)>(kind, chunks, vec![hops]))
}

//! Operators with memory, keyed: what becomes of a sum, record by record.

use std::sync::Arc;

use rufous_algebra::tier::Tier;
use rufous_algebra::{Codec, Commutative, Group, Semigroup, Tiered};

use super::{DeltaProducer, KeyedProducer, Producer, Summed, node, same};
use crate::erased::{self, ChunkType, KeyedOut, Stage, Standing};
use crate::evidence::StoreFace;
use crate::graph::{Domain, Node, NodeKind, Scan};
use crate::key::Key;
use crate::port::Store;

impl<K, V> KeyedProducer<K, V> {
    /// Promises, for the operators behind it, that all records of a key are in one partition of their source (O1): the
    /// records of a partition have an order, and those of several have none. A key that is met in two partitions, in one run or
    /// above one generation, is an error that names it; across generations the promise is the job's (a generation does not say
    /// which partition a key came from).
    ///
    /// Behind a `merge` of several sources it promises that a key's records are in partition *i* of each of them: the same number of
    /// partitions, the same partitioner. Their records have one order (by batch, by the greatest time of the partition in it so
    /// far, by the source's name, by offset), so live each waits until the other sources have shown a later one: partitions
    /// that fall silent need heartbeats, and sources need one batcher and one kind of clock.
    ///
    /// Nothing changes for sums, which need no order.
    #[track_caller]
    pub fn within_partition(self) -> Self {
        Self::of(same(NodeKind::Domain(Domain::Partition), vec![self.node]))
    }
    /// Asks, for the operators behind it, for one order of the records of all partitions of all their sources, however many each has:
    /// by batch, by the greatest time of the partition in it so far, by the source's name, by partition, by offset (O3). So a key's
    /// records may be in any partition.
    ///
    /// What it costs: one process reads all partitions, and live each record waits until every other partition has shown a later one.
    /// Partitions that fall silent need heartbeats; sources need one batcher and one kind of clock, and a partition whose clock is a day
    /// ahead waits a day for the others. Where a key stays in its partition [`within_partition`](Self::within_partition) costs
    /// nothing of this.
    ///
    /// ```
    /// use rufous_core::{Job, Source, Store};
    ///
    /// // Written by machine, not by user.
    /// const CLICKS: Source<str> = Source::new("clicks");
    /// const BY_USER: Store<String, u64> = Store::new("by-user");
    /// const HUNDREDTH: Store<String, u64> = Store::new("hundredth-click");
    /// let hundredth = CLICKS.read()
    ///     .keyed(|line, out| out.emit(line.split(' ').nth(1).unwrap_or(""), 1))
    ///     .in_log_order()
    ///     .scan_by_key(BY_USER)
    ///     .filter_values(|clicks| clicks % 100 == 0)
    ///     .map_values(|_| 1)
    ///     .sum_by_key(HUNDREDTH);
    /// let plan = Job::new("hundredth", hundredth).plan()?;
    /// plan.check_partitions(&[12])?;
    /// assert!(plan.domains()[0].spread);
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn in_log_order(self) -> Self {
        Self::of(same(NodeKind::Domain(Domain::Log), vec![self.node]))
    }
    /// Says, of the right side of a join (what builds the store, or the stream before
    /// [`as_service`](Self::as_service)), that each partition of the left side sees all of it: its keys need not be partitioned as
    /// those of the left side, nor need the number of partitions be the same.
    ///
    /// It is run in one order of all partitions of both sides, as [`in_log_order`](Self::in_log_order) is, with what that costs: a copy
    /// of the right side for each process is not reached yet. What is found is the same, since an order of all is one of each left
    /// partition with all right ones.
    #[track_caller]
    pub fn broadcast(self) -> Self {
        Self::of(same(NodeKind::Domain(Domain::Broadcast), vec![self.node]))
    }
}

impl<T: ?Sized> Producer<T> {
    /// Asks, for the operators behind it, for one order of the records of all partitions: what
    /// [`KeyedProducer::in_log_order`] says of pairs.
    #[track_caller]
    pub fn in_log_order(self) -> Self {
        Self::of(same(NodeKind::Domain(Domain::Log), vec![self.node]))
    }
}

impl<K: Key, V: Clone + Send + 'static> KeyedProducer<K, V> {
    /// Totals per key in `store`, and for every record its key with the total after it (O15). Records of a key are taken in the
    /// order of their partition; where a source has several partitions [`within_partition`](Self::within_partition) must say
    /// that a key stays in one, or [`in_log_order`](Self::in_log_order) that all of them are read in one order.
    ///
    /// ```
    /// use rufous_core::{Job, Source, Store};
    ///
    /// const PAYMENTS: Source<str> = Source::new("payments");
    /// const BALANCES: Store<String, i64> = Store::new("balances");
    /// const OVERDRAWN: Store<String, u64> = Store::new("overdrawn");
    /// let overdrawn = PAYMENTS.read()
    ///     .keyed(|line, out| out.emit(line.split(' ').next().unwrap_or(""), line.len() as i64 - 10))
    ///     .within_partition()
    ///     .scan_by_key(BALANCES)
    ///     .filter_values(|balance| *balance < 0)
    ///     .map_values(|_| 1)
    ///     .sum_by_key(OVERDRAWN);
    /// assert_eq!(Job::new("overdrawn", overdrawn).plan()?.stores().len(), 2);
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn scan_by_key(self, store: Store<K, V>) -> KeyedProducer<K, V>
    where
        V: Commutative + Tiered + Codec,
    {
        let face = StoreFace::of(store);
        let make = move |standing| erased::scan_stage::<V>(face, standing);
        let sum = self.sum_by_key(store).node;
        KeyedProducer::of(scan::<V, (K, V)>("scan-by-key", sum, ChunkType::keyed::<V>(), make))
    }
}

impl<K: Key, V: Commutative + Tiered + Codec> Summed<K, V> {
    /// For every record that is added its key with the totals before and after it (O15), never per flush, so any step may
    /// follow. The total before is `None` at the first record of a key. Order and partitions as for
    /// [`scan_by_key`](KeyedProducer::scan_by_key). The store takes part in the job also if only the changes are used.
    #[track_caller]
    pub fn changes(self) -> KeyedProducer<K, (Option<V>, V)> {
        let Some(face) = face(&self.node) else {
            unreachable!("a sum has a store");
        };
        let make = move |standing| erased::changes_stage::<V>(face, standing);
        let gives = ChunkType::keyed::<(Option<V>, V)>();
        KeyedProducer::of(scan::<V, (K, (Option<V>, V))>("changes", self.node, gives, make))
    }
    /// For a second sum over the keys of this one: each key counts with what `f` emits of its total (O16). What it emitted for
    /// the total before is taken away, and what it emits now is added, so the second store is the sum over all keys that have
    /// occurred of `f(key, total)`, zero totals as well. Changes may be added up on the way, so only steps that commute with
    /// addition may follow.
    ///
    /// ```
    /// use rufous_core::{Job, Source, Store};
    ///
    /// const CLICKS: Source<str> = Source::new("clicks");
    /// const BY_USER: Store<String, u64> = Store::new("by-user");
    /// const USERS_WITH: Store<u64, i64> = Store::new("users-with");
    /// // How many users have so many clicks.
    /// let users = CLICKS.read()
    ///     .keyed(|user, out| out.emit(user, 1))
    ///     .within_partition()
    ///     .sum_by_key(BY_USER)
    ///     .totals(|_, clicks, out| out.emit(*clicks, 1))
    ///     .sum_by_key(USERS_WITH);
    /// # Job::new("users", users).plan()?;
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn totals<K2: 'static, W: Group + Codec>(
        self,
        f: impl Fn(&K, &V, &mut KeyedOut<'_, K2, W>) + Send + Sync + 'static,
    ) -> DeltaProducer<K2, W> {
        let Some(face) = face(&self.node) else {
            unreachable!("a sum has a store");
        };
        let f = Arc::new(f);
        let make = move |standing| erased::totals_stage::<K, V, K2, W, _>(face, standing, f.clone());
        let gives = ChunkType::keyed::<W>();
        DeltaProducer::of(KeyedProducer::of(scan::<V, (K2, W)>("totals", self.node, gives, make)))
    }
}

/// The store of a sum.
fn face(sum: &Node) -> Option<StoreFace> {
    match &sum.kind {
        NodeKind::Sum(sum) => Some(sum.store),
        _ => None,
    }
}

#[track_caller]
fn scan<V: Semigroup + Tiered + Codec, T>(
    word: &'static str,
    sum: Arc<Node>,
    gives: ChunkType,
    make: impl Fn(Standing) -> Box<dyn Stage> + Send + Sync + 'static,
) -> Arc<Node> {
    let Some(store) = face(&sum) else {
        unreachable!("operators are made of sums only");
    };
    let scan = Scan {
        word,
        store,
        takes: ChunkType::keyed::<V>(),
        make: Arc::new(make),
        grouped: word == "totals",
        approximate: <V::Tier as Tier>::NAME == "approximate",
        note: String::new(),
        traces: false,
        own_input: false,
        by_partition: None,
    };
    node::<T>(NodeKind::Scan(scan), gives, vec![sum])
}

//! Joins with what the job builds itself: a store, or a stream through a buffer (O17, O18).

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use rufous_algebra::tier::Tier;
use rufous_algebra::{Codec, Commutative, Last, Tiered, Timeline};

use super::joins::sealed;
use super::{KeyedProducer, Summed, node, step, tracing};
use crate::erased::{self, ChunkType, Inner, Left, Pairs, Position, Reading};
use crate::evidence::StoreFace;
use crate::graph::{AsOf, Contract, Node, NodeKind, Stamped};
use crate::key::Key;
use crate::port::Store;

/// What a buffer of a stream holds for a key: its newest record as of any instant of the horizon. Records with equal times
/// come in the order of their source and offset: where a key's records are in several partitions, those with equal times are
/// not told apart by which was logged first, so give them times that differ.
pub type Buffer<J> = Timeline<Last<Position, J>>;

/// How far back joins look, unless they say otherwise: one batch.
const HORIZON: u32 = 1;

const READING: Reading = Reading {
    horizon: HORIZON,
    valid_ms: None,
};

fn valid_ms(valid: Duration) -> i64 {
    i64::try_from(valid.as_millis()).unwrap_or(i64::MAX)
}

/// A store of the job, to be joined as of event time. A record finds the sum of all values that were added to its key by
/// records **before it in the log** and with event times **below its own**: what was known when it was logged, as of its own
/// time. A value that comes late counts for what is logged after it; what was emitted before stays. A record never sees
/// itself, so the store may be built of what the join emits, as long as the key stays.
///
/// Records that are late themselves are joined as of their own time, but not further back than the
/// [horizon](Self::horizon): older ones see what was known as of there.
///
/// Both must have a common order: one source of one partition, partitions in which keys stay
/// ([`within_partition`](KeyedProducer::within_partition) on both sides), all partitions in one order
/// ([`in_log_order`](KeyedProducer::in_log_order)), or a right side that all left partitions see
/// ([`broadcast`](KeyedProducer::broadcast)). The versions are kept in a store of their own beside
/// the joined one, named after it with `-as-of`.
pub struct StoreService<K, V> {
    store: Store<K, V>,
    reading: Reading,
}

impl<K, V> Clone for StoreService<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for StoreService<K, V> {}

impl<K: Key, V: Commutative + Tiered + Codec> Store<K, V> {
    /// This store as something that is joined, as of event time.
    ///
    /// ```
    /// use rufous_core::{Job, Source, Store, Timestamp};
    ///
    /// // "account cents"; the time is that of the log.
    /// const PAYMENTS: Source<str> = Source::new("payments").timed_by(|p| Timestamp(p.len() as i64));
    /// const BALANCES: Store<String, i64> = Store::new("balances");
    /// const OVERDRAFTS: Store<String, u64> = Store::new("overdrafts");
    ///
    /// let payments = PAYMENTS.read().keyed(|p, out| {
    ///     let (account, cents) = p.split_once(' ').unwrap_or((p, "0"));
    ///     out.emit(account, cents.parse().unwrap_or(0));
    /// }).within_partition();
    /// // Payments that take more than the balance was before.
    /// let overdrafts = payments.clone()
    ///     .left_join(BALANCES.as_service())
    ///     .filter_values(|(cents, balance): &(i64, Option<i64>)| balance.unwrap_or(0) + cents < 0)
    ///     .map_values(|_| 1)
    ///     .sum_by_key(OVERDRAFTS);
    /// let plan = Job::new("overdrafts", (payments.sum_by_key(BALANCES), overdrafts)).plan()?;
    /// assert!(plan.store("balances-as-of").is_some());
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    pub const fn as_service(self) -> StoreService<K, V> {
        StoreService {
            store: self,
            reading: READING,
        }
    }
}

impl<K, V> StoreService<K, V> {
    /// How many batches before its own a late record is still joined as of its own time. The default is 1. All joins of a store
    /// say the same.
    #[must_use]
    pub const fn horizon(mut self, batches: u32) -> Self {
        self.reading.horizon = batches;
        self
    }
    /// Finds nothing where the newest value is older than this.
    #[must_use]
    pub fn valid_for(mut self, valid: Duration) -> Self {
        self.reading.valid_ms = Some(valid_ms(valid));
        self
    }
}

impl<K: Key, V: Commutative + Tiered + Codec> StoreService<K, V> {
    #[track_caller]
    fn joined<L: Clone + Send + 'static, P: Pairs<L, V>>(self, word: &'static str, input: Arc<Node>) -> Arc<Node> {
        let horizon = self.reading.horizon;
        let stamped = Stamped {
            takes: ChunkType::keyed::<V>(),
            stamp: Arc::new(move |_| erased::stamp::<V>(horizon)),
            sum: Arc::new(|_| erased::sum_stage::<Timeline<V>>("sum-by-key")),
            types: (TypeId::of::<K>(), TypeId::of::<Timeline<V>>()),
        };
        let face = StoreFace::of(self.store.versions());
        let of = Joined {
            word,
            store: self.store.name(),
            types: (TypeId::of::<K>(), TypeId::of::<V>()),
            face,
            stamped: Some(stamped),
            reading: self.reading,
        };
        as_of::<K, L, V, V, P>(of, Some, vec![input])
    }
}

impl<K: Key, V: Commutative + Tiered + Codec> sealed::Joins<K> for StoreService<K, V> {
    type Found = V;
    #[track_caller]
    fn left<L: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        self.joined::<L, Left>("left-join-as-of", input)
    }
    #[track_caller]
    fn inner<L: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        self.joined::<L, Inner>("join-as-of", input)
    }
}

/// A stream whose newest record of each key is joined, as of event time: see [`StoreService`], whose words it has.
pub struct StreamService<K, J> {
    right: KeyedProducer<K, J>,
    buffer: Store<K, Buffer<J>>,
    sum: Arc<Node>,
    reading: Reading,
}

impl<K, J> Clone for StreamService<K, J> {
    fn clone(&self) -> Self {
        Self {
            right: self.right.clone(),
            buffer: self.buffer,
            sum: self.sum.clone(),
            reading: self.reading,
        }
    }
}

impl<K: Key, J: Ord + Clone + Send + Sync + Codec + 'static> KeyedProducer<K, J> {
    /// This stream as something that is joined, as of event time: a record finds the newest value of its key that was logged
    /// before it, with an event time below its own. The values are kept in `buffer`. A value that takes another away is one of
    /// the user's: `Option<T>` as `J`.
    ///
    /// Values have an order, though times decide: of two with the same time, source and offset the greater one counts, so
    /// that sums are the same in any order.
    ///
    /// ```
    /// use rufous_core::producer::Buffer;
    /// use rufous_core::{Job, Source, Store, Timestamp};
    ///
    /// const RATES: Source<str> = Source::new("rates").timed_by(|r| Timestamp(r.len() as i64));
    /// const PAYMENTS: Source<str> = Source::new("payments").timed_by(|p| Timestamp(p.len() as i64));
    /// const RATE: Store<String, Buffer<i64>> = Store::new("rate");
    /// const IN_EURO: Store<String, i64> = Store::new("in-euro");
    ///
    /// let rates = RATES.read().keyed(|r, out| out.emit(r, 2)).within_partition().as_service(RATE);
    /// let in_euro = PAYMENTS.read()
    ///     .keyed(|p, out| out.emit(p, 100))
    ///     .within_partition()
    ///     .left_join(rates)                                    // the rate that held when the payment was made
    ///     .map_values(|(cents, rate)| cents * rate.unwrap_or(1))
    ///     .sum_by_key(IN_EURO);
    /// assert_eq!(Job::new("in-euro", in_euro).plan()?.stores().len(), 2);
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn as_service(self, buffer: Store<K, Buffer<J>>) -> StreamService<K, J> {
        StreamService {
            sum: buffered(self.clone(), buffer, HORIZON),
            right: self,
            buffer,
            reading: READING,
        }
    }
}

#[track_caller]
fn buffered<K: Key, J: Ord + Clone + Send + Sync + Codec + 'static>(
    right: KeyedProducer<K, J>,
    buffer: Store<K, Buffer<J>>,
    horizon: u32,
) -> Arc<Node> {
    let chunks = (ChunkType::keyed::<J>(), ChunkType::keyed::<Buffer<J>>());
    let make = move || erased::stamp_newest::<J>(horizon);
    let stamped = step::<(K, Buffer<J>)>(right.node, "stamp", Contract::OptionMap, chunks, make);
    let stamped = tracing(stamped);
    let sum: Summed<K, Buffer<J>> = KeyedProducer::<K, Buffer<J>>::of(stamped).sum_by_key(buffer);
    sum.node
}

impl<K: Key, J: Ord + Clone + Send + Sync + Codec + 'static> StreamService<K, J> {
    /// How many batches before its own a late record is still joined as of its own time. The default is 1.
    #[must_use]
    #[track_caller]
    pub fn horizon(mut self, batches: u32) -> Self {
        self.sum = buffered(self.right.clone(), self.buffer, batches);
        self.reading.horizon = batches;
        self
    }
    /// Finds nothing where the newest value is older than this.
    #[must_use]
    pub fn valid_for(mut self, valid: Duration) -> Self {
        self.reading.valid_ms = Some(valid_ms(valid));
        self
    }
    #[track_caller]
    fn joined<L: Clone + Send + 'static, P: Pairs<L, J>>(self, word: &'static str, input: Arc<Node>) -> Arc<Node> {
        let of = Joined {
            word,
            store: self.buffer.name(),
            types: (TypeId::of::<K>(), TypeId::of::<Buffer<J>>()),
            face: StoreFace::of(self.buffer),
            stamped: None,
            reading: self.reading,
        };
        let found = |newest: Last<Position, J>| newest.get().cloned();
        as_of::<K, L, Last<Position, J>, J, P>(of, found, vec![input, self.sum])
    }
}

impl<K: Key, J: Ord + Clone + Send + Sync + Codec + 'static> sealed::Joins<K> for StreamService<K, J> {
    type Found = J;
    #[track_caller]
    fn left<L: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        self.joined::<L, Left>("left-join-as-of", input)
    }
    #[track_caller]
    fn inner<L: Clone + Send + 'static>(self, input: Arc<Node>) -> Arc<Node> {
        self.joined::<L, Inner>("join-as-of", input)
    }
}

/// What is joined, and how.
struct Joined {
    word: &'static str,
    store: &'static str,
    types: (TypeId, TypeId),
    face: StoreFace,
    stamped: Option<Stamped>,
    reading: Reading,
}

#[track_caller]
fn as_of<K, L, V, J, P>(of: Joined, found: fn(V) -> Option<J>, inputs: Vec<Arc<Node>>) -> Arc<Node>
where
    K: Key,
    L: Clone + Send + 'static,
    V: Commutative + Tiered + Codec,
    J: Clone + Send + 'static,
    P: Pairs<L, J>,
{
    let (face, reading) = (of.face, of.reading);
    let join = AsOf {
        word: of.word,
        store: of.store,
        types: of.types,
        versions: face,
        stamped: of.stamped,
        reading,
        takes: ChunkType::keyed::<L>(),
        make: Arc::new(move |standing, rooms| {
            erased::as_of_join::<L, V, J, P>(face, (reading, found), standing, rooms)
        }),
        tap: Arc::new(move |standing, rooms| erased::tap::<V>(face, standing, rooms)),
        tapped: ChunkType::keyed::<Timeline<V>>(),
        approximate: <V::Tier as Tier>::NAME == "approximate",
    };
    node::<(K, P::Out)>(NodeKind::AsOf(join), ChunkType::keyed::<P::Out>(), inputs)
}

//! What a run leaves behind.

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::{
    AnyChunk, AsKey, COUNTERS, Counter, Deltas, Executor, Key, KeyOf, Plan, Result, Sink, Store, StoreFace, Timestamp,
    WindowedStore, key,
};

/// Canonical bytes of keys and values.
pub(crate) type Bytes = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a run left in its stores, sinks and counters.
pub struct Totals {
    stores: BTreeMap<&'static str, Sums>,
    /// Per sink the vectors of records that were written.
    sinks: BTreeMap<&'static str, Vec<Box<dyn AnyChunk>>>,
}

/// Added up, sorted and encoded once somebody asks.
struct Sums {
    face: StoreFace,
    deltas: Vec<Box<dyn Deltas>>,
    bytes: OnceCell<Bytes>,
}

impl Sums {
    fn bytes(&self) -> &Bytes {
        self.bytes.get_or_init(|| {
            let mut sums = Bytes::new();
            for deltas in &self.deltas {
                let added = deltas.for_each(&mut |delta| {
                    let mut sum = Vec::new();
                    let before = sums.get(delta.key).map(Vec::as_slice);
                    let parts = before.into_iter().chain([delta.value]);
                    let added = self.face.value.sum(&mut parts.into_iter(), &mut sum);
                    added.expect("bytes that were just written");
                    sums.insert(delta.key.to_vec(), sum);
                    Ok(())
                });
                added.expect("nothing above fails");
            }
            sums
        })
    }
}

impl Totals {
    pub(crate) fn of(plan: &Plan) -> Self {
        let sums = |face: &StoreFace| Sums {
            face: *face,
            deltas: Vec::new(),
            bytes: OnceCell::new(),
        };
        Self {
            stores: plan.stores().iter().map(|s| (s.name, sums(s))).collect(),
            sinks: plan.sinks().iter().map(|(name, _)| (*name, Vec::new())).collect(),
        }
    }
    /// Adds what an instance of the job holds.
    pub(crate) fn add(&mut self, plan: &Plan, run: &mut Executor) -> Result<()> {
        for (store, deltas) in plan.stores().iter().zip(run.take(Vec::new())?) {
            if let Some(sums) = self.stores.get_mut(store.name) {
                sums.deltas.push(deltas);
                sums.bytes = OnceCell::new();
            }
        }
        self.take_written(plan, run)
    }
    /// Adds what an instance of the job wrote.
    pub(crate) fn take_written(&mut self, plan: &Plan, run: &mut Executor) -> Result<()> {
        for (i, (sink, _)) in plan.sinks().iter().enumerate() {
            self.sinks.entry(sink).or_default().push(run.take_written(i)?);
        }
        Ok(())
    }
    /// The value of a key; `None` when no record had it, or the store is not of this job.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn get<K: Key + KeyOf<Q>, V: Codec, Q: AsKey>(&self, store: Store<K, V>, wanted: Q) -> Option<V> {
        let bytes = self.bytes(store.name())?.get(&key::to_bytes(&wanted))?;
        Some(V::decode(bytes).expect("bytes that were just written"))
    }
    /// The sum of a key over the fewest hops that cover `[window.start, window.end)`; `None` when no record was in them.
    ///
    /// # Errors
    /// As [`Grid::cover`](rufous_core::Grid::cover).
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn window<K: Key + KeyOf<Q>, V: Codec + Semigroup, Q: AsKey>(
        &self,
        store: WindowedStore<K, V>,
        wanted: Q,
        window: Range<Timestamp>,
    ) -> Result<Option<V>> {
        let cover = store.windows().grid()?.cover(window, &[])?;
        let mut sum: Option<V> = None;
        for hop in cover.hops() {
            let mut key = key::to_bytes(&wanted);
            hop.encode_key(&mut key);
            let Some(bytes) = self.bytes(store.name()).and_then(|all| all.get(&key)) else {
                continue;
            };
            let value = V::decode(bytes).expect("bytes that were just written");
            match &mut sum {
                Some(sum) => sum.combine_owned(value),
                none => *none = Some(value),
            }
        }
        Ok(sum)
    }
    /// Every key and value, in key order.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn all<K: Key, V: Codec>(&self, store: Store<K, V>) -> Vec<(K, V)> {
        let pairs = self.bytes(store.name()).into_iter().flatten();
        pairs
            .map(|(k, v)| {
                (
                    key::decode_all(k).expect("bytes that were just written"),
                    V::decode(v).expect("bytes that were just written"),
                )
            })
            .collect()
    }
    /// Every key and value of a store as canonical bytes: what platforms are compared by.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn bytes(&self, store: &str) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.stores.get(store).map(Sums::bytes)
    }
    /// A counter; 0 if nothing was counted.
    ///
    /// # Panics
    /// Only for a bug of ours: bytes that were just written cannot be read.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.get(COUNTERS, counter.name()).unwrap_or_default()
    }
    /// What was written to a sink, in no particular order; in order where the job is.
    pub fn written<T: Clone + 'static>(&self, sink: Sink<T>) -> Vec<T> {
        let written = self.sinks.get(sink.name()).into_iter().flatten();
        written.filter_map(|w| records(&**w)).flatten().cloned().collect()
    }
    /// How many records were written to a sink.
    pub(crate) fn written_len(&self, sink: &str) -> usize {
        self.sinks.get(sink).into_iter().flatten().map(|w| w.len()).sum()
    }
}

fn records<T: 'static>(chunk: &dyn AnyChunk) -> Option<&Vec<T>> {
    (chunk as &dyn Any).downcast_ref()
}

//! What a run leaves behind.

use std::any::Any;
use std::collections::BTreeMap;

use rufous_algebra::Codec;
use rufous_core::{AsKey, COUNTERS, Counter, Error, Executor, Key, KeyOf, Plan, Result, Sink, Store, key};

/// What a run left in its stores, sinks and counters.
pub struct Totals {
    stores: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Per sink the vectors of records that were written.
    sinks: BTreeMap<&'static str, Vec<Box<dyn Any + Send>>>,
}

impl Totals {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            stores: plan.stores().iter().map(|s| (s.name, BTreeMap::new())).collect(),
            sinks: plan.sinks().iter().map(|(name, _)| (*name, Vec::new())).collect(),
        }
    }
    /// Adds what an instance of the job holds.
    pub(crate) fn add(&mut self, plan: &Plan, run: &mut Executor) -> Result<()> {
        for (store, deltas) in plan.stores().iter().zip(run.take(Vec::new())?) {
            let sums = self.stores.entry(store.name).or_default();
            deltas.for_each(&mut |delta| {
                let mut sum = Vec::new();
                let before = sums.get(delta.key).map(Vec::as_slice);
                store
                    .value
                    .sum(&mut before.into_iter().chain([delta.value]), &mut sum)
                    .map_err(|e| Error::bug(format!("store `{}`: {e}", store.name)))?;
                sums.insert(delta.key.to_vec(), sum);
                Ok(())
            })?;
        }
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
        let bytes = self.stores.get(store.name())?.get(&key::to_bytes(&wanted))?;
        Some(V::decode(bytes).expect("bytes that were just written"))
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
    pub fn bytes(&self, store: &str) -> Option<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.stores.get(store)
    }
    /// A counter; 0 if nothing was counted.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.get(COUNTERS, counter.name()).unwrap_or_default()
    }
    /// What was written to a sink, in no particular order; in order where the job is.
    pub fn written<T: Clone + 'static>(&self, sink: Sink<T>) -> Vec<T> {
        let written = self.sinks.get(sink.name()).into_iter().flatten();
        written
            .filter_map(|w| w.downcast_ref::<Vec<T>>())
            .flatten()
            .cloned()
            .collect()
    }
}

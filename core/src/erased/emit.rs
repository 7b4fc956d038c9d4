//! What closures emit into.

use std::marker::PhantomData;

use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::key::AsKey;
use crate::port::Counter;

/// Where a flat-map puts its records.
pub struct Out<'a, U> {
    pub(super) items: &'a mut Vec<U>,
    pub(super) counts: &'a mut Vec<(&'static str, u64)>,
}

impl<U> Out<'_, U> {
    /// Emits one record.
    #[inline]
    pub fn emit(&mut self, item: U) {
        self.items.push(item);
    }
    /// Adds to a counter, which the step declares: `.counting([COUNTER])`.
    #[inline]
    pub fn count(&mut self, counter: Counter, n: u64) {
        count(self.counts, counter, n);
    }
}

/// Where a keyed step puts its pairs. The key may be borrowed: its bytes are copied, nothing is allocated.
pub struct KeyedOut<'a, K, V> {
    pub(super) chunk: &'a mut KeyedChunk<V>,
    pub(super) counts: &'a mut Vec<(&'static str, u64)>,
    _k: PhantomData<fn() -> K>,
}

impl<'a, K, V> KeyedOut<'a, K, V> {
    pub(super) fn new(chunk: &'a mut KeyedChunk<V>, counts: &'a mut Vec<(&'static str, u64)>) -> Self {
        Self {
            chunk,
            counts,
            _k: PhantomData,
        }
    }
    /// Emits one pair.
    #[inline]
    pub fn emit<Q: AsKey<Key = K>>(&mut self, key: Q, value: V) {
        key.encode_key(&mut self.chunk.bytes);
        // 4 GiB of keys out of one record would be cut to nonsense here: `within` refuses such a chunk.
        self.chunk.ends.push(self.chunk.bytes.len() as u32);
        self.chunk.values.push(value);
    }
    /// Adds to a counter, which the step declares: `.counting([COUNTER])`.
    #[inline]
    pub fn count(&mut self, counter: Counter, n: u64) {
        count(self.counts, counter, n);
    }
}

/// Nobody has it: a bound that says why a method is missing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a key step cannot count: it may run once for many pairs of one key",
    label = "what it counted would depend on the plan",
    note = "count where the pairs are made (`keyed`, `keyed_pairs`, `flat_map_values`), or what passes by (`.counted(COUNTER)`)"
)]
pub trait MayCount {}

/// Where a step puts the keys that take a key's place; each gets the same value. It has no counters: the step may run once
/// for many equal keys.
pub struct KeysOut<'a, K> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) ends: &'a mut Vec<u32>,
    pub(super) _k: PhantomData<fn() -> K>,
}

impl<K> KeysOut<'_, K> {
    #[doc(hidden)]
    pub fn count(&mut self, _: Counter, _: u64)
    where
        Self: MayCount,
    {
    }
    /// Emits one key. It may be borrowed: its bytes are copied, nothing is allocated.
    #[inline]
    pub fn emit<Q: AsKey<Key = K>>(&mut self, key: Q) {
        key.encode_key(self.bytes);
        self.ends.push(self.bytes.len() as u32);
    }
}

#[inline]
fn count(counts: &mut Vec<(&'static str, u64)>, counter: Counter, n: u64) {
    // A step counts few things: a look at each is cheaper than a hash.
    match counts.iter_mut().find(|(name, _)| *name == counter.name()) {
        Some((_, sum)) => *sum = sum.wrapping_add(n),
        None => counts.push((counter.name(), n)),
    }
}

/// A chunk counts bytes of keys in 32 bits.
pub(super) fn within<V>(chunk: &KeyedChunk<V>) -> Result<()> {
    match u32::try_from(chunk.bytes.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::invalid("one record emitted more than 4 GiB of keys")),
    }
}

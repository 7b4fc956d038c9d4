//! Maps: the union of the keys, values of one key combined.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, put_part, put_part_bytes, take_part};
use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::Tiered;

/// Union; the values of a key that both have are combined. Entries whose value is zero stay out.
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid> Semigroup for BTreeMap<K, V> {
    const BY_PARTS: bool = V::BY_PARTS;

    fn combine(&mut self, other: &Self) {
        for (key, value) in other {
            // Looked up first: a key that is there already, the common case, is not cloned.
            match self.get_mut(key) {
                Some(mine) => {
                    mine.combine(value);
                    if mine.is_zero() {
                        self.remove(key);
                    }
                }
                None if value.is_zero() => {}
                None => {
                    self.insert(key.clone(), value.clone());
                }
            }
        }
    }
    fn combine_owned(&mut self, other: Self) {
        for (key, value) in other {
            match self.entry(key) {
                Entry::Occupied(mut mine) => {
                    mine.get_mut().combine_owned(value);
                    if mine.get().is_zero() {
                        mine.remove();
                    }
                }
                Entry::Vacant(_) if value.is_zero() => {}
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                }
            }
        }
    }
    /// Without what keys and values own: to add that up, each would have to be visited.
    fn heap_bytes(&self) -> usize {
        self.len() * (size_of::<(K, V)>() + size_of::<usize>())
    }
    fn times(self, n: NonZeroU64) -> Self {
        let times = self.into_iter().map(|(key, value)| (key, value.times(n)));
        times.filter(|(_, value)| !value.is_zero()).collect()
    }
}
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid> Monoid for BTreeMap<K, V> {
    fn zero() -> Self {
        Self::new()
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}
impl<K: Ord + Clone + Send + Sync + 'static, V: Group> Group for BTreeMap<K, V> {
    fn negate(&mut self) {
        self.values_mut().for_each(V::negate);
    }
}
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid + Commutative> Commutative for BTreeMap<K, V> {}
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid + Idempotent> Idempotent for BTreeMap<K, V> {}
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid + Tiered> Tiered for BTreeMap<K, V> {
    type Tier = V::Tier;
}
/// Key and value as parts, entry after entry, keys ascending; no value is zero.
impl<K: Codec + Ord, V: Codec + Monoid> Codec for BTreeMap<K, V> {
    const MERGE: Option<Merge> = match V::MERGE {
        Some(_) => Some(merge::<K, V>),
        None => None,
    };
    fn encode(&self, out: &mut Vec<u8>) {
        for (k, v) in self {
            put_part(k, out);
            put_part(v, out);
        }
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // Collected first: a map that is built from a sorted list has full nodes.
        let mut entries: Vec<(K, V)> = Vec::new();
        let zero = V::zero().to_bytes();
        let mut rest = Entries::new(bytes, &zero);
        while let Some((key, _, value)) = rest.next::<K, V>(entries.last().map(|(key, _)| key))? {
            let value = V::decode(value).map_err(|e| e.within(format_args!("entry {}", entries.len())))?;
            entries.push((key, value));
        }
        Ok(entries.into_iter().collect())
    }
    fn schema() -> String {
        format!("map<{},{}>", K::schema(), V::schema())
    }
    fn json(&self) -> Value {
        // Only texts can be names of a JSON object.
        let mut object = serde_json::Map::new();
        for (k, v) in self {
            let name = match k.json() {
                Value::String(s) => s,
                other => other.to_string(),
            };
            object.insert(name, v.json());
        }
        Value::Object(object)
    }
    fn magnitude(&self) -> f64 {
        self.len() as f64
    }
    fn agrees(&self, other: &Self) -> bool {
        let mut pairs = self.iter().zip(other);
        self.len() == other.len() && pairs.all(|((k, a), (l, b))| k == l && a.agrees(b))
    }
}

/// Encoded entries as they are read.
struct Entries<'a> {
    bytes: &'a [u8],
    /// The encoding of a zero, which no entry has.
    zero: &'a [u8],
    read: usize,
}

impl<'a> Entries<'a> {
    fn new(bytes: &'a [u8], zero: &'a [u8]) -> Self {
        Self { bytes, zero, read: 0 }
    }

    /// The next key, its bytes, and those of its value; the key must be above `last`.
    fn next<K: Codec + Ord, V: Codec>(
        &mut self,
        last: Option<&K>,
    ) -> Result<Option<(K, &'a [u8], &'a [u8])>, DecodeError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let n = self.read;
        let within = |e: DecodeError| e.within(format_args!("entry {n}"));
        let key_bytes = take_part::<K>(&mut self.bytes).map_err(within)?;
        let key = K::decode(key_bytes).map_err(within)?;
        if last.is_some_and(|last| *last >= key) {
            return Err(DecodeError::new("map keys do not ascend"));
        }
        let value = take_part::<V>(&mut self.bytes).map_err(within)?;
        if value == self.zero {
            return Err(within(DecodeError::new("a value of zero stays out of a map")));
        }
        self.read += 1;
        Ok(Some((key, key_bytes, value)))
    }
}

/// Decodes keys only, for their order; values that one map alone has are copied as they are.
fn merge<K: Codec + Ord, V: Codec + Monoid>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let Some(merge) = V::MERGE else {
        return Err(DecodeError::new("the values of this map cannot be merged undecoded"));
    };
    let zero = V::zero().to_bytes();
    let (mut a, mut b) = (Entries::new(a, &zero), Entries::new(b, &zero));
    let (mut mine, mut theirs) = (a.next::<K, V>(None)?, b.next::<K, V>(None)?);
    let mut sum = Vec::new();
    loop {
        let order = match (&mine, &theirs) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((m, ..)), Some((t, ..))) => m.cmp(t),
        };
        let (my_turn, their_turn) = (order.is_le(), order.is_ge());
        let (left, right) = (
            my_turn.then(|| mine.take()).flatten(),
            their_turn.then(|| theirs.take()).flatten(),
        );
        match (&left, &right) {
            (Some((_, key, x)), Some((_, _, y))) => {
                sum.clear();
                merge(x, y, &mut sum)?;
                if sum != zero {
                    put_part_bytes::<K>(key, out);
                    put_part_bytes::<V>(&sum, out);
                }
            }
            (Some((_, key, value)), None) | (None, Some((_, key, value))) => {
                put_part_bytes::<K>(key, out);
                put_part_bytes::<V>(value, out);
            }
            (None, None) => {}
        }
        if let Some((key, ..)) = &left {
            mine = a.next::<K, V>(Some(key))?;
        }
        if let Some((key, ..)) = &right {
            theirs = b.next::<K, V>(Some(key))?;
        }
    }
}

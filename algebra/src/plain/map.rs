//! Maps: the union of the keys, values of one key combined.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, decode_part, put_part};
use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::Tiered;

/// Union; the values of a key that both have are combined. Entries whose value is zero stay out.
impl<K: Ord + Clone + Send + Sync + 'static, V: Monoid> Semigroup for BTreeMap<K, V> {
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
/// Key and value as parts, entry after entry, keys ascending.
impl<K: Codec + Ord, V: Codec> Codec for BTreeMap<K, V> {
    fn encode(&self, out: &mut Vec<u8>) {
        for (k, v) in self {
            put_part(k, out);
            put_part(v, out);
        }
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        // Collected first: a map that is built from a sorted list has full nodes.
        let mut entries: Vec<(K, V)> = Vec::new();
        while !bytes.is_empty() {
            let key = decode_part(&mut bytes).map_err(|e| e.within(format_args!("key {}", entries.len())))?;
            if entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError::new("map keys do not ascend"));
            }
            let value = decode_part(&mut bytes).map_err(|e| e.within(format_args!("value {}", entries.len())))?;
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
}

//! One store after the other, until one has the key.

use rufous_core::Result;

use crate::kit::ReadableStore;
use crate::kit::ask::exactly;

/// The value of the first store that has the key: the later ones are asked only for what all before them surely lack. An error
/// before that is the key's answer, since the store that failed might have had another value.
pub struct Searching<S>(Vec<S>);

impl<S> Searching<S> {
    /// In this order. Without any, every key is absent.
    pub fn new(stores: Vec<S>) -> Self {
        Self(stores)
    }
}

impl<K: Clone, V, S: ReadableStore<K, V>> ReadableStore<K, V> for Searching<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let mut answers: Vec<Result<Option<V>>> = keys.iter().map(|_| Ok(None)).collect();
        for store in &self.0 {
            let open = keys
                .iter()
                .zip(&mut answers)
                .filter(|(_, answer)| matches!(answer, Ok(None)));
            let (asked, places): (Vec<K>, Vec<_>) = open.map(|(key, answer)| (key.clone(), answer)).unzip();
            if asked.is_empty() {
                break;
            }
            for (place, found) in places.into_iter().zip(exactly(asked.len(), store.multi_get(&asked))) {
                *place = found;
            }
        }
        answers
    }
}

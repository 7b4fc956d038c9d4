//! A store that computes its answers.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ReadableStore;

/// Holds what a function says.
pub struct Function<K, V, F> {
    of: F,
    _kv: PhantomData<fn(&K) -> V>,
}

/// A store that holds what `of` says: it is called once a key asked, by any number of threads.
///
/// ```
/// use rufous_store_api::kit::{ReadableStore, function};
/// let lengths = function(|text: &String| Ok((!text.is_empty()).then(|| text.len())));
/// assert_eq!((lengths.get(&"abc".into())?, lengths.get(&String::new())?), (Some(3), None));
/// # Ok::<(), rufous_core::Error>(())
/// ```
pub fn function<K, V, F: Fn(&K) -> Result<Option<V>> + Send + Sync>(of: F) -> Function<K, V, F> {
    Function { of, _kv: PhantomData }
}

impl<K, V, F: Fn(&K) -> Result<Option<V>> + Send + Sync> ReadableStore<K, V> for Function<K, V, F> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        keys.iter().map(|key| (self.of)(key)).collect()
    }
}

//! A job's store as a plain store: whatever composes those composes merged answers.

use rufous_algebra::{Codec, Semigroup};
use rufous_core::key::to_bytes;
use rufous_core::{Key, Result};
use rufous_store_api::{ReadableStore, StoreExt};

use crate::answer::Answer;
use crate::typed::StoreClient;

/// The whole answer where there is a value, `Ok(None)` where the key is surely absent (what that rests on is told by
/// [`StoreClient::get`] only), and an error where the answer would not be whole. The keys of a call are of one snapshot.
impl<K: Key, V: Semigroup + Codec> ReadableStore<K, Answer<V>> for StoreClient<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<Answer<V>>>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(to_bytes).collect();
        let answers = self.answers(&keys).into_iter();
        answers
            .map(|answer| Ok(Some(answer?).filter(|a| a.value.is_some())))
            .collect()
    }
}

impl<K: Key, V: Semigroup + Codec> StoreClient<K, V> {
    /// The values of whole answers as a plain store: to be cached for a second, looked up by another job, added to those of another
    /// store.
    ///
    /// ```no_run
    /// # fn client() -> rufous_client::Client { unimplemented!() }
    /// use std::time::Duration;
    /// use rufous_core::Store;
    /// use rufous_store_api::kit::{MemoryCache, ReadableStore, StoreExt};
    ///
    /// const COUNTS: Store<String, u64> = Store::new("counts");
    /// let cache = MemoryCache::of_entries(10_000).time_to_live(Duration::from_secs(1));
    /// let counts = client().store(COUNTS)?.values().read_through(cache);
    /// println!("{:?}", counts.get(&"rufous".to_string())?);
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    pub fn values(&self) -> impl ReadableStore<K, V> + use<K, V> {
        self.clone().try_map_values(|_: &K, answer: Answer<V>| Ok(answer.value))
    }
}

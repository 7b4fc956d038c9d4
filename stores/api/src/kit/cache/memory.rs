//! A bounded map that forgets: the cache in memory.

use std::hash::{Hash, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rufous_core::{Error, Result};

use crate::kit::{ReadableStore, WritableStore};

type Weigh<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;
type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// At most so many entries or bytes, which of them are kept is decided by how they are asked for (S3-FIFO), and none is kept for longer than
/// its time to live. `Ok(None)` is "not known": use it behind [`ReadThrough`](super::ReadThrough) or
/// [`WriteThrough`](super::WriteThrough), not as a store of its own.
pub struct MemoryCache<K, V> {
    cache: Cache<K, Kept<V>, Weight<K, V>, RandomState>,
    time_to_live: Option<Duration>,
    now: Now,
}

#[derive(Clone)]
struct Kept<V> {
    value: V,
    since: Instant,
}

struct Weight<K, V>(Weigh<K, V>);

impl<K, V> Clone for Weight<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Weighter<K, Kept<V>> for Weight<K, V> {
    fn weight(&self, key: &K, kept: &Kept<V>) -> u64 {
        (self.0)(key, &kept.value)
    }
}

impl<K: Hash + Eq, V: Clone> MemoryCache<K, V> {
    /// At most so many entries.
    pub fn of_entries(entries: usize) -> Self {
        Self::with(entries, entries as u64, Arc::new(|_, _| 1))
    }
    /// At most so many bytes, as `weigh` counts them: the entry's own, and what it has elsewhere in memory. A single entry that is
    /// larger than its share of the cache is not kept.
    pub fn of_bytes(bytes: u64, weigh: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        // The number of entries is only what the tables begin with.
        let entries = usize::try_from(bytes / 512).unwrap_or(usize::MAX).clamp(1, 1 << 20);
        Self::with(entries, bytes, Arc::new(weigh))
    }
    fn with(entries: usize, weight: u64, weigh: Weigh<K, V>) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries.min(1 << 20))
            .weight_capacity(weight)
            .build();
        let weigh = Weight(weigh);
        let hasher = RandomState::new();
        let cache = match options {
            Ok(options) => Cache::with_options(options, weigh, hasher, DefaultLifecycle::default()),
            // Both numbers that it needs are given.
            Err(_) => Cache::with(entries, weight, weigh, hasher, DefaultLifecycle::default()),
        };
        Self {
            cache,
            time_to_live: None,
            now: Arc::new(Instant::now),
        }
    }

    /// How long an entry answers after it was written. What others write to the store meanwhile is not seen for so long at most.
    #[must_use]
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }
    /// Another clock.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }
    /// How many entries it holds, those whose time is over among them.
    pub fn len(&self) -> usize {
        self.cache.len()
    }
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
    /// Forgets everything.
    pub fn clear(&self) {
        self.cache.clear();
    }

    /// Whether the time of an entry is over.
    fn expired(&self, since: Instant) -> bool {
        self.time_to_live
            .is_some_and(|live| (self.now)().saturating_duration_since(since) >= live)
    }
}

impl<K: Hash + Eq + Send + Sync, V: Clone + Send + Sync> ReadableStore<K, V> for MemoryCache<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let get = |key: &K| match self.cache.get(key) {
            Some(kept) if self.expired(kept.since) => {
                // Only if nobody has written it meanwhile.
                self.cache.remove_if(key, |kept| self.expired(kept.since));
                None
            }
            found => found.map(|kept| kept.value),
        };
        keys.iter().map(|key| Ok(get(key))).collect()
    }
}

impl<K: Hash + Eq + Send + Sync, V: Clone + Send + Sync> WritableStore<K, V> for MemoryCache<K, V> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let since = (self.now)();
        let put = |(key, value): (K, Option<V>)| {
            match value {
                Some(value) => self.cache.insert(key, Kept { value, since }),
                None => {
                    self.cache.remove(&key);
                }
            }
            Ok::<(), Error>(())
        };
        pairs.into_iter().map(put).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn get(cache: &MemoryCache<String, u64>, key: &str) -> Option<u64> {
        cache.get(&key.to_string()).unwrap()
    }

    /// Storehaus' `TTLCache.expired` returned the opposite of its name: an entry answers before its time is over, and not after.
    #[test]
    fn an_entry_answers_until_its_time_is_over() {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        let cache = MemoryCache::of_entries(10)
            .time_to_live(Duration::from_secs(60))
            .clock(move || *clock.lock().unwrap());
        let pass = |seconds| *now.lock().unwrap() += Duration::from_secs(seconds);
        cache.put("a".into(), Some(1)).unwrap();
        pass(59);
        assert_eq!(get(&cache, "a"), Some(1));
        cache.put("b".into(), Some(2)).unwrap();
        pass(1);
        assert_eq!((get(&cache, "a"), get(&cache, "b")), (None, Some(2)));
        assert_eq!(cache.len(), 1, "what is over takes no room");
        cache.put("b".into(), Some(3)).unwrap();
        pass(59);
        assert_eq!(get(&cache, "b"), Some(3), "its time begins with each write");
    }

    /// However much is put, no more is kept than was said; and what does not fit leaves no older value behind.
    #[test]
    fn it_is_bounded() {
        let cache = MemoryCache::of_entries(100);
        for i in 0..10_000u64 {
            cache.put(format!("{i}"), Some(i)).unwrap();
        }
        assert!(cache.len() <= 128, "{} entries", cache.len());
        let cache = MemoryCache::of_bytes(10_000, |k: &String, v: &String| (k.len() + v.len()) as u64);
        for i in 0..1_000 {
            cache.put(format!("{i}"), Some("x".repeat(100))).unwrap();
        }
        assert!(cache.len() <= 120, "{} entries", cache.len());
        cache.put("a".into(), Some("small".into())).unwrap();
        cache.put("a".into(), Some("x".repeat(20_000))).unwrap();
        assert_eq!(cache.get(&"a".into()).unwrap(), None);
        let nothing = MemoryCache::of_entries(0);
        nothing.put("a".into(), Some(1)).unwrap();
        assert_eq!(get(&nothing, "a"), None);
    }
}

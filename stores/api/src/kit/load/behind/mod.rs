//! Additions that are summed in memory, and written later.

mod pending;
mod shared;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rufous_algebra::Semigroup;
use rufous_core::{Error, Result};

use crate::kit::{AddingStore, ReadableStore};
use shared::Shared;

/// How much may wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    keys: usize,
    bytes: usize,
    age: Option<Duration>,
}

impl Default for Behind {
    /// At most 10,000 keys and 16 MiB, for a second.
    fn default() -> Self {
        Self {
            keys: 10_000,
            bytes: 16 << 20,
            age: Some(Duration::from_secs(1)),
        }
    }
}

impl Behind {
    /// At most so many keys.
    #[must_use]
    pub fn keys(mut self, keys: usize) -> Self {
        self.keys = keys.max(1);
        self
    }
    /// At most so many bytes of values, as [`Semigroup::heap_bytes`] counts them.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
    /// For so long at most; `None`: until there are too many, or somebody asks.
    #[must_use]
    pub fn age(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }
}

/// A sum of which it is not known whether the store added it.
#[derive(Debug)]
pub struct Unclear<K, V> {
    /// Its key.
    pub key: K,
    /// What was to be added.
    pub value: V,
    /// What the store said.
    pub error: Error,
}

/// What became of additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// How many were accepted.
    pub added: u64,
    /// How many sums were sent to the store.
    pub sent: u64,
    /// In how many calls.
    pub calls: u64,
}

/// Sums additions by key in memory and sends the sums on: when there are too many of them, when the oldest has waited long enough (a thread
/// of this store sees to that), when somebody asks ([`flush`](Self::flush)), before a key is read, and at the end. So the store
/// sees one addition a key where many were made.
///
/// **What is accepted is in memory only: when the process dies it is lost.** `add` does not say what was there before, for nobody knows
/// before it is written. Sums of a key go to the store in the order of its additions.
///
/// A sum that the store refused may have been added all the same, so it is not sent again, and not forgotten: it is
/// [*unclear*](Self::take_unclear), its key cannot be read until it was taken, and when as many sums are unclear as may wait nothing more is accepted. (Over
/// [`RetryingAdds`](super::RetryingAdds), which sends idempotent values again, that is rare.) Call [`close`](Self::close) at the end, and look at what it
/// returns: dropping the store flushes as well, but then nobody is told, unless by [`when_lost`](Self::when_lost).
pub struct WriteBehind<K, V, S> {
    shared: Arc<Shared<K, V, S>>,
    /// Ends the thread, flushes, and tells what is lost. It knows the bounds that dropping needs.
    finish: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl<K, V, S> WriteBehind<K, V, S>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    V: Semigroup,
    S: AddingStore<K, V> + 'static,
{
    /// Over a store.
    ///
    /// # Errors
    /// `TryAgain` when the system gives no thread.
    pub fn new(store: S, limit: Behind) -> Result<Self> {
        let shared = Arc::new(Shared::new(store, limit));
        let thread = match limit.age {
            None => None,
            Some(age) => {
                let shared = Arc::clone(&shared);
                let thread = thread::Builder::new().name("rufous-write-behind".into());
                let thread = thread.spawn(move || shared.keep_young(age)).map_err(|e| {
                    Error::try_again(format!("no thread to write sums that have waited for {age:?}: {e}")).caused_by(e)
                })?;
                Some(thread)
            }
        };
        let ending = Arc::clone(&shared);
        let finish = move || {
            ending.close();
            if let Some(thread) = thread {
                // What it could not write is unclear; it panics for no other reason than a store's.
                let _ = thread.join();
            }
            let _ = ending.flush();
            ending.tell_lost();
        };
        Ok(Self {
            shared,
            finish: Some(Box::new(finish)),
        })
    }

    /// What is told of sums that are unclear when the store is dropped.
    #[must_use]
    pub fn when_lost(self, tell: impl Fn(&Unclear<K, V>) + Send + Sync + 'static) -> Self {
        self.shared.when_lost(Box::new(tell));
        self
    }

    /// Sends everything that waits, and returns when the store has answered.
    ///
    /// # Errors
    /// When sums became unclear, or are: how many, and the first error.
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// The sums of which it is not known whether they were added, each once: whoever takes them decides what becomes of them.
    pub fn take_unclear(&self) -> Vec<Unclear<K, V>> {
        self.shared.take_unclear()
    }

    /// What became of additions so far.
    pub fn writes(&self) -> Writes {
        self.shared.writes()
    }

    /// Sends everything that waits, and ends. What is returned is unclear.
    #[must_use = "what is returned may not have been added"]
    pub fn close(self) -> Vec<Unclear<K, V>> {
        self.shared.when_lost(Box::new(|_| {}));
        let _ = self.shared.flush();
        self.shared.take_unclear()
    }
}

impl<K, V, S> Drop for WriteBehind<K, V, S> {
    fn drop(&mut self) {
        if let Some(finish) = self.finish.take() {
            finish();
        }
    }
}

impl<K, V, S> AddingStore<K, V> for WriteBehind<K, V, S>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    V: Semigroup,
    S: AddingStore<K, V> + 'static,
{
    fn multi_add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>> {
        self.shared.add(pairs)
    }
}

impl<K, V, S> ReadableStore<K, V> for WriteBehind<K, V, S>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    V: Semigroup,
    S: AddingStore<K, V> + ReadableStore<K, V> + 'static,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.shared.read(keys)
    }
}

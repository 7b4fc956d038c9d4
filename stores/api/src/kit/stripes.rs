//! Locks by key: writes of one key come one after the other, and a reader can tell whether a write went on while it read.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

const STRIPES: usize = 64;

/// A fixed number of locks that all keys share. Each counts the beginnings and ends of writes. What they guard lies in stores, not
/// in them, so a poisoned one is as good as any.
pub(super) struct Stripes {
    hasher: RandomState,
    stripes: Box<[Stripe]>,
}

#[derive(Default)]
struct Stripe {
    writing: Mutex<()>,
    changes: AtomicU64,
}

/// The right to write some keys. It ends when this is dropped.
pub(super) struct Writing<'a>(Vec<(&'a Stripe, MutexGuard<'a, ()>)>);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for (stripe, _) in &self.0 {
            stripe.changes.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Default for Stripes {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
        }
    }
}

impl Stripes {
    fn number<K: Hash>(&self, key: &K) -> usize {
        (self.hasher.hash_one(key) % STRIPES as u64) as usize
    }

    /// Waits until nobody else writes one of these keys. All locks are taken in one order, so two who wait for each other cannot be.
    pub(super) fn write<'a, K: Hash + 'a>(&self, keys: impl Iterator<Item = &'a K>) -> Writing<'_> {
        let mut wanted: Vec<usize> = keys.map(|key| self.number(key)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let taken = wanted
            .into_iter()
            .filter_map(|number| self.stripes.get(number))
            .map(|stripe| {
                let guard = stripe.writing.lock().unwrap_or_else(PoisonError::into_inner);
                stripe.changes.fetch_add(1, Ordering::SeqCst);
                (stripe, guard)
            });
        Writing(taken.collect())
    }

    /// How often writes of this key, or of one that shares its lock, have begun or ended.
    pub(super) fn changes<K: Hash>(&self, key: &K) -> u64 {
        self.stripes
            .get(self.number(key))
            .map_or(0, |stripe| stripe.changes.load(Ordering::SeqCst))
    }

    /// Calls `f` if nobody writes the key, and nobody has since `changes` was read. Nobody can while it is called.
    pub(super) fn if_unchanged<K: Hash>(&self, key: &K, changes: u64, f: impl FnOnce()) {
        let Some(stripe) = self.stripes.get(self.number(key)) else {
            return;
        };
        let _still = match stripe.writing.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if stripe.changes.load(Ordering::SeqCst) == changes {
            f();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read before or while a write went on is not taken for what is there afterwards.
    #[test]
    fn a_write_is_noticed() {
        let stripes = Stripes::default();
        let called = |changes| {
            let mut called = false;
            stripes.if_unchanged(&"k", changes, || called = true);
            called
        };
        let before = stripes.changes(&"k");
        assert!(called(before));
        let writing = stripes.write(["k"].iter());
        let during = stripes.changes(&"k");
        assert!(!called(before) && !called(during), "somebody writes");
        drop(writing);
        assert!(!called(before) && !called(during), "somebody has written");
        assert!(called(stripes.changes(&"k")));
    }

    /// The same key twice, or two keys of one lock, are no deadlock.
    #[test]
    fn keys_may_share_a_lock() {
        let stripes = Stripes::default();
        let keys: Vec<u32> = (0..1000).chain(0..1000).collect();
        drop(stripes.write(keys.iter()));
        drop(stripes.write(keys.iter().rev()));
    }
}

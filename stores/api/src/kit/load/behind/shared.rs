//! What the threads of a write-behind store share.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rufous_algebra::Semigroup;
use rufous_core::{Error, Result};

use super::pending::Pending;
use super::{Behind, Unclear, Writes};
use crate::kit::ask::{again, exactly};
use crate::kit::{AddingStore, ReadableStore};

type Tell<K, V> = Box<dyn Fn(&Unclear<K, V>) + Send + Sync>;

/// Locks are taken in the order of the fields.
pub(super) struct Shared<K, V, S> {
    store: S,
    limit: Behind,
    /// One call of the store at a time: so the sums of a key arrive in the order of its additions.
    sending: Mutex<()>,
    pending: Mutex<Pending<K, V>>,
    unclear: Mutex<Vec<Unclear<K, V>>>,
    lost: Mutex<Option<Tell<K, V>>>,
    /// Something waits, or the end has come.
    wake: Condvar,
    added: AtomicU64,
    sent: AtomicU64,
    calls: AtomicU64,
}

/// What is guarded is changed by code that does not panic half-way: sums that a semigroup's panic spoiled are the worst.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V, S> Shared<K, V, S>
where
    K: Hash + Eq + Clone + Debug + Send + Sync,
    V: Semigroup,
    S: AddingStore<K, V>,
{
    pub(super) fn new(store: S, limit: Behind) -> Self {
        Self {
            store,
            limit,
            sending: Mutex::new(()),
            pending: Mutex::new(Pending::default()),
            unclear: Mutex::new(Vec::new()),
            lost: Mutex::new(None),
            wake: Condvar::new(),
            added: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, pairs: Vec<(K, V)>) -> Vec<Result<()>> {
        let mut answers = Vec::with_capacity(pairs.len());
        let mut refused = self.refuses();
        let mut pending = lock(&self.pending);
        for (key, value) in pairs {
            if refused.is_none() && pending.is_full(&self.limit) {
                // Whoever adds too much waits for the store: what is in memory stays bounded. An error is kept with the sums.
                drop(pending);
                let _ = self.flush();
                refused = self.refuses();
                pending = lock(&self.pending);
            }
            answers.push(match &refused {
                Some(e) => Err(again(e)),
                None => {
                    if pending.add(key, value) {
                        self.wake.notify_all();
                    }
                    self.added.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            });
        }
        answers
    }

    /// Why nothing more is accepted, if so.
    fn refuses(&self) -> Option<Error> {
        let unclear = lock(&self.unclear);
        let first = unclear.first().filter(|_| unclear.len() >= self.limit.keys)?;
        let text = format!(
            "nothing was added: of {} sums it is not known whether the store has them, which is as many as may wait: take them first; that of \
             key {:?}: {}",
            unclear.len(),
            first.key,
            first.error
        );
        Some(Error::new(first.error.kind(), text))
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.send(Pending::take_all);
        let unclear = lock(&self.unclear);
        let Some(first) = unclear.first() else { return Ok(()) };
        let text = format!(
            "of {} sums it is not known whether the store added them: take them, and decide; that of key {:?}: {}",
            unclear.len(),
            first.key,
            first.error
        );
        Err(Error::new(first.error.kind(), text))
    }

    /// Sends what is taken. What the store does not confirm is unclear.
    fn send(&self, take: impl FnOnce(&mut Pending<K, V>) -> Vec<(K, V)>) {
        let _one = lock(&self.sending);
        let sums = take(&mut lock(&self.pending));
        if sums.is_empty() {
            return;
        }
        self.sent.fetch_add(sums.len() as u64, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        let sending = sums.clone();
        let done = catch_unwind(AssertUnwindSafe(|| exactly(sums.len(), self.store.multi_add(sending))));
        let done = done.unwrap_or_else(|_| {
            let panicked = || Err(Error::bug("the store panicked"));
            sums.iter().map(|_| panicked()).collect()
        });
        let failed = sums.into_iter().zip(done).filter_map(|((key, value), done)| {
            let error = done.err()?;
            Some(Unclear { key, value, error })
        });
        lock(&self.unclear).extend(failed);
    }

    /// Sends what has waited for `age`, until the end.
    pub(super) fn keep_young(&self, age: Duration) {
        let mut pending = lock(&self.pending);
        while !pending.closed {
            let waited = pending.since.map(|since| since.elapsed());
            pending = match waited {
                None => self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some(waited) if waited < age => {
                    let woken = self.wake.wait_timeout(pending, age - waited);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                Some(_) => {
                    drop(pending);
                    let _ = self.flush();
                    lock(&self.pending)
                }
            };
        }
    }

    pub(super) fn close(&self) {
        lock(&self.pending).closed = true;
        self.wake.notify_all();
    }

    pub(super) fn take_unclear(&self) -> Vec<Unclear<K, V>> {
        std::mem::take(&mut *lock(&self.unclear))
    }

    pub(super) fn when_lost(&self, tell: Tell<K, V>) {
        *lock(&self.lost) = Some(tell);
    }

    pub(super) fn tell_lost(&self) {
        let lost = self.take_unclear();
        if let Some(tell) = &*lock(&self.lost) {
            lost.iter().for_each(tell);
        }
    }

    pub(super) fn writes(&self) -> Writes {
        Writes {
            added: self.added.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
        }
    }

    pub(super) fn read(&self, keys: &[K]) -> Vec<Result<Option<V>>>
    where
        S: ReadableStore<K, V>,
    {
        self.send(|pending| pending.take(keys));
        let unclear: HashMap<K, Error> = {
            let unclear = lock(&self.unclear);
            unclear.iter().map(|u| (u.key.clone(), again(&u.error))).collect()
        };
        let found = exactly(keys.len(), self.store.multi_get(keys));
        let answer = |(key, found): (&K, Result<Option<V>>)| match unclear.get(key) {
            None => found,
            Some(e) => {
                let text = format!("key {key:?}: it is not known whether a sum of it was added, take it first: {e}");
                Err(Error::new(e.kind(), text))
            }
        };
        keys.iter().zip(found).map(answer).collect()
    }
}

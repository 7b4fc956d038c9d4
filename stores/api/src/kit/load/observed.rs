//! What a store is asked, what it answers, and how long that takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rufous_core::Result;

use crate::kit::{MergeableStore, ReadableStore, WritableStore};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Values.
    Get,
    /// To set or delete them.
    Put,
    /// To add to them.
    Merge,
}

/// One call, when it is over. `present`, `absent` and `failed` are all of `keys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// For how many keys, or pairs.
    pub keys: usize,
    /// How many had a value: of a put, how many were done.
    pub present: usize,
    /// How many surely had none.
    pub absent: usize,
    /// How many failed.
    pub failed: usize,
    /// How long it took.
    pub took: Duration,
}

/// Is told of calls. It is called by the thread that asked: let it be quick.
pub trait Observer: Send + Sync {
    /// A call is over.
    fn called(&self, call: &Call);
}

impl<F: Fn(&Call) + Send + Sync> Observer for F {
    fn called(&self, call: &Call) {
        self(call);
    }
}

/// A store whose observer is told of every call.
pub struct Observed<S, O> {
    store: S,
    observer: O,
}

impl<S, O> Observed<S, O> {
    /// Over a store.
    pub fn new(store: S, observer: O) -> Self {
        Self { store, observer }
    }
}

impl<S, O: Observer> Observed<S, O> {
    fn tell<A>(
        &self,
        operation: Operation,
        ask: impl FnOnce() -> Vec<Result<A>>,
        is_present: impl Fn(&A) -> bool,
    ) -> Vec<Result<A>> {
        let began = Instant::now();
        let answers = ask();
        let mut call = Call {
            operation,
            keys: answers.len(),
            present: 0,
            absent: 0,
            failed: 0,
            took: began.elapsed(),
        };
        for answer in &answers {
            match answer {
                Ok(answer) if is_present(answer) => call.present += 1,
                Ok(_) => call.absent += 1,
                Err(_) => call.failed += 1,
            }
        }
        self.observer.called(&call);
        answers
    }
}

impl<K, V, S: ReadableStore<K, V>, O: Observer> ReadableStore<K, V> for Observed<S, O> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.tell(Operation::Get, || self.store.multi_get(keys), Option::is_some)
    }
}

impl<K, V, S: WritableStore<K, V>, O: Observer> WritableStore<K, V> for Observed<S, O> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        self.tell(Operation::Put, || self.store.multi_put(pairs), |()| true)
    }
}

impl<K, V, S: MergeableStore<K, V>, O: Observer> MergeableStore<K, V> for Observed<S, O> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.tell(Operation::Merge, || self.store.multi_merge(pairs), Option::is_some)
    }
}

/// An observer that adds calls up.
#[derive(Default)]
pub struct Counts([Sums; 3]);

#[derive(Default)]
struct Sums {
    calls: AtomicU64,
    keys: AtomicU64,
    present: AtomicU64,
    absent: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

/// The calls of an operation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub calls: u64,
    /// For how many keys.
    pub keys: u64,
    /// How many of them had a value.
    pub present: u64,
    /// How many surely had none.
    pub absent: u64,
    /// How many failed.
    pub failed: u64,
    /// How long all calls took.
    pub took: Duration,
}

impl Counts {
    fn sums(&self, operation: Operation) -> &Sums {
        let [get, put, merge] = &self.0;
        match operation {
            Operation::Get => get,
            Operation::Put => put,
            Operation::Merge => merge,
        }
    }
    /// What was counted of an operation.
    pub fn of(&self, operation: Operation) -> Totals {
        let sums = self.sums(operation);
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Totals {
            calls: read(&sums.calls),
            keys: read(&sums.keys),
            present: read(&sums.present),
            absent: read(&sums.absent),
            failed: read(&sums.failed),
            took: Duration::from_micros(read(&sums.micros)),
        }
    }
}

impl Observer for Counts {
    fn called(&self, call: &Call) {
        let sums = self.sums(call.operation);
        let add = |sum: &AtomicU64, n: u64| {
            sum.fetch_add(n, Ordering::Relaxed);
        };
        add(&sums.calls, 1);
        add(&sums.keys, call.keys as u64);
        add(&sums.present, call.present as u64);
        add(&sums.absent, call.absent as u64);
        add(&sums.failed, call.failed as u64);
        add(&sums.micros, u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Observer for Arc<Counts> {
    fn called(&self, call: &Call) {
        (**self).called(call);
    }
}

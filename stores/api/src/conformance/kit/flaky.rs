//! A store that fails when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rufous_core::{Error, ErrorKind, Result};

use crate::kit::{MergeableStore, Operation, ReadableStore, WritableStore};

/// How a call of one key fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The store is not asked.
    Before(ErrorKind),
    /// The store does it, and its answer is lost.
    After(ErrorKind),
}

type Script<K> = Box<dyn FnMut(Operation, &K) -> Option<Broken> + Send>;

/// A store between a combinator and what it is tested with: a script says of each key of each call whether it fails, and how.
pub struct Flaky<S, K> {
    store: S,
    script: Mutex<Script<K>>,
    calls: AtomicU64,
}

impl<S, K> Flaky<S, K> {
    /// Over a store.
    pub fn new(store: S, script: impl FnMut(Operation, &K) -> Option<Broken> + Send + 'static) -> Self {
        Self {
            store,
            script: Mutex::new(Box::new(script)),
            calls: AtomicU64::new(0),
        }
    }
    /// How often it was called, whatever for.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
    /// The store below.
    pub fn below(&self) -> &S {
        &self.store
    }

    fn ask<Q, A>(
        &self,
        operation: Operation,
        questions: Vec<Q>,
        key: impl Fn(&Q) -> &K,
        ask: impl FnOnce(Vec<Q>) -> Vec<Result<A>>,
    ) -> Vec<Result<A>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fates: Vec<Option<Broken>> = {
            let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            questions
                .iter()
                .map(|question| script(operation, key(question)))
                .collect()
        };
        let reach = |fate: &Option<Broken>| !matches!(fate, Some(Broken::Before(_)));
        let asked = questions.into_iter().zip(&fates).filter(|(_, fate)| reach(fate));
        let mut answers = ask(asked.map(|(question, _)| question).collect()).into_iter();
        let answer = |fate: Option<Broken>| match fate {
            Some(Broken::Before(kind)) => Err(Error::new(kind, "it fails by order, and nothing was done")),
            Some(Broken::After(kind)) => {
                drop(answers.next());
                Err(Error::new(kind, "it fails by order, after it was done"))
            }
            None => answers.next().expect("an answer of the store below"),
        };
        fates.into_iter().map(answer).collect()
    }
}

impl<K: Clone, V, S: ReadableStore<K, V>> ReadableStore<K, V> for Flaky<S, K> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        self.ask(
            Operation::Get,
            keys.to_vec(),
            |key| key,
            |keys| self.store.multi_get(&keys),
        )
    }
}

impl<K, V, S: WritableStore<K, V>> WritableStore<K, V> for Flaky<S, K> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        self.ask(
            Operation::Put,
            pairs,
            |(key, _)| key,
            |pairs| self.store.multi_put(pairs),
        )
    }
}

impl<K, V, S: MergeableStore<K, V>> MergeableStore<K, V> for Flaky<S, K> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.ask(
            Operation::Merge,
            pairs,
            |(key, _)| key,
            |pairs| self.store.multi_merge(pairs),
        )
    }
}

//! Two stores one behind the other: the values of the first are keys of the second.

use std::marker::PhantomData;

use rufous_core::Result;

use crate::kit::ReadableStore;
use crate::kit::ask::{exactly, missing};

/// The value that `second` holds under the value that `first` holds. Absent in either is absent; the second is asked for what the
/// first has, and not at all where it has nothing.
pub struct Composed<A, B, V> {
    first: A,
    second: B,
    _v: PhantomData<fn(V)>,
}

impl<A, B, V> Composed<A, B, V> {
    /// `first`, then `second`.
    pub fn new(first: A, second: B) -> Self {
        Self {
            first,
            second,
            _v: PhantomData,
        }
    }
}

impl<K, V, W, A: ReadableStore<K, V>, B: ReadableStore<V, W>> ReadableStore<K, W> for Composed<A, B, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<W>>> {
        let mut asked = Vec::new();
        let found = self.first.multi_get(keys).into_iter();
        let found: Vec<Result<Option<()>>> = found.map(|found| Ok(found?.map(|value| asked.push(value)))).collect();
        let n = asked.len();
        let answers = if n == 0 {
            Vec::new()
        } else {
            exactly(n, self.second.multi_get(&asked))
        };
        let mut answers = answers.into_iter();
        let of = |found: Result<Option<()>>| match found? {
            Some(()) => answers.next().unwrap_or_else(|| Err(missing())),
            None => Ok(None),
        };
        found.into_iter().map(of).collect()
    }
}

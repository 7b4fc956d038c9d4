//! Two stores that are read as their sum.

use rufous_algebra::Semigroup;
use rufous_core::Result;

use crate::kit::ReadableStore;
use crate::kit::ask::exactly;

/// The value of `first` plus that of `second`: absent only where both are; a failure of either is the key's, never the other's
/// value alone.
pub struct SumOfBoth<A, B> {
    first: A,
    second: B,
}

impl<A, B> SumOfBoth<A, B> {
    /// `first + second`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<K, V, A, B> ReadableStore<K, V> for SumOfBoth<A, B>
where
    V: Semigroup,
    A: ReadableStore<K, V>,
    B: ReadableStore<K, V>,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let first = exactly(keys.len(), self.first.multi_get(keys));
        let second = exactly(keys.len(), self.second.multi_get(keys));
        let sum = |(a, b): (Result<Option<V>>, Result<Option<V>>)| {
            let mut sum = a?;
            sum.combine_owned(b?);
            Ok(sum)
        };
        first.into_iter().zip(second).map(sum).collect()
    }
}

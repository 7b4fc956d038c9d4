//! Weighted samples.

use std::num::NonZeroU64;

use serde_json::{Value, json};

use super::bytes::bytes_of_its_core;
use super::exponential::{is_above, key};
use super::merge::as_its_core;
use super::{BottomK, Payload};
use crate::codec::{Codec, DecodeError, Form, HashId};
use crate::hash::HashBytes;
use crate::semigroup::Absorb;

const FORM: Form = Form::new("weighted sample", 1, HashId::Xxh3);

/// A sample of `N` events, without replacement, in which an event of twice the weight is twice as likely to be next.
/// See the [module](super).
///
/// Kept are the events of least `-log2(u) / weight`, where `u` comes from the hash of the id (P. Efraimidis and P.
/// Spirakis, "Weighted random sampling with a reservoir", 2006: the greatest `u^(1 / weight)`). Keys are integers,
/// computed without floats, so they are the same on every machine. Weights are integers: count cents, not parts of a
/// currency. A weight of 0 is never kept. An event that comes again with the same weight changes nothing; with another
/// weight it is another event.
///
/// An event takes 24 bytes and its value. An insert is mostly a hash and a multiplication.
///
/// ```
/// use rufous_algebra::WeightedSample;
/// let mut orders = WeightedSample::<String, 2>::default();
/// for (id, cents) in [(1u64, 5), (2, 1_000_000_000), (3, 0), (4, 7)] {
///     orders.insert(&id, cents, &format!("order {id}"));
/// }
/// assert!(orders.iter().any(|(cents, order)| cents == 1_000_000_000 && order == "order 2"));
/// assert!(orders.iter().all(|(cents, _)| cents > 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedSample<T, const N: usize> {
    core: BottomK<u128, (u64, T), N>,
}

impl<T, const N: usize> Default for WeightedSample<T, N> {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            core: BottomK::default(),
        }
    }
}

impl<T: Payload, const N: usize> WeightedSample<T, N> {
    /// Shows an event.
    #[inline]
    pub fn insert<I: HashBytes + ?Sized>(&mut self, id: &I, weight: u64, value: &T) {
        let hash = id.hash64();
        let last = if self.core.is_full() {
            self.core.iter().next_back()
        } else {
            None
        };
        if weight > 0 && !last.is_some_and(|(last, _)| is_above(hash, weight, *last)) {
            let key = key(hash, weight);
            self.core
                .offer(|mine| mine.cmp(&key), || (key, (weight, value.clone())));
        }
    }

    /// Weights and values in the sample, as they were drawn: the first is a sample of one, and so on.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &T)> + DoubleEndedIterator {
        self.core.iter().map(|(_, (weight, value))| (*weight, value))
    }
}

/// Event id, weight, value.
impl<T: Payload, I: HashBytes, const N: usize> Absorb<(I, u64, T)> for WeightedSample<T, N> {
    fn absorb(&mut self, (id, weight, value): &(I, u64, T)) {
        self.insert(id, *weight, value);
    }
    fn absorb_times(&mut self, event: &(I, u64, T), _: NonZeroU64) {
        self.absorb(event);
    }
}

as_its_core!([T: Payload, const N: usize] WeightedSample<T, N>);

impl<T: Payload, const N: usize> Codec for WeightedSample<T, N> {
    bytes_of_its_core!();
    fn schema() -> String {
        format!("weighted-sample/{N}/xxh3<{}>", T::schema())
    }
    fn json(&self) -> Value {
        let event = |(weight, value): (u64, &T)| json!({ "weight": weight, "value": value.json() });
        Value::Array(self.iter().map(event).collect())
    }
    fn magnitude(&self) -> f64 {
        self.core.len() as f64
    }
}

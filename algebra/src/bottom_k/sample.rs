//! Uniform samples.

use std::num::NonZeroU64;

use serde_json::{Value, json};

use super::bytes::bytes_of_its_core;
use super::kmv::distinct;
use super::merge::as_its_core;
use super::{BottomK, Payload};
use crate::codec::{Codec, DecodeError, Form, HashId};
use crate::estimate::Estimate;
use crate::hash::HashBytes;
use crate::minhash::share;
use crate::semigroup::Absorb;

const FORM: Form = Form::new("sample", 1, HashId::Xxh3);

/// A uniform sample of `N` events, without replacement. See the [module](super).
///
/// Kept are the events whose ids have the least hashes, so each set of `N` events is kept with the same probability,
/// over ids that were not chosen with the hash in mind. Which events are kept is the same on every machine and on every
/// run, and an event that comes again is not in the sample twice. Two samples of the same events are not independent of
/// each other.
///
/// ```
/// use rufous_algebra::{Sample, Semigroup};
/// let (mut a, mut b) = (Sample::<String, 100>::default(), Sample::default());
/// (0..60_000u64).for_each(|id| a.insert(&id, &format!("event {id}")));
/// (40_000..90_000u64).for_each(|id| b.insert(&id, &format!("event {id}")));
/// a.combine(&b);
/// assert_eq!(a.iter().count(), 100);
/// assert!(a.seen().contains(90_000.0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample<T, const N: usize> {
    core: BottomK<u64, T, N>,
}

impl<T, const N: usize> Default for Sample<T, N> {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            core: BottomK::default(),
        }
    }
}

impl<T: Payload, const N: usize> Sample<T, N> {
    /// Shows an event.
    #[inline]
    pub fn insert<I: HashBytes + ?Sized>(&mut self, id: &I, value: &T) {
        let hash = id.hash64();
        self.core.offer(|mine| mine.cmp(&hash), || (hash, value.clone()));
    }

    /// The values in the sample, in no order that means anything.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator {
        self.core.iter().map(|(_, value)| value)
    }

    /// How many different events there were: exact up to `N - 1`, then as good as [`Kmv`](super::Kmv).
    pub fn seen(&self) -> Estimate {
        distinct::<N>(self.core.len(), self.core.iter().next_back().map(|(hash, _)| *hash))
    }

    /// The share of the events for which this holds, from the sample, with bounds. `None` of no events.
    ///
    /// ```
    /// use rufous_algebra::Sample;
    /// let mut orders = Sample::<u64, 400>::default();
    /// (0..50_000u64).for_each(|id| orders.insert(&id, &(id % 100)));
    /// assert!(orders.share(|amount| *amount < 30).unwrap().contains(0.3));
    /// ```
    pub fn share(&self, holds: impl Fn(&T) -> bool) -> Option<Estimate> {
        let (hits, n) = (self.iter().filter(|value| holds(value)).count(), self.core.len());
        match n {
            0 => None,
            _ if n < N => Some(Estimate::exact(hits as f64 / n as f64)),
            _ => Some(share(hits, n)),
        }
    }
}

/// Event id, value.
impl<T: Payload, I: HashBytes, const N: usize> Absorb<(I, T)> for Sample<T, N> {
    fn absorb(&mut self, (id, value): &(I, T)) {
        self.insert(id, value);
    }
    fn absorb_times(&mut self, event: &(I, T), _: NonZeroU64) {
        self.absorb(event);
    }
}

as_its_core!([T: Payload, const N: usize] Sample<T, N>);

impl<T: Payload, const N: usize> Codec for Sample<T, N> {
    bytes_of_its_core!();
    fn schema() -> String {
        format!("sample/{N}/xxh3<{}>", T::schema())
    }
    fn json(&self) -> Value {
        json!({ "seen": self.seen().json(), "sample": self.iter().map(T::json).collect::<Vec<_>>() })
    }
    /// How many events there were.
    fn magnitude(&self) -> f64 {
        self.seen().value
    }
}

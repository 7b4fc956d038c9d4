//! The latest events.

use std::cmp::Reverse;
use std::num::NonZeroU64;

use serde_json::{Value, json};

use super::bytes::bytes_of_its_core;
use super::merge::as_its_core;
use super::{BottomK, Payload};
use crate::codec::{Codec, DecodeError, Form, HashId};
use crate::hash::HashBytes;
use crate::semigroup::Absorb;

const FORM: Form = Form::new("latest events", 1, HashId::Xxh3);

/// The `N` latest events, by the time they carry. See the [module](super).
///
/// "Latest" is by time, never by arrival: events may come late, in any order, and again. Events of one time are ordered
/// by the hash of their id, which says nothing but is the same everywhere. An event takes 16 bytes and its value.
///
/// ```
/// use rufous_algebra::{Absorb, Latest};
/// let mut lines = Latest::<String, 2>::default();
/// for (time, id, line) in [(30, 1u64, "third"), (10, 2, "first"), (20, 3, "second"), (30, 1, "third")] {
///     lines.insert(time, &id, &line.to_string());
/// }
/// let latest: Vec<_> = lines.iter().map(|(time, line)| (time, line.as_str())).collect();
/// assert_eq!(latest, [(30, "third"), (20, "second")]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest<T, const N: usize> {
    core: BottomK<Reverse<(i64, u64)>, T, N>,
}

impl<T, const N: usize> Default for Latest<T, N> {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            core: BottomK::default(),
        }
    }
}

impl<T: Payload, const N: usize> Latest<T, N> {
    /// Shows an event.
    pub fn insert<I: HashBytes + ?Sized>(&mut self, time: i64, id: &I, value: &T) {
        let key = Reverse((time, id.hash64()));
        self.core.offer(|mine| mine.cmp(&key), || (key, value.clone()));
    }

    /// Times and values, the latest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (i64, &T)> + DoubleEndedIterator {
        self.core.iter().map(|(Reverse((time, _)), value)| (*time, value))
    }
}

/// Time, event id, value.
impl<T: Payload, I: HashBytes, const N: usize> Absorb<(i64, I, T)> for Latest<T, N> {
    fn absorb(&mut self, (time, id, value): &(i64, I, T)) {
        self.insert(*time, id, value);
    }
    fn absorb_times(&mut self, event: &(i64, I, T), _: NonZeroU64) {
        self.absorb(event);
    }
}

as_its_core!([T: Payload, const N: usize] Latest<T, N>);

impl<T: Payload, const N: usize> Codec for Latest<T, N> {
    bytes_of_its_core!();
    fn schema() -> String {
        format!("latest/{N}/xxh3<{}>", T::schema())
    }
    fn json(&self) -> Value {
        let event = |(time, value): (i64, &T)| json!({ "time": time, "value": value.json() });
        Value::Array(self.iter().map(event).collect())
    }
    /// The latest time; 0 of nothing.
    fn magnitude(&self) -> f64 {
        self.iter().next().map_or(0.0, |(time, _)| time as f64)
    }
}

//! The greatest by score.

use std::cmp::Reverse;
use std::num::NonZeroU64;

use serde_json::Value;

use super::bytes::bytes_of_its_core;
use super::merge::as_its_core;
use super::nothing::Nothing;
use super::{BottomK, Key};
use crate::codec::{Codec, DecodeError, Form, HashId};
use crate::semigroup::Absorb;

const FORM: Form = Form::new("top-k", 1, HashId::None);

/// The `N` greatest of the entries seen, mostly pairs `(score, item)`. See the [module](super).
///
/// An entry that comes again changes nothing. Entries of one score are ordered by what follows it, so that the choice
/// between them does not depend on which came first. An item that comes with two scores is two entries. Scores that are
/// floats: [`Score`](super::Score).
///
/// ```
/// use rufous_algebra::{Absorb, Semigroup, TopK};
/// let (mut a, mut b) = (TopK::<(u32, String), 2>::default(), TopK::default());
/// a.absorb(&(90, "ann".to_string()));
/// a.absorb(&(70, "bob".to_string()));
/// b.absorb(&(80, "cid".to_string()));
/// a.combine(&b);
/// let best: Vec<&str> = a.iter().map(|(_, name)| name.as_str()).collect();
/// assert_eq!(best, ["ann", "cid"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopK<T, const N: usize> {
    core: BottomK<Reverse<T>, Nothing, N>,
}

impl<T, const N: usize> Default for TopK<T, N> {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            core: BottomK::default(),
        }
    }
}

impl<T: Key, const N: usize> TopK<T, N> {
    /// Shows an entry.
    #[inline]
    pub fn insert(&mut self, entry: &T) {
        self.core
            .offer(|mine| entry.cmp(&mine.0), || (Reverse(entry.clone()), Nothing));
    }

    /// The entries, the greatest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator {
        self.core.iter().map(|(entry, _)| &entry.0)
    }
}

impl<T: Key, const N: usize> Absorb<T> for TopK<T, N> {
    #[inline]
    fn absorb(&mut self, entry: &T) {
        self.insert(entry);
    }
    fn absorb_times(&mut self, entry: &T, _: NonZeroU64) {
        self.insert(entry);
    }
}

as_its_core!([T: Key, const N: usize] TopK<T, N>);

impl<T: Key, const N: usize> Codec for TopK<T, N> {
    bytes_of_its_core!();
    fn schema() -> String {
        format!("top-k/{N}<{}>", T::schema())
    }
    fn json(&self) -> Value {
        Value::Array(self.iter().map(T::json).collect())
    }
    /// That of the greatest; 0 of nothing.
    fn magnitude(&self) -> f64 {
        self.iter().next().map_or(0.0, T::magnitude)
    }
}

//! Sets: the union.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, decode_part, put_part};
use crate::semigroup::{Absorb, Commutative, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// Union: commutative, idempotent, exact. It keeps every element, so it is for small sets; of large ones only the number is
/// mostly wanted, which [`Hll`](crate::Hll) estimates in a fixed size.
impl<T: Ord + Clone + Send + Sync + 'static> Semigroup for BTreeSet<T> {
    const BY_PARTS: bool = true;
    fn combine(&mut self, other: &Self) {
        for item in other {
            self.absorb(item);
        }
    }
    fn combine_owned(&mut self, mut other: Self) {
        if self.len() < other.len() {
            std::mem::swap(self, &mut other);
        }
        self.extend(other);
    }
    /// Without what the elements own.
    fn heap_bytes(&self) -> usize {
        self.len() * (size_of::<T>() + size_of::<usize>())
    }
    /// Itself: idempotent.
    fn times(self, _: NonZeroU64) -> Self {
        self
    }
}
impl<T: Ord + Clone + Send + Sync + 'static> Monoid for BTreeSet<T> {
    fn zero() -> Self {
        Self::new()
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}
impl<T: Ord + Clone + Send + Sync + 'static> Commutative for BTreeSet<T> {}
impl<T: Ord + Clone + Send + Sync + 'static> Idempotent for BTreeSet<T> {}
impl<T: Ord + Clone + Send + Sync + 'static> Tiered for BTreeSet<T> {
    type Tier = Exact;
}
impl<T: Ord + Clone + Send + Sync + 'static> Absorb<T> for BTreeSet<T> {
    fn absorb(&mut self, item: &T) {
        // Looked up first: an element that is there already, the common case, is not cloned.
        if !self.contains(item) {
            self.insert(item.clone());
        }
    }
    fn absorb_times(&mut self, item: &T, _: NonZeroU64) {
        self.absorb(item);
    }
}

/// The elements as parts, ascending.
impl<T: Codec + Ord> Codec for BTreeSet<T> {
    const MERGE: Option<Merge> = Some(merge::<T>);
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|v| put_part(v, out));
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // Collected first: a set that is built from a sorted list has full nodes.
        let mut elements = Vec::new();
        let mut parts = Ascending::new(bytes);
        while let Some((element, _)) = parts.step()? {
            elements.push(element);
        }
        Ok(elements.into_iter().collect())
    }
    fn schema() -> String {
        format!("set<{}>", T::schema())
    }
    fn json(&self) -> Value {
        Value::Array(self.iter().map(T::json).collect())
    }
    fn magnitude(&self) -> f64 {
        self.len() as f64
    }
}

/// Reads the elements and checks that they ascend.
struct Ascending<'a, T> {
    rest: &'a [u8],
    read: usize,
    /// The next element with its bytes.
    next: Option<(T, &'a [u8])>,
}

impl<'a, T: Codec + Ord> Ascending<'a, T> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            read: 0,
            next: None,
        }
    }

    /// Reads on.
    fn read(&mut self) -> Result<Option<(T, &'a [u8])>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let before = self.rest;
        let element = decode_part(&mut self.rest).map_err(|e| e.within(format_args!("element {}", self.read)))?;
        self.read += 1;
        Ok(Some((element, &before[..before.len() - self.rest.len()])))
    }

    /// The next element, which is less than the one after it.
    fn step(&mut self) -> Result<Option<(T, &'a [u8])>, DecodeError> {
        if self.next.is_none() {
            self.next = self.read()?;
        }
        let after = self.read()?;
        let now = std::mem::replace(&mut self.next, after);
        match (&now, &self.next) {
            (Some((now, _)), Some((next, _))) if now >= next => Err(DecodeError::new("set elements do not ascend")),
            _ => Ok(now),
        }
    }
}

/// Merges two sorted lists; the elements are decoded to be compared, but no set is built and nothing encoded.
fn merge<T: Codec + Ord>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (mut a, mut b) = (Ascending::<T>::new(a), Ascending::<T>::new(b));
    let (mut left, mut right) = (a.step()?, b.step()?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((x, _)), Some((y, _))) => x.cmp(y),
        };
        let least = if order == Ordering::Greater { &right } else { &left };
        out.extend(least.iter().flat_map(|(_, bytes)| *bytes));
        if order != Ordering::Greater {
            left = a.step()?;
        }
        if order != Ordering::Less {
            right = b.step()?;
        }
    }
}

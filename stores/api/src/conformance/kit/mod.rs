//! What plain stores must pass: [`ReadableStore`], [`WritableStore`](crate::WritableStore),
//! [`MergeableStore`]. Each check is of one law; it panics where the store breaks it, and says which.
//!
//! ```
//! use rufous_store_api::MapStore;
//! use rufous_store_api::conformance::kit::{self, Samples};
//! let make = || MapStore::<String, u64>::new();
//! kit::writable(make, &Samples::texts());
//! kit::mergeable(make, &Samples::texts());
//! kit::full(make, &Samples::texts());
//! ```
//!
//! A store of other types brings its own [`Samples`]. A check that fails to fail is none: [`Flaky`] is a store that fails when it is
//! told to, for tests of what is built over stores.

mod behind;
mod flaky;
mod merges;
mod reads;
mod samples;
mod together;
mod writes;

pub use behind::write_behind;
pub use flaky::{Broken, Flaky};
pub use samples::Samples;

use std::collections::BTreeMap;
use std::fmt::Debug;

use rufous_algebra::{Commutative, Semigroup};

use crate::kit::{FullStore, MergeableStore, ReadWriteStore, ReadableStore};

/// Of a key.
pub trait SampleKey: Ord + Clone + Debug + Send + Sync {}
impl<K: Ord + Clone + Debug + Send + Sync> SampleKey for K {}

/// Of a value.
pub trait SampleValue: Clone + PartialEq + Debug + Send + Sync {}
impl<V: Clone + PartialEq + Debug + Send + Sync> SampleValue for V {}

/// The laws of reading, for a store that holds exactly `holds`, and surely nothing of `absent`: one answer a key asked, in order, also to keys
/// that are asked twice; the same answers one by one; nothing asked is nothing answered; many keys in one call.
///
/// # Panics
/// Where the store breaks one.
pub fn readable<K: SampleKey, V: SampleValue>(store: &impl ReadableStore<K, V>, holds: &BTreeMap<K, V>, absent: &[K]) {
    reads::answers_every_key(store, holds, absent);
}

/// A key that fails takes no other with it: `failing` are keys that the store cannot answer, among those that it `holds`.
///
/// # Panics
/// Where another key fails, or one of these does not.
pub fn failures<K: SampleKey, V: SampleValue>(store: &impl ReadableStore<K, V>, holds: &BTreeMap<K, V>, failing: &[K]) {
    reads::failures_stay_alone(store, holds, failing);
}

/// The laws of writing: what was put is read, deleted is absent, of pairs with the same key the last one counts; random histories;
/// threads that write different keys do not disturb each other. `make` makes an empty store, every time another one. Checks those of reading, too.
///
/// # Panics
/// Where the store breaks one.
pub fn writable<K: SampleKey, V: SampleValue, S: ReadWriteStore<K, V>>(make: impl Fn() -> S, samples: &Samples<K, V>) {
    writes::check(&make, samples);
}

/// The laws of adding: `merge` is get, add, put, and answers what was there just before; pairs with the same key add one after the
/// other; random histories; what many threads add is all there. `make` as for [`writable`]; nothing is put.
///
/// # Panics
/// Where the store breaks one.
pub fn mergeable<K, V, S>(make: impl Fn() -> S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup + Commutative,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    merges::check(&make, samples);
}

/// Puts and merges of one store: random histories of all operations, one after the other and by several threads, each with keys of
/// its own that lie between those of the others. `make` as for [`writable`].
///
/// # Panics
/// Where the store breaks a law.
pub fn full<K, V, S>(make: impl Fn() -> S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: FullStore<K, V>,
{
    together::check(&make, samples);
}

/// A small generator of numbers: the same on every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// An answer that must be one.
fn fine<A>(what: &str, key: &dyn Debug, answer: rufous_core::Result<A>) -> A {
    match answer {
        Ok(answer) => answer,
        Err(e) => panic!("{what} of key {key:?} failed: {e}"),
    }
}

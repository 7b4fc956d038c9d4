//! Services: what a job looks up and does not build, and the bindings that say how (O19).
//!
//! - [`Lookup`]: many keys asked at once, each as of an instant; [`Asked`]: the question;
//! - [`Versions`]: a table whose rows hold from an instant on, the same answer in every layer;
//! - [`Remote`], [`Fetch`]: such a table kept elsewhere; [`PerBatch`], [`Snapshots`], [`Pins`]: a table that is replaced as a
//!   whole, of which one snapshot is pinned per batch; [`Now`]: what knows the present only;
//! - [`read_rows`]: the rows of a table from a file;
//! - [`Services`]: what is bound, by port.

mod asked;
mod now;
mod pinned;
mod remote;
mod rows;
mod table;

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use asked::{Asked, Lookup};
pub use now::{Ask, Now, now};
pub use pinned::{MemoryPins, PerBatch, Pins, Snapshots, Tables, snapshot_per_batch};
pub use remote::{Fetch, History, Remote, remote};
pub use rows::read_rows;
pub use table::{Version, Versions, versions};

use crate::error::{Error, Result};
use crate::key::Key;
use crate::port::Service;
use crate::time::Timestamp;

/// How repeatable the answers of a service are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows hold from an instant on and never change below the instant up to which the table is complete: an answer is a
    /// function of key and instant.
    Versions,
    /// One snapshot is pinned per batch: an answer is a function of key, batch and pins.
    PerBatch,
    /// Only what holds at the time of the question is known: asked again, the answer may be another one.
    Now {
        /// Whether the binding says that this is meant ([`Now::not_repeatable`]).
        accepted: bool,
    },
}

impl Kind {
    /// For `explain`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Versions => "as of event time",
            Self::PerBatch => "one snapshot per batch, pinned",
            Self::Now { .. } => "as of now, not repeatable",
        }
    }
}

/// What may be bound to a service port.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a `Service<{K}, {V}>`",
    note = "bind `versions(rows, complete_until)`, `remote(..)`, `snapshot_per_batch(..)` or `now(..)` of the port's key and value"
)]
pub trait Serves<K, V> {
    /// How repeatable its answers are.
    fn kind(&self) -> Kind;
    /// Who answers.
    fn lookup(self) -> Arc<dyn Lookup<V>>;
}

/// Up to when a service knows everything.
pub(crate) type Complete = Arc<dyn Fn() -> Result<Option<Timestamp>> + Send + Sync>;

#[derive(Clone)]
struct Bound {
    kind: Kind,
    key: TypeId,
    value: &'static str,
    /// An `Arc<dyn Lookup<V>>`.
    lookup: Arc<dyn Any + Send + Sync>,
    complete: Complete,
    keep_pins: Arc<dyn Fn(&Arc<dyn Pins>) + Send + Sync>,
}

/// Services by port.
#[derive(Clone, Default)]
pub struct Services(BTreeMap<&'static str, Bound>);

impl Services {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }
    /// Binds a port; in place of what was bound to it before.
    pub fn bind<K: Key, V: Clone + Send + 'static>(&mut self, port: Service<K, V>, to: impl Serves<K, V>) {
        let kind = to.kind();
        let lookup = to.lookup();
        let (asked, pinning, name) = (lookup.clone(), lookup.clone(), port.name());
        let bound = Bound {
            kind,
            key: TypeId::of::<K>(),
            value: type_name::<V>(),
            complete: Arc::new(move || asked.complete_until()),
            keep_pins: Arc::new(move |pins| pinning.keep_pins(name, pins)),
            lookup: Arc::new(lookup),
        };
        self.0.insert(port.name(), bound);
    }
    /// The names of the ports that are bound.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
    /// Adds those of `others`, which win.
    pub fn extend(&mut self, others: &Self) {
        self.0
            .extend(others.0.iter().map(|(name, bound)| (*name, bound.clone())));
    }
    pub(crate) fn keep_pins(&self, pins: &Arc<dyn Pins>) {
        self.0.values().for_each(|bound| (bound.keep_pins)(pins));
    }
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        self.0.get(name).map(|b| b.kind)
    }
    pub(crate) fn complete(&self, name: &str) -> Option<&Complete> {
        self.0.get(name).map(|b| &b.complete)
    }
    /// Who answers for a port of this key and value.
    pub(crate) fn lookup<V: 'static>(&self, face: &ServiceFace) -> Result<Arc<dyn Lookup<V>>> {
        let Some(bound) = self.0.get(face.name) else {
            return Err(face.unbound());
        };
        let found = bound.lookup.downcast_ref::<Arc<dyn Lookup<V>>>();
        found.filter(|_| bound.key == face.key).cloned().ok_or_else(|| {
            Error::invalid(format!(
                "service `{}` is bound as one of other types (its values are `{}`): one port, one type",
                face.name, bound.value
            ))
        })
    }
}

/// A service port without its types.
#[derive(Clone, Copy, Debug)]
pub struct ServiceFace {
    /// The port's name.
    pub name: &'static str,
    pub(crate) key: TypeId,
    pub(crate) value: TypeId,
}

impl ServiceFace {
    pub(crate) fn of<K: 'static, V: 'static>(port: Service<K, V>) -> Self {
        Self {
            name: port.name(),
            key: TypeId::of::<K>(),
            value: TypeId::of::<V>(),
        }
    }
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.name, self.key, self.value) == (other.name, other.key, other.value)
    }
    pub(crate) fn unbound(&self) -> Error {
        Error::invalid(format!(
            "service `{}` is not bound: add `.service({}, versions(rows, complete_until))`, or `now(..)` for one that knows the \
             present only",
            self.name,
            self.name.to_uppercase().replace('-', "_")
        ))
    }
}

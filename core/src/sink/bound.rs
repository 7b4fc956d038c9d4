//! What is bound, by port.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;

use super::{Encode, Promise, Show, SinkPlace, SinkTo};
use crate::error::{Error, Result};
use crate::planner::Plan;
use crate::port::Sink;

/// What is bound to one port.
#[derive(Clone)]
pub struct SinkBinding {
    /// The port's name.
    pub name: &'static str,
    record: TypeId,
    record_name: &'static str,
    /// What it promises.
    pub promise: Promise,
    /// Where records go.
    pub place: SinkPlace,
    /// How they are written.
    pub encode: Encode,
    /// What their bytes mean.
    pub schema: String,
    /// How one is shown.
    pub show: Show,
}

impl fmt::Debug for SinkBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}, {}", self.name, self.place, self.promise)
    }
}

/// Sinks by port.
#[derive(Clone, Debug, Default)]
pub struct Sinks(BTreeMap<&'static str, SinkBinding>);

impl Sinks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }
    /// Binds a port; in place of what was bound to it before.
    pub fn bind<T: 'static>(&mut self, port: Sink<T>, to: &impl SinkTo<T>) {
        let bound = SinkBinding {
            name: port.name(),
            record: TypeId::of::<T>(),
            record_name: type_name::<T>(),
            promise: to.promise(),
            place: to.place(),
            encode: to.encode(),
            schema: to.schema(),
            show: to.show(),
        };
        self.0.insert(port.name(), bound);
    }
    /// What is bound, by name.
    pub fn iter(&self) -> impl Iterator<Item = &SinkBinding> {
        self.0.values()
    }
    /// What is bound to the port of this name.
    pub fn get(&self, name: &str) -> Option<&SinkBinding> {
        self.0.get(name)
    }
    /// Puts records of a sink elsewhere; `false`: nothing is bound to it, or a place that has no other.
    pub fn move_to(&mut self, name: &str, place: &str) -> bool {
        match self.0.get_mut(name).map(|b| &mut b.place) {
            Some(SinkPlace::Topic(at) | SinkPlace::Files(at)) => {
                *at = place.to_string();
                true
            }
            Some(SinkPlace::Table) | None => false,
        }
    }
    /// Those of a job, in the order of [`Plan::sinks`].
    ///
    /// # Errors
    /// `InvalidRequest` with the first sink that is not bound and the line to add, or that the job does not have, or whose
    /// records have another type.
    pub fn of(&self, plan: &Plan) -> Result<Vec<SinkBinding>> {
        let known: Vec<&str> = plan.sinks().iter().map(|(name, _)| *name).collect();
        if let Some(name) = self.0.keys().find(|name| !known.contains(name)) {
            return Err(Error::invalid(format!(
                "job `{}` has no sink `{name}` (it has: {})",
                plan.job(),
                known.join(", ")
            )));
        }
        let one = |(name, record): &(&'static str, TypeId)| {
            let bound = self.0.get(name).ok_or_else(|| {
                let port = name.to_uppercase().replace('-', "_");
                Error::invalid(format!(
                    "sink `{name}` is not bound: add `.sink({port}, topic(\"kafka://HOST:PORT/TOPIC\"))`, `.sink({port}, \
                     files(\"DIR\"))` or `.sink({port}, table())`"
                ))
            })?;
            if bound.record != *record {
                return Err(Error::invalid(format!(
                    "sink `{name}` is bound as one of `{}`, which is not what the job writes: one port, one type",
                    bound.record_name
                )));
            }
            Ok(bound.clone())
        };
        plan.sinks().iter().map(one).collect()
    }
}

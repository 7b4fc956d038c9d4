//! What is bound, by port.

use std::any::{TypeId, type_name};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rufous_algebra::codec::schema_reads;

use super::{Encode, Layer, Promise, Show, SinkPlace, SinkTo};
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

impl SinkBinding {
    /// Who writes it.
    pub fn layer(&self) -> Layer {
        self.place.layer()
    }
    /// Whether it reads records that were written under another schema text: the same, or one without fields that were added
    /// since, with a default.
    pub fn reads(&self, schema: &str) -> bool {
        schema_reads(&self.schema, schema)
    }
    /// Whether it is bound as what the job writes.
    pub(crate) fn check(&self, record: TypeId) -> Result<()> {
        if self.record == record {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "sink `{}` is bound as one of `{}`, which is not what the job writes: one port, one type",
            self.name, self.record_name
        )))
    }
}

impl fmt::Debug for SinkBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}, {}", self.name, self.place, self.promise)
    }
}

/// Sinks by port.
#[derive(Clone, Debug, Default)]
pub struct Sinks {
    bound: BTreeMap<&'static str, SinkBinding>,
    /// Those that were bound in both layers.
    both: BTreeSet<&'static str>,
}

impl Sinks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }
    /// Binds a port; in place of what was bound to it before in the same layer.
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
        let layer = bound.layer();
        if let Some(before) = self.bound.insert(port.name(), bound)
            && before.layer() != layer
        {
            self.both.insert(port.name());
        }
    }
    /// What is bound, by name.
    pub fn iter(&self) -> impl Iterator<Item = &SinkBinding> {
        self.bound.values()
    }
    /// What is bound to the port of this name.
    pub fn get(&self, name: &str) -> Option<&SinkBinding> {
        self.bound.get(name)
    }
    /// The places that the program says, of topics and files, by sink.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.bound.iter().filter_map(|(name, binding)| match &binding.place {
            SinkPlace::Topic(at) | SinkPlace::Files(at) => Some((*name, at.as_str())),
            SinkPlace::Table | SinkPlace::Generations => None,
        })
    }
    /// Puts records of a sink elsewhere; `false`: nothing is bound to it, or a place that has no other.
    pub fn move_to(&mut self, name: &str, place: &str) -> bool {
        match self.bound.get_mut(name).map(|b| &mut b.place) {
            Some(SinkPlace::Topic(at) | SinkPlace::Files(at)) => {
                *at = place.to_string();
                true
            }
            Some(SinkPlace::Table | SinkPlace::Generations) | None => false,
        }
    }
    /// O22: one layer writes a sink.
    ///
    /// # Errors
    /// `InvalidRequest` with the first sink that is bound in both.
    pub fn check_layers(&self) -> Result<()> {
        self.both.first().map_or(Ok(()), |sink| {
            Err(Error::invalid(format!(
                "sink `{sink}` is bound in both layers: each record would be written twice; keep one"
            )))
        })
    }
    /// Those of a job, in the order of [`Plan::sinks`].
    ///
    /// # Errors
    /// `InvalidRequest` with the first sink that is not bound and the line to add, or that is bound in both layers, or that the
    /// job does not have, or whose records have another type.
    pub fn of(&self, plan: &Plan) -> Result<Vec<SinkBinding>> {
        self.check_layers()?;
        let known: Vec<&str> = plan.sinks().iter().map(|(name, _)| *name).collect();
        if let Some(name) = self.bound.keys().find(|name| !known.contains(name)) {
            return Err(Error::invalid(format!(
                "job `{}` has no sink `{name}` (it has: {})",
                plan.job(),
                known.join(", ")
            )));
        }
        let one = |(name, record): &(&'static str, TypeId)| {
            let bound = self.bound.get(name).ok_or_else(|| {
                let port = name.to_uppercase().replace('-', "_");
                Error::invalid(format!(
                    "sink `{name}` is not bound: add `.sink({port}, topic(\"kafka://HOST:PORT/TOPIC\"))`, `.sink({port}, \
                     files(\"DIR\"))` or `.sink({port}, table())`, or `.sink({port}, each_generation())` to have batch runs write it"
                ))
            })?;
            bound.check(*record)?;
            Ok(bound.clone())
        };
        plan.sinks().iter().map(one).collect()
    }
}

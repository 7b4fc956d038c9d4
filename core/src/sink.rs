//! What is bound to sink ports: where written records go, in which form, and what that place promises (O22-O24).
//!
//! - [`topic`]: a Kafka topic; [`files`]: JSON lines in a directory;
//! - [`Promise`]: whether a record may come twice, by the type of the binding: [`ExactlyOnce`], [`AtLeastOnce`];
//! - [`RecordId`]: which record it is (O13); [`Sinks`]: what is bound, by port.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use rufous_algebra::Codec;

use crate::error::{Error, Result};
use crate::planner::Plan;
use crate::port::Sink;

/// Which record it is that was written (O13): of the sink's step, by the record of the log that it was made of. It depends on
/// the job and the log alone: read again, the record has the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The source's place in the plan.
    pub source: u32,
    /// The partition.
    pub partition: u32,
    /// The offset of the record of the log.
    pub offset: u64,
    /// Which of the things that the steps made of it: [`Origin::number`](crate::Origin::number).
    pub number: u64,
}

/// Whether a record may stand in a sink twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The mark lives in the sink and changes with the data in one atomic, fenced write (O23).
    ExactlyOnce,
    /// The mark is the state's: after a crash or a rebuild records come again, with equal bytes and id (O24).
    AtLeastOnce,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnce => "exactly once",
            Self::AtLeastOnce => "at least once",
        })
    }
}

/// In the type of a binding: each record is there once.
#[derive(Clone, Copy, Debug)]
pub enum ExactlyOnce {}
/// In the type of a binding: a record may be there again after a crash or a rebuild.
#[derive(Clone, Copy, Debug)]
pub enum AtLeastOnce {}

/// What a type of a binding says.
pub trait Says {
    /// The promise.
    const PROMISE: Promise;
}
impl Says for ExactlyOnce {
    const PROMISE: Promise = Promise::ExactlyOnce;
}
impl Says for AtLeastOnce {
    const PROMISE: Promise = Promise::AtLeastOnce;
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkPlace {
    /// A topic: `kafka://HOST:PORT/TOPIC`.
    Topic(String),
    /// Files below a directory.
    Files(String),
}

impl fmt::Display for SinkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(at) => f.write_str(at),
            Self::Files(dir) => write!(f, "files:{dir}"),
        }
    }
}

/// Records as bytes, end to end.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// The bytes of record `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        let from = i.checked_sub(1).and_then(|i| self.ends.get(i)).copied().unwrap_or(0);
        let to = self.ends.get(i).copied().unwrap_or(from);
        self.bytes.get(from..to).unwrap_or_default()
    }
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// Appends a record.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end();
    }
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// Appends the bytes of all records of a `Vec` of the port's records; `false`: it is none.
pub type Encode = fn(&dyn Any, &mut Encoded) -> bool;

fn each<T: 'static>(records: &dyn Any, out: &mut Encoded, put: impl Fn(&T, &mut Vec<u8>)) -> bool {
    let Some(records) = records.downcast_ref::<Vec<T>>() else {
        return false;
    };
    for record in records {
        put(record, &mut out.bytes);
        out.end();
    }
    true
}

fn as_json<T: Codec + 'static>(records: &dyn Any, out: &mut Encoded) -> bool {
    each::<T>(records, out, |record, bytes| {
        // Writing into a vector does not fail, and a value has no keys that are no text.
        let _ = serde_json::to_writer(bytes, &record.json());
    })
}

fn as_text<T: AsRef<str> + 'static>(records: &dyn Any, out: &mut Encoded) -> bool {
    each::<T>(records, out, |record, bytes| {
        bytes.extend_from_slice(record.as_ref().as_bytes())
    })
}

/// What may be bound to a sink port.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a `Sink<{T}>`",
    note = "`topic(..)` and `files(..)` write records that are `Codec`: derive it, or map to a type that has it",
    note = "`topic(..).text()` writes records that are text"
)]
pub trait SinkTo<T> {
    /// What it promises.
    fn promise(&self) -> Promise;
    /// Where records go.
    fn place(&self) -> SinkPlace;
    /// How they are written.
    fn encode(&self) -> Encode;
    /// What their bytes mean.
    fn schema(&self) -> String;
}

/// Records as JSON, one line each.
#[derive(Clone, Copy, Debug)]
pub enum Json {}
/// Records as they are, for those that are text.
#[derive(Clone, Copy, Debug)]
pub enum Lines {}

/// See [`topic`].
#[derive(Clone, Debug)]
pub struct Topic<P = ExactlyOnce, F = Json> {
    at: String,
    _of: PhantomData<fn() -> (P, F)>,
}

/// A Kafka topic, `kafka://HOST:PORT/TOPIC`: records as JSON, **exactly once** for consumers that read with
/// `isolation.level=read_committed`. Those of partition `p` of a source go into partition `p` of the topic, modulo the number
/// that it has, in their order; each has the header `rufous-id`.
pub fn topic(at: impl Into<String>) -> Topic {
    Topic {
        at: at.into(),
        _of: PhantomData,
    }
}

impl<P, F> Topic<P, F> {
    fn same<Q, G>(self) -> Topic<Q, G> {
        Topic {
            at: self.at,
            _of: PhantomData,
        }
    }
    /// As JSON, which is what is done without a word.
    pub fn json(self) -> Topic<P, Json> {
        self.same()
    }
    /// Records that are text, as they are.
    pub fn text(self) -> Topic<P, Lines> {
        self.same()
    }
    /// Without transactions: records are there as soon as they are sent, and again after a crash or a rebuild, with the same
    /// bytes and the same id.
    pub fn at_least_once(self) -> Topic<AtLeastOnce, F> {
        self.same()
    }
}

impl<T: Codec + 'static, P: Says> SinkTo<T> for Topic<P, Json> {
    fn promise(&self) -> Promise {
        P::PROMISE
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Topic(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_json::<T>
    }
    fn schema(&self) -> String {
        format!("json of {}", T::schema())
    }
}

impl<T: AsRef<str> + 'static, P: Says> SinkTo<T> for Topic<P, Lines> {
    fn promise(&self) -> Promise {
        P::PROMISE
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Topic(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_text::<T>
    }
    fn schema(&self) -> String {
        "text".into()
    }
}

/// See [`files`].
#[derive(Clone, Debug)]
pub struct Files {
    at: String,
}

/// Files below a directory, one a partition of a source: lines of `{"id": .., "record": ..}`, **exactly once** on a local disk.
pub fn files(dir: impl Into<String>) -> Files {
    Files { at: dir.into() }
}

impl<T: Codec + 'static> SinkTo<T> for Files {
    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Files(self.at.clone())
    }
    fn encode(&self) -> Encode {
        as_json::<T>
    }
    fn schema(&self) -> String {
        format!("json of {}", T::schema())
    }
}

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
    /// Puts records of a sink elsewhere; `false`: nothing is bound to it.
    pub fn move_to(&mut self, name: &str, place: &str) -> bool {
        match self.0.get_mut(name).map(|b| &mut b.place) {
            Some(SinkPlace::Topic(at) | SinkPlace::Files(at)) => {
                *at = place.to_string();
                true
            }
            None => false,
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
                    "sink `{name}` is not bound: add `.sink({port}, topic(\"kafka://HOST:PORT/TOPIC\"))` or `.sink({port}, \
                     files(\"DIR\"))`"
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

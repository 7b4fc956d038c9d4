//! A job beside its answer.

use std::any::Any;
use std::fmt::Debug;

use rufous_algebra::{Codec, Monoid};

use super::answers::{Answers, Expected, Promise, Records, records};
use super::input::Input;
use super::records::Sale;
use crate::Counter;
use crate::Plan;
use crate::error::Result;
use crate::job::Job;
use crate::key::{self, Key};
use crate::port::{Service, Sink, Store};
use crate::producer::{Anywhere, InOrder};
use crate::service::{Serves, Services};
use crate::sink::{Encode, Encoded};

/// A job, whatever it needs of a platform.
pub enum AnyJob {
    /// It runs everywhere.
    Anywhere(Job),
    /// It needs the records in order of event time.
    InOrder(Job<InOrder>),
}

impl AnyJob {
    /// [`Job::name`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Anywhere(job) => job.name(),
            Self::InOrder(job) => job.name(),
        }
    }
    /// [`Job::plan`].
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self) -> Result<Plan> {
        match self {
            Self::Anywhere(job) => job.plan(),
            Self::InOrder(job) => job.plan(),
        }
    }
}

impl From<Job<Anywhere>> for AnyJob {
    fn from(job: Job<Anywhere>) -> Self {
        Self::Anywhere(job)
    }
}
impl From<Job<InOrder>> for AnyJob {
    fn from(job: Job<InOrder>) -> Self {
        Self::InOrder(job)
    }
}

/// Reads what a platform wrote to a typed sink.
pub trait ReadSinks {
    /// The records of a sink, in any order.
    fn written<T: Clone + Debug + Send + 'static>(&self, sink: Sink<T>) -> Vec<T>;
}

/// A sink of the catalogue. The types are few so that a platform can read each by its typed port.
#[derive(Clone, Copy)]
pub enum SinkPort {
    /// Of texts.
    Texts(Sink<String>),
    /// Of numbers.
    Numbers(Sink<u64>),
    /// Of pairs.
    Pairs(Sink<(String, i64)>),
    /// Of sales.
    Sales(Sink<Sale>),
}

impl SinkPort {
    /// The port's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Texts(port) => port.name(),
            Self::Numbers(port) => port.name(),
            Self::Pairs(port) => port.name(),
            Self::Sales(port) => port.name(),
        }
    }
    /// As `Debug` text, for platforms whose sinks take bytes.
    pub fn encode(&self) -> Encode {
        match self {
            Self::Texts(_) => as_debug::<String>,
            Self::Numbers(_) => as_debug::<u64>,
            Self::Pairs(_) => as_debug::<(String, i64)>,
            Self::Sales(_) => as_debug::<Sale>,
        }
    }
    /// The records that `from` has of this sink.
    pub fn read(&self, from: &impl ReadSinks) -> Records {
        match *self {
            Self::Texts(port) => records(from.written(port)),
            Self::Numbers(port) => records(from.written(port)),
            Self::Pairs(port) => records(from.written(port)),
            Self::Sales(port) => records(from.written(port)),
        }
    }
}

fn as_debug<T: Debug + 'static>(written: &dyn Any, out: &mut Encoded) -> bool {
    let Some(written) = written.downcast_ref::<Vec<T>>() else {
        return false;
    };
    written
        .iter()
        .for_each(|record| out.push(format!("{record:?}").as_bytes()));
    true
}

/// A job, its input, and its answer from plain collections.
///
/// **Equality.** A key whose value is the zero of its type is as good as absent, on both sides: what cancels out may
/// stay in a store as a zero or leave it, and platforms differ in that (trap 2). Counters of 0 and stores and sinks
/// without anything in them are absent, too. Everything else is equal by its canonical bytes, stores of approximate
/// values by their promise.
pub struct Case {
    pub(super) about: &'static str,
    pub(super) job: AnyJob,
    pub(super) input: Input,
    pub(super) sinks: Vec<SinkPort>,
    pub(super) services: Services,
    pub(super) expected: Expected,
}

impl Case {
    /// A case with the name of its job. `about` says what it is for: a job of the ancestor, a trap, a bug.
    pub fn new(about: &'static str, job: impl Into<AnyJob>, input: Input) -> Self {
        Self {
            about,
            job: job.into(),
            input,
            sinks: Vec::new(),
            services: Services::new(),
            expected: Expected::default(),
        }
    }
    /// Expects exactly these values in a store.
    #[must_use]
    pub fn store<K: Key, V: Monoid + Codec>(
        mut self,
        port: Store<K, V>,
        cells: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let cells = cells.into_iter().map(|(k, v)| (key::to_bytes(&k), v.to_bytes()));
        let name = port.name().to_string();
        self.expected.zeros.insert(name.clone(), V::zero().to_bytes());
        self.expected.answers.stores.insert(name, cells.collect());
        self
    }
    /// Expects exactly these keys in a store, each with a value that keeps `promise` for what is truly there.
    #[must_use]
    pub fn store_within<K: Key, V: Codec + 'static, T: Send + Sync + 'static>(
        mut self,
        port: Store<K, V>,
        truths: impl IntoIterator<Item = (K, T)>,
        promise: fn(&V, &T) -> Result<(), String>,
    ) -> Self {
        let promises = truths.into_iter().map(|(k, truth)| {
            let check: Promise = Box::new(move |bytes| {
                let value = V::decode(bytes).map_err(|e| e.to_string())?;
                promise(&value, &truth)
            });
            (key::to_bytes(&k), check)
        });
        let name = port.name().to_string();
        self.expected.promises.insert(name, promises.collect());
        self
    }
    /// Expects these records in a sink, each as often as it is here.
    #[must_use]
    pub fn sink<T: Debug>(mut self, port: SinkPort, written: impl IntoIterator<Item = T>) -> Self {
        let name = port.name().to_string();
        self.expected.answers.sinks.insert(name, records(written));
        self.sinks.push(port);
        self
    }
    /// Expects a counter to say `n`.
    #[must_use]
    pub fn counter(mut self, port: Counter, n: u64) -> Self {
        self.expected.answers.counters.insert(port.name().to_string(), n);
        self
    }

    /// Binds a service of the job.
    #[must_use]
    pub fn service<K: Key, V: Clone + Send + 'static>(mut self, port: Service<K, V>, to: impl Serves<K, V>) -> Self {
        self.services.bind(port, to);
        self
    }

    /// The services of the job.
    pub fn services(&self) -> &Services {
        &self.services
    }
    /// The plan of the job, its services bound.
    ///
    /// # Errors
    /// When the job cannot be planned.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = self.job.plan()?;
        plan.bind_all(&self.services)?;
        Ok(plan)
    }
    /// Its name: the job's.
    pub fn name(&self) -> &'static str {
        self.job.name()
    }
    /// What it is for.
    pub fn about(&self) -> &'static str {
        self.about
    }
    /// The job.
    pub fn job(&self) -> &AnyJob {
        &self.job
    }
    /// Whether its job needs the records in order.
    pub fn in_order(&self) -> bool {
        matches!(self.job, AnyJob::InOrder(_))
    }
    /// What it is fed.
    pub fn input(&self) -> &Input {
        &self.input
    }
    /// The job's sinks.
    pub fn sinks(&self) -> &[SinkPort] {
        &self.sinks
    }
    /// Where an answer differs from the expected one, for people; empty when it does not.
    ///
    /// # Errors
    /// When the job cannot be planned.
    pub fn differences(&self, got: &Answers) -> Result<String> {
        Ok(self.expected.differences(&self.job.plan()?, got))
    }
}

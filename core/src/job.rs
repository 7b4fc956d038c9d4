//! A job: a name and the ends of its graph.

use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::graph::Node;
use crate::planner::{self, Identity, Plan, Rules};
use crate::producer::{Anywhere, Summed, Written};

/// An aggregation, written once. `S` says what it needs of a platform; a plain `Job` runs anywhere.
pub struct Job<S = Anywhere> {
    name: &'static str,
    version: u32,
    arguments: String,
    tails: Vec<Arc<Node>>,
    at: &'static Location<'static>,
    _s: PhantomData<fn() -> S>,
}

/// What a job may end in: a sum, a write, or a tuple of them.
#[diagnostic::on_unimplemented(
    message = "this job ends nowhere: `{Self}` has no store or sink at its end",
    label = "expected `.sum_by_key(STORE)`, `.aggregate_by_key(STORE)` or `.write(SINK)` at the end of this",
    note = "several ends are a tuple: `Job::new(\"name\", (totals, report))`",
    note = "ends of one job agree about order: where one is `.in_order()`, all are"
)]
pub trait Tails<S> {
    #[doc(hidden)]
    fn nodes(self, out: &mut Vec<Arc<Node>>);
}

impl<K, V, S> Tails<S> for Summed<K, V, S> {
    fn nodes(self, out: &mut Vec<Arc<Node>>) {
        out.push(self.node);
    }
}
impl<T, S> Tails<S> for Written<T, S> {
    fn nodes(self, out: &mut Vec<Arc<Node>>) {
        out.push(self.node);
    }
}
macro_rules! tuples {
    ($($t:ident),+) => {
        impl<S, $($t: Tails<S>),+> Tails<S> for ($($t,)+) {
            fn nodes(self, out: &mut Vec<Arc<Node>>) {
                #[allow(non_snake_case, reason = "the type parameters name the parts")]
                let ($($t,)+) = self;
                $($t.nodes(out);)+
            }
        }
    };
}
tuples!(A);
tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);
tuples!(A, B, C, D, E);
tuples!(A, B, C, D, E, F);

impl<S> Job<S> {
    /// A job of this name (`a-z`, `0-9`, `-`: it becomes a directory) that ends in `tails`.
    #[track_caller]
    pub fn new(name: &'static str, tails: impl Tails<S>) -> Self {
        let mut nodes = Vec::new();
        tails.nodes(&mut nodes);
        Self {
            name,
            version: 1,
            arguments: String::new(),
            tails: nodes,
            at: Location::caller(),
            _s: PhantomData,
        }
    }
    /// Says that a closure changed its meaning, which no fingerprint can see: state of another version is not extended.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
    /// The resolved arguments that the job was built from, defaults included; they are part of the fingerprint.
    #[must_use]
    pub fn arguments(mut self, text: impl Into<String>) -> Self {
        self.arguments = text.into();
        self
    }
    /// The job's name.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// Checks the job and plans how it runs.
    ///
    /// # Errors
    /// When a name is malformed or given twice, a store ends two sums or a sink two writes, or a port is declared in two ways;
    /// the message names the lines of code.
    pub fn plan(&self) -> Result<Plan> {
        self.plan_with(&Rules::all())
    }
    /// The same with some of the planner's rules, or none: the answers are the same.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_with(&self, rules: &Rules) -> Result<Plan> {
        let identity = Identity {
            job: self.name,
            version: self.version,
            arguments: &self.arguments,
            at: self.at,
        };
        planner::plan(&identity, &self.tails, rules)
    }
    /// Runs on a platform.
    ///
    /// # Errors
    /// What the platform reports.
    pub fn run_on<P: crate::platform::Runs<S>>(&self, platform: &P) -> Result<P::Report> {
        platform.run(self)
    }
}

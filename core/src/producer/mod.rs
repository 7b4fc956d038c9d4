//! The typed face of the graph. Functions belong to no platform; the only bounds a user meets are on keys and values.
//!
//! | method | from -> to |
//! |---|---|
//! | `map` `filter` `filter_map` `flat_map` `either` | records -> records |
//! | `keyed` `key_by` | records -> pairs |
//! | `map_keys` `filter_keys` `flat_map_keys` | pairs -> pairs, value untouched: it may be added before its key fans out |
//! | `map_values` `filter_values` `flat_map_values` | pairs -> pairs, key untouched |
//! | `keyed_pairs` `swap`; `pairs` `keys` `values` | pairs -> pairs; pairs -> records |
//! | `left_join` `join`; `lookup` | pairs -> pairs with what a [service](crate::service) has; records that are keys, the same |
//! | `merge` `named` `counted` `counted_by` `counting` | the same |
//! | `in_order` | the same, in a `Job<InOrder>` |
//! | `sum_by_key` `aggregate_by_key` `write` | ends of a job |
//! | `within_partition`, `in_log_order`, `broadcast` | which partitions have a common order, for what follows |
//! | `scan_by_key` `changes` `totals` | what becomes of a sum, record by record |
//! | `left_join` `join` of [`Store::as_service`](crate::Store::as_service), [`KeyedProducer::as_service`] | pairs -> pairs with what the job itself knew then |
//! | `dedupe_by` | records -> those whose id is new |
//! | `windowed_sum_by_key` `windowed_aggregate_by_key` | ends of a job, for keys with an instant |
//! | `deltas`, then key steps and `map_values_by`; `records` | what a sum emits, for a second sum; what a write passes on |
//!
//! # The ancestor's words
//!
//! Where each method of Summingbird's producers went.
//!
//! | Summingbird | here |
//! |---|---|
//! | `map` `filter` `flatMap` | the same; `flat_map` emits into its second argument, so that it may borrow |
//! | `collect` `optionMap` | `filter_map` |
//! | `merge` `++` | `merge`: same type on both sides, a producer with itself counts twice |
//! | `either` | `either`, with [`Either`] |
//! | `name` | `named`: the one step before it, and nothing above it |
//! | `write` | `write`; what was written goes on by [`Written::records`] |
//! | `also` | several ends as a tuple: `Job::new("name", (totals, report))` |
//! | a producer of pairs is keyed by itself | `keyed(\|(k, v), out\| out.emit(k, v.clone()))`: a key becomes bytes where it is emitted |
//! | `mapKeys` `filterKeys` `flatMapKeys` | `map_keys` `filter_keys` `flat_map_keys` |
//! | `collectKeys` | `flat_map_keys` that emits one key or none |
//! | `mapValues` `filterValues` `flatMapValues` | `map_values` `filter_values` `flat_map_values` |
//! | `collectValues` | `flat_map_values` that emits one value or none |
//! | `keys` `values` `swap` | the same; `pairs` gives keys and values as records |
//! | `sumByKey` | `sum_by_key`; `aggregate_by_key` folds records into a state without building one for each |
//! | what `sumByKey` emits, for a sum | [`Summed::deltas`], with steps that commute with addition (O16) |
//! | `Counter` | [`Counter`]: `counted`, or `out.count` with `counting` |
//! | the total before and after | `changes` (before, after); `scan_by_key` (after): per record, on every platform |
//! | `leftJoin` `lookup` with a service | `left_join` `lookup`: as of the record's event time; `join` keeps what was found |
//! | `leftJoin` with a store; with a stream and a buffer | `left_join(STORE.as_service())`, `left_join(stream.as_service(BUFFER))`: as of event time |

mod as_of;
mod dedupe;
mod deltas;
mod either;
mod joins;
mod keyed;
mod records;
mod scans;
mod tails;
mod windowed;

pub use as_of::{Buffer, StoreService, StreamService};
pub use deltas::DeltaProducer;
pub use either::Either;
pub use joins::Joins;
pub use keyed::KeyedProducer;
pub use records::Producer;
pub use tails::{Summed, Written};

pub use crate::erased::{LastSeen, Position};

use std::any::type_name;
use std::panic::Location;
use std::sync::Arc;

use crate::erased::{ChunkType, Stage};
use crate::graph::{Contract, Node, NodeKind, Step};
use crate::port::Counter;

/// A job that may run on every platform.
pub struct Anywhere;

/// A job whose sums need their values in order of event time: lists, affine functions. Few platforms keep that.
pub struct InOrder;

/// `alloc::string::String` -> `String`, inside generics as well.
fn short_name<T: ?Sized>() -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in type_name::<T>().chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                out.push_str(&word);
                word.clear();
                out.push(c);
            }
        }
    }
    out + &word
}

/// A step from chunks `takes` to chunks `gives` of `T`s.
#[track_caller]
fn step<T: ?Sized>(
    input: Arc<Node>,
    word: &'static str,
    contract: Contract,
    (takes, gives): (ChunkType, ChunkType),
    make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
) -> Arc<Node> {
    let step = Step {
        word,
        about: "",
        contract,
        takes,
        make: Arc::new(move |_| make()),
        counts: None,
        traces: false,
        joins: None,
    };
    node::<T>(NodeKind::Step(step), gives, vec![input])
}

/// The same step, which asks where its records come from.
fn tracing(mut node: Arc<Node>) -> Arc<Node> {
    if let Some(node) = Arc::get_mut(&mut node)
        && let NodeKind::Step(step) = &mut node.kind
    {
        step.traces = true;
    }
    node
}

/// A step that counts what passes by.
#[track_caller]
fn counted(
    input: Arc<Node>,
    counter: Counter,
    takes: ChunkType,
    make: impl Fn() -> Box<dyn Stage> + Send + Sync + 'static,
) -> Arc<Node> {
    let counted = Step {
        word: "counted",
        about: counter.name(),
        contract: Contract::Passes,
        takes,
        make: Arc::new(move |_| make()),
        counts: Some(counter.name()),
        traces: false,
        joins: None,
    };
    same(NodeKind::Step(counted), vec![input])
}

#[track_caller]
fn node<T: ?Sized>(kind: NodeKind, gives: ChunkType, inputs: Vec<Arc<Node>>) -> Arc<Node> {
    Arc::new(Node {
        kind,
        inputs,
        output: short_name::<T>(),
        gives,
        at: Location::caller(),
    })
}

/// A node that gives what its first input gives.
#[track_caller]
fn same(kind: NodeKind, inputs: Vec<Arc<Node>>) -> Arc<Node> {
    let first = &inputs[0];
    Arc::new(Node {
        kind,
        output: first.output.clone(),
        gives: first.gives,
        at: Location::caller(),
        inputs,
    })
}

/// What producers of records and of pairs have in common.
macro_rules! common {
    () => {
        /// Gives the step before it a stable name: metrics, options and `explain` use it.
        #[track_caller]
        pub fn named(self, name: &str) -> Self {
            Self::of($crate::producer::same(
                $crate::graph::NodeKind::Named(name.into()),
                vec![self.node],
            ))
        }
        /// Declares what the closure of the step before it counts with `out.count`. A count that is not declared fails
        /// the run.
        #[track_caller]
        pub fn counting<const N: usize>(self, counters: [$crate::port::Counter; N]) -> Self {
            let names = counters.iter().map(|c| c.name()).collect();
            Self::of($crate::producer::same(
                $crate::graph::NodeKind::Counting(names),
                vec![self.node],
            ))
        }
        /// Everything of both. Merged with itself, a producer gives everything twice.
        #[track_caller]
        pub fn merge(self, other: Self) -> Self {
            Self::of($crate::producer::same(
                $crate::graph::NodeKind::Merge,
                vec![self.node, other.node],
            ))
        }
    };
}
use common;

//! The place of every job: it runs as it is, it runs and deviates for a reason, or it is left for what is not here yet.

/// What is done with a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// As it is.
    Runs,
    /// It runs; the text says where the answer or the job is another one, and why.
    Deviates(&'static str),
    /// It needs what is not here yet.
    Left(&'static str),
}
use Place::{Deviates, Left, Runs};

pub(crate) const JOINS: &str = "joins with a store or a stream: in `stores`, where no order of event time is needed";
pub(crate) const CHANGES: &str =
    "what a sum emits with the value before it: in `changes`, where no order of event time is needed";

pub(crate) const JOBS: [(&str, Place); 37] = [
    ("single_step", Runs),
    (
        "single_step_initial_store",
        Deviates(
            "the store's first content is a source that is merged before the sum: adding it first is the same, as \
             sums are associative, and it has the earliest event times",
        ),
    ),
    ("twin_step_option_map_flat_map", Runs),
    ("single_step_map_keys", Runs),
    ("flat_map_values", Runs),
    ("diamond", Runs),
    ("left_join", Runs),
    ("repeated_tuple_left_join", Runs),
    ("left_join_flat_map_values", Runs),
    ("left_join_with_store", Left(JOINS)),
    ("left_join_with_store_flipped", Left(JOINS)),
    ("left_join_with_dependent_store", Left(JOINS)),
    ("left_join_with_dependent_store_join_fanout", Left(JOINS)),
    ("real_join", Runs),
    ("written_post_sum", Left(CHANGES)),
    ("multiple_summers", Runs),
    ("map_only", Runs),
    ("lookup", Runs),
    ("two_sum_by_key", Runs),
    ("two_sum_by_key_before", Left(CHANGES)),
    ("job_with_stats", Runs),
    ("merge_two_sources", Runs),
    ("self_merge", Runs),
    ("self_merge_of_source", Runs),
    ("also_two_sinks", Runs),
    (
        "also_same_sink_order",
        Deviates(
            "two writes to one sink are refused: both are merged before one write, so the sink holds the same \
             items; their order in a sink binds nobody",
        ),
    ),
    ("write_then_continue", Runs),
    (
        "needless_also",
        Deviates(
            "deltas have no write, for how they are grouped is unspecified (O16); on the ancestor's platform each \
             pair is a delta of its own, so the pairs before the sum are what its sink holds",
        ),
    ),
    (
        "self_also_two_writes",
        Deviates(
            "the written values are running totals: the store is compared here, and the sink in `changes`. That equal \
             writes are one write is a test of its own",
        ),
    ),
    (
        "also_two_equal_summers",
        Deviates(
            "a bug of the ancestor, which takes two sums of one stream into equal empty stores for one node and \
             leaves the second store empty: ours fills both alike",
        ),
    ),
    ("either", Runs),
    ("left_join_stream_buffer", Left(JOINS)),
    ("keyed_method_chain", Runs),
    ("keys_and_values", Runs),
    (
        "run_twice_same_store",
        Deviates(
            "a run in memory begins with empty stores: the second run's totals are added to the first's, which is \
             what a store does when it is extended",
        ),
    ),
    ("deep_diamonds", Runs),
    ("two_stores_in_row_joined", Left(JOINS)),
];

/// Jobs that deviate only where order matters. Sums in a row: see `Family::sums_in_row`.
pub(crate) const IN_ROW: [&str; 1] = ["two_sum_by_key"];

/// Jobs whose answer depends on the order of two paths that part and meet again, where order matters at all: see the
/// oracle of `order`.
pub(crate) const FORKS: [&str; 5] = [
    "diamond",
    "self_merge",
    "self_merge_of_source",
    "keys_and_values",
    "deep_diamonds",
];

pub(crate) fn place(job: &str) -> Place {
    let found = JOBS.iter().find(|(name, _)| *name == job);
    found.unwrap_or_else(|| panic!("{job} has no place in the table")).1
}

//! The cases that Twitter's Summingbird itself computed: 37 jobs, each over five families and three sizes, 555 in all.
//!
//! What it proves: a job said in the words of this project leaves what the ancestor's words left in stores, sinks and
//! counters, with every rule of the planner and without any, whole and cut into chunks, in one thread and in several. Every
//! job has its place in [`JOBS`]: it runs as it is, it runs and deviates for a reason, or it is left for what is not here yet.
//! The cases are found by `RUFOUS_DATA`; without it this test says so and passes by.

mod families;
mod functions;
mod golden;
mod jobs;
mod order;

use std::collections::BTreeMap;

use families::{Affinity, Family, IntSet, Item, LongSum, ShortMap, StringList};
use golden::{Answer, Case};
use rufous_algebra::Semigroup;
use rufous_core::{ErrorKind, Rules};
use rufous_platform_memory::{Concurrent, Memory};

/// What is done with a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    /// As it is.
    Runs,
    /// It runs; the text says where the answer or the job is another one, and why.
    Deviates(&'static str),
    /// It needs what is not here yet.
    Left(&'static str),
}
use Place::{Deviates, Left, Runs};

const JOINS: &str = "joins and look-ups";
const CHANGES: &str = "what a sum emits with the value before it (`changes`)";

const JOBS: [(&str, Place); 37] = [
    ("single_step", Runs),
    (
        "single_step_initial_store",
        Deviates(
            "the store's first content is a source that is merged before the sum: adding it first is the same, as sums are \
             associative, and it has the earliest event times",
        ),
    ),
    ("twin_step_option_map_flat_map", Runs),
    ("single_step_map_keys", Runs),
    ("flat_map_values", Runs),
    ("diamond", Runs),
    ("left_join", Left(JOINS)),
    ("repeated_tuple_left_join", Left(JOINS)),
    ("left_join_flat_map_values", Left(JOINS)),
    ("left_join_with_store", Left(JOINS)),
    ("left_join_with_store_flipped", Left(JOINS)),
    ("left_join_with_dependent_store", Left(JOINS)),
    ("left_join_with_dependent_store_join_fanout", Left(JOINS)),
    ("real_join", Left(JOINS)),
    ("written_post_sum", Left(CHANGES)),
    ("multiple_summers", Runs),
    ("map_only", Runs),
    ("lookup", Left(JOINS)),
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
            "two writes to one sink are refused: both are merged before one write, so the sink holds the same items; their \
             order in a sink binds nobody",
        ),
    ),
    ("write_then_continue", Runs),
    (
        "needless_also",
        Deviates(
            "deltas have no write, for how they are grouped is unspecified (O16); on the ancestor's platform each pair is a delta of \
             its own, so the pairs before the sum are what its sink holds",
        ),
    ),
    (
        "self_also_two_writes",
        Deviates(
            "the written values are running totals, which `changes` will give: the store is compared, the sink is not. \
             That equal writes are one write is a test of its own",
        ),
    ),
    (
        "also_two_equal_summers",
        Deviates(
            "a bug of the ancestor, which takes two sums of one stream into equal empty stores for one node and leaves the second \
             store empty: ours fills both alike",
        ),
    ),
    ("either", Runs),
    ("left_join_stream_buffer", Left(JOINS)),
    ("keyed_method_chain", Runs),
    ("keys_and_values", Runs),
    (
        "run_twice_same_store",
        Deviates(
            "a run in memory begins with empty stores: the second run's totals are added to the first's, which is what a store does \
             when it is extended",
        ),
    ),
    ("deep_diamonds", Runs),
    ("two_stores_in_row_joined", Left(JOINS)),
];

/// Jobs that deviate only where order matters. Sums in a row: see [`Family::sums_in_row`].
const IN_ROW: [&str; 1] = ["two_sum_by_key"];

/// Jobs whose answer depends on the order of two paths that part and meet again, where order matters at all: see [`order`].
const FORKS: [&str; 5] = [
    "diamond",
    "self_merge",
    "self_merge_of_source",
    "keys_and_values",
    "deep_diamonds",
];

fn place(job: &str) -> Place {
    let found = JOBS.iter().find(|(name, _)| *name == job);
    found.unwrap_or_else(|| panic!("{job} has no place in the table")).1
}

/// How a job is run.
#[derive(Clone, Copy, Debug)]
enum How {
    Memory { chunk: usize, rules: bool },
    Concurrent { threads: usize, rules: bool },
}

fn ways<F: Family>() -> Vec<How> {
    let mut ways = Vec::new();
    for rules in [false, true] {
        ways.extend([1, 3, 1024].map(|chunk| How::Memory { chunk, rules }));
        if !F::ORDERED {
            ways.extend([1, 4].map(|threads| How::Concurrent { threads, rules }));
        }
    }
    ways
}

fn rules(on: bool) -> Rules {
    if on { Rules::all() } else { Rules::none() }
}

fn run<F: Family>(
    job: &rufous_core::Job<F::Scope>,
    inputs: &BTreeMap<String, Vec<i64>>,
    how: How,
) -> rufous_core::Result<rufous_platform_memory::Totals> {
    // What a job does not read cannot be bound.
    let plan = job.plan()?;
    let sources = ["initial", "s1", "s2"].iter().enumerate();
    let read = sources.filter(|(_, name)| plan.sources().iter().any(|s| s.name == **name));
    let records = read.filter_map(|(place, name)| {
        let items = inputs.get(*name)?.iter().enumerate();
        let time = |i: usize| (place * 1000 + i) as i64;
        Some((
            jobs::source::<F>(name),
            items.map(|(i, &x)| F::Item::of(x, time(i))).collect::<Vec<_>>(),
        ))
    });
    match how {
        How::Memory { chunk, rules: on } => {
            let memory = Memory::new().chunk(chunk).rules(rules(on));
            F::run(
                job,
                &records.fold(memory, |memory, (port, items)| memory.source(port, items)),
            )
        }
        How::Concurrent { threads, rules: on } => {
            let concurrent = Concurrent::new(threads).rules(rules(on));
            let concurrent = records.fold(concurrent, |c, (port, items)| c.source(port, items));
            F::run_concurrent(job, &concurrent).expect("any order will do")
        }
    }
}

/// What the case has to leave behind: the ancestor's answer, but for what the table argues.
fn expected<F: Family>(case: &Case, inputs: &BTreeMap<String, Vec<i64>>) -> Answer {
    let mut answer = case.answer::<F>();
    match case.job.as_str() {
        "also_two_equal_summers" => {
            assert!(
                answer.stores["s2"].is_empty(),
                "the ancestor's bug is gone: compare S2 as it is"
            );
            let filled = answer.stores["s1"].clone();
            answer.stores.insert("s2".into(), filled);
        }
        "self_also_two_writes" => answer.sinks.clear(),
        job if F::ORDERED && FORKS.contains(&job) => {
            let mut all = order::contributions::<F>(job, &inputs["s1"]).expect("a fork");
            assert_eq!(
                order::by_path::<F>(&mut all),
                answer.stores["s"],
                "oracle of {}",
                case.title()
            );
            answer.stores.insert("s".into(), order::by_record::<F>(&mut all));
        }
        _ => {}
    }
    answer
}

fn check<F: Family>(case: &Case) {
    let mut inputs = golden::inputs(case.n);
    if case.job == "single_step_initial_store" {
        inputs.insert("initial".into(), vec![0, 3, 50]);
        let zero = F::value_json(&rufous_algebra::Monoid::zero());
        let rows = serde_json::json!([
            [F::key_json(&F::key(0)), F::value_json(&F::value(1))],
            [F::key_json(&F::key(3)), zero],
            [F::key_json(&F::key(50)), F::value_json(&F::value(2))],
        ]);
        let said = golden::store_rows::<F>(&case.initial["S"]);
        assert_eq!(golden::store_rows::<F>(&rows), said, "{}", case.title());
    }
    let expected = expected::<F>(case, &inputs);
    let job = jobs::job::<F>(&case.job);
    for how in ways::<F>() {
        let totals = run::<F>(&job, &inputs, how).unwrap_or_else(|e| panic!("{}, {how:?}: {e}", case.title()));
        let mut answer = golden::ours::<F>(&totals, &expected, case.job == "diamond");
        if case.job == "run_twice_same_store" {
            let second = run::<F>(&jobs::second_run::<F>(), &inputs, how).expect("the second run");
            let mut sums: BTreeMap<_, F::Value> = golden::store_of::<F>(&totals, "s").into_iter().collect();
            for (key, value) in golden::store_of::<F>(&second, "s") {
                match sums.get_mut(&key) {
                    Some(sum) => sum.combine(&value),
                    None => drop(sums.insert(key, value)),
                }
            }
            let rows = sums
                .iter()
                .map(|(k, v)| serde_json::json!([F::key_json(k), F::value_json(v)]));
            answer
                .stores
                .insert("s".into(), golden::store_rows::<F>(&rows.collect()));
        }
        assert_eq!(answer, expected, "{}, {how:?}", case.title());
    }
}

/// Runs a family's cases and counts them: those that ran as they are, those that ran and deviate, those that are left.
fn family<F: Family>() -> Option<[usize; 3]> {
    let mut tally = [0; 3];
    for case in golden::cases()?.iter().filter(|case| case.family == F::NAME) {
        match place(&case.job) {
            Left(_) => tally[2] += 1,
            place => {
                check::<F>(case);
                let deviates =
                    place != Runs || F::ORDERED && [&FORKS[..], &IN_ROW].concat().contains(&case.job.as_str());
                tally[usize::from(deviates)] += 1;
            }
        }
    }
    Some(tally)
}

/// 24 of 37 jobs run, at three sizes.
#[test]
fn int_set() {
    assert!(family::<IntSet>().is_none_or(|tally| tally == [54, 18, 39]));
}

#[test]
fn short_map() {
    assert!(family::<ShortMap>().is_none_or(|tally| tally == [54, 18, 39]));
}

#[test]
fn long_sum() {
    assert!(family::<LongSum>().is_none_or(|tally| tally == [54, 18, 39]));
}

/// In order: the five forks and the sums in a row deviate as well.
#[test]
fn string_list() {
    assert!(family::<StringList>().is_none_or(|tally| tally == [36, 36, 39]));
}

#[test]
fn affine() {
    assert!(family::<Affinity>().is_none_or(|tally| tally == [36, 36, 39]));
}

/// Every case has one place; none is counted twice or forgotten.
#[test]
fn all_cases_are_accounted_for() {
    let Some(cases) = golden::cases() else { return };
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *tally
            .entry(match place(&case.job) {
                Runs => "runs",
                Deviates(_) => "deviates",
                Left(why) => why,
            })
            .or_default() += 1;
    }
    let jobs: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.job).collect();
    assert_eq!(jobs.len(), JOBS.len());
    assert_eq!(cases.len(), 555);
    assert_eq!(
        tally,
        BTreeMap::from([("runs", 270), ("deviates", 90), (JOINS, 165), (CHANGES, 30)])
    );
}

/// `also_same_sink_order`: said as the ancestor says it, the job is refused with what to do.
#[test]
fn two_writes_to_one_sink_are_refused() {
    let error = jobs::two_writes_to_one_sink::<LongSum>().plan().err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("merge"), "{error}");
}

/// `self_also_two_writes`: a write that is given twice is one write (trap 17).
#[test]
fn one_write_given_twice_writes_once() {
    let inputs = BTreeMap::from([("s1".to_string(), vec![1, 2, 7])]);
    let mut pairs = Vec::new();
    for x in &inputs["s1"] {
        pairs.extend(functions::f1::<LongSum>(*x));
    }
    pairs.sort();
    for how in ways::<LongSum>() {
        let totals = run::<LongSum>(&jobs::one_write_twice::<LongSum>(), &inputs, how).expect("a run");
        let mut written = totals.written(rufous_core::Sink::<(String, i64)>::new("w"));
        written.sort();
        assert_eq!(written, pairs, "{how:?}");
    }
}

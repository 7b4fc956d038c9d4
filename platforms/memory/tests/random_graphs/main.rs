//! Random jobs over random records.
//!
//! What it proves: whatever can be said with the words of this issue leaves what an interpreter over plain collections
//! says, in every store, sink and counter: for every size of chunks, with the planner's rules on, off and one at a
//! time, in one thread and in several. Writes and counters are compared exactly, so a step whose effects can be seen
//! runs once for each record, whatever was rewritten (traps 17 and 18). Jobs in order: see [`ordered`]. The laws of the
//! planner: see [`laws`].
//!
//! A graph that fails is shrunk and printed as a line for [`kept`] and as DOT. The same 2000 graphs are drawn in every
//! run; `RUFOUS_GRAPHS` says how many others are, for a hunt.

mod answer;
mod functions;
mod job;
mod kept;
mod laws;
mod ordered;
mod picture;
mod ports;
mod spec;
mod steps;
mod strategy;
mod word;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rufous_core::{Result, Rules};
use rufous_platform_memory::{Concurrent, Memory, Totals};

use functions::{Rec, source};
use spec::Spec;
use strategy::Inputs;

/// How a graph is run.
#[derive(Clone, Copy, Debug)]
enum How {
    Memory(usize),
    Concurrent(usize),
}

/// Which rules: none, all, or one of them.
#[derive(Clone, Copy, Debug)]
enum Which {
    None,
    All,
    /// The place of a rule in their list, modulo its length.
    Only(usize),
}

impl Which {
    fn rules(self) -> Rules {
        match self {
            Self::None => Rules::none(),
            Self::All => Rules::all(),
            Self::Only(place) => {
                let names = Rules::names();
                Rules::only(names[place % names.len()])
            }
        }
    }
}

fn records(inputs: &Inputs, f: u8) -> (rufous_core::Source<Rec>, Vec<Rec>) {
    let (place, port) = source(f);
    (port, inputs[place].iter().map(|&x| Rec(x)).collect())
}

fn run(spec: &Spec, inputs: &Inputs, how: How, which: Which) -> Result<Totals> {
    let job = spec.job();
    // What a job does not read cannot be bound.
    let plan = job.plan()?;
    let sources = (0..3).map(|f| records(inputs, f));
    let sources = sources.filter(|(port, _)| plan.sources().iter().any(|s| s.name == port.name()));
    match how {
        How::Memory(chunk) => {
            let memory = Memory::new().chunk(chunk).rules(which.rules());
            job.run_on(&sources.fold(memory, |memory, (port, records)| memory.source(port, records)))
        }
        How::Concurrent(threads) => {
            let concurrent = Concurrent::new(threads).chunk(3).rules(which.rules());
            job.run_on(&sources.fold(concurrent, |c, (port, records)| c.source(port, records)))
        }
    }
}

/// What [`kept`] and the properties check of a graph.
fn same_answer(spec: &Spec, inputs: &Inputs, how: How, which: Which) -> std::result::Result<(), TestCaseError> {
    let plan = || {
        spec.job()
            .plan_with(&which.rules())
            .map_or_else(|e| e.to_string(), |plan| plan.dot().to_string())
    };
    let totals = run(spec, inputs, how, which)
        .map_err(|e| TestCaseError::fail(format!("{how:?}, {which:?}: {e}\n{}", plan())))?;
    let (left, must) = (spec.left_by(&totals), spec.answer(inputs));
    prop_assert_eq!(left, must, "{:?}, {:?}\n{}", how, which, plan());
    Ok(())
}

fn graphs() -> u32 {
    let said = std::env::var("RUFOUS_GRAPHS")
        .ok()
        .map(|n| n.parse().expect("RUFOUS_GRAPHS: a number"));
    said.unwrap_or(2000)
}

fn check<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> std::result::Result<(), TestCaseError>) {
    check_on(graphs(), strategy, test);
}

fn check_on<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> std::result::Result<(), TestCaseError>) {
    let config = Config {
        cases,
        // A found graph is kept as a line of `kept`, where it is read with its reason.
        failure_persistence: None,
        // Many records take long to shrink.
        max_shrink_iters: (10 * cases).clamp(1_000, 20_000),
        ..Config::default()
    };
    // The same graphs in every run; other ones for a hunt.
    let mut runner = match std::env::var_os("RUFOUS_GRAPHS") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    if let Err(e) = runner.run(&strategy, test) {
        panic!("{e}");
    }
}

/// Every rule keeps the answer and the number of visible effects, alone and with all others; so does every size of
/// chunks.
#[test]
fn a_graph_leaves_what_the_oracle_says() {
    let which = (0..64_usize).prop_map(Which::Only);
    let chunk = prop_oneof![Just(1_usize), 2..9_usize, Just(1024)];
    check(
        (strategy::specs(), strategy::inputs(), chunk, which),
        |(spec, inputs, chunk, only)| {
            for which in [Which::None, Which::All, only] {
                same_answer(&spec, &inputs, How::Memory(chunk), which)?;
            }
            Ok(())
        },
    );
}

/// Several threads leave the same; in particular a self-merge counts twice (the ancestor's did not).
#[test]
fn threads_leave_the_same() {
    let which = prop_oneof![Just(Which::None), Just(Which::All)];
    check(
        (strategy::specs(), strategy::inputs(), 1..5_usize, which),
        |(spec, inputs, threads, which)| same_answer(&spec, &inputs, How::Concurrent(threads), which),
    );
}

/// Many records: chunks are full, steps are interrupted when their output is, threads share the work. A hundredth of
/// the graphs.
#[test]
fn many_records_leave_what_the_oracle_says() {
    let chunk = prop_oneof![2 => Just(1024_usize), 1 => 100..1024_usize];
    let which = prop_oneof![Just(Which::None), Just(Which::All)];
    let drawn = (strategy::specs(), strategy::many_inputs(), chunk, 2..5_usize, which);
    check_on(
        graphs().div_ceil(100),
        drawn,
        |(spec, inputs, chunk, threads, which)| {
            same_answer(&spec, &inputs, How::Memory(chunk), which)?;
            same_answer(&spec, &inputs, How::Concurrent(threads), which)
        },
    );
}

/// The text of a graph is the graph, so that a found one can be kept.
#[test]
fn a_graph_is_read_from_its_text() {
    check(strategy::specs(), |spec| {
        prop_assert_eq!(Spec::parse(&spec.to_string()), spec);
        Ok(())
    });
}

/// The draw is worth something: every word is drawn, forks, self-merges and long graphs among them.
#[test]
fn every_word_is_drawn() {
    let seen = std::cell::RefCell::new(std::collections::BTreeMap::<&str, usize>::new());
    check(strategy::specs(), |spec| {
        let mut seen = seen.borrow_mut();
        for (i, step) in spec.steps.iter().enumerate() {
            *seen.entry(step.word.text()).or_default() += 1;
            let readers = spec.steps.iter().filter(|s| s.inputs.contains(&i)).count();
            *seen.entry("a fork").or_default() += usize::from(readers > 1);
            *seen.entry("a self-merge").or_default() +=
                usize::from(step.inputs.len() == 2 && step.inputs[0] == step.inputs[1]);
        }
        *seen.entry("a long graph").or_default() += usize::from(spec.steps.len() > 25);
        Ok(())
    });
    let seen = seen.into_inner();
    for what in word::Word::ALL
        .iter()
        .map(|w| w.text())
        .chain(["a fork", "a self-merge", "a long graph"])
    {
        assert!(seen.contains_key(what), "never drawn: {what}");
    }
}

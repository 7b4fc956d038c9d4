//! Random jobs on the platforms that keep state: live with small commits and records handed out twice, as a hybrid at
//! every split, in bulk. The graphs, their shrinking and their oracle over plain collections are those of the model
//! platform's test; a failing graph is printed as a line for its `kept` and as DOT. `RUFOUS_GRAPHS` says how many graphs
//! that test draws; here it is a fourth.
#![allow(dead_code, reason = "each test uses a part of what they share")]

#[path = "../../../platforms/memory/tests/random_graphs/answer.rs"]
mod answer;
#[path = "../../../platforms/memory/tests/random_graphs/functions.rs"]
mod functions;
#[path = "../../../platforms/memory/tests/random_graphs/job.rs"]
mod job;
#[path = "../../../platforms/memory/tests/random_graphs/ports.rs"]
mod ports;
#[path = "../../../platforms/memory/tests/random_graphs/spec.rs"]
mod spec;
#[path = "../../../platforms/memory/tests/random_graphs/steps.rs"]
mod steps;
#[path = "../../../platforms/memory/tests/random_graphs/strategy.rs"]
mod strategy;
#[path = "../../../platforms/memory/tests/random_graphs/word.rs"]
mod word;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rufous_core::Source;
use rufous_core::testing::{Case, Input, SourceInput, SourcePort, Subject};
use rufous_integration_tests::subjects::{Bulk, Feed, Hybrid, Live};

use answer::COUNTERS;
use spec::Spec;
use strategy::Inputs;

/// The graph as a case of the same-answer machine.
fn case(spec: &Spec, inputs: &Inputs, seed: u64) -> rufous_core::Result<Case> {
    let job = spec.job();
    let plan = job.plan()?;
    let mut input: Option<Input> = None;
    for (place, source) in (0..3).map(functions::source) {
        if !plan.sources().iter().any(|s| s.name == source.name()) {
            continue;
        }
        let lines = inputs[place].iter().map(|x| format!("{{\"x\":{x}}}"));
        let log = SourceInput::json(seed + place as u64, lines);
        // Platforms of logs bind a source by its name; its type is the job's.
        let port = SourcePort::Texts(Source::new(source.name()));
        input = Some(match input {
            Some(input) => input.and(port, log),
            None => Input::of(port, log),
        });
    }
    let must = spec.answer(inputs);
    let input = input.ok_or_else(|| rufous_core::Error::bug("a graph without a source"))?;
    let mut case = Case::new("a random graph", job, input);
    for (step, cells) in must.sums {
        case = case.store(ports::sums::<i64>(step), cells);
    }
    for (i, n) in must.counters.into_iter().enumerate().take(COUNTERS) {
        case = case.counter(ports::counter(i as u8), n);
    }
    Ok(case)
}

fn same_answer(subject: &dyn Subject) {
    let drawn: u32 = std::env::var("RUFOUS_GRAPHS").map_or(2_000, |n| n.parse().expect("RUFOUS_GRAPHS: a number"));
    let config = Config {
        cases: drawn.div_ceil(4),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let specs = strategy::specs().prop_filter_map("too many ends", Spec::of_sums);
    // The same graphs in every run; other ones for a hunt.
    let mut runner = match std::env::var_os("RUFOUS_GRAPHS") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let result = runner.run(&(specs, strategy::inputs(), any::<u16>()), |(spec, inputs, seed)| {
        let fail = |e: rufous_core::Error| TestCaseError::fail(format!("{}: {e}", subject.name()));
        let case = case(&spec, &inputs, u64::from(seed)).map_err(fail)?;
        let differences = case.differences(&subject.run(&case).map_err(fail)?).map_err(fail)?;
        let plan = case.job().plan().map_err(fail)?;
        prop_assert!(
            differences.is_empty(),
            "{}:\n{differences}\n{}",
            subject.name(),
            plan.dot()
        );
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}

/// P11, P12: what is committed is what was read, once.
#[test]
fn live() {
    same_answer(&Live {
        feed: Feed::Listed(7),
        small_commits: true,
        goes_back: Some(0x90e5_bac4),
        disk: false,
    });
}

/// Equation 2: the hybrid at every split.
#[test]
fn hybrid() {
    same_answer(&Hybrid);
}

/// Equation 2: in bulk, over an archive of files.
#[test]
fn bulk() {
    same_answer(&Bulk { threads: 3 });
}

/// A record less is a difference: the comparison is of something.
#[test]
fn a_difference_is_found() {
    let spec = Spec::parse("source/0; key-by/0 0; sum-by-key/0 1");
    let (all, fewer) = ([vec![1, 2, 3], vec![], vec![]], [vec![1, 2], vec![], vec![]]);
    let (all, fewer) = (case(&spec, &all, 1).unwrap(), case(&spec, &fewer, 1).unwrap());
    assert_eq!(all.differences(&Hybrid.run(&all).unwrap()).unwrap(), "");
    let differences = all.differences(&Hybrid.run(&fewer).unwrap()).unwrap();
    assert!(differences.contains("p2"), "{differences}");
}

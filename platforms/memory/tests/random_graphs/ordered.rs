//! Random jobs in order: every sum is a list, which shows the order of what it was given.
//!
//! A record goes through the whole job before the next one does, in order of event time, then as given. So what an end
//! holds is what the oracle gives it of the first record, then of the second, and so on. In which order the paths of a
//! fork bring the parts of one record is not promised: each record's part is compared as a multiset.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rufous_core::{InOrder, Job, KeyedProducer, Producer, Rules, Source, Summed, Written};
use rufous_platform_memory::{Memory, Totals};

use super::answer::{COUNTERS, Given};
use super::check;
use super::functions::{self as fun, Rec};
use super::job::job_of;
use super::ports::{counter, sink, sums};
use super::spec::Spec;
use super::steps::{Stream, stateless};
use super::strategy::{self, Inputs};
use super::word::Word;

enum Built {
    Records(Producer<Rec, InOrder>),
    Pairs(KeyedProducer<i64, i64, InOrder>),
    Sum(Summed<i64, Vec<i64>, InOrder>),
    Write(Written<Rec, InOrder>),
}

fn job(spec: &Spec) -> Job<InOrder> {
    let mut built: Vec<Built> = Vec::new();
    for (i, step) in spec.steps.iter().enumerate() {
        let records = |n: usize| match &built[step.inputs[n]] {
            Built::Records(records) => records.clone(),
            Built::Write(write) => write.clone().records(),
            _ => unreachable!("no records"),
        };
        let pairs = |n: usize| match &built[step.inputs[n]] {
            Built::Pairs(pairs) => pairs.clone(),
            _ => unreachable!("no pairs"),
        };
        let next = match step.word {
            Word::Source => Built::Records(fun::source(step.f).1.read().in_order()),
            Word::Write => Built::Write(records(0).write(sink(i))),
            Word::SumByKey => Built::Sum(pairs(0).map_values(|v| vec![*v]).sum_by_key(sums(i))),
            _ => match stateless(i, step, &records, &pairs) {
                Some(Stream::Records(records)) => Built::Records(records),
                Some(Stream::Pairs(pairs)) => Built::Pairs(pairs),
                None => unreachable!("{} is not drawn", step.word.text()),
            },
        };
        built.push(next);
    }
    let (mut sums, mut writes) = (Vec::new(), Vec::new());
    for step in built {
        match step {
            Built::Sum(sum) => sums.push(sum),
            Built::Write(write) => writes.push(write),
            _ => {}
        }
    }
    job_of(&sums, &[] as &[Summed<i64, i64, InOrder>], &writes)
}

/// What the ends are given of each record, in the order of the records. `places` are those of the sources in the plan.
fn given(spec: &Spec, inputs: &Inputs, sources: &[(usize, Source<Rec>)]) -> BTreeMap<Given, Vec<Vec<i64>>> {
    let mut order = Vec::new();
    for (place, (number, port)) in sources.iter().enumerate() {
        let time = |x: i64| port.time_of(&Rec(x));
        order.extend(
            inputs[*number]
                .iter()
                .enumerate()
                .map(|(i, &x)| (time(x), place, i, *number, x)),
        );
    }
    order.sort();
    let mut all: BTreeMap<Given, Vec<Vec<i64>>> = BTreeMap::new();
    for (.., number, x) in order {
        let mut alone = Inputs::default();
        alone[number].push(x);
        for (to, part) in spec.given(&alone) {
            all.entry(to).or_default().push(part);
        }
    }
    all
}

/// Cuts what an end holds into the parts of the records, if it is as long as they are together.
fn cut(mut held: Vec<i64>, parts: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let mut cut = Vec::new();
    for part in parts {
        let rest = held.split_off(part.len().min(held.len()));
        cut.push(std::mem::replace(&mut held, rest));
    }
    if !held.is_empty() {
        cut.push(held);
    }
    cut
}

fn held(spec: &Spec, totals: &Totals) -> BTreeMap<Given, Vec<i64>> {
    let mut held = BTreeMap::new();
    for (i, step) in spec.steps.iter().enumerate() {
        match step.word {
            Word::SumByKey => {
                let lists = totals.all(sums::<Vec<i64>>(i)).into_iter();
                held.extend(lists.map(|(k, list)| (Given::Value(i, k), list)));
            }
            Word::Write => {
                let written = totals.written(sink(i)).iter().map(|x| x.0).collect();
                held.insert(Given::Record(i), written);
            }
            _ => {}
        }
    }
    held
}

fn check_order(spec: &Spec, inputs: &Inputs, rules: &Rules) -> Result<(), TestCaseError> {
    let job = job(spec);
    let plan = job.plan_with(rules).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let place = |port: &Source<Rec>| plan.sources().iter().position(|s| s.name == port.name());
    let mut sources: Vec<_> = (0..3).map(fun::source).collect();
    sources.retain(|(_, port)| place(port).is_some());
    sources.sort_by_key(|(_, port)| place(port));
    let mut memory = Memory::new().rules(rules.clone());
    for (number, port) in &sources {
        memory = memory.source(*port, inputs[*number].iter().map(|&x| Rec(x)));
    }
    let totals = job.run_on(&memory).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let (mut held, parts) = (held(spec, &totals), given(spec, inputs, &sources));
    for (to, mut parts) in parts {
        let mut cut = cut(held.remove(&to).unwrap_or_default(), &parts);
        cut.iter_mut().chain(&mut parts).for_each(|part| part.sort_unstable());
        prop_assert_eq!(cut, parts, "{:?}\n{}", to, plan.dot());
    }
    prop_assert!(held.values().all(Vec::is_empty), "more than was given: {:?}", held);
    let counters: Vec<u64> = (0..COUNTERS).map(|i| totals.counter(counter(i as u8))).collect();
    prop_assert_eq!(counters, spec.answer(inputs).counters);
    Ok(())
}

/// Stores, sinks and counters, with every rule and with none.
#[test]
fn an_ordered_job_keeps_the_order_of_the_records() {
    let rules = prop_oneof![Just(Rules::none()), Just(Rules::all())];
    let drawn = (strategy::specs_in_order(), strategy::inputs(), rules);
    check(drawn, |(spec, inputs, rules)| check_order(&spec, &inputs, &rules));
}

/// A job that is said in order and only writes keeps the order as well: `Totals::written` promises it.
#[test]
fn an_ordered_job_that_only_writes_keeps_the_order() {
    let spec = Spec::parse("source/0; merge-records/0 0 0; write/0 1");
    check_order(&spec, &[vec![0, 1], vec![], vec![]], &Rules::all()).unwrap_or_else(|e| panic!("{e}"));
}

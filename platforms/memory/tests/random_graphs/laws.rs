//! The laws of the planner on random graphs, as they can be seen from outside, in the picture of the plan.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rufous_core::{Plan, Rules};

use super::picture::{Node, Picture};
use super::ports::name_of;
use super::spec::Spec;
use super::word::Word;
use super::{Which, check, strategy};

fn plan(spec: &Spec, rules: &Rules) -> Plan {
    spec.job().plan_with(rules).unwrap_or_else(|e| panic!("{e}\n{spec:?}"))
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![Just(Which::None), Just(Which::All), (0..64_usize).prop_map(Which::Only)]
}

/// Runs a law on plans made with some rules, given the picture.
fn law(test: impl Fn(&Spec, Which, &Picture) -> Result<(), TestCaseError>) {
    check((strategy::specs(), which()), |(spec, which)| {
        let plan = plan(&spec, &which.rules());
        let picture = Picture::of(plan.dot());
        test(&spec, which, &picture).map_err(|e| TestCaseError::fail(format!("{e}\n{}", plan.explain(None))))
    });
}

/// Everything that was said and does something has exactly one place (reference 7.5). Names, declarations and what an
/// end hands on are marks on a step; so is a merge, unless several read it.
#[test]
fn every_step_has_one_place() {
    law(|_, _, picture| {
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        for said in picture.plan.values().flat_map(|node| &node.said) {
            *places.entry(*said).or_default() += 1;
        }
        for (number, node) in &picture.graph {
            let places = places.remove(number).unwrap_or(0);
            match node.word.as_str() {
                "named" | "counting" | "deltas" | "records" => prop_assert_eq!(places, 0, "#{} {:?}", number, node),
                "merge" => prop_assert!(places <= 1, "#{} {:?}", number, node),
                _ => prop_assert_eq!(places, 1, "#{} {:?}", number, node),
            }
        }
        prop_assert!(places.is_empty(), "placed, but never said: {:?}", places);
        Ok(())
    });
}

/// Only sources have no input, only ends have no reader, and inputs come before those that read them.
#[test]
fn only_sources_lack_an_input() {
    law(|_, _, picture| {
        for (place, node) in &picture.plan {
            prop_assert_eq!(node.inputs.is_empty(), node.word == "read", "{} {:?}", place, node);
            prop_assert!(node.inputs.iter().all(|input| input < place), "{} {:?}", place, node);
            let end = matches!(node.word.as_str(), "sum-by-key" | "aggregate-by-key" | "write");
            prop_assert!(end || !node.readers.is_empty(), "{} {:?}", place, node);
        }
        Ok(())
    });
}

/// A plan has one node for each step of the job's words, whatever is rewritten: the plan with rules is never larger
/// than the one without, but for combiners.
#[test]
fn a_rewritten_plan_is_never_larger() {
    law(|spec, _, picture| {
        let plain = Picture::of(plan(spec, &Rules::none()).dot());
        let size = |picture: &Picture| picture.plan.values().filter(|node| node.word != "combine").count();
        prop_assert!(size(picture) <= size(&plain));
        prop_assert!(plain.plan.values().all(|node| node.word != "combine"));
        Ok(())
    });
}

/// Names stay with their steps through every rewrite, and are nowhere else.
#[test]
fn names_survive() {
    law(|spec, _, picture| {
        let mut said = Vec::new();
        for (i, step) in spec.steps.iter().enumerate().filter(|(_, step)| step.word.names()) {
            let of = &spec.steps[spec.nameable(step.inputs[0])];
            said.push((name_of(i), word_of(of.word).to_string()));
        }
        let mut kept = Vec::new();
        for node in picture.plan.values() {
            kept.extend(node.names.iter().map(|name| (name.clone(), node.word.clone())));
        }
        said.sort();
        kept.sort();
        prop_assert_eq!(kept, said);
        Ok(())
    });
}

/// The last word that the job says for a step.
fn word_of(word: Word) -> &'static str {
    match word {
        Word::Source => "read",
        Word::FlatMapCounting => "flat-map",
        Word::KeyedCounting => "keyed",
        Word::FlatMapValuesCounting => "flat-map-values",
        Word::KeyedPairsCounting => "keyed-pairs",
        Word::CountRecords | Word::CountRecordsBy | Word::CountPairs | Word::CountPairsBy => "counted",
        Word::Either | Word::Keys | Word::Values | Word::PairsAsRecords => "map",
        Word::KeyBy | Word::DeltaValuesBy => "map-values",
        Word::DeltaMapKeys => "map-keys",
        Word::DeltaFilterKeys => "filter-keys",
        Word::DeltaFlatMapKeys => "flat-map-keys",
        Word::MergeRecords | Word::MergePairs | Word::MergeDeltas => "merge",
        Word::SumDeltas => "sum-by-key",
        word => word.text(),
    }
}

/// Planning is a function of what was said: a job built anew has the same plan, to the letter.
#[test]
fn planning_twice_gives_the_same_text() {
    check((strategy::specs(), which()), |(spec, which)| {
        let (one, two) = (plan(&spec, &which.rules()), plan(&spec, &which.rules()));
        prop_assert_eq!(one.explain(None), two.explain(None));
        prop_assert_eq!(one.dot(), two.dot());
        let plain = plan(&spec, &Rules::none());
        prop_assert_eq!(
            one.fingerprint(),
            plain.fingerprint(),
            "rules change no answer, so no fingerprint"
        );
        Ok(())
    });
}

/// A rule leaves nothing that it would do again: where it was applied, its precondition holds nowhere.
#[test]
fn rules_leave_nothing_to_do() {
    law(|_, which, picture| {
        let applied = |name: &str| match which {
            Which::None => false,
            Which::All => true,
            Which::Only(place) => Rules::names()[place % Rules::names().len()] == name,
        };
        let plan = &picture.plan;
        // The step before one that has a single input and is read by it alone.
        let alone = |node: &Node| match node.inputs[..] {
            [input] if plan[&input].readers.len() == 1 && plan[&input].inputs.len() == 1 => Some(&plan[&input]),
            _ => None,
        };
        let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
        for node in plan.values() {
            let before = alone(node).map_or("", |before| &before.word);
            match node.word.as_str() {
                "read" => *sources.entry(&node.about).or_default() += 1,
                "filter-keys" if applied("filter-keys-first") => {
                    // A step that counts runs as often as it was said to. Which counts, the picture does not show.
                    let passed = before == "map-values";
                    prop_assert!(!passed, "could pass {}: {:?}", before, node);
                }
                "filter-values" if applied("filter-values-first") => {
                    let passed = before == "map-keys";
                    prop_assert!(!passed, "could pass {}: {:?}", before, node);
                }
                "flat-map-keys" if applied("combine-before-keys") => {
                    prop_assert!(
                        combined(plan, node) || !reaches_a_sum(plan, node),
                        "not combined: {:?}",
                        node
                    );
                }
                _ => {}
            }
        }
        if applied("share-sources") {
            prop_assert!(sources.values().all(|n| *n == 1), "{:?}", sources);
        }
        Ok(())
    });
}

fn is_key_step(node: &Node) -> bool {
    matches!(node.word.as_str(), "map-keys" | "filter-keys" | "flat-map-keys")
}

/// Whether all that goes in is added up, perhaps before other key steps.
fn combined(plan: &BTreeMap<usize, Node>, node: &Node) -> bool {
    node.inputs.iter().all(|input| {
        let input = &plan[input];
        match input.word.as_str() {
            "combine" | "sum-by-key" => true,
            _ => is_key_step(input) && combined(plan, input),
        }
    })
}

/// Whether only key steps, each read once, are between the step and a sum that can be combined.
fn reaches_a_sum(plan: &BTreeMap<usize, Node>, node: &Node) -> bool {
    match node.readers[..] {
        [reader] => {
            let reader = &plan[&reader];
            reader.word == "sum-by-key" || is_key_step(reader) && reaches_a_sum(plan, reader)
        }
        _ => false,
    }
}

/// The name of a merge is a name like any other: it stays in the plan, and options may go by it.
#[test]
fn a_named_merge_keeps_its_name() {
    let spec = Spec::parse("source/0; source/1; merge-records/0 0 1; name-records/0 2; write/0 3");
    let picture = Picture::of(plan(&spec, &Rules::all()).dot());
    let names: Vec<_> = picture.plan.values().flat_map(|node| &node.names).collect();
    assert_eq!(names, ["name-3"]);
}

//! The machine itself: it must find what is wrong. Each subject here gives the expected answers and spoils them in one
//! way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rufous_algebra::Codec;

use super::*;
use crate::error::{Error, Result};
use crate::testing::{Answers, Input, SourceInput};
use crate::{Counter, Job, Source, Store};

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const SEEN: Counter = Counter::new("seen");

/// Two lines `a`, one `b`; of `c` an expected zero.
fn case() -> Case {
    let counts = LINES
        .read()
        .counted(SEEN)
        .keyed(|line, out| out.emit(line, 1))
        .sum_by_key(COUNTS);
    let input = Input::of(LINES, SourceInput::text(1, ["a", "b", "a"]));
    let cells = [("a", 2), ("b", 1), ("c", 0)].map(|(k, n)| (k.to_string(), n));
    Case::new("the machine itself", Job::new("small", counts), input)
        .store(COUNTS, cells)
        .counter(SEEN, 3)
}

type Spoil = fn(&mut Answers);

struct Spoilt {
    spoil: Spoil,
    refuses: Option<Reason>,
    error: fn(&Case) -> Option<Error>,
}

impl Spoilt {
    fn with(spoil: Spoil) -> Self {
        Self {
            spoil,
            refuses: None,
            error: |_| None,
        }
    }
}

const DECLARED: Reason = Reason::Error("does not run here");

impl Subject for Spoilt {
    fn name(&self) -> String {
        "spoilt".into()
    }
    fn refusals(&self) -> &'static [Reason] {
        &[DECLARED]
    }
    fn can(&self, _: &Case) -> Result<(), Reason> {
        self.refuses.map_or(Ok(()), Err)
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        if let Some(error) = (self.error)(case) {
            return Err(error);
        }
        let mut answers = case.expected.answers.clone();
        (self.spoil)(&mut answers);
        Ok(answers)
    }
}

/// What the machine says about a subject: its report, or its complaint.
fn verdict(subject: &Spoilt) -> Result<Report, String> {
    let run = AssertUnwindSafe(|| check_cases(subject, [case()], &mut |_| {}));
    catch_unwind(run).map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn complaint(spoil: Spoil) -> String {
    verdict(&Spoilt::with(spoil)).expect_err("a spoilt answer passed")
}

fn counts(answers: &mut Answers) -> &mut crate::testing::Cells {
    answers.stores.get_mut("counts").unwrap()
}

fn one() -> Vec<u8> {
    1_u64.to_bytes()
}

fn bytes(key: &str) -> Vec<u8> {
    crate::key::to_bytes(key)
}

/// Trap 2: zero and absent are the same, in stores and counters, whichever side has the zero.
#[test]
fn zero_is_absent() {
    assert_eq!(verdict(&Spoilt::with(|_| {})).unwrap().ran, 1);
    let without = |a: &mut Answers| drop(counts(a).remove(&bytes("c")));
    assert_eq!(verdict(&Spoilt::with(without)).unwrap().ran, 1);
    let another = |a: &mut Answers| drop(counts(a).insert(bytes("d"), vec![0; 8]));
    assert_eq!(verdict(&Spoilt::with(another)).unwrap().ran, 1);
    let counter = |a: &mut Answers| a.counters.extend([("other".to_string(), 0)]);
    assert_eq!(verdict(&Spoilt::with(counter)).unwrap().ran, 1);
}

#[test]
fn a_difference_names_store_key_and_values() {
    let missing = complaint(|a| drop(counts(a).remove(&bytes("a"))));
    assert!(
        missing.contains("store counts, key \"a\": expected 2, got nothing"),
        "{missing}"
    );
    assert!(missing.contains("job small"), "the plan is shown: {missing}");
    let extra = complaint(|a| drop(counts(a).insert(bytes("x"), one())));
    assert!(extra.contains("key \"x\": expected nothing, got 1"), "{extra}");
    let other = complaint(|a| drop(counts(a).insert(bytes("a"), one())));
    assert!(other.contains("key \"a\": expected 2, got 1"), "{other}");
    let foreign = complaint(|a| {
        let cells = counts(a).clone();
        a.stores.insert("another".into(), cells);
    });
    assert!(foreign.contains("store another"), "{foreign}");
    let sink = complaint(|a| drop(a.sinks.insert("s".into(), [("x".to_string(), 1)].into())));
    assert!(sink.contains("sink s, record x: expected 0, got 1"), "{sink}");
    let counter = complaint(|a| a.counters.extend([("seen".to_string(), 4)]));
    assert!(counter.contains("counter seen: expected 3, got 4"), "{counter}");
}

/// A case that fails to run is a failure, not a refusal.
#[test]
fn errors_and_refusals() {
    let invalid: fn(&Case) -> Option<Error> = |_| Some(Error::invalid("does not run here"));
    let failing = Spoilt {
        error: invalid,
        ..Spoilt::with(|_| {})
    };
    assert!(verdict(&failing).unwrap_err().contains("does not run here"));

    let refusing = |refuses, error| {
        verdict(&Spoilt {
            refuses: Some(refuses),
            error,
            ..Spoilt::with(|_| {})
        })
    };
    let report = refusing(DECLARED, invalid).unwrap();
    assert_eq!((report.ran, report.refused), (0, BTreeMap::from([(DECLARED, 1)])));
    let undeclared = refusing(Reason::Error("other"), invalid).unwrap_err();
    assert!(undeclared.contains("does not declare"), "{undeclared}");
    let runs = refusing(DECLARED, |_| None).unwrap_err();
    assert!(runs.contains("should be refused"), "{runs}");
    let bug = refusing(DECLARED, |_| Some(Error::bug("does not run here"))).unwrap_err();
    assert!(bug.contains("expected to be refused"), "{bug}");
    // Who reads first meets a record that cannot be read.
    let reads_first = refusing(DECLARED, |case| {
        let unreadable = case.input().source("lines")?.events[0].payload == [0xff];
        Some(Error::invalid(if unreadable {
            "not UTF-8"
        } else {
            "does not run here"
        }))
    });
    assert!(reads_first.unwrap_err().contains("not UTF-8"));
}

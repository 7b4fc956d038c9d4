//! Row 16: what panics in a job's functions is the fault of a record, and touches no other record.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rufous_algebra::{Absorb, Codec, Commutative, DecodeError, Monoid, Semigroup};
use rufous_core::{ErrorKind, Job, Plan, Source, Store, Timestamp};
use rufous_realtime::{OnBadRecord, StreamOptions};
use support::{Bed, COUNTS, LINES, counted, sums, texts};

fn skipping(plan: &Plan) -> Bed {
    let mut bed = Bed::new(plan);
    bed.options.on_bad_record = OnBadRecord::Skip;
    bed
}

fn panics_at_x(plan_name: &'static str) -> Plan {
    let counts = LINES.read().keyed(|line, out| {
        assert!(!line.starts_with('x'), "cannot count {line}");
        out.emit(line, 1)
    });
    Job::new(plan_name, counts.sum_by_key(COUNTS)).plan().unwrap()
}

/// A closure that panics for some records: they are skipped and counted, whatever the chunks and commits.
#[test]
fn a_record_that_panics_is_skipped() {
    let plan = panics_at_x("closure");
    let lines: Vec<String> = (0..500)
        .map(|i| {
            if i % 37 == 5 {
                format!("x{i}")
            } else {
                format!("k{}", i % 11)
            }
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let good = || lines.iter().copied().filter(|l| !l.starts_with('x'));
    for (chunk, commit) in [(1, 1), (7, 1), (64, 10_000), (1000, 10_000)] {
        let mut bed = skipping(&plan);
        bed.chunk = chunk;
        bed.options.commit_interval = Duration::from_millis(commit);
        let report = bed.run(&plan, &texts(&lines)).unwrap();
        assert_eq!(bed.sums(&plan), counted(good()), "chunks of {chunk}");
        assert_eq!(report.bad, lines.len() as u64 - good().count() as u64);
        assert_eq!(
            bed.metrics
                .source("lines")
                .bad
                .load(std::sync::atomic::Ordering::Relaxed),
            report.bad
        );
    }
}

/// The policy `fail` names source, partition, offset and message; what was committed before stays right.
#[test]
fn the_policy_fail_names_the_record() {
    let plan = panics_at_x("fail");
    let mut bed = Bed::new(&plan);
    bed.chunk = 100;
    let lines = texts(&["a", "b", "a", "x1", "c"]);
    let e = bed.run(&plan, &lines).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    let text = e.to_string();
    for part in [
        "source `lines`",
        "partition 0, offset 3",
        "the job's function panicked: cannot count x1",
    ] {
        assert!(text.contains(part), "{text}");
    }
    bed.options.on_bad_record = OnBadRecord::Skip;
    bed.run(&plan, &lines).unwrap();
    assert_eq!(bed.sums(&plan), counted(["a", "b", "a", "c"]));
}

/// `timed_by` panics: the record takes the running batch and is bad, in the chunk as alone.
#[test]
fn a_time_that_panics_is_a_bad_record() {
    const TIMED: Source<str> = Source::new("lines").timed_by(|line| {
        assert!(!line.starts_with('x'), "no time");
        Timestamp(0)
    });
    let plan = Job::new("timed", TIMED.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS))
        .plan()
        .unwrap();
    let bed = skipping(&plan);
    let report = bed.run(&plan, &texts(&["a", "x", "b", "a", "x"])).unwrap();
    assert_eq!((bed.sums(&plan), report.bad), (counted(["a", "b", "a"]), 2));
}

/// Adds, but not 13, and cannot be written when a 17 is in it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Superstitious(u64);

const SEVENTEEN: u64 = 1 << 40;

impl Superstitious {
    fn of(n: u64) -> Self {
        Self(if n == 17 { SEVENTEEN } else { n })
    }
}
impl Semigroup for Superstitious {
    fn combine(&mut self, other: &Self) {
        assert!(self.0 != 13 && other.0 != 13, "thirteen");
        self.0 += other.0;
    }
}
impl Monoid for Superstitious {
    fn zero() -> Self {
        Self(0)
    }
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}
impl Commutative for Superstitious {}
impl Absorb<u64> for Superstitious {
    fn absorb(&mut self, item: &u64) {
        assert_ne!(*item, 13, "thirteen");
        self.0 += Self::of(*item).0;
    }
}
impl Codec for Superstitious {
    fn schema() -> String {
        "superstitious".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.0 < SEVENTEEN, "seventeen");
        self.0.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        u64::decode(bytes).map(Self)
    }
    fn json(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }
    fn magnitude(&self) -> f64 {
        self.0 as f64
    }
}
const TOTALS: Store<String, Superstitious> = Store::new("counts");

/// `absorb`, `combine` and `encode` of the user's types: each panics at another place of the engine.
#[test]
fn monoids_and_codecs_may_panic() {
    let number = |line: &str| line.parse::<u64>().unwrap();
    let absorbed = Job::new(
        "absorb",
        LINES
            .read()
            .keyed(move |l, out| out.emit("k", number(l)))
            .aggregate_by_key(TOTALS),
    );
    let summed = LINES
        .read()
        .keyed(move |l, out| out.emit("k", Superstitious::of(number(l))));
    let summed = Job::new("combine", summed.sum_by_key(TOTALS));
    for (name, plan) in [
        ("absorb", absorbed.plan().unwrap()),
        ("combine", summed.plan().unwrap()),
    ] {
        for bad in ["13", "17"] {
            for chunk in [1, 3, 100] {
                for commit in [1, 10_000] {
                    let mut bed = skipping(&plan);
                    bed.chunk = chunk;
                    bed.options.commit_interval = Duration::from_millis(commit);
                    let lines = ["100", "20", bad, "3000", "40"];
                    let report = bed.run(&plan, &texts(&lines));
                    let report = report.unwrap_or_else(|e| panic!("{name} {bad} {chunk} {commit}: {e}"));
                    assert_eq!(bed.sums(&plan)["k"], 3160, "{name} {bad} {chunk} {commit}");
                    assert_eq!(report.bad, 1, "{name} {bad} {chunk} {commit}");
                }
            }
        }
    }
}

/// A closure that is not pure: no record can be named, and the error says so; nothing is
/// counted twice until then.
#[test]
fn a_panic_that_no_record_repeats_is_an_error_that_says_so() {
    let seen = AtomicU64::new(0);
    let counts = LINES.read().keyed(move |line, out| {
        // On the normal way, and not in the trials: alone once, then added to itself.
        if line == "z" && [0, 2, 5].contains(&seen.fetch_add(1, Relaxed)) {
            panic!("in a bad mood");
        }
        out.emit(line, 1)
    });
    let plan = Job::new("moody", counts.sum_by_key(COUNTS)).plan().unwrap();
    let mut bed = skipping(&plan);
    bed.chunk = 100;
    bed.options.commit_interval = Duration::from_secs(60);
    let e = bed.run(&plan, &texts(&["a", "z", "b"])).unwrap_err();
    let text = e.to_string();
    for part in [
        "in a bad mood",
        "no single record",
        "lines/0 up to offset 3",
        "not pure",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(bed.sums(&plan).len(), 0);
}

/// A panic that came from outside and passed: nothing is bad, nothing is lost or doubled.
#[test]
fn a_panic_that_passes_costs_nothing() {
    let first = AtomicU64::new(0);
    let counts = LINES.read().keyed(move |line, out| {
        assert!(first.fetch_add(1, Relaxed) != 40, "once");
        out.emit(line, 1)
    });
    let plan = Job::new("once", counts.sum_by_key(COUNTS)).plan().unwrap();
    let bed = Bed::new(&plan);
    let lines: Vec<String> = (0..100).map(|i| format!("{}", i % 9)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let report = bed.run(&plan, &texts(&lines)).unwrap();
    assert_eq!((bed.sums(&plan), report.bad), (counted(lines), 0));
}

/// Several sources and steps behind combiners: what panics when a combiner hands on is found, too.
#[test]
fn steps_behind_a_combiner_may_panic() {
    const RIGHT: Source<str> = Source::new("right");
    let left = LINES.read().keyed(|l, out| out.emit(l, 1));
    let right = RIGHT.read().keyed(|l, out| out.emit(l, 1));
    let both = left.merge(right).flat_map_keys(|key, out| {
        assert!(!key.starts_with('x'), "a key with x");
        out.emit(key);
        out.emit("all");
    });
    let plan = Job::new("behind", both.sum_by_key(COUNTS)).plan().unwrap();
    let bed = skipping(&plan);
    let (left, right) = (["a", "b", "x1", "a"], ["x2", "b", "c", "x3"]);
    let logs = vec![
        bed.bind(&texts(&left)),
        rufous_realtime::BoundLog {
            source: "right".into(),
            ..bed.bind(&texts(&right))
        },
    ];
    let report = bed.run_on(&plan, Arc::new(bed.memory.clone()), logs).unwrap();
    let mut expected = counted(["a", "b", "a", "b", "c"]);
    expected.insert("all".into(), 5);
    assert_eq!((sums(&bed.memory, &plan, "counts"), report.bad), (expected, 3));
}

/// Row 16: a function that is slow stops nobody's records from counting once; the chunk on its way is committed meanwhile.
#[test]
fn a_slow_record_loses_nothing() {
    let counts = LINES.read().keyed(|line, out| {
        if line == "slow" {
            std::thread::sleep(Duration::from_millis(300));
        }
        out.emit(line, 1)
    });
    let plan = Job::new("slow", counts.sum_by_key(COUNTS)).plan().unwrap();
    let mut bed = Bed::new(&plan);
    bed.chunk = 1;
    bed.options = StreamOptions {
        commit_interval: Duration::from_millis(1),
        until_end: true,
        ..StreamOptions::default()
    };
    let lines = ["a", "slow", "b", "a", "slow", "c"];
    bed.run(&plan, &texts(&lines)).unwrap();
    assert_eq!(bed.sums(&plan), counted(lines));
}

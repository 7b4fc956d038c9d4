//! The test kit: right jobs pass, against plain collections; wrong ones are found out, with a message that helps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rufous_algebra::{Codec, Commutative, DecodeError, Hll, Semigroup};
use rufous_core::{Batcher, Clock, Counter, ErrorKind, Job, KeyedProducer, Sink, Source, Store, TimeBucket, Timestamp};
use rufous_platform_memory::JobTest;

const HOUR: u64 = 3_600_000;
const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const SHORT: Sink<String> = Sink::new("short");
const SEEN: Counter = Counter::new("seen");

fn words() -> KeyedProducer<String, u64> {
    LINES
        .read()
        .keyed(|line, out| line.split_whitespace().for_each(|word| out.emit(word, 1)))
}

fn text() -> Vec<String> {
    (0..60)
        .map(|i| format!("w{} w{} x{}", i % 7, i * i % 11, i % 2))
        .collect()
}

fn strs(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().map(String::as_str)
}

fn counted(lines: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in lines.iter().flat_map(|l| l.split_whitespace()) {
        *counts.entry(word.to_string()).or_default() += 1;
    }
    counts
}

/// Equation 2, for a job with several ends, a counter and deltas: batches of an hour, three partitions, late and repeated
/// records.
#[test]
fn a_right_job_has_one_answer() {
    const LENGTHS: Store<u64, u64> = Store::new("lengths");
    const HEADS: Store<String, u64> = Store::new("heads");
    let words = words().counted(SEEN);
    let short = words.clone().keys().filter(|word| word.len() < 3).write(SHORT);
    let lengths = words.clone().map_keys(|word| word.len() as u64).sum_by_key(LENGTHS);
    let counts = words.sum_by_key(COUNTS);
    let heads = counts.clone().deltas().flat_map_keys(|word, out| {
        out.emit(&word[..1]);
        out.emit("all");
    });
    let job = Job::new("right", (counts, short, lengths, heads.sum_by_key(HEADS)));
    let lines = text();
    let run = job
        .test()
        .partitions(LINES, 3)
        .every(600_000)
        .given(LINES, strs(&lines[..20]))
        .again(LINES, 5)
        .advance(3 * HOUR)
        .given(LINES, strs(&lines[20..40]))
        .late(LINES, 2 * HOUR, strs(&lines[40..50]))
        .again(LINES, 30)
        .given(LINES, strs(&lines[50..]))
        .compare(SHORT)
        .every_split()
        .unwrap();
    let counts = counted(&lines);
    assert_eq!(run.all(COUNTS), counts.clone().into_iter().collect::<Vec<_>>());
    assert_eq!(run.counter(SEEN), counts.values().sum::<u64>());
    assert_eq!(run.get(HEADS, "all"), Some(counts.values().sum()));
    let two = counts.iter().filter(|(w, _)| w.len() == 2).map(|(_, n)| n).sum();
    assert_eq!(run.get(LENGTHS, 2), Some(two));
    assert_eq!(run.written(SHORT).len() as u64, two);
}

/// The first digit of a line, as a day.
fn day_of(line: &str) -> Timestamp {
    Timestamp(i64::from(line.as_bytes()[1] - b'0') * 86_400_000)
}

/// Sources with batchers and clocks of their own, one of them by offset; an empty one.
#[test]
fn several_sources() {
    const DAYS: Source<str> = Source::new("days")
        .batches(Batcher::of_days(1))
        .timed_by(|line: &str| day_of(line))
        .batch_clock(Clock::Event);
    const PLAIN: Source<str> = Source::new("plain").batches(Batcher::of_offsets(3));
    const EMPTY: Source<str> = Source::new("empty");
    const BY_DAY: Store<TimeBucket, u64> = Store::new("by-day");
    let day = |source: Source<str>| {
        source
            .read()
            .keyed(|line: &str, out| out.emit(TimeBucket::day(day_of(line)), 1))
    };
    let all = day(DAYS).merge(day(PLAIN)).merge(day(EMPTY));
    let lines = text();
    let run = Job::new("sources", all.sum_by_key(BY_DAY))
        .test()
        .given(DAYS, strs(&lines))
        .given(PLAIN, strs(&lines[..10]))
        .given(EMPTY, Vec::<String>::new())
        .partitions(PLAIN, 2)
        .every_split()
        .unwrap();
    let mut days = BTreeMap::<TimeBucket, u64>::new();
    for line in lines.iter().chain(&lines[..10]) {
        *days.entry(TimeBucket::day(day_of(line))).or_default() += 1;
    }
    assert!(days.len() > 1);
    assert_eq!(run.all(BY_DAY), days.into_iter().collect::<Vec<_>>());
}

/// The clock: the log's times of records that are given, given late, and given with times.
#[test]
fn times_are_virtual() {
    const TIMED: Source<str> = Source::new("timed");
    let job = || {
        Job::new(
            "times",
            TIMED
                .read()
                .in_order()
                .keyed(|l, out| out.emit("all", vec![l.len() as u64]))
                .sum_by_key(LISTS),
        )
    };
    const LISTS: Store<String, Vec<u64>> = Store::new("lists");
    // In order of the log's times: the late record comes first, equal times as given.
    let run = job()
        .test()
        .clock(Timestamp(1_000_000))
        .every(0)
        .given(TIMED, ["1", "22"])
        .late(TIMED, 10, ["333"])
        .given_at(TIMED, [(Timestamp(999_995), "4444"), (Timestamp(2_000_000), "55555")])
        .given(TIMED, ["666666"])
        .run()
        .unwrap();
    assert_eq!(run.get(LISTS, "all"), Some(vec![3, 4, 1, 2, 5, 6]));
}

fn refused(result: rufous_core::Result<rufous_platform_memory::Totals>) -> String {
    let error = result.err().expect("this job is wrong");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error.to_string()
}

/// Law: pure closures. One that counts its calls gives another answer in every layer.
#[test]
fn an_impure_closure_is_found() {
    let calls = Arc::new(AtomicU64::new(0));
    let job = Job::new(
        "impure",
        LINES
            .read()
            .keyed(move |_, out| out.emit("n", calls.fetch_add(1, Relaxed)))
            .sum_by_key(COUNTS),
    );
    let message = refused(job.test().given(LINES, text()).every_split());
    assert!(
        message.starts_with("job `impure`: store `counts`, key `n`: 1770 whole, and "),
        "{message}"
    );
    assert!(message.contains("no pure function of its record"), "{message}");
}

/// A value that says it is commutative and is not.
macro_rules! wrong_value {
    ($name:ident, $schema:literal, |$a:ident, $b:ident| $combine:expr) => {
        #[derive(Clone, Debug, PartialEq)]
        struct $name(u64);
        impl Semigroup for $name {
            fn combine(&mut self, other: &Self) {
                let ($a, $b) = (self.0, other.0);
                self.0 = $combine;
            }
        }
        impl Commutative for $name {}
        impl Codec for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                u64::decode(bytes).map(Self)
            }
            fn schema() -> String {
                $schema.into()
            }
            fn json(&self) -> serde_json::Value {
                self.0.into()
            }
            fn magnitude(&self) -> f64 {
                self.0 as f64
            }
        }
    };
}
wrong_value!(Last, "last", |_a, b| b);
wrong_value!(First, "first", |a, _b| a);
wrong_value!(Half, "half", |a, b| (a + b) / 2 + 1);

/// Law: commutation. The last value depends on the order.
#[test]
fn a_value_that_does_not_commute_is_found() {
    const LAST: Store<String, Last> = Store::new("last");
    let job = Job::new(
        "last",
        LINES
            .read()
            .keyed(|line, out| out.emit("x", Last(line.len() as u64 * 7)))
            .sum_by_key(LAST),
    );
    let lines: Vec<String> = (0..40).map(|i| "a".repeat(i)).collect();
    let message = refused(job.test().given(LINES, strs(&lines)).every_split());
    assert!(
        message.contains("store `last`, key `x`: 273 whole, and") && message.contains("shuffled"),
        "{message}"
    );
}

/// The same for the first one.
#[test]
fn a_value_that_keeps_the_left_is_found() {
    const FIRST: Store<String, First> = Store::new("first");
    let pairs = LINES
        .read()
        .keyed(|line, out| out.emit("x", First(line.len() as u64 * 7)));
    let lines: Vec<String> = (0..40).map(|i| "a".repeat(i)).collect();
    let message = refused(
        Job::new("first", pairs.sum_by_key(FIRST))
            .test()
            .given(LINES, strs(&lines))
            .every_split(),
    );
    assert!(message.contains("store `first`, key `x`: 0 whole, and"), "{message}");
}

/// Law: association. Equal values in any order give the same, but not in other groups: only a split shows it.
#[test]
fn a_value_that_does_not_associate_is_found() {
    const HALF: Store<String, Half> = Store::new("half");
    let job = Job::new(
        "half",
        LINES.read().keyed(|_, out| out.emit("x", Half(100))).sum_by_key(HALF),
    );
    let message = refused(job.test().every(600_000).given(LINES, text()).every_split());
    assert!(
        message.contains("split between offline and realtime (lines/0 at "),
        "{message}"
    );
}

/// A sink is compared by number; by its records when the test says so.
#[test]
fn an_impure_write_is_found() {
    let job = || {
        let calls = Arc::new(AtomicU64::new(0));
        let texts = LINES
            .read()
            .map(move |line| format!("{line} {}", calls.fetch_add(1, Relaxed)));
        Job::new("writes", texts.write(SHORT))
    };
    assert_eq!(
        job()
            .test()
            .given(LINES, text())
            .every_split()
            .unwrap()
            .written(SHORT)
            .len(),
        60
    );
    let message = refused(job().test().given(LINES, text()).compare(SHORT).every_split());
    assert!(message.starts_with("job `writes`: sink `short` holds "), "{message}");
}

/// Of a store of the approximate tier only keys are compared; of others, sketches of the exact tier too, bytes.
#[test]
fn approximate_stores_are_named() {
    const ODD: Store<String, Last> = Store::new("odd");
    const USERS: Store<String, Hll<12>> = Store::new("users");
    let odd = LINES
        .read()
        .keyed(|line, out| out.emit("x", Last(line.len() as u64)))
        .sum_by_key(ODD);
    let users = LINES.read().keyed(|line, out| {
        let mut users = Hll::default();
        users.insert(line);
        out.emit("all", users);
    });
    let job = Job::new("approximate", (odd, users.sum_by_key(USERS)));
    let run = job
        .test()
        .partitions(LINES, 2)
        .given(LINES, text())
        .approximate(ODD)
        .every_split()
        .unwrap();
    assert!(run.get(USERS, "all").is_some());
}

#[test]
fn a_source_of_two_types() {
    #[derive(Clone)]
    struct Other;
    impl rufous_core::Record for Other {
        const FIELDS: &'static [rufous_core::Field] = &[];
        fn from_row(_: &rufous_core::Row<'_>) -> Result<Self, rufous_core::RecordError> {
            Ok(Self)
        }
    }
    const OTHERS: Source<Other> = Source::new("lines");
    let job = Job::new("types", words().sum_by_key(COUNTS));
    let message = refused(job.test().given(LINES, ["a"]).given(OTHERS, [Other]).run());
    assert_eq!(
        message,
        "source `lines` is given records of two types: one port, one type"
    );
}

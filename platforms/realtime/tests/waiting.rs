//! A table of versions that is behind (O19): a record above its completeness waits, with all that follows in its partition;
//! other partitions go on; nothing is counted twice or as of another instant.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::service::{Fetch, History, Version, now, remote, versions};
use rufous_core::{Error, ErrorKind, Job, Result, Service, Timestamp};
use rufous_store_api::ManifestLog;
use support::{Bed, COUNTS, LINES, Rec, lists};

const NAMES: Service<String, String> = Service::new("names");
const HOUR: i64 = 3_600_000;

fn job() -> Job {
    let lines = LINES.read().keyed(|line, out| out.emit(line, 1_u64)).left_join(NAMES);
    let named = lines.keyed_pairs(|line, (n, name), out| {
        out.emit(format!("{line} {}", name.as_deref().unwrap_or("-")), *n);
    });
    Job::new("names", named.sum_by_key(COUNTS))
}

fn version(key: &str, from: i64, name: &str) -> Version<String, String> {
    Version::new(key.to_string(), Timestamp(from), name.to_string())
}

fn counts(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(key, n)| (key.to_string(), *n)).collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// O19: partition 0 comes to a record of the second hour, for which the table is not complete, and stands still; partition 1,
/// all of the first hour, goes on. (That a time above its batch is looked up as of the batch's end is not tested here.)
#[test]
fn a_partition_waits_for_the_table() {
    let table = versions([version("a", 0, "first")], Timestamp(HOUR));
    let mut plan = job().plan().unwrap();
    plan.bind(NAMES, table.clone()).unwrap();
    let log = lists(vec![
        vec![
            Rec::at(10, "a"),
            Rec::at(HOUR + 5, "a"),
            Rec::at(20, "a"),
            Rec::at(HOUR + 7, "a"),
        ],
        (0..30).map(|i| Rec::at(i, "b")).collect(),
    ]);
    let bed = Bed::new(&plan);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| bed.run(&plan, &log));
        let before = counts(&[("a first", 1), ("b -", 30)]);
        until("what need not wait", || bed.sums(&plan) == before);
        // What came before it goes on, what comes behind it does not: it is the log's order.
        table
            .extend([version("a", HOUR + 6, "second")], Timestamp(HOUR + 6))
            .unwrap();
        let between = counts(&[("a first", 3), ("b -", 30)]);
        until("what is complete now", || bed.sums(&plan) == between);
        assert!(!running.is_finished());
        table.extend([], Timestamp(2 * HOUR)).unwrap();
        running.join().unwrap().unwrap();
    });
    assert_eq!(bed.sums(&plan), counts(&[("a first", 3), ("a second", 1), ("b -", 30)]));
}

/// A stream that is stopped while a partition waits goes on there when it starts again.
#[test]
fn stopped_while_waiting() {
    let table = versions([version("a", 0, "first")], Timestamp(HOUR));
    let mut plan = job().plan().unwrap();
    plan.bind(NAMES, table.clone()).unwrap();
    let log = lists(vec![(0..20).map(|i| Rec::at(i * HOUR / 10, "a")).collect()]);
    let mut bed = Bed::new(&plan);
    let stop = bed.options.stop.clone();
    std::thread::scope(|scope| {
        let stream = rufous_realtime::Stream {
            plan: &plan,
            logs: vec![bed.bind(&log)],
            store: std::sync::Arc::new(bed.memory.clone()),
            manifests: &bed.manifests,
            generations: None,
            metrics: bed.metrics.clone(),
            options: bed.options.clone(),
        };
        let running = scope.spawn(|| stream.run());
        until("the first hour", || bed.sums(&plan) == counts(&[("a first", 10)]));
        stop.store(true, Relaxed);
        running.join().unwrap().unwrap();
    });
    bed.options.stop = Default::default();
    table
        .extend([version("a", HOUR, "second")], Timestamp(3 * HOUR))
        .unwrap();
    bed.run(&plan, &log).unwrap();
    assert_eq!(bed.sums(&plan), counts(&[("a first", 10), ("a second", 10)]));
}

/// A service that does not answer stops the stream with an error that says so and passes; what was committed stays.
#[test]
fn a_service_that_is_away() {
    struct Away(AtomicUsize);
    impl Fetch<String, String> for Away {
        fn complete_until(&self) -> Result<Timestamp> {
            Ok(Timestamp(HOUR))
        }
        fn fetch(&self, keys: &[String]) -> Result<Vec<History<String>>> {
            match self.0.fetch_add(1, Relaxed) {
                0 => Ok(keys.iter().map(|_| Vec::new()).collect()),
                _ => Err(Error::try_again("no answer")),
            }
        }
    }
    let mut plan = job().plan().unwrap();
    plan.bind(NAMES, remote(Away(AtomicUsize::new(0)))).unwrap();
    let log = lists(vec![vec![Rec::at(1, "a"); 10], vec![Rec::at(1, "b"); 10]]);
    let e = Bed::new(&plan).run(&plan, &log).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(
        e.to_string().contains("service `names`") && e.to_string().contains("no answer"),
        "{e}"
    );
}

/// A port that is not bound: refused before the log is asked for anything.
#[test]
fn not_bound() {
    let plan = job().plan().unwrap();
    let e = Bed::new(&plan).run(&plan, &lists(vec![vec![]])).unwrap_err();
    assert!(
        e.to_string()
            .contains("service `names` is not bound: add `.service(NAMES, "),
        "{e}"
    );
}

/// O19: from its first manifest on a job says which services it asks as of now, so that every answer can.
#[test]
fn the_first_manifest_says_what_is_not_repeatable() {
    let mut plan = job().plan().unwrap();
    let ask = |keys: &[String]| Ok(keys.iter().map(|k| Some(k.to_uppercase())).collect());
    plan.bind(NAMES, now(ask).not_repeatable()).unwrap();
    let bed = Bed::new(&plan);
    bed.run(&plan, &lists(vec![vec![Rec::at(1, "a"); 3]])).unwrap();
    assert_eq!(bed.sums(&plan), counts(&[("a A", 3)]));
    let first = bed.manifests.get(0).unwrap().unwrap();
    assert_eq!((first.not_repeatable, first.format), (vec!["names".to_string()], 2));
}

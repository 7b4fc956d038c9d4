//! Joins with tables of versions, against their definition over plain lists (O17, O19).

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rufous_core::service::{MemoryPins, Pins, Tables, Version, Versions, now, snapshot_per_batch, versions};
use rufous_core::{BatchId, Batcher, ErrorKind, Job, Rules, Service, Source, Store, TextChunk, Timestamp, Trial};
use rufous_platform_memory::{JobTest, Memory};

/// `time key`
const VIEWS: Source<str> = Source::new("views").timed_by(|line| Timestamp(number(line, 0)));
const PAGES: Service<u64, u64> = Service::new("pages");
const SEEN: Store<(u64, u64), u64> = Store::new("seen");
const HOUR: i64 = 3_600_000;

fn number(line: &str, i: usize) -> i64 {
    line.split(' ').nth(i).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn job() -> Job {
    let views = VIEWS.read().keyed(|line, out| out.emit(number(line, 1) as u64, 1_u64));
    let seen = views
        .left_join(PAGES)
        .keyed_pairs(|&key, &(n, page), out| out.emit((key, page.unwrap_or(0)), n));
    Job::new("views", seen.sum_by_key(SEEN))
}

type Row = (u64, i64, Option<u64>);

fn table(rows: &[Row]) -> Versions<u64, u64> {
    let row = |&(key, from, value): &Row| Version {
        key,
        from: Timestamp(from),
        value,
    };
    versions(rows.iter().map(row), Timestamp(i64::MAX - 1))
}

/// The definition: of all rows of the key that do not begin after `at`, the last; of those that begin together, the last that
/// was given.
fn as_of(rows: &[Row], key: u64, at: i64) -> u64 {
    let before = rows.iter().filter(|(k, from, _)| *k == key && *from <= at);
    before
        .max_by_key(|(_, from, _)| *from)
        .and_then(|(.., v)| *v)
        .unwrap_or(0)
}

/// A view: when it is logged, its own time against that, its key. Hours and their edges are common.
fn view() -> impl Strategy<Value = (i64, i64, u64)> {
    let hours = (0..6_i64).prop_map(|h| h * HOUR);
    let near = prop_oneof![Just(-1_i64), Just(0), Just(1), -HOUR..HOUR];
    let off = prop_oneof![4 => Just(0_i64), 2 => -3 * HOUR..0, 1 => 0..2 * HOUR, 1 => Just(HOUR)];
    (hours, near, off, 0..4_u64).prop_map(|(h, near, off, key)| (10 * HOUR + h + near, off, key))
}

fn row() -> impl Strategy<Value = Row> {
    let hours = (0..8_i64).prop_map(|h| h * HOUR);
    let near = prop_oneof![Just(-1_i64), Just(0), Just(1), -HOUR..HOUR];
    (0..4_u64, hours, near, proptest::option::of(1..9_u64)).prop_map(|(key, h, near, v)| (key, 9 * HOUR + h + near, v))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// O19: `value(l)` as of `min(time(l), last instant of batch(l))`, whole, in pieces, shuffled, with and without the
    /// planner's rules, live with kills, and at every split of the log between two layers; late records, records with times
    /// above their batch, versions at the instants of records and at bounds of batches, deletes, rows written twice.
    #[test]
    fn the_definition_at_every_split(
        mut views in proptest::collection::vec(view(), 0..24),
        rows in proptest::collection::vec(row(), 0..24),
        partitions in 1..3_u32,
    ) {
        views.sort_by_key(|(logged, ..)| logged / (2 * HOUR));
        let mut running: BTreeMap<usize, i64> = BTreeMap::new();
        let mut expected: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (i, (logged, off, key)) in views.iter().enumerate() {
            let batch = running.entry(i % partitions as usize).or_insert(i64::MIN);
            *batch = (*batch).max(logged.div_euclid(HOUR));
            let at = (logged + off).min((*batch + 1) * HOUR - 1);
            *expected.entry((*key, as_of(&rows, *key, at))).or_default() += 1;
        }
        let given = views.iter().map(|(logged, off, key)| (Timestamp(*logged), format!("{} {key}", logged + off)));
        let run = job()
            .test()
            .partitions(VIEWS, partitions)
            .given_at(VIEWS, given)
            .service(PAGES, table(&rows))
            .every_split()
            .unwrap();
        let got: BTreeMap<_, _> = run.all(SEEN).into_iter().collect();
        prop_assert_eq!(got, expected);
    }
}

/// O19: all records of a batch, late ones too, see the snapshot that was the newest at the end of the batch, in every layer.
/// One that is gone is an error with its name.
#[test]
fn a_snapshot_per_batch() {
    let tables = Tables::default();
    for (name, complete, pages) in [
        ("first", 9 * HOUR, [(1, 10), (2, 20)]),
        ("second", 11 * HOUR, [(1, 11), (3, 31)]),
        ("third", 12 * HOUR - 1, [(1, 12), (2, 22)]),
        ("much later", 100 * HOUR, [(1, 0), (2, 0)]),
    ] {
        tables.add(name, Timestamp(complete), pages);
    }
    // When it is logged, and its key; the third is late, and of the batch in which it is logged.
    let views = [
        (10, 10, 1),
        (11, 11, 1),
        (11, 9, 2),
        (12, 12, 2),
        (12, 10, 3),
        (14, 14, 1),
    ];
    let given = || {
        let view = |(logged, time, key): (i64, i64, u64)| (Timestamp(logged * HOUR), format!("{} {key}", time * HOUR));
        views.map(view)
    };
    let run = job()
        .test()
        .given_at(VIEWS, given())
        .service(PAGES, snapshot_per_batch(tables.clone()))
        .every_split()
        .unwrap();
    let got: BTreeMap<_, _> = run.all(SEEN).into_iter().collect();
    // Batch 10 sees the first; batch 11 and all later ones see the third.
    let expected = BTreeMap::from([((1, 10), 1), ((1, 12), 2), ((2, 22), 2), ((3, 0), 1)]);
    assert_eq!(got, expected);

    let empty: Tables<u64, u64> = Tables::default();
    let job = job();
    let test = job
        .test()
        .given_at(VIEWS, given())
        .service(PAGES, snapshot_per_batch(empty));
    let e = test.run().err().unwrap();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains("no complete snapshot as of"), "{e}");
}

/// A record that is tried by itself has no batch, so it pins nothing and is not blamed.
#[test]
fn nothing_is_pinned_for_a_trial() {
    let tables = Tables::default();
    tables.add("first", Timestamp(0), [(1, 10)]);
    let mut plan = job().plan().unwrap();
    let pins = Arc::new(MemoryPins::default());
    plan.bind(PAGES, snapshot_per_batch(tables)).unwrap();
    plan.keep_pins(pins.clone());
    let mut trial = Trial::new(&plan);
    let mut chunk = TextChunk::default();
    chunk.push("5 1");
    trial.origins(0).unwrap().add(Some(Timestamp(5)), 0);
    assert!(trial.record(0, &mut chunk, false).is_none());
    assert_eq!(pins.pinned("pages", BatchId::MAX).unwrap(), None);
}

/// A port that is not bound is refused with the line to add, before anything runs; so is one that the job does not have.
#[test]
fn what_is_not_bound() {
    let e = job().run_on(&Memory::new().source(VIEWS, ["1 1"])).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string()
            .contains("service `pages` is not bound: add `.service(PAGES, versions("),
        "{e}"
    );
    const OTHER: Service<u64, u64> = Service::new("other");
    let memory = Memory::new().source(VIEWS, ["1 1"]).service(PAGES, table(&[]));
    let e = job().run_on(&memory.service(OTHER, table(&[]))).err().unwrap();
    assert!(e.to_string().contains("has no service `other` (it has: pages)"), "{e}");
    const TEXTS: Service<u64, String> = Service::new("pages");
    let memory = Memory::new().source(VIEWS, ["1 1"]);
    let e = job()
        .run_on(&memory.service(TEXTS, Versions::constant([])))
        .err()
        .unwrap();
    assert!(e.to_string().contains("one port, one type"), "{e}");
}

/// O19: above `complete_until` nothing is answered: a run that is to cover it stops with that reason.
#[test]
fn a_table_that_is_not_complete() {
    let bound = |until| {
        Memory::new()
            .source(VIEWS, ["5 1", "9 1"])
            .service(PAGES, versions([], Timestamp(until)))
    };
    assert_eq!(job().run_on(&bound(10)).unwrap().get(SEEN, (1, 0)), Some(2));
    let e = job().run_on(&bound(9)).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains("service `pages` is complete until"), "{e}");
}

/// Section 7: a service that knows the present only is refused where two layers share an answer, unless that is said to be
/// meant; `explain` says what it is.
#[test]
fn as_of_now() {
    let ask = |keys: &[u64]| Ok(keys.iter().map(|k| Some(k + 1)).collect());
    let mut plan = job().plan_with(&Rules::all()).unwrap();
    plan.bind(PAGES, now(ask)).unwrap();
    plan.check_services(false).unwrap();
    let e = plan.check_services(true).unwrap_err().to_string();
    assert!(
        e.contains(
            "`pages` is looked up as of now, so the layers would see different values: bind it as `versions(..)`"
        ) && e.contains("or say `.not_repeatable()`"),
        "{e}"
    );
    plan.bind(PAGES, now(ask).not_repeatable()).unwrap();
    plan.check_services(true).unwrap();
    assert_eq!(plan.not_repeatable().collect::<Vec<_>>(), ["pages"]);
    assert!(plan.explain(None).contains("pages  as of now, not repeatable"));
    let run = job()
        .run_on(
            &Memory::new()
                .source(VIEWS, ["5 1", "9 1", "9 2"])
                .service(PAGES, now(ask)),
        )
        .unwrap();
    assert_eq!((run.get(SEEN, (1, 2)), run.get(SEEN, (2, 3))), (Some(2), Some(1)));
}

/// What rests on answers of the moment is other code than what rests on versions: stores of one are never extended by the other,
/// whatever is bound today.
#[test]
fn the_kind_of_a_binding_is_part_of_the_identity() {
    let ask = |keys: &[u64]| Ok(keys.iter().map(|k| Some(k + 1)).collect());
    let plan = || job().plan_with(&Rules::all()).unwrap();
    let (said, mut one, mut other) = (plan(), plan(), plan());
    one.bind(PAGES, table(&[])).unwrap();
    assert_eq!(one.fingerprint(), said.fingerprint());
    one.bind(PAGES, now(ask)).unwrap();
    other.bind(PAGES, now(ask).not_repeatable()).unwrap();
    assert_ne!(one.fingerprint(), said.fingerprint());
    assert_eq!(one.fingerprint(), other.fingerprint());
}

/// A service that panics is no record's fault: the run stops, and may be tried again.
#[test]
fn a_service_that_panics() {
    let ask = |_: &[u64]| -> rufous_core::Result<Vec<Option<u64>>> { panic!("no connection") };
    let memory = Memory::new().source(VIEWS, ["5 1"]).service(PAGES, now(ask));
    let e = job().run_on(&memory).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(
        e.to_string().contains("service `pages`: it panicked: no connection"),
        "{e}"
    );
}

/// Without a time a table of versions is not asked, whether or not it has a row of the key; one of constants is.
#[test]
fn records_without_a_time() {
    const LINES: Source<str> = Source::new("lines");
    let found = LINES.read().keyed(|line, out| out.emit(number(line, 0) as u64, 1_u64));
    let found = found
        .left_join(PAGES)
        .keyed_pairs(|&key, &(n, page), out| out.emit((key, page.unwrap_or(0)), n));
    let mut plan = Job::new("untimed", found.sum_by_key(SEEN)).plan().unwrap();
    let mut run = |to: Versions<u64, u64>, key: &str| {
        plan.bind(PAGES, to).unwrap();
        let mut run = plan.instantiate();
        let origins = run.origins(0).unwrap();
        origins.begin(0, rufous_core::BatchId(0));
        origins.add(None, 0);
        let meta = rufous_core::ChunkMeta {
            source: 0,
            partition: 0,
            batch: rufous_core::BatchId(0),
        };
        let mut chunk = rufous_core::TextChunk::default();
        chunk.push(key);
        run.push(&meta, &mut chunk)
    };
    for key in ["1", "2"] {
        let e = run(table(&[(1, 5, Some(9))]), key).unwrap_err().to_string();
        assert!(e.contains("without a time"), "{e}");
        run(Versions::constant([(1, 9)]), key).unwrap();
    }
}

/// A table that is kept elsewhere answers as one in memory does, is asked for many keys at once, for none twice in a call, and
/// not again for what it said already.
#[test]
fn a_table_elsewhere() {
    use rufous_core::service::{Fetch, History, remote};
    use std::sync::{Arc, Mutex};

    struct Elsewhere(Arc<Mutex<Vec<Vec<u64>>>>);
    impl Fetch<u64, u64> for Elsewhere {
        fn complete_until(&self) -> rufous_core::Result<Timestamp> {
            Ok(Timestamp(1_000))
        }
        fn fetch(&self, keys: &[u64]) -> rufous_core::Result<Vec<History<u64>>> {
            self.0.lock().unwrap().push(keys.to_vec());
            let history = |key: &u64| {
                // In no order: whoever keeps rows elsewhere reads them as they come.
                vec![
                    (Timestamp(30), Some(7)),
                    (Timestamp(10), Some(*key)),
                    (Timestamp(20), None),
                ]
            };
            Ok(keys.iter().map(history).collect())
        }
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let views = ["9 1", "10 1", "19 2", "20 2", "29 3", "30 3", "35 1", "11 2"];
    const ALL: Source<str> = VIEWS.batches(Batcher::all_in_one());
    let seen = ALL
        .read()
        .keyed(|line, out| out.emit(number(line, 1) as u64, 1_u64))
        .left_join(PAGES)
        .keyed_pairs(|&key, &(n, page), out| out.emit((key, page.unwrap_or(0)), n));
    let job = Job::new("views", seen.sum_by_key(SEEN));
    let memory = Memory::new()
        .chunk(4)
        .source(ALL, views)
        .service(PAGES, remote(Elsewhere(asked.clone())));
    let run = job.run_on(&memory).unwrap();
    let got: BTreeMap<_, _> = run.all(SEEN).into_iter().collect();
    let expected = [
        ((1, 0), 1),
        ((1, 1), 1),
        ((1, 7), 1),
        ((2, 0), 1),
        ((2, 2), 2),
        ((3, 0), 1),
        ((3, 7), 1),
    ];
    assert_eq!(got, BTreeMap::from(expected));
    assert_eq!(*asked.lock().unwrap(), [vec![1, 2], vec![3]]);
}

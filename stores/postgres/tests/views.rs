//! Views over both layers, against a plain sum over all records, and against the client.

mod bed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bed::{List, acquire, after, commit, open, part, step};
use rufous_algebra::{Codec, Max};
use rufous_client::{Client, ClientParts};
use rufous_core::{
    BatchId, Cut, ErrorKind, Frontier, Hop, HopSize, Store, StoreFace, TimeBucket, Timestamp, WindowedStore, key,
};
use rufous_store_api::{
    GenerationStore, Hole, Manifest, ManifestLog, NamespaceOf, Progress, RealtimeReader, RealtimeStore, SourceHole,
    StoreGeneration, Until, Window,
};
use rufous_store_memory::{MemoryGenerations, MemoryManifests};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime, PostgresViews};
use rufous_test_servers::postgres;

const COUNTS: Store<String, u64> = Store::new("counts");
const CENTS: Store<(String, TimeBucket), i64> = Store::new("cents");
const GREATEST: Store<u32, Max<String>> = Store::new("greatest");

fn faces() -> [StoreFace; 3] {
    [StoreFace::of(COUNTS), StoreFace::of(CENTS), StoreFace::of(GREATEST)]
}

/// A record: partition, batch, key, count.
type Event = (u32, i64, &'static str, u64);

/// Ten records a partition, in batches of their own; offsets count from 0.
fn events() -> Vec<Event> {
    let keys = ["a", "b", "é", "zero\0byte"];
    let mut all = Vec::new();
    for p in 0..2u32 {
        for n in 0..10u64 {
            all.push((
                p,
                5 + (n / 3) as i64 + i64::from(p),
                keys[(n as usize + p as usize) % 4],
                n * 7 + 1,
            ));
        }
    }
    // Sums that leave the range of the type.
    all[0].3 = u64::MAX - 5;
    all
}

fn of(p: u32) -> Vec<Event> {
    events().into_iter().filter(|e| e.0 == p).collect()
}

/// The cut of a partition's batch in the log above.
fn cut(p: u32, batch: i64) -> Cut {
    let log = of(p);
    let at = log.iter().position(|e| e.1 >= batch).unwrap_or(log.len());
    Cut {
        batch: BatchId(batch),
        cut: at as u64,
        batch_before: at.checked_sub(1).map_or(BatchId::MIN, |i| BatchId(log[i].1)),
    }
}

fn frontier(batches: [i64; 2]) -> Frontier {
    Frontier([0, 1].map(|p| (part(p), cut(p, batches[p as usize]))).into())
}

fn manifest(number: u64, frontier: Frontier) -> Manifest {
    Manifest {
        format: 1,
        number,
        job: "job".into(),
        line: "l".into(),
        fingerprint: "print".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: Some("n1".into()),
        stores: faces()
            .iter()
            .map(|f| {
                (
                    f.name.to_string(),
                    StoreGeneration {
                        schema: f.schema(),
                        ..StoreGeneration::default()
                    },
                )
            })
            .collect(),
        frontier,
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(1_000_000),
        covered_until: "5".into(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

/// What the records of a prefix of each partition add up to.
fn plain(upto: impl Fn(u32) -> u64) -> BTreeMap<&'static str, u64> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for p in 0..2 {
        for (_, _, key, n) in of(p).into_iter().take(upto(p) as usize) {
            let sum = sums.entry(key).or_default();
            *sum = sum.wrapping_add(n);
        }
    }
    sums
}

struct Bed {
    url: String,
    live: PostgresRealtime,
    rows: [Progress; 2],
    generations: MemoryGenerations,
    manifests: MemoryManifests,
    views: PostgresViews,
    number: u64,
}

impl Bed {
    fn new(name: &str) -> Self {
        let url = postgres::shared().database(name).unwrap();
        let live = open(&url, &faces()).unwrap();
        let rows = [0, 1].map(|p| acquire(&live, &["counts", "cents", "greatest"], &part(p)));
        let views = PostgresViews::open(&url, &PostgresOptions::default(), "job", "main").unwrap();
        Self {
            url,
            live,
            rows,
            generations: MemoryGenerations::default(),
            manifests: MemoryManifests::default(),
            views,
            number: 0,
        }
    }

    /// Reads `n` more records of a partition, one commit each.
    fn read(&mut self, p: u32, n: usize) {
        for _ in 0..n {
            let row = &self.rows[p as usize];
            let (_, batch, key, count) = of(p)[row.next as usize];
            let a = step(&part(p), row, 1, batch);
            let list = List::of(&[(p, batch, key, count)]);
            commit(&self.live, std::slice::from_ref(&a), &[("counts", &list)]).unwrap();
            self.rows[p as usize] = after(row, &a);
        }
    }

    /// The manifest of a bulk run up to this frontier.
    fn run(&mut self, frontier: Frontier) -> Manifest {
        let mut m = manifest(self.number, frontier);
        self.number += 1;
        let mut writer = self.generations.begin_run(&faces()[0]).unwrap();
        let sums = plain(|p| m.frontier.of(&part(p)).cut);
        let mut sums: Vec<_> = sums.into_iter().map(|(k, n)| (key::to_bytes(k), n)).collect();
        sums.sort();
        for (key, n) in sums {
            writer.push(&key, &n.to_bytes()).unwrap();
        }
        m.stores.get_mut("counts").unwrap().runs = writer.finish().unwrap().into_iter().collect();
        self.manifests.publish(&m).unwrap();
        m
    }

    fn publish(&mut self, batches: [i64; 2]) -> Vec<rufous_store_postgres::Shown> {
        let m = self.run(frontier(batches));
        self.views.publish(&m, &faces(), &self.generations).unwrap()
    }

    fn sql(&self, sql: &str) -> std::io::Result<String> {
        postgres::shared().sql_at(&self.url, sql)
    }

    /// The view is the plain sum over every record that either layer has, and what the client answers.
    fn compare(&self) {
        let newest = self.manifests.newest(0).unwrap().unwrap();
        let expected = plain(|p| newest.frontier.of(&part(p)).cut.max(self.rows[p as usize].next));
        let seen = self
            .sql("SELECT encode(key, 'hex'), value FROM rufous.job_main_counts")
            .unwrap();
        let hex = |k: &&str| key::to_bytes(*k).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let seen: BTreeMap<_, u64> = { seen.lines() }
            .map(|l| l.split_once('|').unwrap())
            .map(|(k, n)| (k.to_string(), n.parse().unwrap()))
            .collect();
        assert_eq!(
            seen,
            expected.iter().map(|(k, n)| (hex(k), *n)).collect::<BTreeMap<_, _>>()
        );
        let (rows, _) = self.client().raw(faces()[0]).under(&[]).unwrap();
        let client: BTreeMap<_, u64> = { rows.iter() }
            .map(|(k, v)| (k.iter().map(|b| format!("{b:02x}")).collect(), u64::decode(v).unwrap()))
            .collect();
        assert_eq!(seen, client, "the client's answer");
    }

    fn client(&self) -> Client {
        let url = self.url.clone();
        Client::new(ClientParts {
            job: "job".into(),
            manifests: Arc::new(self.manifests.clone()),
            generations: Arc::new(self.generations.clone()),
            realtime: Arc::new(move |namespace, until| {
                let options = PostgresOptions::default();
                let of = NamespaceOf::new("job", "main", namespace);
                let reader = PostgresRealtime::reader(&url, &options, of, &faces(), until)?;
                Ok(reader.map(|r| Arc::new(r) as Arc<dyn RealtimeReader>))
            }),
        })
    }

    /// Neither the view nor the client shows a sum, and the view says why.
    fn refuses(&self, words: &[&str]) {
        let e = self.client().raw(faces()[0]).under(&[]).map(drop).unwrap_err();
        let seen = self.sql("SELECT count(*) FROM rufous.job_main_counts WHERE key_1 = 'surely absent'");
        let text = seen
            .map(|n| panic!("{n} rows, while the client says: {e}"))
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(text.contains(word), "no `{word}` in: {text}");
        }
    }
}

#[test]
fn views_add_both_layers_up() {
    let mut bed = Bed::new("views");
    // Before anything is read; then offline is behind, level with, and ahead of what is live.
    let shown = bed.publish([i64::MIN, i64::MIN]);
    assert_eq!(shown[0].answer.as_deref(), Ok("job_main_counts"));
    assert!(shown[2].answer.as_ref().unwrap_err().contains("max<text>"), "{shown:?}");
    bed.compare();
    bed.read(0, 7);
    bed.compare();
    bed.read(1, 4);
    bed.compare();
    for batches in [[6, 7], [7, 6], [7, 7], [7, 9]] {
        bed.publish(batches);
        bed.compare();
    }
    bed.read(0, 2);
    bed.compare();
    assert_eq!(bed.views.current().unwrap(), Some(4));
    let offline = bed.sql("SELECT count(*) FROM rufous.job_main_counts_offline").unwrap();
    assert_eq!(offline, "4");
    // Cells below the frontier go.
    bed.live.drop_below(&part(0), BatchId(7)).unwrap();
    bed.compare();
    // A key that a person names, and a join with the user's own table.
    bed.sql("CREATE TABLE names (k text, name text); INSERT INTO names VALUES ('a', 'Anna')")
        .unwrap();
    let joined = bed
        .sql("SELECT name, value > 0 FROM rufous.job_main_counts JOIN names ON k = key_1")
        .unwrap();
    assert_eq!(joined, "Anna|t");
    // Tables of two generations are kept, the current one among them.
    let tables = bed
        .sql("SELECT count(*) FROM pg_class WHERE relname ~ '^offline_[0-9]+$'")
        .unwrap();
    assert_eq!(tables, "6", "three stores each");
}

/// P28 and its kin: where the layers do not fit the view raises an error, also when no row would be shown.
#[test]
fn a_view_never_shows_a_part_for_the_whole() {
    let mut bed = Bed::new("fits");
    bed.publish([6, 6]);
    bed.read(0, 8);
    bed.read(1, 6);
    bed.compare();
    // Cells above the frontier are gone.
    bed.live.drop_below(&part(1), BatchId(7)).unwrap();
    bed.refuses(&["source/1", "cells of batches 6 to 7 are dropped", "manifest 0"]);
    bed.publish([6, 7]);
    bed.compare();
    // The layers divide the log at different offsets.
    let row = "rufous.progress WHERE store = 1 AND partition = 0";
    let cuts = bed.sql(&format!("SELECT cuts FROM {row}")).unwrap();
    let moved = cuts.replace("[6,3]", "[6,2]");
    assert_ne!(cuts, moved);
    let set = |what: &str| {
        bed.sql(&format!(
            "UPDATE rufous.progress SET {what} WHERE store = 1 AND partition = 0"
        ))
        .unwrap()
    };
    set(&format!("cuts = '{moved}'"));
    bed.refuses(&["source/0", "offline at 3, live at 2"]);
    set(&format!("cuts = '{cuts}', released = true"));
    bed.refuses(&["source/0", "another process"]);
    // A lost range above the frontier; one below it is in the generation.
    set("released = false, holes = '[{\"from\": 1, \"to\": 3, \"reason\": \"lost\"}]'");
    bed.compare();
    set("holes = '[{\"from\": 2, \"to\": 4, \"reason\": \"lost\"}]'");
    bed.refuses(&["source/0", "records are missing", "lost"]);
    set("holes = '[]'");
    bed.compare();
    // What the archive lost, too.
    let mut m = bed.run(frontier([6, 7]));
    m.number = bed.number;
    let hole = Hole {
        from: 0,
        to: 1,
        reason: "gone".into(),
    };
    m.holes = vec![SourceHole {
        partition: part(0),
        hole,
    }];
    bed.manifests.publish(&m).unwrap();
    bed.views.publish(&m, &faces(), &bed.generations).unwrap();
    bed.refuses(&["records are missing", "gone"]);
}

/// A query is of one point in time, while a job commits and generations are switched under it: two keys that every record adds to
/// alike are always alike, and never go back.
#[test]
fn queries_are_of_one_moment() {
    const BATCH: u64 = 5;
    let url = postgres::shared().database("moment").unwrap();
    let (live, generations) = (open(&url, &faces()).unwrap(), MemoryGenerations::default());
    let p = part(0);
    let mut row = acquire(&live, &["counts", "cents", "greatest"], &p);
    let views = PostgresViews::open(&url, &PostgresOptions::default(), "job", "main").unwrap();
    let publish = |number: u64, batch: i64| {
        let at = batch as u64 * BATCH;
        let cut = Cut {
            batch: BatchId(batch),
            cut: at,
            batch_before: BatchId(batch - 1),
        };
        let mut m = manifest(number, Frontier([(part(0), cut)].into()));
        let mut writer = generations.begin_run(&faces()[0]).unwrap();
        for key in ["a", "b"] {
            writer.push(&key::to_bytes(key), &at.to_bytes()).unwrap();
        }
        m.stores.get_mut("counts").unwrap().runs = writer.finish().unwrap().into_iter().collect();
        views.publish(&m, &faces()[..1], &generations).unwrap();
    };
    publish(0, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300u64 {
                let batch = (n / BATCH) as i64;
                let a = step(&p, &row, 1, batch);
                let list = List::of(&[(0, batch, "a", 1u64), (0, batch, "b", 1)]);
                commit(&live, std::slice::from_ref(&a), &[("counts", &list)]).unwrap();
                row = after(&row, &a);
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            done.store(true, Relaxed);
        });
        scope.spawn(|| {
            for n in 1..8 {
                publish(n, 7 * n as i64);
            }
        });
        let (mut last, mut queries) = (0, 0);
        while !done.load(Relaxed) || queries < 5 {
            let sql = "SELECT min(value), max(value), count(*) FROM rufous.job_main_counts";
            let seen = postgres::shared().sql_at(&url, sql).unwrap();
            let seen: Vec<u64> = seen.split('|').map(|n| n.parse().unwrap()).collect();
            assert!(seen[0] == seen[1] && seen[2] == 2, "{seen:?}");
            assert!(seen[0] >= last, "{last}, then {seen:?}");
            (last, queries) = (seen[0], queries + 1);
        }
        assert!(queries >= 5);
    });
}

/// Hops that may be dropped from runs in part are not shown at all.
#[test]
fn dropped_hops_are_not_shown() {
    const VIEWS: WindowedStore<String, u64> = WindowedStore::new(
        "views",
        &[
            HopSize::hours(1).keep_days(1),
            HopSize::days(1).keep_days(20),
            HopSize::week().keep_days(30),
        ],
    );
    let server = postgres::shared();
    let url = server.database("hops").unwrap();
    let (face, generations) = (StoreFace::windowed(VIEWS), MemoryGenerations::default());
    let mut keys: Vec<_> = (0..4)
        .map(|n| key::to_bytes(&("k", Hop::from(TimeBucket::hour(Timestamp(n * 3_600_000))))))
        .collect();
    keys.push(key::to_bytes(&("k", Hop::from(TimeBucket::day(Timestamp(0))))));
    keys.push(key::to_bytes(&("k", Hop::parse("1970-W01").unwrap())));
    keys.sort();
    let mut writer = generations.begin_run(&face).unwrap();
    for key in &keys {
        writer.push(key, &1u64.to_bytes()).unwrap();
    }
    let mut m = manifest(0, Frontier::default());
    let dropped = BTreeMap::from([
        ("1h".to_string(), Timestamp(2 * 3_600_000)),
        ("week".to_string(), Timestamp(0)),
    ]);
    let runs = writer.finish().unwrap().into_iter().collect();
    let generation = StoreGeneration {
        schema: face.schema(),
        runs,
        dropped,
        ..StoreGeneration::default()
    };
    m.stores = BTreeMap::from([("views".to_string(), generation)]);
    m.realtime_namespace = None;
    let views = PostgresViews::open(&url, &PostgresOptions::default(), "job", "main").unwrap();
    views.publish(&m, &[face], &generations).unwrap();
    for view in ["job_main_views", "job_main_views_offline"] {
        let sql = format!(
            "SELECT key_1, key_2_size, key_2_number, key_2 AT TIME ZONE 'UTC' FROM rufous.{view} ORDER BY 2, 3"
        );
        let seen = server.sql_at(&url, &sql).unwrap();
        let expected = [
            "k|1d|0|1970-01-01 00:00:00",
            "k|1h|2|1970-01-01 02:00:00",
            "k|1h|3|1970-01-01 03:00:00",
        ];
        assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    }
}

/// A publish is whole or not there, is a no-op the second time, and never goes back.
#[test]
fn a_publish_is_whole() {
    let mut bed = Bed::new("whole");
    bed.read(0, 8);
    bed.publish([6, i64::MIN]);
    bed.compare();
    // A run that cannot be read to its end.
    let good = bed.run(frontier([7, i64::MIN]));
    let mut bad = good.clone();
    bad.stores.get_mut("counts").unwrap().runs[0].path = "missing".into();
    let e = bed.views.publish(&bad, &faces(), &bed.generations).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
    assert_eq!(bed.views.current().unwrap(), Some(0));
    let tables = || {
        bed.sql("SELECT count(*) FROM pg_class WHERE relname ~ '^offline_[0-9]+$'")
            .unwrap()
    };
    assert_eq!(tables(), "3", "nothing is left of it");
    let first = bed.views.publish(&good, &faces(), &bed.generations).unwrap();
    assert_eq!(bed.views.publish(&good, &faces(), &bed.generations).unwrap(), first);
    assert_eq!((first[0].keys, tables().as_str()), (4, "6"));
    let old = manifest(0, frontier([6, i64::MIN]));
    let e = bed.views.publish(&old, &faces(), &bed.generations).unwrap_err();
    assert!(
        e.kind() == ErrorKind::InvalidRequest && e.to_string().contains("manifest 0 is older than manifest 1"),
        "{e}"
    );
    let mut other = manifest(9, frontier([6, 6]));
    other.job = "another".into();
    assert_eq!(
        bed.views
            .publish(&other, &faces(), &bed.generations)
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidRequest
    );
    other.job = "job".into();
    other.stores.get_mut("counts").unwrap().schema = "text -> i64".into();
    let e = bed.views.publish(&other, &faces(), &bed.generations).unwrap_err();
    assert!(e.to_string().contains("store `counts`"), "{e}");
    // Who may only look at a view needs no right on the tables below.
    postgres::shared().role("analyst", "analyst").unwrap();
    bed.sql("GRANT USAGE ON SCHEMA rufous TO analyst; GRANT SELECT ON rufous.job_main_counts TO analyst")
        .unwrap();
    let seen = bed
        .sql("SET ROLE analyst; SELECT count(*) FROM rufous.job_main_counts")
        .unwrap();
    assert_eq!(seen, "4");
}

/// A query that keeps a view locked for longer than a statement may take delays a publish, which does not begin anew.
#[test]
fn a_publish_waits_for_queries() {
    let mut bed = Bed::new("waits");
    bed.read(0, 9);
    bed.publish([5, i64::MIN]);
    let next = bed.run(frontier([6, i64::MIN]));
    let options = PostgresOptions {
        statement_timeout: std::time::Duration::from_secs(1),
        ..PostgresOptions::default()
    };
    let views = PostgresViews::open(&bed.url, &options, "job", "main").unwrap();
    let locked = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                  WHERE c.relname = 'job_main_counts' AND l.granted AND l.mode = 'AccessShareLock'";
    std::thread::scope(|scope| {
        let query =
            scope.spawn(|| bed.sql("BEGIN; SELECT count(*) FROM rufous.job_main_counts; SELECT pg_sleep(4); COMMIT"));
        while bed.sql(locked).unwrap() != "1" {
            assert!(!query.is_finished());
        }
        let asked = std::time::Instant::now();
        views.publish(&next, &faces(), &bed.generations).unwrap();
        assert!(
            query.is_finished(),
            "the views were switched under a query, after {:?}",
            asked.elapsed()
        );
        query.join().unwrap().unwrap();
    });
    bed.compare();
    let made = bed.sql("SELECT last_value FROM rufous.generations_id_seq").unwrap();
    assert_eq!(made, "2", "the second one began once");
}

/// A transaction that sees rows as they were before a switch is told so: the views are of now.
#[test]
fn an_older_transaction_is_refused() {
    let mut bed = Bed::new("older");
    bed.read(0, 9);
    bed.publish([5, i64::MIN]);
    // Whoever holds this keeps the transaction waiting.
    let waits = "DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock(77) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$";
    let of = |text: &str| {
        format!(
            "pg_stat_activity WHERE datname = current_database() AND query LIKE '%{text}%' AND pid <> pg_backend_pid()"
        )
    };
    let is_running = |text: &str| bed.sql(&format!("SELECT count(*) FROM {}", of(text))).unwrap() == "1";
    for (number, view) in [(40, "job_main_counts_offline"), (41, "job_main_counts")] {
        let holds = "SELECT pg_advisory_lock(77), pg_sleep(60)";
        let asks = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; {waits}; SELECT count(*) FROM rufous.{view}; COMMIT"
        );
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| bed.sql(holds));
            while !is_running("pg_advisory_lock(77)")
                || bed
                    .sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77")
                    .unwrap()
                    != "1"
            {
                assert!(!holder.is_finished());
            }
            let older = scope.spawn(|| bed.sql(&asks));
            while !is_running("WHILE NOT") {
                assert!(!older.is_finished());
            }
            let again = Manifest {
                number,
                ..manifest(0, frontier([5, i64::MIN]))
            };
            bed.views.publish(&again, &faces(), &bed.generations).unwrap();
            bed.sql(&format!("SELECT pg_terminate_backend(pid) FROM {}", of("pg_sleep(60)")))
                .unwrap();
            assert!(holder.join().unwrap().is_err());
            let e = older.join().unwrap().unwrap_err().to_string();
            assert!(
                e.contains("this transaction began before the generation that is shown was published"),
                "{view}: {e}"
            );
        });
        assert!(bed.sql(&format!("SELECT count(*) FROM rufous.{view}")).is_ok());
    }
}

/// Several publish at once: the newest is shown in the end, whole, and nothing is left of one that came late.
#[test]
fn publishers_take_turns() {
    let mut bed = Bed::new("turns");
    bed.read(0, 9);
    let manifests: Vec<Manifest> = [5, 6, 7, 8].map(|batch| bed.run(frontier([batch, 6]))).into();
    std::thread::scope(|scope| {
        for m in manifests.iter().rev() {
            let (url, generations) = (&bed.url, &bed.generations);
            scope.spawn(move || {
                let views = PostgresViews::open(url, &PostgresOptions::default(), "job", "main").unwrap();
                match views.publish(m, &faces(), generations) {
                    Ok(shown) => assert_eq!(shown.len(), 3),
                    Err(e) => assert!(e.to_string().contains("is older than manifest"), "{e}"),
                }
            });
        }
    });
    assert_eq!(bed.views.current().unwrap(), Some(3));
    bed.compare();
    let kept = bed
        .sql("SELECT count(*) <= 2, max(manifest) FROM rufous.generations")
        .unwrap();
    assert_eq!(kept, "t|3");
}

/// Where SQL cannot see the live part, or the generation is a part itself, there is no view of the whole, and it is said why.
#[test]
fn what_cannot_be_whole_has_no_view() {
    let mut bed = Bed::new("parts");
    bed.publish([6, 6]);
    let with = |bed: &mut Bed, change: &dyn Fn(&mut Manifest)| {
        let mut m = bed.run(frontier([6, 6]));
        change(&mut m);
        bed.views
            .publish(&m, &faces()[..1], &bed.generations)
            .unwrap()
            .remove(0)
    };
    let shown = with(&mut bed, &|m| m.realtime_namespace = Some("elsewhere".into()));
    assert!(shown.answer.unwrap_err().contains("elsewhere"));
    assert!(
        bed.sql("SELECT * FROM rufous.job_main_counts").is_err(),
        "the view of the generation before is gone"
    );
    assert_eq!(
        bed.sql("SELECT count(*) FROM rufous.job_main_counts_offline").unwrap(),
        "3"
    );
    assert!(
        bed.sql("SELECT * FROM rufous.job_main_cents_offline").is_err(),
        "a store that is not published any more"
    );
    let window = Window {
        since: Some(Timestamp(0)),
        until: None,
    };
    let shown = with(&mut bed, &|m| (m.realtime_namespace, m.window) = (None, Some(window)));
    assert!(shown.answer.unwrap_err().contains("event time from 1970"));
    // A bounded input: the generation is all there is.
    let shown = with(&mut bed, &|m| m.realtime_namespace = None);
    assert_eq!(shown.answer.as_deref(), Ok("job_main_counts"));
    let frontier = frontier([6, 6]);
    let sum = plain(|p| frontier.of(&part(p)).cut);
    assert_eq!(
        bed.sql("SELECT value FROM rufous.job_main_counts WHERE key_1 = 'b'")
            .unwrap(),
        sum["b"].to_string()
    );
}

/// A store whose name ends as views of generations alone do: each view shows its own store, and what was there before stays.
#[test]
fn views_of_stores_of_like_names_are_apart() {
    const LIKE: Store<String, u64> = Store::new("counts-offline");
    let mut bed = Bed::new("like_names");
    bed.read(0, 9);
    bed.sql("CREATE SCHEMA IF NOT EXISTS rufous; CREATE VIEW rufous.job_main_cents AS SELECT 1 AS mine")
        .unwrap();
    let mut m = bed.run(frontier([6, 6]));
    m.stores.insert(
        "counts-offline".into(),
        StoreGeneration {
            schema: StoreFace::of(LIKE).schema(),
            ..StoreGeneration::default()
        },
    );
    let all = [faces()[0], StoreFace::of(LIKE), faces()[1]];
    for round in 0..2 {
        let shown = bed.views.publish(&m, &all, &bed.generations).unwrap();
        let mut names: Vec<&str> = shown.iter().map(|s| s.offline.as_str()).collect();
        names.extend(shown.iter().filter_map(|s| s.answer.as_deref().ok()));
        let apart: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(apart.len(), names.len(), "{names:?}");
        assert!(!names.contains(&"job_main_cents"), "{names:?}");
        let keys = |view: &str| bed.sql(&format!("SELECT count(*) FROM rufous.\"{view}\"")).unwrap();
        assert_eq!(
            (keys(&shown[0].offline), keys(&shown[1].offline)),
            ("3".into(), "0".into()),
            "round {round}"
        );
        assert_eq!(bed.sql("SELECT mine FROM rufous.job_main_cents").unwrap(), "1");
    }
}

/// A namespace that is deleted, though views rest on its cells, and made again: who had it open is told so and answers nothing from it,
/// and the next publish shows the whole again.
#[test]
fn a_namespace_is_deleted_and_made_again() {
    let mut bed = Bed::new("made_again");
    bed.read(0, 9);
    bed.publish([6, 6]);
    bed.compare();
    let (options, namespace) = (PostgresOptions::default(), bed.manifests.newest(0).unwrap().unwrap());
    let namespace = namespace.realtime_namespace.unwrap();
    let of = NamespaceOf::new("job", "main", &namespace);
    let open_reader = || PostgresRealtime::reader(&bed.url, &options, of, &faces(), &Until::default()).unwrap();
    let old = open_reader().unwrap();
    assert!(rufous_store_postgres::discard::discard(&bed.url, &options, of).unwrap());
    assert!(open_reader().is_none());
    let again = open(&bed.url, &faces()).unwrap();
    for reader in [&old as &dyn RealtimeReader, &bed.live] {
        let e = reader.snapshot().map(drop).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
        assert!(e.to_string().contains("deleted meanwhile"), "{e}");
    }
    bed.rows = [0, 1].map(|p| acquire(&again, &["counts", "cents", "greatest"], &part(p)));
    bed.live = again;
    bed.read(0, 9);
    bed.publish([6, 6]);
    bed.compare();
}

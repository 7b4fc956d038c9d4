//! Several processes on one namespace (mode 1): each is a handle with connections of its own.

mod bed;

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use bed::{List, acquire, after, commit, counts, open, part, step, stores, totals};
use rufous_core::Error;
use rufous_store_api::{Committed, NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair, Until};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime, discard};
use rufous_test_servers::postgres;

fn ones(p: u32, batch: i64, keys: &[String]) -> Vec<(u32, i64, &str, u64)> {
    keys.iter().map(|k| (p, batch, k.as_str(), 1)).collect()
}

fn some_keys() -> Vec<String> {
    (0..40).map(|n| format!("key {n}")).collect()
}

/// Whoever comes first makes the tables; the others find them.
#[test]
fn many_open_a_new_schema_at_once() {
    let url = postgres::shared().database("open").unwrap();
    let (start, faces) = (Barrier::new(8), stores());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                open(&url, &faces).unwrap();
            });
        }
    });
}

/// P10a: of many that acquire a partition that nobody had, each gets an epoch of its own, and sees the row of the one before.
#[test]
fn many_acquire_a_new_partition_at_once() {
    let url = postgres::shared().database("acquire").unwrap();
    let (start, faces) = (Barrier::new(6), counts());
    open(&url, &faces).unwrap();
    let epochs: Vec<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let store = open(&url, &faces).unwrap();
                    start.wait();
                    acquire(&store, &["counts"], &part(3)).epoch
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(epochs.iter().copied().collect::<BTreeSet<_>>(), (1..=6).collect());
}

/// P11: processes that own different partitions add to the same keys, and none waits for the other's rows or loses a cell.
#[test]
fn partitions_of_several_processes_add_up() {
    let url = postgres::shared().database("parts").unwrap();
    let (faces, keys) = (stores(), some_keys());
    open(&url, &faces).unwrap();
    thread::scope(|scope| {
        for n in 0..3 {
            let (url, faces, keys) = (&url, &faces, &keys);
            scope.spawn(move || {
                let store = open(url, faces).unwrap();
                let p = part(n);
                let mut row = acquire(&store, &["counts", "cents", "greatest"], &p);
                for round in 0..20 {
                    let a = step(&p, &row, 40, round / 5);
                    let list = List::of(&ones(n, round / 5, keys));
                    let done = commit(&store, std::slice::from_ref(&a), &[("counts", &list)]).unwrap();
                    assert_eq!(done, Committed::Done);
                    row = after(&row, &a);
                }
            });
        }
    });
    let totals = totals(&open(&url, &faces).unwrap());
    assert_eq!(totals.len(), 40);
    assert!(totals.values().all(|n| *n == 3 * 20), "{totals:?}");
}

/// P11, P13: who lost a partition commits nothing more, also when it wakes up in the middle of the next owner's work.
#[test]
fn a_zombie_is_refused() {
    let url = postgres::shared().database("zombie").unwrap();
    let (faces, keys, p) = (counts(), some_keys(), part(0));
    let (old, new) = (open(&url, &faces).unwrap(), open(&url, &faces).unwrap());
    let before = acquire(&old, &["counts"], &p);
    let list = List::of(&ones(0, 5, &keys));
    let late = step(&p, &before, 40, 5);
    let row = acquire(&new, &["counts"], &p);
    let done = commit(&old, std::slice::from_ref(&late), &[("counts", &list)]).unwrap();
    let found = Some((0, 2));
    assert_eq!(
        done,
        Committed::Refused {
            partition: p.clone(),
            found
        }
    );
    let a = step(&p, &row, 40, 5);
    commit(&new, std::slice::from_ref(&a), &[("counts", &list)]).unwrap();
    assert!(matches!(
        commit(&old, &[late], &[("counts", &list)]).unwrap(),
        Committed::Refused { .. }
    ));
    assert!(totals(&new).values().all(|n| *n == 1));
}

/// The same as a race: owners take one partition from each other as fast as they can. Whatever was committed is there once.
#[test]
fn owners_that_fight_count_once() {
    let url = postgres::shared().database("fight").unwrap();
    let (faces, keys, p) = (counts(), some_keys(), part(0));
    open(&url, &faces).unwrap();
    let done: u64 = thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| {
                let (url, faces, keys, p) = (&url, &faces, &keys, &p);
                scope.spawn(move || {
                    let store = open(url, faces).unwrap();
                    let mut done = 0;
                    for _ in 0..25 {
                        let mut row = acquire(&store, &["counts"], p);
                        for _ in 0..3 {
                            let a = step(p, &row, 1, 5);
                            let list = List::of(&ones(0, 5, keys));
                            match commit(&store, std::slice::from_ref(&a), &[("counts", &list)]).unwrap() {
                                Committed::Done => done += 1,
                                Committed::Refused { .. } => break,
                            }
                            row = after(&row, &a);
                        }
                    }
                    done
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).sum()
    });
    let store = open(&url, &faces).unwrap();
    let rows = store.snapshot().unwrap().partitions("counts").unwrap();
    assert_eq!((rows[0].1.next, rows[0].1.epoch), (done, 100));
    assert!(done > 0 && totals(&store).values().all(|n| *n == done), "{done}");
}

/// While one process repairs a row, another that wants the partition waits; when the repair fails, nothing of it is there.
#[test]
fn a_repair_holds_the_row() {
    let url = postgres::shared().database("repair").unwrap();
    let (faces, p) = (counts(), part(0));
    let (a, b) = (open(&url, &faces).unwrap(), open(&url, &faces).unwrap());
    let (second, at) = (std::sync::mpsc::channel::<u64>(), Barrier::new(2));
    thread::scope(|scope| {
        let (tell, at, b, p) = (second.0, &at, &b, &p);
        scope.spawn(move || {
            at.wait();
            tell.send(acquire(b, &["counts"], p).epoch).unwrap();
        });
        let failed = a.acquire("counts", p, &mut |row| {
            assert_eq!(row, None);
            at.wait();
            let early = second.1.recv_timeout(std::time::Duration::from_millis(300));
            assert!(early.is_err(), "the other one did not wait: epoch {early:?}");
            Err(Error::invalid("this row cannot be repaired"))
        });
        assert!(failed.unwrap_err().to_string().contains("cannot be repaired"));
        assert_eq!(second.1.recv().unwrap(), 1, "the first that was written");
    });
}

/// A process that stops in the middle of a write does not keep the next owner out: the server undoes what it began, within the bound.
#[test]
fn a_process_that_stops_lets_go() {
    let url = postgres::shared().database("stops").unwrap();
    let (faces, p) = (counts(), part(0));
    let options = PostgresOptions {
        statement_timeout: std::time::Duration::from_secs(2),
        ..PostgresOptions::default()
    };
    let open = || PostgresRealtime::open(&url, &options, bed::N1, &faces).unwrap();
    let (stopped, next) = (open(), open());
    acquire(&stopped, &["counts"], &p);
    let at = Barrier::new(2);
    thread::scope(|scope| {
        let (at, stopped, p) = (&at, &stopped, &p);
        let late = scope.spawn(move || {
            stopped.acquire("counts", p, &mut |row| {
                at.wait();
                // It has the row, and does nothing.
                thread::sleep(std::time::Duration::from_secs(4));
                Ok(Repair::Keep(row.unwrap().clone()))
            })
        });
        at.wait();
        let start = std::time::Instant::now();
        assert_eq!(
            acquire(&next, &["counts"], p).epoch,
            2,
            "what the stopped one began is undone"
        );
        assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
        let e = late.join().unwrap().unwrap_err();
        assert_eq!(e.kind(), rufous_core::ErrorKind::TryAgain, "{e}");
    });
    assert_eq!(acquire(&stopped, &["counts"], &p).epoch, 3);
}

/// Calls block, also from a thread of somebody's runtime.
#[test]
fn calls_from_a_runtime_do_not_panic() {
    let url = postgres::shared().database("runtime").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&url, &counts()).unwrap();
        acquire(&store, &["counts"], &part(0));
        assert_eq!(store.snapshot().unwrap().partitions("counts").unwrap().len(), 1);
        drop(store);
    });
}

/// A deleted namespace is gone whole, others stay, and who still has it open commits nothing.
#[test]
fn namespaces_are_deleted_whole() {
    let url = postgres::shared().database("discard").unwrap();
    let options = PostgresOptions::default();
    let (faces, p) = (counts(), part(0));
    let store = open(&url, &faces).unwrap();
    let other = PostgresRealtime::open(&url, &options, NamespaceOf::new("job", "main", "n2"), &faces).unwrap();
    let (row, kept) = (acquire(&store, &["counts"], &p), acquire(&other, &["counts"], &p));
    let list = List::of(&[(0, 5, "k", 1u64)]);
    for (store, row) in [(&store, &row), (&other, &kept)] {
        commit(store, &[step(&p, row, 1, 5)], &[("counts", &list)]).unwrap();
    }
    let all = discard::namespaces(&url, &options, "job", "main").unwrap();
    assert!(
        matches!(all.as_slice(), [(a, x), (b, _)] if a == "n1" && b == "n2" && *x > 0),
        "{all:?}"
    );
    assert!(discard::namespaces(&url, &options, "job", "other").unwrap().is_empty());
    assert!(discard::discard(&url, &options, bed::N1).unwrap());
    assert!(!discard::discard(&url, &options, bed::N1).unwrap());
    let late = commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &list)]);
    assert!(!matches!(late, Ok(Committed::Done)), "{late:?}");
    assert_eq!(totals(&other)["k"], 1);
    assert!(
        PostgresRealtime::reader(&url, &options, bed::N1, &faces, &Until::default())
            .unwrap()
            .is_none()
    );
    let left = postgres::shared()
        .sql_at(
            &url,
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'cells_%' AND relkind = 'r'",
        )
        .unwrap();
    assert_eq!(left, "1");
}

/// P32: a rebuild takes a new place, and what was in the old one is deleted, as what was dropped is.
#[test]
fn what_nobody_sees_is_deleted() {
    let server = postgres::shared();
    let url = server.database("sweep").unwrap();
    let (faces, p, q) = (counts(), part(0), part(1));
    let store = open(&url, &faces).unwrap();
    let keys: Vec<String> = (0..500).map(|n| format!("{n}")).collect();
    for p in [&p, &q] {
        let mut row = acquire(&store, &["counts"], p);
        for batch in 0..4 {
            let a = step(p, &row, 1, batch);
            commit(
                &store,
                std::slice::from_ref(&a),
                &[("counts", &List::of(&ones(p.partition, batch, &keys)))],
            )
            .unwrap();
            row = after(&row, &a);
        }
    }
    let cells = || server.sql_at(&url, "SELECT count(*) FROM rufous.cells_1").unwrap();
    assert_eq!(cells(), "4000");
    // Nobody waits for it.
    let come_to = |n: &str| {
        let start = std::time::Instant::now();
        while cells() != n {
            assert!(start.elapsed().as_secs() < 20, "{} cells are left, not {n}", cells());
            thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    store.drop_below(&p, rufous_core::BatchId(2)).unwrap();
    come_to("3000");
    let fresh = Progress::standing_at(rufous_core::Cut::ORIGIN, "t".into(), "c".into(), "f".into());
    store
        .acquire("counts", &q, &mut |_| Ok(Repair::Replace(fresh.clone())))
        .unwrap();
    come_to("1000");
    // What a process left behind is swept by the next.
    server
        .sql_at(&url, "INSERT INTO rufous.garbage (store, part, below) VALUES (1, 1, 3)")
        .unwrap();
    drop(store);
    let store = open(&url, &faces).unwrap();
    store.drop_below(&p, rufous_core::BatchId(3)).unwrap();
    come_to("500");
    while server.sql_at(&url, "SELECT count(*) FROM rufous.garbage").unwrap() != "0" {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(totals(&store)["7"], 1);
}

//! What goes wrong, on a real server: each is a clear error or a bounded wait, and nothing is half-written.

mod bed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use bed::{List, acquire, after, commit, counts, open, part, step, totals};
use rufous_core::{Error, ErrorKind, Frontier, Store, StoreFace, key};
use rufous_store_api::{Committed, RealtimeReader, RealtimeStore, Until};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime, PostgresStore, PostgresTables};
use rufous_test_servers::postgres::{self, PASSWORD, Server, USER};

fn quick() -> PostgresOptions {
    PostgresOptions {
        connect_timeout: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(1),
        ..PostgresOptions::default()
    }
}

fn open_quick(url: &str) -> rufous_core::Result<PostgresRealtime> {
    PostgresRealtime::open(url, &quick(), bed::N1, &counts())
}

/// The error, in all the forms in which it is shown; no password is in any.
fn told(e: &Error) -> String {
    let mut text = format!("{e} {e:?}");
    let mut cause = std::error::Error::source(e);
    while let Some(c) = cause {
        text += &format!(" {c} {c:?}");
        cause = c.source();
    }
    assert!(!text.contains(PASSWORD) && !text.contains("wr0ng"), "{text}");
    text
}

fn refused<T>(answer: rufous_core::Result<T>, kind: ErrorKind, words: &[&str]) {
    let e = answer.err().expect("an error");
    let text = told(&e);
    assert_eq!(e.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

#[test]
fn who_may_not_connect_is_told_what_to_do() {
    let server = postgres::shared();
    let url = server.database("rights").unwrap();
    let database = url.rsplit('/').next().unwrap();
    let wrong = server.url_of(USER, "wr0ng", database);
    refused(
        open(&wrong, &counts()),
        ErrorKind::InvalidRequest,
        &["password of user `rufous`"],
    );
    refused(
        PostgresTables::open(&wrong, &quick(), "j", "i"),
        ErrorKind::InvalidRequest,
        &["password of user"],
    );
    refused(
        PostgresStore::<u32, u64>::open(&wrong, &quick(), "s"),
        ErrorKind::InvalidRequest,
        &["password of user"],
    );
    let nowhere = server.url("no-such-database");
    refused(
        open(&nowhere, &counts()),
        ErrorKind::InvalidRequest,
        &["create database `no-such-database`"],
    );
    let nobody = "postgres://rufous:wr0ng@127.0.0.1:1/x";
    refused(
        open_quick(nobody),
        ErrorKind::TryAgain,
        &["127.0.0.1:1", "see whether the server runs"],
    );
    let without = format!("postgres://{USER}@127.0.0.1:{}/{database}", server.port());
    refused(open_quick(&without), ErrorKind::InvalidRequest, &["password"]);
    let tls = format!("{url}?sslmode=verify-full");
    refused(open_quick(&tls), ErrorKind::InvalidRequest, &["sslmode", "TLS"]);
    assert!(!format!("{:?}", open(&url, &counts()).unwrap()).contains(PASSWORD));
    assert!(!open(&url, &counts()).unwrap().location().contains(PASSWORD));
}

/// Who may only read reads; who may nothing is told which right is missing.
#[test]
fn missing_rights_are_named() {
    let server = postgres::shared();
    let url = server.database("rights").unwrap();
    let database = url.rsplit('/').next().unwrap().to_string();
    server.role("guest", "guest").unwrap();
    let guest = server.url_of("guest", "guest", &database);
    refused(
        open(&guest, &counts()),
        ErrorKind::InvalidRequest,
        &["user `guest`", "CREATE on schema `rufous`"],
    );
    assert!(
        PostgresRealtime::reader(&guest, &quick(), bed::N1, &counts(), &Until::default())
            .unwrap()
            .is_none()
    );
    let store = open(&url, &counts()).unwrap();
    let row = acquire(&store, &["counts"], &part(0));
    commit(
        &store,
        &[step(&part(0), &row, 1, 5)],
        &[("counts", &List::of(&[(0, 5, "k", 7u64)]))],
    )
    .unwrap();
    refused(
        open(&guest, &counts()),
        ErrorKind::InvalidRequest,
        &["user `guest`", "USAGE"],
    );
    let grant = "GRANT USAGE ON SCHEMA rufous TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA rufous TO guest";
    server.sql_at(&url, grant).unwrap();
    let reader = PostgresRealtime::reader(&guest, &quick(), bed::N1, &counts(), &Until::default())
        .unwrap()
        .unwrap();
    assert_eq!(totals(&reader)["k"], 7);
    // It opens, for all is there; but it may not write.
    let writer = open(&guest, &counts()).unwrap();
    let start = rufous_store_api::Progress::standing_at(rufous_core::Cut::ORIGIN, "t".into(), "c".into(), "f".into());
    let mut keep = |_: Option<&_>| Ok(rufous_store_api::Repair::Keep(start.clone()));
    refused(
        writer.acquire("counts", &part(0), &mut keep),
        ErrorKind::InvalidRequest,
        &["user `guest`"],
    );
    assert_eq!(totals(&store)["k"], 7);
}

/// A schema of another format, and tables that mean something else, are refused by name; so is a database that cannot hold all texts.
#[test]
fn what_does_not_fit_is_refused() {
    let server = postgres::shared();
    let url = server.database("format").unwrap();
    open(&url, &counts()).unwrap();
    let other = [StoreFace::of(Store::<String, i64>::new("counts"))];
    refused(
        open(&url, &other),
        ErrorKind::InvalidRequest,
        &["text -> u64", "text -> i64", "new version"],
    );
    refused(
        open(&url, &bed::stores()[1..2]),
        ErrorKind::InvalidRequest,
        &["store `counts`", "does not have"],
    );
    server.sql_at(&url, "UPDATE rufous.meta SET format = 2").unwrap();
    refused(
        open(&url, &counts()),
        ErrorKind::InvalidRequest,
        &["format 2, this build reads 1", "another schema"],
    );
    let reader = PostgresRealtime::reader(&url, &quick(), bed::N1, &counts(), &Until::default());
    refused(reader.map(drop), ErrorKind::InvalidRequest, &["format 2"]);
    server.sql_at(&url, "DELETE FROM rufous.meta").unwrap();
    refused(open(&url, &counts()), ErrorKind::CorruptData, &["`meta` without a row"]);
    server
        .sql(
            "postgres",
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        )
        .unwrap();
    refused(
        open(&server.url("latin"), &counts()),
        ErrorKind::InvalidRequest,
        &["LATIN1", "ENCODING 'UTF8'"],
    );
}

/// A row or a cell that somebody spoiled is an error that says so, never a number.
#[test]
fn spoiled_rows_are_noticed() {
    let server = postgres::shared();
    let url = server.database("spoiled").unwrap();
    let faces = bed::stores();
    let store = open(&url, &faces).unwrap();
    let row = acquire(&store, &["counts", "cents", "greatest"], &part(0));
    let list = List(vec![(
        0,
        0,
        5,
        key::to_bytes(&1u32),
        rufous_algebra::Codec::to_bytes(&rufous_algebra::Max::of("a".to_string())),
    )]);
    let a = step(&part(0), &row, 1, 5);
    commit(&store, std::slice::from_ref(&a), &[("greatest", &list)]).unwrap();
    server
        .sql_at(&url, "UPDATE rufous.cells_3 SET value = '\\x0707'")
        .unwrap();
    let next = step(&part(0), &after(&row, &a), 1, 5);
    refused(
        commit(&store, &[next], &[("greatest", &list)]),
        ErrorKind::CorruptData,
        &["store `greatest`"],
    );
    server
        .sql_at(&url, "UPDATE rufous.progress SET cuts = '[[1,\"x\"]]'")
        .unwrap();
    refused(store.snapshot().map(drop), ErrorKind::CorruptData, &["cuts"]);
    server
        .sql_at(&url, "UPDATE rufous.progress SET cuts = '[]', next = -1")
        .unwrap();
    refused(store.snapshot().map(drop), ErrorKind::CorruptData, &["-1"]);
}

/// A server that hangs, with the patience of every day: who has 300 ms, or goes away after as long, is told then, before a reader is open, before a snapshot
/// and in the middle of one; what he waited for is closed, so that later reads find connections.
#[test]
fn a_server_that_hangs_is_left_with_the_deadline() {
    let server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("deadline").unwrap();
    let store = open(&url, &counts()).unwrap();
    acquire(&store, &["counts"], &part(0));
    let take = || store.snapshot().unwrap();
    let (mut first, mut second) = (take(), take());
    let limits: [&dyn Fn(Instant) -> Until; 2] = [&|began| Until::from(began + Duration::from_millis(300)), &|began| {
        let gone = move || began.elapsed() >= Duration::from_millis(300);
        Until::default().unless(Some(Arc::new(gone)))
    }];
    let told_in_time =
        |what: &str, until: &Until, began: Instant, ask: &mut dyn FnMut(&Until) -> rufous_core::Result<()>| {
            let e = ask(until).err().unwrap_or_else(|| panic!("{what}: an answer"));
            let took = began.elapsed();
            assert_eq!(e.kind(), ErrorKind::TryAgain, "{what}: {e}");
            assert!(e.to_string().contains("nobody waits for longer"), "{what}: {e}");
            assert!((290..3_000).contains(&took.as_millis()), "{what}: {took:?}");
        };
    server.pause().unwrap();
    for (limit, held) in limits.into_iter().zip([&mut first, &mut second]) {
        let began = Instant::now();
        told_in_time("a reader", &limit(began), began, &mut |until| {
            PostgresRealtime::reader(&url, &PostgresOptions::default(), bed::N1, &counts(), until).map(drop)
        });
        let began = Instant::now();
        told_in_time("a snapshot", &limit(began), began, &mut |until| {
            store.snapshot_until(until).map(drop)
        });
        let began = Instant::now();
        told_in_time("keys", &limit(began), began, &mut |until| {
            held.set_until(until);
            held.cells("counts", &[key::to_bytes("a")], &Frontier::default())
                .map(drop)
        });
    }
    server.unpause().unwrap();
    drop((first, second));
    // As many as a handle has connections for readers.
    let all: Vec<_> = (0..PostgresOptions::default().connections).map(|_| take()).collect();
    assert!(all.iter().all(|s| s.partitions("counts").is_ok()));
}

/// Lets backends go on that were stopped, whatever becomes of the test.
struct Stopped(String);

impl Stopped {
    fn signal(pid: &str, signal: &str) {
        let done = std::process::Command::new("kill").args([signal, pid]).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        Self::signal(&self.0, "-CONT");
    }
}

/// A read that nobody waits for ends at the server, too, which does not notice by itself that its client has gone. Until then it has its
/// place, so that reads that are given up one after the other do not have all connections of the server.
#[test]
fn what_nobody_waits_for_ends_at_the_server() {
    let server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("left").unwrap();
    acquire(&open(&url, &counts()).unwrap(), &["counts"], &part(0));
    let options = PostgresOptions {
        connections: 1,
        ..PostgresOptions::default()
    };
    let reader = PostgresRealtime::reader(&url, &options, bed::N1, &counts(), &Until::default());
    let reader = reader.unwrap().unwrap();
    let ask = |sql: &str| server.sql_at(&url, sql).unwrap().trim().to_string();
    let waiting = || ask("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    // Reads that cannot be answered, each for as long.
    let give_up = |ms| {
        let began = Instant::now();
        let e = reader.snapshot_until(&Until::from(began + Duration::from_millis(ms)));
        assert_eq!(e.err().unwrap().kind(), ErrorKind::TryAgain);
    };
    let in_time = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(15), "{what}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    thread::scope(|scope| {
        let hold = "BEGIN; LOCK TABLE rufous.progress IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(120); COMMIT";
        // It is ended below.
        scope.spawn(|| server.sql_at(&url, hold));
        let free = || ask("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            in_time("the table is locked", &|| {
                ask(
                    "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'rufous.progress'::regclass",
                ) == "1"
            });
            for _ in 0..3 {
                give_up(300);
                in_time("nobody waits for what was given up", &|| waiting().is_empty());
            }
            // One that does not hear keeps its place, and the next read waits for that, not beside it.
            let read = scope.spawn(|| give_up(1_000));
            in_time("a read waits", &|| !waiting().is_empty());
            let pid = waiting();
            Stopped::signal(&pid, "-STOP");
            let stopped = Stopped(pid.clone());
            read.join().unwrap();
            let read = scope.spawn(|| give_up(1_500));
            while !read.is_finished() {
                assert_eq!(waiting(), pid, "one statement has the one place");
            }
            read.join().unwrap();
            drop(stopped);
            in_time("what goes on hears that it is to end", &|| waiting().is_empty());
        }));
        free();
        if let Err(why) = done {
            std::panic::resume_unwind(why);
        }
    });
    assert!(reader.snapshot().is_ok());
}

/// The time of a server is its own.
#[test]
fn the_time_is_told() {
    let server = postgres::shared();
    let url = server.database("time").unwrap();
    let ours = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let before = ours();
    let theirs = rufous_store_postgres::clock::clock(&url, &quick()).unwrap();
    assert!((before - 1..=ours()).contains(&theirs.0), "{before} {theirs}");
    refused(
        rufous_store_postgres::clock::clock("postgres://rufous:wr0ng@127.0.0.1:1/x", &quick()),
        ErrorKind::TryAgain,
        &["asking for the time", "127.0.0.1:1"],
    );
}

/// A server that hangs: every call ends within its bound and says what it waited for. What hung is there whole or not at all.
#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("hang").unwrap();
    let store = open_quick(&url).unwrap();
    let p = part(0);
    let row = acquire(&store, &["counts"], &p);
    let list = List::of(&[(0, 5, "a", 1u64), (0, 5, "b", 1)]);
    let snapshot = store.snapshot().unwrap();
    server.pause().unwrap();
    let bounded = |f: &dyn Fn()| {
        let start = Instant::now();
        f();
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    };
    let silent = ["127.0.0.1"];
    bounded(&|| {
        refused(
            commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &list)]),
            ErrorKind::TryAgain,
            &["committing a chunk", silent[0]],
        )
    });
    bounded(&|| {
        refused(
            snapshot.cells("counts", &[key::to_bytes("a")], &Frontier::default()),
            ErrorKind::TryAgain,
            &["reading keys of store `counts`"],
        )
    });
    bounded(&|| refused(store.snapshot().map(drop), ErrorKind::TryAgain, &["taking a snapshot"]));
    bounded(&|| refused(open_quick(&url), ErrorKind::TryAgain, &["opening namespace n1"]));
    refused(
        snapshot.cells("counts", &[key::to_bytes("a")], &Frontier::default()),
        ErrorKind::TryAgain,
        &["take another snapshot"],
    );
    server.unpause().unwrap();
    let row = acquire(&store, &["counts"], &p);
    let there = totals(&store);
    let expected = if row.next == 1 { vec![1, 1] } else { vec![] };
    assert_eq!(
        there.into_values().collect::<Vec<_>>(),
        expected,
        "whole or nothing: {row:?}"
    );
    let done = commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &list)]).unwrap();
    assert_eq!(done, Committed::Done);
}

/// Snapshots are bounded: in number by the connections, in time by the server. Both say what to do.
#[test]
fn snapshots_are_bounded() {
    let url = postgres::shared().database("snapshots").unwrap();
    let options = PostgresOptions {
        connections: 2,
        snapshot_timeout: Duration::from_millis(400),
        ..quick()
    };
    let store = PostgresRealtime::open(&url, &options, bed::N1, &counts()).unwrap();
    acquire(&store, &["counts"], &part(0));
    let mut held = vec![store.snapshot().unwrap(), store.snapshot().unwrap()];
    refused(
        store.snapshot().map(drop),
        ErrorKind::TryAgain,
        &["all 2 connections", "in use"],
    );
    // Who writes does not need them.
    acquire(&store, &["counts"], &part(1));
    held.pop();
    thread::sleep(Duration::from_millis(600));
    let late = held[0].cells("counts", &[key::to_bytes("a")], &Frontier::default());
    refused(
        late,
        ErrorKind::TryAgain,
        &["kept unused for more than 400 ms", "take another snapshot"],
    );
    held.clear();
    assert_eq!(store.snapshot().unwrap().partitions("counts").unwrap().len(), 2);
}

/// P11 under kill -9 of the server: after every restart each key has exactly the chunks that the row says, and a job goes on.
#[test]
fn a_killed_server_leaves_whole_chunks() {
    let mut server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("killed").unwrap();
    let keys: Vec<String> = (0..60).map(|n| format!("{n}")).collect();
    let p = part(0);
    open(&url, &counts()).unwrap();
    for round in 0..6u64 {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (url, keys, p, stop) = (&url, &keys, &p, &stop);
            let running = scope.spawn(move || {
                let store = open(url, &counts()).unwrap();
                let mut row = acquire(&store, &["counts"], p);
                let mut committed = 0;
                while !stop.load(Relaxed) {
                    let cells: Vec<_> = keys.iter().map(|k| (0, 5, k.as_str(), 1u64)).collect();
                    let a = step(p, &row, 1, 5);
                    match commit(&store, std::slice::from_ref(&a), &[("counts", &List::of(&cells))]) {
                        Ok(done) => assert_eq!(done, Committed::Done),
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::TryAgain, "{}", told(&e));
                            break;
                        }
                    }
                    row = after(&row, &a);
                    committed = row.next;
                }
                committed
            });
            thread::sleep(Duration::from_millis(120 + round * 37));
            server.kill().unwrap();
            let committed = { running }.join().unwrap();
            server.restart().unwrap();
            let store = open(url, &counts()).unwrap();
            let row = acquire(&store, &["counts"], p);
            assert!(
                row.next == committed || row.next == committed + 1,
                "{} behind {committed}",
                row.next
            );
            let totals = totals(&store);
            assert!(
                totals.len() == 60 && totals.values().all(|n| *n == row.next),
                "{row:?} {totals:?}"
            );
            stop.store(true, Relaxed);
        });
    }
}

/// A server that was stopped and started again: what was open goes on with new connections.
#[test]
fn a_restarted_server_is_met_again() {
    let mut server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("restarted").unwrap();
    let (store, p) = (open_quick(&url).unwrap(), part(0));
    let row = acquire(&store, &["counts"], &p);
    let list = List::of(&[(0, 5, "a", 1u64)]);
    server.stop().unwrap();
    refused(
        commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &list)]),
        ErrorKind::TryAgain,
        &["127.0.0.1"],
    );
    refused(
        store.snapshot().map(drop),
        ErrorKind::TryAgain,
        &["see whether the server runs"],
    );
    server.restart().unwrap();
    let row = acquire(&store, &["counts"], &p);
    commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &list)]).unwrap();
    assert_eq!(totals(&store)["a"], 1);
}

/// A full disk: nothing of the chunk is there, readers go on, and so does the writer once there is room.
#[test]
fn a_full_disk_takes_nothing() {
    let server = Server::start(&[("fsync", "off")]).unwrap();
    let url = server.database("full").unwrap();
    let Some(_disk) = server.small_disk("small", 24).unwrap() else {
        eprintln!("this user may mount no small disk: the test passes by");
        return;
    };
    let database = url.rsplit('/').next().unwrap();
    server
        .sql(
            "postgres",
            &format!("ALTER DATABASE \"{database}\" SET default_tablespace = 'small'"),
        )
        .unwrap();
    let (store, p) = (open(&url, &counts()).unwrap(), part(0));
    let mut row = acquire(&store, &["counts"], &p);
    let mut chunks = 0;
    let e = loop {
        let keys: Vec<String> = (0..5000)
            .map(|n| format!("{chunks:05}{n:010}{}", "x".repeat(80)))
            .collect();
        let cells: Vec<_> = keys.iter().map(|k| (0, 5, k.as_str(), 1u64)).collect();
        let a = step(&p, &row, 1, 5);
        match commit(&store, std::slice::from_ref(&a), &[("counts", &List::of(&cells))]) {
            Ok(done) => assert_eq!(done, Committed::Done),
            Err(e) => break e,
        }
        row = after(&row, &a);
        chunks += 1;
        assert!(chunks < 100, "the disk does not fill");
    };
    assert_eq!(e.kind(), ErrorKind::TryAgain, "{}", told(&e));
    assert!(told(&e).contains("53100") && told(&e).contains("disk"), "{}", told(&e));
    let rows = store.snapshot().unwrap().partitions("counts").unwrap();
    assert_eq!((rows[0].1.next, totals(&store).len()), (chunks, 5000 * chunks as usize));
    // Room comes: what another has there goes.
    server
        .sql_at(&url, "ALTER TABLE rufous.cells_1 SET TABLESPACE pg_default")
        .unwrap();
    server
        .sql_at(&url, "ALTER INDEX rufous.cells_1_pkey SET TABLESPACE pg_default")
        .unwrap();
    let row = acquire(&store, &["counts"], &p);
    let done = commit(
        &store,
        &[step(&p, &row, 1, 5)],
        &[("counts", &List::of(&[(0, 5, "k", 1u64)]))],
    )
    .unwrap();
    assert_eq!(done, Committed::Done);
}

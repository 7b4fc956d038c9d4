//! What happens when the server does not do what it should: clear errors, bounded waits, nothing half-written.

mod bed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bed::*;
use rufous_core::{BatchId, Error, ErrorKind, Frontier};
use rufous_store_api::{Committed, RealtimeReader, RealtimeStore, Until};
use rufous_store_redis::{RedisOptions, RedisRealtime, RedisTables};
use rufous_test_servers::redis::RedisSetup;

const SECRET: &str = "s3cr3t-of-a-test";

fn refused(url: &str, options: &RedisOptions) -> Error {
    let e = try_open(url, options).err().expect("it should be refused");
    assert!(!format!("{e} {e:?}").contains(SECRET), "{e:?}");
    e
}

fn is(e: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` in: {e}");
    }
}

#[test]
fn what_opening_refuses() {
    let url = |port: u16, user: &str| format!("redis://{user}127.0.0.1:{port}/0");
    // Nobody there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    is(
        &refused(&url(port, ""), &options()),
        ErrorKind::TryAgain,
        &["cannot connect", "127.0.0.1", "nobody listens there"],
    );
    // Somebody else.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    is(
        &refused(&url(port, ""), &options()),
        ErrorKind::CorruptData,
        &["check host and port"],
    );
    // Passwords.
    let server = RedisSetup::durable("no")
        .with(&format!("requirepass {SECRET}"))
        .signed_in_as("default", SECRET)
        .start()
        .unwrap();
    drop(open(&server));
    for user in ["", "default:wrong@", "nobody:wrong@", ":wrong@"] {
        let e = refused(&url(server.port(), user), &options());
        is(
            &e,
            ErrorKind::InvalidRequest,
            &["the server refuses user or password", "USER:PASSWORD@"],
        );
    }
    assert!(!open(&server).location().contains(SECRET));
    // A database that is not there.
    let e = refused(&server.url().replace("/0", "/99"), &options());
    is(&e, ErrorKind::InvalidRequest, &["database"]);
}

#[test]
fn servers_that_lose_or_evict_are_refused() {
    let volatile = RedisSetup::volatile().start().unwrap();
    let e = refused(&volatile.url(), &options());
    is(
        &e,
        ErrorKind::InvalidRequest,
        &["has no append-only file", "accept_volatile"],
    );
    let accepted = RedisOptions {
        accept_volatile: true,
        ..options()
    };
    drop(try_open(&volatile.url(), &accepted).unwrap());
    assert!(RedisTables::open(&volatile.url(), &options(), "bed", "main").is_err());

    let evicting = RedisSetup::durable("no")
        .with("maxmemory-policy allkeys-lru")
        .start()
        .unwrap();
    for options in [options(), accepted] {
        let e = refused(&evicting.url(), &options);
        is(
            &e,
            ErrorKind::InvalidRequest,
            &["maxmemory-policy allkeys-lru", "noeviction"],
        );
    }
    // No key of ours has an expiry.
    let server = RedisSetup::durable("no")
        .with("maxmemory-policy volatile-lru")
        .start()
        .unwrap();
    let mut row = acquire(&open(&server), &part(0));
    add(&open(&server), &part(0), &mut row, 1, &["a"]);
    for key in keys(&server) {
        assert_eq!(admin(&server, &["TTL", &key]), redis::Value::Int(-1), "{key}");
    }

    let master = RedisSetup::durable("no").start().unwrap();
    let replica = RedisSetup::durable("no")
        .with(&format!("replicaof 127.0.0.1 {}", master.port()))
        .start()
        .unwrap();
    let e = refused(&replica.url(), &options());
    is(
        &e,
        ErrorKind::InvalidRequest,
        &["is a replica: name the server that it copies"],
    );
}

/// The rights of the page on the layout are enough; with fewer of them nothing is written.
#[test]
fn missing_rights_leave_nothing_half_written() {
    let rights = "~rufous:* ~rufous-tables:* ~rufous-store:* +@read +@write +@scripting +@connection +info +time";
    let server = RedisSetup::durable("no")
        .with(&format!("user job on >{SECRET} {rights}"))
        .signed_in_as("job", SECRET)
        .start()
        .unwrap();
    let (url, as_admin) = (server.url(), format!("redis://127.0.0.1:{}/0", server.port()));
    let client = redis::Client::open(as_admin).unwrap();
    let admin = |words: &[&str]| {
        let mut connection = client.get_connection().unwrap();
        redis::cmd(words[0])
            .arg(&words[1..])
            .query::<redis::Value>(&mut connection)
            .unwrap()
    };
    let store = try_open(&url, &options()).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let held = store.snapshot().unwrap();
    assert_eq!(total(&*held, "a"), 1);
    RedisTables::open(&url, &options(), "bed", "main").unwrap();
    assert_eq!(
        RedisRealtime::namespaces(&url, &options(), "bed", "main").unwrap(),
        ["n1"]
    );
    for right in ["hset", "zadd", "incr", "unlink", "hincrby", "hget", "evalsha", "time"] {
        admin(&["ACL", "SETUSER", "job", &format!("-{right}")]);
        let before = admin(&["HGETALL", &format!("{PREFIX}cells/counts/lines/0/0/1")]);
        // New cells and old ones, a new batch, and one that a snapshot sees.
        for (batch, words) in [(1, ["a", "b"]), (2, ["a", "c"])] {
            let e = try_add(&store, &part(0), &mut row.clone(), batch, &words).expect_err(right);
            is(
                &e,
                ErrorKind::InvalidRequest,
                &["the user lacks a right", "ACL SETUSER"],
            );
        }
        assert_eq!(
            admin(&["HGETALL", &format!("{PREFIX}cells/counts/lines/0/0/1")]),
            before
        );
        admin(&["ACL", "SETUSER", "job", &format!("+{right}")]);
    }
    add(&store, &part(0), &mut row, 1, &["a"]);
    assert_eq!(total(&*store.snapshot().unwrap(), "a"), 2);
    // Keys of somebody else.
    admin(&["ACL", "SETUSER", "job", "resetkeys", "~other:*"]);
    let e = try_add(&store, &part(0), &mut row, 1, &["a"]).unwrap_err();
    is(&e, ErrorKind::InvalidRequest, &["the user lacks a right"]);
    // No INFO: it does not say what it promises.
    admin(&["ACL", "SETUSER", "job", "~rufous:*", "-info"]);
    is(
        &refused(&url, &options()),
        ErrorKind::InvalidRequest,
        &["grant the user INFO"],
    );
    admin(&["ACL", "SETUSER", "job", "+config|get"]);
    drop(try_open(&url, &options()).unwrap());
}

#[test]
fn a_full_memory_writes_nothing() {
    let server = RedisSetup::durable("no").start().unwrap();
    let store = open(&server);
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    admin(&server, &["CONFIG", "SET", "maxmemory", "1mb"]);
    let before = keys(&server);
    for (batch, words) in [(1, ["a", "b"]), (2, ["a", "b"]), (1, ["a", "a"])] {
        let e = try_add(&store, &part(0), &mut row, batch, &words).unwrap_err();
        is(
            &e,
            ErrorKind::TryAgain,
            &["memory is used up (maxmemory)", "nothing was written"],
        );
    }
    assert_eq!(keys(&server), before);
    // Who reads is served, and what makes room is done.
    let held = store.snapshot().unwrap();
    assert_eq!(total(&*held, "a"), 1);
    store.drop_below(&part(0), BatchId(2)).unwrap();
    row = acquire(&store, &part(0));
    assert_eq!((row.retained_from, total(&*held, "a")), (BatchId(2), 1));
    drop(held);
    assert_eq!(total(&*store.snapshot().unwrap(), "a"), 0);
    admin(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    add(&store, &part(0), &mut row, 2, &["a", "b"]);
    assert_eq!(total(&*store.snapshot().unwrap(), "a"), 1);
}

/// The disk of the append-only file is full: commits are refused whole, and go on when there is room.
#[test]
fn a_full_disk_writes_nothing() {
    let server = RedisSetup::durable("everysec").start().unwrap();
    let store = open(&server);
    let mut row = acquire(&store, &part(0));
    server.limit_files(Some(20_000)).unwrap();
    let refused = (0..2_000).find_map(|_| {
        let e = try_add(&store, &part(0), &mut row, 1, &["a", "b"]).err();
        // It notices once a second.
        std::thread::sleep(Duration::from_millis(1));
        e
    });
    let e = refused.expect("the disk was never full");
    is(
        &e,
        ErrorKind::TryAgain,
        &["cannot write its disk", "nothing was written"],
    );
    // Readers lease versions: that is refused, too.
    assert_eq!(store.snapshot().err().unwrap().kind(), ErrorKind::TryAgain);
    server.limit_files(None).unwrap();
    let started = Instant::now();
    while let Err(e) = try_add(&store, &part(0), &mut row, 1, &["a", "b"]) {
        is(&e, ErrorKind::TryAgain, &["cannot write its disk"]);
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(bed::row(&*snapshot, &part(0)).unwrap().next, row.next);
    assert_eq!(
        (total(&*snapshot, "a"), total(&*snapshot, "b")),
        (row.next / 2, row.next / 2)
    );
}

/// A server that hangs, with the patience of every day: who has 300 ms is told then, before a snapshot and in the middle of one, and
/// dropping what he has waits for nobody.
#[test]
fn a_server_that_hangs_is_left_with_the_deadline() {
    let mut server = RedisSetup::durable("no").start().unwrap();
    let store = try_open(&server.url(), &RedisOptions::default()).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let mut held = [(); 3].map(|()| store.snapshot().unwrap());
    server.pause().unwrap();
    let soon = || Until::from(Instant::now() + Duration::from_millis(300));
    let began = Instant::now();
    let e = store.snapshot_until(&soon()).err().unwrap();
    is(&e, ErrorKind::TryAgain, &["no answer within"]);
    let took = began.elapsed();
    assert!((290..3_000).contains(&took.as_millis()), "a snapshot: {took:?}");
    let began = Instant::now();
    let (options, url) = (RedisOptions::default(), server.url());
    let reader = RedisRealtime::reader(&url, &options, bed::N1, &faces(), &soon());
    is(&reader.err().unwrap(), ErrorKind::TryAgain, &["no answer within"]);
    let took = began.elapsed();
    assert!((290..3_000).contains(&took.as_millis()), "a reader: {took:?}");
    for held in &mut held {
        let began = Instant::now();
        held.set_until(&soon());
        let e = held
            .cells("counts", &[b"a\0".to_vec()], &Frontier::default())
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
        let took = began.elapsed();
        assert!((290..3_000).contains(&took.as_millis()), "keys: {took:?}");
    }
    // The least of them: a machine may be busy once.
    let dropped = held.map(|held| {
        let began = Instant::now();
        drop(held);
        began.elapsed()
    });
    assert!(dropped.iter().any(|took| took.as_millis() < 200), "{dropped:?}");
    // A connection that rested is asked whether it lives before it is used, and a new one is made: all that in the same time. Twice
    // of it is what a patience for each step took.
    server.resume().unwrap();
    drop(store.snapshot().unwrap());
    std::thread::sleep(Duration::from_millis(1_100));
    server.pause().unwrap();
    let began = Instant::now();
    let patience = Duration::from_secs(2);
    let e = store.snapshot_until(&Until::from(began + patience)).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
    let took = began.elapsed();
    assert!(took < patience * 3 / 2, "after a rest: {took:?}");
    server.resume().unwrap();
    // Who comes later has the patience of every day again.
    let snapshot = store.snapshot().unwrap();
    assert_eq!(total(&*snapshot, "a"), 1);
}

/// The time of a server is its own.
#[test]
fn the_time_is_told() {
    let server = RedisSetup::durable("no").start().unwrap();
    let ours = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let before = ours();
    let theirs = rufous_store_redis::clock(&server.url(), &options()).unwrap();
    assert!((before - 1..=ours()).contains(&theirs.0), "{before} {theirs}");
}

/// A server that hangs: a bounded wait that says for what. What it was asked may still be done, so nothing is asked again, and
/// the owner acquires (P12).
#[test]
fn a_server_that_hangs_is_not_waited_for_long() {
    let mut server = RedisSetup::durable("no").start().unwrap();
    let options = RedisOptions {
        connect_timeout: Duration::from_millis(400),
        response_timeout: Duration::from_millis(400),
        ..options()
    };
    let store = try_open(&server.url(), &options).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let held = store.snapshot().unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    let e = try_add(&store, &part(0), &mut row, 1, &["a", "b"]).unwrap_err();
    is(
        &e,
        ErrorKind::TryAgain,
        &["no answer within 400ms", "whether it was done is not known", "a chunk"],
    );
    let e = store.snapshot().err().unwrap();
    is(&e, ErrorKind::TryAgain, &["no answer within 400ms"]);
    let e = held
        .cells("counts", &[b"a\0".to_vec()], &Frontier::default())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
    is(
        &refused(&server.url(), &options),
        ErrorKind::TryAgain,
        &["no answer within 400ms"],
    );
    drop(held);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    server.resume().unwrap();
    let mut row = acquire(&store, &part(0));
    assert!(row.next == 1 || row.next == 3, "whole or not at all: {}", row.next);
    let words = ["a", "b"];
    let left = &words[row.next as usize - 1 - usize::from(row.next == 3)..];
    if row.next == 1 {
        add(&store, &part(0), &mut row, 1, left);
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!((total(&*snapshot, "a"), total(&*snapshot, "b")), (2, 1));
}

/// Row 5 of the fault table: the server is killed under load, again and again, and what was acknowledged is there.
#[test]
fn a_killed_server_has_whole_chunks() {
    let mut server = RedisSetup::durable("always").start().unwrap();
    let url = server.url();
    let ended = AtomicBool::new(false);
    let (mut acknowledged, mut unknown) = (0, 0);
    std::thread::scope(|scope| {
        let (ended, acknowledged, unknown) = (&ended, &mut acknowledged, &mut unknown);
        let writing = scope.spawn(move || {
            let patient = |f: &mut dyn FnMut() -> Result<(), Error>| {
                let started = Instant::now();
                while let Err(e) = f() {
                    assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
                    assert!(started.elapsed() < Duration::from_secs(30), "{e}");
                    std::thread::sleep(Duration::from_millis(10));
                }
            };
            let mut store = None;
            patient(&mut || {
                store = Some(try_open(&url, &options())?);
                Ok(())
            });
            let store = store.unwrap();
            let mut row = start();
            let mut least = 0;
            while !ended.load(Ordering::Relaxed) || least < 200 {
                patient(&mut || {
                    row = try_acquire(&store, &part(0))?;
                    Ok(())
                });
                assert!(
                    row.next >= least,
                    "acknowledged up to {least}, and the row stands at {}",
                    row.next
                );
                loop {
                    // Two words a record pair: a chunk that is half there shows.
                    let batch = 1 + row.next as i64 / 50;
                    match try_add(&store, &part(0), &mut row, batch, &["a", "b"]) {
                        Ok(Committed::Done) => {
                            least = row.next;
                            *acknowledged += 1;
                        }
                        Ok(refused) => panic!("{refused:?}"),
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
                            *unknown += 1;
                            break;
                        }
                    }
                    if ended.load(Ordering::Relaxed) && least >= 200 {
                        break;
                    }
                }
            }
        });
        for turn in 0..8u64 {
            std::thread::sleep(Duration::from_millis(60 + turn * 37 % 90));
            server.kill().unwrap();
            server.start_again().unwrap();
        }
        ended.store(true, Ordering::Relaxed);
        writing.join().unwrap();
    });
    let snapshot = reader(&server).snapshot().unwrap();
    let next = row(&*snapshot, &part(0)).unwrap().next;
    assert_eq!((total(&*snapshot, "a"), total(&*snapshot, "b")), (next / 2, next / 2));
    assert!(
        acknowledged > 50 && unknown >= 4,
        "{acknowledged} chunks, {unknown} unknown"
    );
}

/// A server that comes back empty: nobody is told a smaller sum as if it were whole; the owner begins anew (P32).
#[test]
fn a_server_that_lost_everything_is_noticed() {
    let mut server = RedisSetup::volatile().start().unwrap();
    let options = RedisOptions {
        accept_volatile: true,
        ..options()
    };
    let store = try_open(&server.url(), &options).unwrap();
    let reading = reader(&server);
    let mut rows: BTreeMap<_, _> = (0..2).map(|p| (p, acquire(&store, &part(p)))).collect();
    for (p, row) in &mut rows {
        add(&store, &part(*p), row, 1, &["a"]);
    }
    let held = reading.snapshot().unwrap();
    server.start_again().unwrap();
    // The line broke, the data is gone, and so is the row: in this order.
    let mut again = || try_add(&store, &part(0), rows.get_mut(&0).unwrap(), 1, &["a"]);
    is(
        &again().unwrap_err(),
        ErrorKind::TryAgain,
        &["a chunk", "the connection broke"],
    );
    is(&again().unwrap_err(), ErrorKind::TryAgain, &["what it held is gone"]);
    let nothing = Committed::Refused {
        partition: part(0),
        found: None,
    };
    assert_eq!(again().unwrap(), nothing);
    for _ in 0..2 {
        let e = held
            .cells("counts", &[b"a\0".to_vec()], &Frontier::default())
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
    }
    let [_, _, e] = [(); 3].map(|()| reading.snapshot().err().unwrap());
    is(&e, ErrorKind::TryAgain, &["what it held is gone"]);
    // Acquired anew, one partition after the other: what is there is what its rows say.
    let mut row = acquire(&store, &part(0));
    assert_eq!((row.epoch, row.next), (1, 0));
    add(&store, &part(0), &mut row, 1, &["a", "a", "a"]);
    let e = try_add(&store, &part(1), rows.get_mut(&1).unwrap(), 1, &["a"]).unwrap();
    assert_eq!(
        e,
        Committed::Refused {
            partition: part(1),
            found: None
        }
    );
    let snapshot = reading.snapshot().unwrap();
    assert_eq!(snapshot.partitions("counts").unwrap().len(), 1);
    assert_eq!(total(&*snapshot, "a"), 3);
}

/// P16: a server that comes back as it was a while ago has a whole state, an older one. The owner is refused, acquires, and reads
/// the log from there; who owned what the server forgot writes nothing, though another has the same epoch now.
#[test]
fn a_server_that_came_back_older_is_a_valid_shard() {
    let mut server = RedisSetup::durable("always").start().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let files = |from: &std::path::Path, to: &std::path::Path| {
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let (old, other) = (open(&server), open(&server));
    let mut row = acquire(&old, &part(0));
    add(&old, &part(0), &mut row, 1, &["a", "b"]);
    files(&server.dir().join("appendonlydir"), copy.path());
    let mut forgotten = acquire(&old, &part(0));
    let held = old.snapshot().unwrap();
    server.kill().unwrap();
    files(copy.path(), &server.dir().join("appendonlydir"));
    server.start_again().unwrap();
    // The same epoch, the same offset, another owner.
    let mut row = (0..3).find_map(|_| try_acquire(&other, &part(0)).ok()).unwrap();
    assert_eq!((row.epoch, row.next), (forgotten.epoch, forgotten.next));
    let late = |forgotten: &mut _| (0..3).find_map(|_| try_add(&old, &part(0), forgotten, 1, &["c"]).ok());
    let refused = |next| Committed::Refused {
        partition: part(0),
        found: Some((next, 2)),
    };
    assert_eq!(late(&mut forgotten), Some(refused(2)));
    add(&other, &part(0), &mut row, 1, &["a"]);
    assert_eq!(late(&mut forgotten), Some(refused(3)));
    let e = held
        .cells("counts", &[b"a\0".to_vec()], &Frontier::default())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
    let snapshot = old.snapshot().unwrap();
    assert_eq!(["a", "b", "c"].map(|w| total(&*snapshot, w)), [2, 1, 0]);
    // It acquires as anybody would.
    let mut row = acquire(&old, &part(0));
    assert_eq!((row.epoch, row.next), (3, 3));
    add(&old, &part(0), &mut row, 1, &["c"]);
}

/// Calls from inside a runtime neither panic nor need one.
#[test]
fn a_runtime_around_it_does_no_harm() {
    let server = RedisSetup::durable("no").start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&server);
        let mut row = acquire(&store, &part(0));
        add(&store, &part(0), &mut row, 1, &["a"]);
        assert_eq!(total(&*store.snapshot().unwrap(), "a"), 1);
    });
}

/// A chunk above the limits comes in pieces, and is in one step all the same; a fenced one leaves nothing but pieces that expire.
#[test]
fn large_chunks_are_one_step() {
    let server = RedisSetup::durable("no").start().unwrap();
    // A script of this size takes its time where others work as well.
    let patient = RedisOptions {
        response_timeout: Duration::from_secs(60),
        ..options()
    };
    let [store, other] = [0, 1].map(|_| try_open(&server.url(), &patient).unwrap());
    let mut row = acquire(&store, &part(0));
    let words: Vec<String> = (0..210_000).map(|i| i.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    add(&store, &part(0), &mut row, 1, &words);
    let held = store.snapshot().unwrap();
    add(&store, &part(0), &mut row, 1, &words);
    let mut late = row.clone();
    acquire(&other, &part(0));
    assert!(matches!(
        try_add(&store, &part(0), &mut late, 1, &words).unwrap(),
        Committed::Refused { .. }
    ));
    let now = store.snapshot().unwrap();
    for word in ["0", "104729", "209999"] {
        assert_eq!((total(&*held, word), total(&*now, word)), (1, 2), "{word}");
    }
    let mut count = 0;
    let scanned = held.scan("counts", b"", &Frontier::default(), &mut |_, _| {
        count += 1;
        Ok(())
    });
    scanned.unwrap();
    assert_eq!(count, words.len());
    for key in keys(&server).iter().filter(|k| k.contains("}:staged/")) {
        let redis::Value::Int(left) = admin(&server, &["TTL", key]) else {
            panic!()
        };
        assert!(left > 0, "{key}");
    }
}

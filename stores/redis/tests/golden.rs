//! The layout: what a fixed history leaves, key by key. And what somebody else wrote there is an error that names it.

mod bed;

use std::collections::BTreeMap;

use bed::*;
use redis::Value;
use rufous_core::{BatchId, Error, ErrorKind, Frontier, SourcePartition, Store, StoreFace, key};
use rufous_store_api::{NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair, Until};
use rufous_store_redis::{RedisOptions, RedisRealtime};
use rufous_test_servers::redis::{RedisServer, RedisSetup};

fn server() -> RedisServer {
    RedisSetup::durable("no").start().unwrap()
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => bytes.escape_ascii().to_string(),
        Value::SimpleString(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => panic!("{other:?}"),
    }
}

/// Every key behind the prefix, with what it holds.
fn dump(server: &RedisServer) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for key in keys(server) {
        let held = match text(&admin(server, &["TYPE", &key])).as_str() {
            "hash" => {
                let fields = texts(admin(server, &["HGETALL", &key]));
                let mut pairs: Vec<_> = fields.chunks(2).map(|p| format!("{} = {}", p[0], p[1])).collect();
                pairs.sort();
                pairs
            }
            "zset" => texts(admin(server, &["ZRANGE", &key, "0", "-1", "WITHSCORES"])),
            _ => vec![text(&admin(server, &["GET", &key]))],
        };
        let key = key.strip_prefix(PREFIX).map_or(key.clone(), str::to_string);
        all.insert(key, held);
    }
    all
}

const ROW_0: &str = r#"{\"owner\":\"...\",\"revision\":4,\"lane\":1,\"batches\":[3],\"progress\":{\"epoch\":2,\"next\":2,\"batch\":3,\"retained_from\":-9223372036854775808,\"cuts\":[[-9223372036854775808,0],[3,0]],\"holes\":[],\"topic_id\":\"t\",\"leader_epoch\":-1,\"last_time\":null,\"cut_spec\":\"c\",\"fingerprint\":\"f\"}}"#;
const ROW_7: &str = r#"{\"owner\":\"...\",\"revision\":3,\"lane\":0,\"batches\":[-4],\"progress\":{\"epoch\":1,\"next\":3,\"batch\":-4,\"retained_from\":-5,\"cuts\":[[-4,0]],\"holes\":[],\"topic_id\":\"t\",\"leader_epoch\":-1,\"last_time\":null,\"cut_spec\":\"c\",\"fingerprint\":\"f\"}}"#;

#[test]
fn a_fixed_history_leaves_these_keys() {
    let server = server();
    let store = open(&server);
    let (p, q) = (part(0), part(7));
    let mut row = acquire(&store, &p);
    add(&store, &p, &mut row, 2, &["gone"]);
    let mut row = store
        .acquire("counts", &p, &mut |_| Ok(Repair::Replace(start())))
        .unwrap();
    add(&store, &p, &mut row, 3, &["a\0", "b"]);
    let mut row = acquire(&store, &q);
    add(&store, &q, &mut row, -4, &["a", "c", "a"]);
    store.drop_below(&q, BatchId(-5)).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut found = dump(&server);
    let mut owners = Vec::new();
    for row in found.get_mut("rows/counts").unwrap() {
        let (head, rest) = row.split_once(r#"{\"owner\":\""#).unwrap();
        let (owner, tail) = rest.split_once(r#"\""#).unwrap();
        owners.push(owner.to_string());
        *row = format!(r#"{head}{{\"owner\":\"...\"{tail}"#);
    }
    assert!(
        owners[0] != owners[1] && owners.iter().all(|o| o.len() > 10),
        "{owners:?}"
    );
    let (leases, leased) = (found.remove("leases").unwrap(), found.remove("leased").unwrap());
    assert_eq!(
        (leases.len(), leased[0] == leases[0], leased[1].as_str()),
        (2, true, "7")
    );
    drop(snapshot);
    let meta = found.remove("meta").unwrap();
    assert!(meta[1].starts_with("data = ") && meta[1].len() > 20, "{meta:?}");
    assert_eq!(
        [&meta[0], &meta[2], &meta[3], &meta[4]],
        [
            "count/counts = 2",
            "format = 1",
            "namespace = n1",
            &format!("schema/counts = {}", StoreFace::of(COUNTS).schema())
        ]
    );
    let of = |held: &[&str]| held.iter().map(|h| h.to_string()).collect::<Vec<_>>();
    let expected: BTreeMap<String, Vec<String>> = [
        ("version", of(&["7"])),
        (
            "rows/counts",
            vec![format!("lines/0 = {ROW_0}"), format!("lines/7 = {ROW_7}")],
        ),
        (
            "cells/counts/lines/0/1/3",
            of(&[
                r"a\x01\x01\x00 = \x01\x00\x00\x00\x00\x00\x00\x00",
                r"b\x00 = \x01\x00\x00\x00\x00\x00\x00\x00",
            ]),
        ),
        ("keys/counts/lines/0/1/3", of(&[r"a\x01\x01\x00", "0", r"b\x00", "0"])),
        (
            "cells/counts/lines/7/0/-4",
            of(&[
                r"a\x00 = \x02\x00\x00\x00\x00\x00\x00\x00",
                r"c\x00 = \x01\x00\x00\x00\x00\x00\x00\x00",
            ]),
        ),
        ("keys/counts/lines/7/0/-4", of(&[r"a\x00", "0", r"c\x00", "0"])),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_string(), v))
    .collect();
    assert_eq!(found, expected);
    assert_eq!(
        keys(&server).len(),
        expected.len() + 1,
        "a lease goes with its snapshot"
    );
}

fn set(server: &RedisServer, words: &[&str]) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let words = words.iter().map(|w| w.replace("P:", PREFIX)).collect::<Vec<_>>();
    redis::cmd(&words[0]).arg(&words[1..]).exec(&mut connection).unwrap();
}

/// What every way of reading and writing says.
fn outcomes(store: &RedisRealtime, mut row: Progress) -> Vec<(&'static str, Result<(), Error>)> {
    let read = |f: &dyn Fn(&dyn rufous_store_api::Snapshot) -> Result<(), Error>| f(&*store.snapshot()?);
    let p = part(0);
    vec![
        (
            "cells",
            read(&|s| {
                s.cells("counts", &[key::to_bytes("a")], &Frontier::default())
                    .map(|_| ())
            }),
        ),
        (
            "scan",
            read(&|s| s.scan("counts", b"", &Frontier::default(), &mut |_, _| Ok(()))),
        ),
        ("commit", try_add(store, &p, &mut row, 1, &["a"]).map(|_| ())),
    ]
}

/// A smaller sum is never the answer to what was deleted, evicted or overwritten.
#[test]
fn what_somebody_else_wrote_is_named() {
    let cells = "P:cells/counts/lines/0/0/1";
    let damages: &[(&[&str], &str, &[&str])] = &[
        (
            &["DEL", cells],
            "cells/counts/lines/0/0/1",
            &["cells", "scan", "commit"],
        ),
        (
            &["HDEL", cells, "a\0"],
            "cells/counts/lines/0/0/1",
            &["cells", "scan", "commit"],
        ),
        (
            &["HSET", cells, "other\0", "x"],
            "cells/counts/lines/0/0/1",
            &["cells", "scan", "commit"],
        ),
        (
            &["DEL", "P:keys/counts/lines/0/0/1"],
            "cells/counts/lines/0/0/1",
            &["cells", "scan", "commit"],
        ),
        (
            &["HSET", cells, "a\0", ""],
            "store `counts`, key a\\x00, partition lines/0, batch 1",
            &["commit"],
        ),
        (
            &["SET", cells, "x"],
            "a key holds something else",
            &["cells", "scan", "commit"],
        ),
        (
            &["SET", "P:rows/counts", "x"],
            "a key holds something else",
            &["cells", "scan", "commit"],
        ),
        (
            &["HSET", "P:rows/counts", "lines/0", "x"],
            "the field `lines/0` of `rows/counts`",
            &["cells", "scan", "commit"],
        ),
        (
            &["HSET", "P:rows/counts", "lines/0", "{\"owner\":\"x\"}"],
            "the field `lines/0`",
            &["cells", "scan", "commit"],
        ),
        (&["DEL", "P:rows/counts"], "rows of store `counts`", &["cells", "scan"]),
        (
            &["HSET", "P:rows/counts", "x", "y"],
            "rows of store `counts`",
            &["cells", "scan"],
        ),
        (
            &["SET", "P:leases", "x"],
            "a key holds something else",
            &["cells", "scan", "commit"],
        ),
        (
            &["SET", "P:layers", "x"],
            "a key holds something else",
            &["cells", "scan", "commit"],
        ),
    ];
    let server = server();
    for (damage, named, meets) in damages {
        admin(&server, &["FLUSHALL"]);
        let store = open(&server);
        let mut row = acquire(&store, &part(0));
        add(&store, &part(0), &mut row, 1, &["a", "b"]);
        set(&server, damage);
        let before = dump(&server);
        for (how, outcome) in outcomes(&store, row) {
            if meets.contains(&how) {
                let e = outcome.expect_err(&format!("{how} after {damage:?}"));
                assert_eq!(e.kind(), ErrorKind::CorruptData, "{how} after {damage:?}: {e}");
                assert!(e.to_string().contains(named), "{how} after {damage:?}: {e}");
                if how == "commit" {
                    let without_leases = |mut all: BTreeMap<String, Vec<String>>| {
                        all.retain(|key, _| !key.starts_with("lease"));
                        all
                    };
                    assert_eq!(
                        without_leases(dump(&server)),
                        without_leases(before.clone()),
                        "after {damage:?}"
                    );
                }
            }
        }
    }
}

/// Namespaces of later builds, of other jobs, and of changed jobs are refused, by owners and readers.
#[test]
fn what_was_written_for_something_else_is_refused() {
    const TEXTS: Store<String, rufous_algebra::Max<String>> = Store::new("counts");
    const OTHER: Store<String, u64> = Store::new("others");
    let server = server();
    let (url, options) = (server.url(), RedisOptions::default());
    drop(open(&server));
    let of = |faces: &[StoreFace]| {
        let e = RedisRealtime::open(&url, &options, bed::N1, faces).err().unwrap();
        (e.kind(), e.to_string())
    };
    let (kind, e) = of(&[StoreFace::of(TEXTS)]);
    assert!(
        kind == ErrorKind::InvalidRequest && e.contains("store `counts` was written as"),
        "{e}"
    );
    let (_, e) = of(&[StoreFace::of(OTHER)]);
    assert!(e.contains("holds store `counts`, which this job does not have"), "{e}");
    let read = RedisRealtime::reader(&url, &options, bed::N1, &[StoreFace::of(TEXTS)], &Until::default());
    assert!(read.err().unwrap().to_string().contains("was written as"));
    // A store that came later.
    RedisRealtime::open(&url, &options, bed::N1, &[StoreFace::of(COUNTS), StoreFace::of(OTHER)]).unwrap();
    set(&server, &["HSET", "P:meta", "format", "2"]);
    for e in [of(&faces()).1, {
        let read = RedisRealtime::reader(&url, &options, bed::N1, &faces(), &Until::default());
        read.err().unwrap().to_string()
    }] {
        assert!(e.contains("has format 2, this build reads 1"), "{e}");
    }
    for damage in [
        &["HDEL", "P:meta", "format"][..],
        &["HDEL", "P:meta", "data"],
        &["HSET", "P:meta", "schema/%", "x"],
    ] {
        admin(&server, &["FLUSHALL"]);
        drop(open(&server));
        set(&server, damage);
        assert_eq!(of(&faces()).0, ErrorKind::CorruptData, "{damage:?}");
    }
    // Rows without the key that says what they are.
    admin(&server, &["FLUSHALL"]);
    acquire(&open(&server), &part(0));
    set(&server, &["DEL", "P:meta"]);
    let (kind, e) = of(&faces());
    assert!(kind == ErrorKind::CorruptData && e.contains("no key `meta`"), "{e}");
}

/// Names and keys of any bytes stay what they are, and never meet.
#[test]
fn hostile_names_never_meet() {
    let server = server();
    let names = [
        "a",
        "a/b",
        "a%2Fb",
        "{a}",
        "a b",
        "*",
        "a\r\nFLUSHALL\r\n",
        "",
        "ü",
        "a}:x",
    ];
    let (url, options) = (server.url(), RedisOptions::default());
    let open = |name: &str| RedisRealtime::open(&url, &options, NamespaceOf::new(name, name, name), &faces()).unwrap();
    for (n, name) in names.iter().enumerate() {
        let store = open(name);
        let p = SourcePartition::new(*name, 0);
        let mut row = acquire(&store, &p);
        let words = vec!["k"; n + 1];
        let advance = step(&p, &row, 1, words.len());
        let mut deltas = deltas(&part(0), 1, &words);
        store
            .commit(&rufous_store_api::Commit {
                advances: std::slice::from_ref(&advance),
                sources: &[name],
                deltas: &[("counts", &*deltas)],
            })
            .unwrap();
        deltas.clear();
        row.next = advance.to;
    }
    for (n, name) in names.iter().enumerate() {
        let store = open(name);
        let snapshot = store.snapshot().unwrap();
        assert_eq!(total(&*snapshot, "k"), n as u64 + 1, "{name}");
        assert_eq!(snapshot.partitions("counts").unwrap()[0].0.source, *name);
        let listed = RedisRealtime::namespaces(&url, &options, name, name).unwrap();
        assert_eq!(listed, [name.to_string()]);
    }
    // Deleting one leaves the others.
    for (n, name) in names.iter().enumerate() {
        let of = NamespaceOf::new(name, name, name);
        assert!(RedisRealtime::delete(&url, &options, of).unwrap());
        assert!(!RedisRealtime::delete(&url, &options, of).unwrap());
        assert_eq!(RedisRealtime::namespaces(&url, &options, name, name).unwrap(), [""; 0]);
        if let Some(next) = names.get(n + 1) {
            assert_eq!(total(&*open(next).snapshot().unwrap(), "k"), n as u64 + 2);
        }
    }
    assert_eq!(keys(&server), [""; 0]);
}

/// Who wrote a namespace that was deleted is told so, and begins anew; nothing of before comes back.
#[test]
fn a_deleted_namespace_begins_anew() {
    let server = server();
    let (url, options) = (server.url(), RedisOptions::default());
    let (store, reading) = (open(&server), reader(&server));
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let held = store.snapshot().unwrap();
    assert!(RedisRealtime::delete(&url, &options, bed::N1).unwrap());
    assert_eq!(keys(&server), [""; 0]);
    let e = try_add(&store, &part(0), &mut row, 1, &["a"]).unwrap_err();
    assert!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("what it held is gone"),
        "{e}"
    );
    let old = held
        .cells("counts", &[key::to_bytes("a")], &Frontier::default())
        .unwrap_err();
    assert_eq!(old.kind(), ErrorKind::TryAgain, "{old}");
    assert_eq!(reading.snapshot().err().unwrap().kind(), ErrorKind::TryAgain);
    assert!(
        RedisRealtime::reader(&url, &options, bed::N1, &faces(), &Until::default())
            .unwrap()
            .is_none()
    );
    let mut row = acquire(&store, &part(0));
    assert_eq!((row.epoch, row.next), (1, 0), "P32: the job says where it stands");
    add(&store, &part(0), &mut row, 1, &["a"]);
    assert_eq!(total(&*reading.snapshot().unwrap(), "a"), 1);
}

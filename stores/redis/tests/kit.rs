//! A plain store in Redis.

use std::sync::atomic::{AtomicU32, Ordering};

use rufous_algebra::Max;
use rufous_core::{ErrorKind, key};
use rufous_store_api::conformance::kit::{self, Samples};
use rufous_store_api::{MergeableStore, ReadableStore, WritableStore};
use rufous_store_redis::{RedisOptions, RedisStore};
use rufous_test_servers::redis::{RedisServer, RedisSetup};

fn open(server: &RedisServer, name: &str) -> RedisStore<String, u64> {
    RedisStore::open(&server.url(), &RedisOptions::default(), name).unwrap()
}

#[test]
fn redis_conforms() {
    let server = RedisSetup::durable("no").start().unwrap();
    let number = AtomicU32::new(0);
    let make = || open(&server, &format!("s{}", number.fetch_add(1, Ordering::Relaxed)));
    kit::writable(make, &Samples::texts());
    kit::mergeable(make, &Samples::texts());
    kit::full(make, &Samples::texts());
}

/// Reference 5.4: `merge` says `None` where nothing was, and the sum is there once, whoever adds at the same time.
#[test]
fn handles_of_several_processes_add_exactly() {
    let server = RedisSetup::durable("no").start().unwrap();
    assert_eq!(open(&server, "sums").merge("a".into(), 0).unwrap(), None);
    assert_eq!(open(&server, "sums").merge("a".into(), 0).unwrap(), Some(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = open(&server, "sums");
                for _ in 0..100 {
                    let pairs = vec![("a".to_string(), 1), ("b".to_string(), 2), ("a".to_string(), 3)];
                    assert!(store.multi_merge(pairs).iter().all(Result::is_ok));
                }
            });
        }
    });
    let store = open(&server, "sums");
    assert_eq!(
        (store.get(&"a".into()).unwrap(), store.get(&"b".into()).unwrap()),
        (Some(1600), Some(800))
    );
}

#[test]
fn other_types_and_other_bytes_are_refused() {
    let server = RedisSetup::durable("no").start().unwrap();
    let store = open(&server, "a/b");
    store.put("x".into(), Some(7)).unwrap();
    store.put("y".into(), Some(8)).unwrap();
    let other = RedisStore::<String, Max<String>>::open(&server.url(), &RedisOptions::default(), "a/b");
    let e = other.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("was written as") && e.to_string().contains("give it another name"),
        "{e}"
    );
    let mut raw = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut set = redis::cmd("HSET");
    set.arg("rufous-store:{a%2Fb}:values")
        .arg(key::to_bytes("x"))
        .arg("?")
        .exec(&mut raw)
        .unwrap();
    let answers = store.multi_get(&["x".into(), "y".into(), "z".into()]);
    let e = answers[0].as_ref().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    assert!(
        e.to_string().contains("key x\\x00 holds bytes that are no value"),
        "{e}"
    );
    assert_eq!(
        (answers[1].as_ref().unwrap(), answers[2].as_ref().unwrap()),
        (&Some(8), &None)
    );
    // It takes no other key with it, and is not overwritten by a sum.
    let answers = store.multi_merge(vec![("x".into(), 1), ("y".into(), 1)]);
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::CorruptData);
    assert_eq!(answers[1].as_ref().unwrap(), &Some(8));
    store.put("x".into(), None).unwrap();
    assert_eq!(store.merge("x".into(), 1).unwrap(), None);
    redis::cmd("HSET")
        .arg("rufous-store:{a%2Fb}:meta")
        .arg("format")
        .arg("2")
        .exec(&mut raw)
        .unwrap();
    let e = RedisStore::<String, u64>::open(&server.url(), &RedisOptions::default(), "a/b")
        .err()
        .unwrap();
    assert!(e.to_string().contains("has format 2, this build reads 1"), "{e}");
}

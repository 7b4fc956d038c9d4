//! The plain store against a plain map.

use std::collections::BTreeMap;
use std::thread;

use rufous_algebra::{Max, Semigroup};
use rufous_core::ErrorKind;
use rufous_store_api::{MergeableStore, ReadableStore, WritableStore};
use rufous_store_postgres::{PostgresOptions, PostgresStore};
use rufous_test_servers::postgres::{self, Server};

fn good<T>(answers: Vec<rufous_core::Result<T>>) -> Vec<T> {
    answers.into_iter().map(Result::unwrap).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Keys that sort alike, are empty, hold zero bytes, or are too long for an index.
fn key(n: u64) -> String {
    match n {
        0 => String::new(),
        1 => "a\0b".into(),
        2 => "x".repeat(5000),
        3 => format!("{}y", "x".repeat(4999)),
        n => format!("key {n}"),
    }
}

/// Random calls: one answer a key in the order asked, the last of two puts counts, each merge sees the ones before it.
fn histories<V: Semigroup + rufous_algebra::Codec + PartialEq + std::fmt::Debug>(name: &str, value: impl Fn(u64) -> V) {
    let url = postgres::shared().database("kit").unwrap();
    let mut random = Random(5);
    let mut map: BTreeMap<String, V> = BTreeMap::new();
    let mut store = PostgresStore::<String, V>::open(&url, &PostgresOptions::default(), name).unwrap();
    for round in 0..60 {
        let keys: Vec<String> = (0..random.below(12)).map(|_| key(random.below(9))).collect();
        match random.below(3) {
            0 => {
                let pairs: Vec<_> = keys
                    .iter()
                    .map(|k| (k.clone(), (random.below(4) > 0).then(|| value(random.below(1 << 40)))))
                    .collect();
                assert_eq!(good(store.multi_put(pairs.clone())).len(), keys.len());
                for (k, v) in pairs {
                    match v {
                        Some(v) => map.insert(k, v),
                        None => map.remove(&k),
                    };
                }
            }
            1 => {
                let pairs: Vec<_> = keys.iter().map(|k| (k.clone(), value(random.below(1 << 40)))).collect();
                let mut expected = Vec::new();
                for (k, v) in &pairs {
                    expected.push(map.get(k).cloned());
                    match map.get_mut(k) {
                        Some(now) => now.combine(v),
                        None => {
                            map.insert(k.clone(), v.clone());
                        }
                    }
                }
                assert_eq!(good(store.multi_merge(pairs)), expected, "round {round}");
            }
            _ => {
                let expected: Vec<_> = keys.iter().map(|k| map.get(k).cloned()).collect();
                assert_eq!(good(store.multi_get(&keys)), expected, "round {round}");
            }
        }
        if random.below(20) == 0 {
            store = PostgresStore::open(&url, &PostgresOptions::default(), name).unwrap();
        }
    }
    let all: Vec<String> = (0..9).map(key).collect();
    assert_eq!(
        good(store.multi_get(&all)),
        all.iter().map(|k| map.get(k).cloned()).collect::<Vec<_>>()
    );
}

#[test]
fn numbers_against_a_map() {
    histories("counts", |n| n);
    // Sums that leave the range of the type.
    histories("cents", |n| (n << 23) as i64);
}

#[test]
fn other_values_against_a_map() {
    histories("'; DROP TABLE \"x\"; -- \u{e9}", |n| Max::of(n.to_string()));
}

/// Merges of several processes, each of many keys, in any order: none is lost, none waits for ever.
#[test]
fn merges_of_several_processes_add_up() {
    let url = postgres::shared().database("kit").unwrap();
    let open = || PostgresStore::<u32, u64>::open(&url, &PostgresOptions::default(), "shared").unwrap();
    open();
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let (store, mut random) = (open(), Random(seed));
                for _ in 0..25 {
                    let first = random.below(50) as u32;
                    let pairs = (0..50).map(|n| ((first + n) % 50, 1)).collect();
                    good(store.multi_merge(pairs));
                }
            });
        }
    });
    let all: Vec<u32> = (0..50).collect();
    assert!(good(open().multi_get(&all)).into_iter().all(|n| n == Some(100)));
    let sum = postgres::shared()
        .sql_at(&url, "SELECT sum(value), min(key_1), max(key_1) FROM rufous.kit_1")
        .unwrap();
    assert_eq!(sum, "5000|0|49", "numbers that SQL adds");
}

/// A value that cannot be read fails its own key and no other; another type is refused at open.
#[test]
fn a_bad_value_fails_its_own_key() {
    let url = postgres::shared().database("kit").unwrap();
    let options = PostgresOptions::default();
    let store = PostgresStore::<u32, Max<String>>::open(&url, &options, "greatest").unwrap();
    good(store.multi_put(vec![(1, Some(Max::of("a".into()))), (2, Some(Max::of("b".into())))]));
    postgres::shared()
        .sql_at(&url, "UPDATE rufous.kit_1 SET value = '\\xff'::bytea WHERE key_1 = 1")
        .unwrap();
    let got = store.multi_get(&[2, 1, 3, 2]);
    assert!(
        matches!(&got[1], Err(e) if e.kind() == ErrorKind::CorruptData && e.to_string().contains("greatest")),
        "{got:?}"
    );
    assert_eq!(got[0].as_ref().unwrap(), got[3].as_ref().unwrap());
    assert!(matches!(got[2], Ok(None)));
    let merged = store.multi_merge(vec![(1, Max::of("z".into())), (2, Max::of("z".into()))]);
    assert!(merged[0].is_err() && merged[1].is_ok());
    let left = postgres::shared()
        .sql_at(&url, "SELECT value FROM rufous.kit_1 WHERE key_1 = 1")
        .unwrap();
    assert_eq!(left, "\\xff", "what cannot be read is not written over");
    let other = PostgresStore::<u32, u64>::open(&url, &options, "greatest")
        .map(drop)
        .unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidRequest);
    assert!(
        other.to_string().contains("max<text>") && other.to_string().contains("u64"),
        "{other}"
    );
}

/// A thousand keys are one question: the server is given one statement.
#[test]
fn a_thousand_keys_are_one_question() {
    let server = Server::start(&[("fsync", "off"), ("log_statement", "all")]).unwrap();
    let url = server.database("kit").unwrap();
    let store = PostgresStore::<u32, u64>::open(&url, &PostgresOptions::default(), "many").unwrap();
    good(store.multi_put((0..1000).map(|n| (n, Some(u64::from(n)))).collect()));
    let keys: Vec<u32> = (0..1000).collect();
    let asked = || {
        let log = std::fs::read_to_string(server.dir().join("log")).unwrap();
        log.lines()
            .filter(|line| line.contains("LOG:  execute") || line.contains("LOG:  statement"))
            .count()
    };
    let before = asked();
    assert_eq!(good(store.multi_get(&keys)).into_iter().flatten().sum::<u64>(), 499_500);
    assert_eq!(asked() - before, 1);
    // Written in one transaction: begin, rows, those that are deleted, commit.
    let before = asked();
    good(store.multi_put(keys.iter().map(|k| (*k, Some(1))).collect()));
    assert_eq!(asked() - before, 4);
}

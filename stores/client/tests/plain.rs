//! The merged answers of a job as a plain store: the three answers stay three, whatever is above.

mod support;

use std::collections::BTreeMap;

use rufous_core::ErrorKind;
use rufous_store_api::conformance::kit;
use rufous_store_api::kit::{Counts, MapStore, MemoryCache, Operation, ReadableStore, StoreExt};
use support::*;

/// Two layers that hold 30 keys, each in one of them or in both.
fn world() -> (World, BTreeMap<String, u64>) {
    let name = |i: u64| format!("key {i}");
    let offline: Vec<(String, u64)> = (0..20).map(|i| (name(i), 100 + i)).collect();
    let live: Vec<(String, i64, u64)> = (10..30).map(|i| (name(i), 5 + (i % 2) as i64, i)).collect();
    let w = World::default();
    let values: Vec<(&str, u64)> = offline.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &values);
    let cells: Vec<(&str, i64, u64)> = live.iter().map(|(k, b, v)| (k.as_str(), *b, *v)).collect();
    w.put("n1", 0, shard(row(&[(5, 10), (6, 15)], 20), &cells));
    let mut holds: BTreeMap<String, u64> = offline.into_iter().collect();
    for (key, _, value) in live {
        *holds.entry(key).or_default() += value;
    }
    (w, holds)
}

fn absent() -> Vec<String> {
    ["", "none", "key", "key 1\0"].map(String::from).to_vec()
}

#[test]
fn merged_answers_conform() {
    let (w, holds) = world();
    let counts = w.client().store(COUNTS).unwrap();
    kit::readable(&counts.values(), &holds, &absent());
    let cached = counts
        .values()
        .read_through(MemoryCache::of_entries(20))
        .remember_absence();
    for _ in 0..2 {
        kit::readable(&cached, &holds, &absent());
    }
    let more: MapStore<String, u64> = holds.clone().into_iter().collect();
    let twice = holds.iter().map(|(k, v)| (k.clone(), 2 * v)).collect();
    kit::readable(&counts.values().summed_with(more), &twice, &absent());
}

/// An answer brings what it rests on; many keys are of one snapshot.
#[test]
fn answers_keep_their_coverage() {
    let (w, _) = world();
    let counts = w.client().store(COUNTS).unwrap();
    let asked = ["key 3", "none", "key 15"].map(String::from);
    let calls = std::sync::Arc::new(Counts::default());
    let before = w.state().snapshots;
    let answers = counts.clone().observed(calls.clone()).multi_get(&asked);
    assert_eq!(w.state().snapshots, before + 1);
    let [there, gone, both]: [_; 3] = answers
        .into_iter()
        .map(|a| a.unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((there.clone().unwrap().value, gone), (Some(103), None));
    assert_eq!(both.unwrap().value, Some(115 + 15));
    assert_eq!(there, Some(counts.get("key 3").unwrap()));
    let told = calls.of(Operation::Get);
    assert_eq!((told.present, told.absent, told.failed), (2, 1, 0));
}

/// What is missing is an error here too: never absence, never a smaller sum, and never kept by a cache.
#[test]
fn a_part_of_an_answer_is_an_error() {
    let (w, _) = world();
    let whole = shard(row(&[(5, 10), (6, 15)], 20), &[("key 3", 5, 1)]);
    w.put("n1", 0, shard(row(&[(5, 12), (6, 15)], 20), &[]));
    let cached = w
        .client()
        .store(COUNTS)
        .unwrap()
        .values()
        .read_through(MapStore::new())
        .remember_absence();
    for key in ["key 3", "none"] {
        assert_eq!(cached.get(&key.to_string()).unwrap_err().kind(), ErrorKind::CorruptData);
    }
    w.put("n1", 0, whole);
    assert_eq!(cached.get(&"key 3".to_string()).unwrap(), Some(104));
    assert_eq!(cached.get(&"none".to_string()).unwrap(), None);
}

//! Several stores in one snapshot: whatever happens after it was taken, all reads through it are of one cut of the log. The oracle
//! is the state as it was then, in plain maps.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rufous_algebra::Codec;
use rufous_client::ClientSnapshot;
use rufous_core::{ErrorKind, Store, StoreFace};
use support::*;

const OTHER: Store<String, u64> = Store::new("other");
const KEYS: [&str; 3] = ["a", "ab", "b"];

/// `counts` and `other`, which is ten times as much: offline and live.
fn put(w: &World, number: u64, offline: &BTreeMap<&str, u64>, live: &BTreeMap<&str, u64>, next: u64) {
    let frontier = [(0, cut(5, 10))];
    for (store, times) in [("counts", 1), ("other", 10)] {
        let cells: Vec<_> = live.iter().map(|(k, v)| (*k, 5, v * times)).collect();
        w.put_store("n1", store, 0, shard(row(&[(5, 10)], next), &cells));
    }
    let values = |times: u64| -> Pairs { offline.iter().map(|(k, v)| (key(k), (v * times).to_bytes())).collect() };
    w.publish_store(
        manifest(number, Some("n1"), &frontier),
        &StoreFace::of(COUNTS),
        values(1),
    );
    let both = w.state().manifests[&number].clone();
    w.publish_store(both, &StoreFace::of(OTHER), values(10));
}

fn random(rng: &mut Rng) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for k in KEYS {
        if !rng.one_in(3) {
            all.insert(k, 1 + rng.below(1000));
        }
    }
    all
}

fn says(now: &ClientSnapshot, expected: &BTreeMap<&str, u64>) {
    let (counts, other) = (now.store(COUNTS).unwrap(), now.store(OTHER).unwrap());
    for k in KEYS {
        let sum = expected.get(k).copied();
        let (a, b) = (counts.get(k).unwrap(), other.get(k).unwrap());
        assert_eq!((a.value, b.value), (sum, sum.map(|s| s * 10)), "{k}");
        assert_eq!(a.token, b.token);
    }
    let all: BTreeMap<String, u64> = counts
        .under(())
        .unwrap()
        .into_iter()
        .map(|(k, a)| (k, a.value.unwrap()))
        .collect();
    assert_eq!(all, expected.iter().map(|(k, v)| (k.to_string(), *v)).collect());
    let top = other
        .top(1)
        .unwrap()
        .into_iter()
        .next()
        .map(|(_, a)| a.value.unwrap() / 10);
    assert_eq!(top, expected.values().copied().max());
    let raw = now.raw(StoreFace::of(COUNTS)).sum_under(&[]).unwrap();
    let sum = (!expected.is_empty()).then(|| expected.values().sum::<u64>());
    assert_eq!(raw.value.map(|v| u64::decode(&v).unwrap()), sum);
}

#[test]
fn all_reads_of_a_snapshot_are_of_one_cut() {
    for seed in 1..=200u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let w = World::default();
        let client = w.client();
        let mut held: Vec<(ClientSnapshot, BTreeMap<&str, u64>)> = Vec::new();
        for number in 1..6 {
            let (offline, live) = (random(&mut rng), random(&mut rng));
            put(&w, number, &offline, &live, 10 + number);
            let mut sum = offline;
            live.into_iter().for_each(|(k, v)| *sum.entry(k).or_default() += v);
            let now = client.snapshot().unwrap();
            assert_eq!(now.manifest(), number);
            held.push((now, sum));
            held.iter().for_each(|(now, sum)| says(now, sum));
            if rng.one_in(3) {
                held.remove(0);
            }
        }
    }
}

#[test]
fn a_snapshot_ends_with_the_last_of_its_clients() {
    let w = World::default();
    put(&w, 1, &BTreeMap::new(), &BTreeMap::from([("a", 1)]), 11);
    let live = || Arc::strong_count(&w.state().held) - 1;
    let now = w.client().snapshot().unwrap();
    let counts = now.store(COUNTS).unwrap();
    drop(now);
    assert_eq!((counts.get("a").unwrap().value, live()), (Some(1), 1));
    drop(counts);
    assert_eq!(live(), 0);
    w.client().store(COUNTS).unwrap().get("a").unwrap();
    assert_eq!(live(), 0, "a read ends its own");
}

/// The manifest that is newest when a file is gone is another cut: it is not read.
#[test]
fn a_file_that_is_gone_is_an_error_and_no_other_manifest() {
    let w = World::default();
    put(&w, 1, &BTreeMap::from([("a", 1)]), &BTreeMap::new(), 10);
    let client = w.client();
    let now = client.snapshot().unwrap();
    put(&w, 2, &BTreeMap::from([("a", 2)]), &BTreeMap::new(), 10);
    w.state().files.remove("counts-1");
    let e = now.store(COUNTS).unwrap().get("a").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert_eq!(
        e.to_string(),
        "store `counts`: run counts-1 is gone; this snapshot reads manifest 1 and no other: take a new one"
    );
    assert_eq!(
        now.store(OTHER).unwrap().get("a").unwrap().value,
        Some(10),
        "its own files are there"
    );
    assert_eq!(client.store(COUNTS).unwrap().get("a").unwrap().value, Some(2));
}

/// P28 for each store by itself, and for no other.
#[test]
fn the_check_is_made_for_each_store() {
    let w = World::default();
    put(&w, 1, &BTreeMap::from([("a", 1)]), &BTreeMap::new(), 12);
    w.put_store("n1", "other", 0, shard(row(&[(5, 11)], 12), &[]));
    let now = w.client().snapshot().unwrap();
    assert_eq!(now.store(COUNTS).unwrap().get("a").unwrap().value, Some(1));
    let other = now.store(OTHER).unwrap();
    assert_eq!(other.get("a").unwrap_err().kind(), ErrorKind::CorruptData);
    let p = other.get_partial("a").unwrap();
    assert_eq!((p.so_far, p.missing.len()), (Some(10), 1));
    assert_eq!(
        now.raw(StoreFace::of(Store::<String, i64>::new("counts")))
            .get(b"a")
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidRequest
    );
}

#[test]
fn a_silent_owner_is_told_by_the_reads() {
    let w = World::default();
    put(&w, 1, &BTreeMap::from([("a", 1)]), &BTreeMap::from([("a", 4)]), 12);
    w.state().silent = true;
    let now = w.client().snapshot().unwrap();
    let counts = now.store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap_err().kind(), ErrorKind::TryAgain);
    assert_eq!(counts.get_partial("a").unwrap().so_far, Some(1));
    w.state().silent = false;
    assert_eq!(
        counts.get("a").unwrap_err().kind(),
        ErrorKind::TryAgain,
        "what was not there then is not there now"
    );
    assert_eq!(
        w.client()
            .snapshot()
            .unwrap()
            .store(COUNTS)
            .unwrap()
            .get("a")
            .unwrap()
            .value,
        Some(5)
    );
}

/// P29: the manifest is read after the snapshot; when the namespace changed between them a new snapshot is taken.
#[test]
fn a_switch_while_it_is_taken_begins_anew() {
    let w = World::default();
    put(&w, 1, &BTreeMap::from([("a", 1)]), &BTreeMap::new(), 12);
    let client = w.client();
    client.store(COUNTS).unwrap().get("a").unwrap();
    w.put("n2", 0, shard(row(&[(5, 10)], 12), &[("a", 5, 30)]));
    w.state().after_snapshot = Some(Box::new(|s| {
        let mut m = s.manifests[&1].clone();
        (m.number, m.realtime_namespace) = (2, Some("n2".into()));
        s.manifests.insert(2, m);
    }));
    let now = client.snapshot().unwrap();
    assert_eq!(now.manifest(), 2);
    assert_eq!(now.store(COUNTS).unwrap().get("a").unwrap().value, Some(31));
    // One that changes each time is given up.
    let mut n = 2;
    w.state().after_snapshot = Some(Box::new(move |s| {
        let mut m = s.manifests[&n].clone();
        n += 1;
        (m.number, m.realtime_namespace) = (n, Some(format!("n{n}")));
        s.shards.insert(format!("n{n}"), BTreeMap::new());
        s.manifests.insert(n, m);
    }));
    assert_eq!(client.snapshot().unwrap_err().kind(), ErrorKind::TryAgain);
}

#[test]
fn a_job_that_never_ran_has_no_snapshot() {
    let w = World::default();
    assert_eq!(w.client().snapshot().unwrap_err().kind(), ErrorKind::InvalidRequest);
    put(&w, 1, &BTreeMap::new(), &BTreeMap::new(), 10);
    let past = Instant::now();
    assert_eq!(w.client().snapshot_until(past).unwrap_err().kind(), ErrorKind::TryAgain);
    assert!(w.client().snapshot_until(past + Duration::from_secs(60)).is_ok());
}

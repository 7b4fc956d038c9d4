//! Every combinator over a map passes what every store must pass, as far as it can do what the checks ask for.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rufous_core::{Error, Result};
use rufous_store_api::conformance::kit::{self, Broken, Flaky, Samples};
use rufous_store_api::kit::{
    Backoff, Behind, BoxStore, BytesExt, Conversion, EntriesExt, FullStore, KeepsSums, MapStore, MemoryCache,
    MergeableStore, Quorum, ReadableStore, Replicated, RowsExt, Searching, Sharded, StoreExt, WritableStore, constant,
    empty, function,
};

type Texts = MapStore<String, u64>;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn all<S: FullStore<String, u64>>(make: impl Fn() -> S) {
    kit::writable(&make, &Samples::texts());
    kit::mergeable(&make, &Samples::texts());
    kit::full(&make, &Samples::texts());
}

fn some() -> (BTreeMap<String, u64>, Vec<String>) {
    let holds = (0..200u64).map(|i| (format!("key {i}"), i)).collect();
    let absent = (0..50).map(|i| format!("none {i}")).chain([String::new()]).collect();
    (holds, absent)
}

fn filled(holds: &BTreeMap<String, u64>) -> Texts {
    holds.clone().into_iter().collect()
}

/// Its calls take a moment, each another one, so that threads meet between the steps of what is above.
struct Slow<S>(S, AtomicU64);

impl<S> Slow<S> {
    fn new(store: S) -> Self {
        Self(store, AtomicU64::new(0))
    }
    fn wait(&self) {
        let n = self.1.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(n * 7 % 60));
    }
}

impl<K, V, S: ReadableStore<K, V>> ReadableStore<K, V> for Slow<S> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let found = self.0.multi_get(keys);
        self.wait();
        found
    }
}

impl<K, V, S: WritableStore<K, V>> WritableStore<K, V> for Slow<S> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        self.wait();
        self.0.multi_put(pairs)
    }
}

impl<K, V, S: MergeableStore<K, V>> MergeableStore<K, V> for Slow<S> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        self.wait();
        self.0.multi_merge(pairs)
    }
}

/// What does more than one thing to a store keeps writes of one key apart, also where the store takes its time.
#[test]
fn steps_of_threads_do_not_mix() {
    let slow = || Slow::new(Texts::new());
    let texts = || Samples::new((0..40).map(|i| format!("{i}")), |n| n);
    fn both<S: FullStore<String, u64>>(make: impl Fn() -> S, samples: Samples<String, u64>) {
        kit::mergeable(&make, &samples);
        kit::full(&make, &samples);
    }
    both(|| slow().merged_by_put(), texts());
    both(
        || slow().cached(MapStore::new()).remember_absence().keep_written(),
        texts(),
    );
    both(
        || {
            Slow::new(MapStore::<u8, BTreeMap<String, u64>>::new())
                .unpivoted()
                .keyed_by(row_of)
        },
        texts(),
    );
    let copies = || Replicated::new(vec![slow(), slow()], Quorum::All, Quorum::All).unwrap();
    both(|| copies().merged_by_put(), texts());
    let rows = || Slow::new(MapStore::<(String, u8), u64>::new()).pivoted(|_: &String| vec![0, 1]);
    both(
        || {
            rows()
                .unpivoted()
                .keyed_by(|key: &String| Ok((key.clone(), key.len() as u8 % 2)))
        },
        texts(),
    );
}

/// Three rows for all keys.
fn row_of(key: &String) -> Result<(u8, String)> {
    Ok((key.as_bytes().last().map_or(0, |b| b % 3), key.clone()))
}

#[test]
fn a_map_conforms() {
    all(Texts::new);
}

#[test]
fn references_boxes_and_shared_stores_conform() {
    all(|| std::sync::Arc::new(Texts::new()));
    all(|| Box::new(Texts::new()));
    all(|| -> BoxStore<String, u64> { Texts::new().boxed() });
    all(|| -> &'static Texts { Box::leak(Box::default()) });
}

#[test]
fn stores_without_a_map_conform() {
    let (holds, absent) = some();
    kit::readable(&empty::<String, u64>(), &BTreeMap::new(), &absent);
    let sevens = absent.iter().map(|key| (key.clone(), 7)).collect();
    kit::readable(&constant::<String, u64>(7), &sevens, &[]);
    let of = |key: &String| Ok(key.strip_prefix("key ").and_then(|n| n.parse::<u64>().ok()));
    kit::readable(&function(of), &holds, &absent);
}

#[test]
fn converted_keys_conform() {
    all(|| MapStore::<Vec<u8>, u64>::new().keyed_by(|key: &String| Ok(key.as_bytes().to_vec())));
}

#[test]
fn converted_values_conform() {
    // Two's complement keeps sums; so the store below may add.
    let signed = || KeepsSums(Conversion::new(|v: &u64| Ok(*v as i64), |v: i64| Ok(v as u64)));
    all(|| MapStore::<String, i64>::new().converted(signed()));
}

#[test]
fn types_over_bytes_conform() {
    all(|| {
        MapStore::<Vec<u8>, Vec<u8>>::new()
            .typed::<String, u64>()
            .merged_by_put()
    });
}

#[test]
fn mapped_and_filtered_stores_conform() {
    let (holds, mut absent) = some();
    let even: BTreeMap<_, _> = holds.clone().into_iter().filter(|(_, v)| v % 2 == 0).collect();
    let halves: BTreeMap<_, _> = even.iter().map(|(k, v)| (k.clone(), v / 2)).collect();
    absent.extend(holds.keys().filter(|key| !even.contains_key(*key)).cloned());
    kit::readable(&filled(&holds).filtered(|_, v| v % 2 == 0), &even, &absent);
    let half = |_: &String, v: u64| Ok(v.is_multiple_of(2).then_some(v / 2));
    kit::readable(&filled(&holds).try_map_values(half), &halves, &absent);
    kit::readable(&filled(&even).map_values(|v| v / 2), &halves, &absent);
}

#[test]
fn composed_stores_conform() {
    let (holds, mut absent) = some();
    let names: MapStore<u64, String> = (0..100).map(|i| (i, format!("name {i}"))).collect();
    let named: BTreeMap<_, _> = (0..100).map(|i| (format!("key {i}"), format!("name {i}"))).collect();
    absent.extend((100..200).map(|i| format!("key {i}")));
    kit::readable(&filled(&holds).and_then(names), &named, &absent);
}

/// Keys of few rows, so that they meet in one.
fn entries() -> Samples<(u8, String), u64> {
    let texts = ["", "a", "b", "ab", "a\0", "\u{10ffff}", "x", "y", "z"];
    let keys = (0..4).flat_map(move |row| texts.map(|text| (row, text.to_string())));
    Samples::new(keys, |n| n)
}

/// A put of `unpivot` that does not wait, or reads and writes the row without a lock, loses what others write into the row.
#[test]
fn rows_taken_apart_conform() {
    let make = || MapStore::<u8, BTreeMap<String, u64>>::new().unpivoted();
    kit::writable(make, &entries());
    kit::mergeable(make, &entries());
    kit::full(make, &entries());
}

#[test]
fn rows_put_together_conform() {
    let hours = |_: &String| (0..5u8).collect();
    let make = || MapStore::<(String, u8), u64>::new().pivoted(hours);
    let row = |n: u64| BTreeMap::from([((n % 5) as u8, n), ((n / 5 % 5) as u8, 2 * n + 1)]);
    let samples = || Samples::new((0..30).map(|i| format!("{i}")), row);
    kit::writable(make, &samples());
    kit::mergeable(make, &samples());
    kit::full(make, &samples());
}

#[test]
fn caches_conform() {
    all(|| Texts::new().cached(MemoryCache::of_entries(1_000)));
    all(|| Texts::new().cached(MemoryCache::of_entries(5)));
    all(|| {
        let cache = MapStore::new();
        Texts::new().cached(cache).remember_absence().keep_written()
    });
    let (holds, absent) = some();
    let reading = filled(&holds)
        .read_through(MemoryCache::of_entries(100))
        .remember_absence();
    for _ in 0..2 {
        kit::readable(&reading, &holds, &absent);
    }
}

#[test]
fn copies_conform() {
    let copies = |n: usize, reads, writes| {
        move || {
            let copies = (0..n).map(|_| Texts::new()).collect();
            Replicated::new(copies, reads, writes).unwrap()
        }
    };
    use Quorum::{All, Majority, One};
    for (n, reads, writes) in [
        (1, All, All),
        (3, Majority, Majority),
        (2, One, All),
        (3, All, One),
        (4, Majority, All),
    ] {
        all(|| copies(n, reads, writes)().merged_by_put());
        kit::writable(|| copies(n, reads, writes)().roll_back(), &Samples::texts());
    }
}

#[test]
fn shards_conform() {
    for n in [1, 2, 7] {
        all(|| Sharded::new((0..n).map(|_| Some(Texts::new())).collect()).unwrap());
    }
}

#[test]
fn searching_conforms() {
    let (holds, absent) = some();
    let parts = [0, 1, 2].map(|i| -> Texts {
        // Later stores have other values of what earlier ones have.
        holds
            .iter()
            .filter(|(_, v)| **v % 3 >= i)
            .map(|(k, v)| (k.clone(), v + (v % 3 - i)))
            .collect()
    });
    let [a, b, c] = parts;
    kit::readable(&Searching::new(vec![c, b, a]), &holds, &absent);
    kit::readable(&Searching::<Texts>::new(Vec::new()), &BTreeMap::new(), &absent);
}

#[test]
fn batches_conform() {
    for (keys, calls) in [(1, 1), (3, 1), (3, 4), (1_000, 2)] {
        all(|| Texts::new().batched(n(keys)).side_by_side(n(calls)));
    }
}

#[test]
fn retried_and_observed_stores_conform() {
    all(|| Texts::new().retrying(Backoff::default()));
    all(|| Texts::new().observed(|_: &rufous_store_api::kit::Call| {}));
}

#[test]
fn sums_and_products_conform() {
    let (holds, absent) = some();
    let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) = holds.clone().into_iter().partition(|(_, v)| v % 3 == 0);
    kit::readable(&filled(&left).summed_with(filled(&right)), &holds, &absent);
    let twice = holds.iter().map(|(k, v)| (k.clone(), 2 * v)).collect();
    kit::readable(&filled(&holds).summed_with(filled(&holds)), &twice, &absent);

    let make = || Texts::new().with(MapStore::<String, i64>::new());
    let pair = |n: u64| match n % 3 {
        0 => (Some(n), None),
        1 => (None, Some(n as i64)),
        _ => (Some(n), Some(-(n as i64))),
    };
    let samples = || Samples::new((0..40).map(|i| format!("{i}")), pair);
    kit::writable(make, &samples());
    kit::full(make, &samples());
}

#[test]
fn a_stack_of_combinators_conforms() {
    all(|| {
        let shards = (0..3).map(|_| Some(Texts::new())).collect();
        Sharded::new(shards)
            .unwrap()
            .batched(n(50))
            .retrying(Backoff::default())
            .observed(|_: &rufous_store_api::kit::Call| {})
            .cached(MemoryCache::of_entries(100))
            .boxed()
    });
}

/// A key that fails takes no other with it, whatever is above the store.
#[test]
fn failures_stay_with_their_keys() {
    let (holds, _) = some();
    let bad: Vec<String> = ["key 3", "key 77", "key 120"].map(String::from).to_vec();
    let broken = || {
        let bad = bad.clone();
        Flaky::new(filled(&holds), move |_, key| {
            bad.contains(key)
                .then_some(Broken::Before(rufous_core::ErrorKind::Closed))
        })
    };
    kit::failures(&broken(), &holds, &bad);
    kit::failures(&broken().cached(MemoryCache::of_entries(1_000)), &holds, &bad);
    kit::failures(&broken().batched(n(7)).side_by_side(n(3)), &holds, &bad);
    kit::failures(&broken().retrying(Backoff::default()), &holds, &bad);
    kit::failures(&broken().keyed_by(|key: &String| Ok(key.clone())), &holds, &bad);
    kit::failures(&broken().filtered(|_, _| true), &holds, &bad);
    kit::failures(&broken().and_then(function(|v: &u64| Ok(Some(*v)))), &holds, &bad);
    kit::failures(
        &filled(&holds).and_then(function(|v: &u64| not(&bad, *v))),
        &holds,
        &bad,
    );
    kit::failures(&broken().summed_with(empty()), &holds, &bad);
    kit::failures(&empty().summed_with(broken()), &holds, &bad);
    kit::failures(&Searching::new(vec![broken(), broken()]), &holds, &bad);
    kit::failures(&Sharded::new(vec![Some(broken())]).unwrap(), &holds, &bad);
}

fn not(bad: &[String], v: u64) -> Result<Option<u64>> {
    match bad.contains(&format!("key {v}")) {
        true => Err(Error::closed("by order")),
        false => Ok(Some(v)),
    }
}

/// The sums of write-behind are those of a plain map, and the store gets a sum a key.
#[test]
fn write_behind_conserves_sums_and_cuts_writes() {
    let idle = Behind::default().age(None).keys(1_000);
    let writes = kit::write_behind(Texts::new(), idle, 50_000, 100);
    assert_eq!((writes.added, writes.sent, writes.calls), (50_000, 100, 1));
    // With room for less than there are, and with a clock that hurries.
    for limit in [idle.keys(10), idle.bytes(500), idle.keys(1)] {
        let writes = kit::write_behind(Texts::new(), limit, 20_000, 100);
        assert!(writes.calls > 1);
    }
    kit::write_behind(Texts::new(), idle.age(Some(Duration::from_micros(200))), 20_000, 100);
}

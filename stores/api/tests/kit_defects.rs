//! What was wrong in the combinators of the ancestor, and what goes wrong between a combinator and a store that fails: each test is
//! named for the rule that was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rufous_core::{Error, ErrorKind, Result};
use rufous_store_api::conformance::kit::{Broken, Flaky};
use rufous_store_api::kit::copies::{Repaired, shard_of};
use rufous_store_api::kit::{
    AddingStore, Adds, Backoff, Behind, BytesExt, Counts, EntriesExt, MapStore, MergeableStore, Operation, Quorum,
    ReadThrough, ReadableStore, Replicated, RetryingAdds, RowsExt, Searching, Sharded, StoreExt, WritableStore,
    WriteBehind, WriteThrough, function,
};

type Texts = MapStore<String, u64>;
type FlakyTexts = Flaky<Texts, String>;

fn k(text: &str) -> String {
    text.to_string()
}

fn texts(pairs: &[(&str, u64)]) -> Texts {
    pairs.iter().map(|(key, value)| (k(key), *value)).collect()
}

/// Fails every operation of the kind, while told to.
fn failing(store: Texts, of: Operation, how: Broken, on: &Arc<AtomicBool>) -> FlakyTexts {
    let on = Arc::clone(on);
    Flaky::new(store, move |op, _: &String| {
        (op == of && on.load(Ordering::SeqCst)).then_some(how)
    })
}

const PASSES: Broken = Broken::Before(ErrorKind::TryAgain);
const UNKNOWN: Broken = Broken::After(ErrorKind::TryAgain);

fn on() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

fn kinds<A>(answers: Vec<Result<A>>) -> Vec<Option<ErrorKind>> {
    answers.into_iter().map(|a| a.err().map(|e| e.kind())).collect()
}

fn backoff(tries: u32) -> Backoff {
    let pause = Duration::from_millis(1);
    Backoff::default()
        .tries(NonZeroU32::new(tries).unwrap())
        .pauses(pause, pause)
}

fn unwrapped<A>(answers: Vec<Result<A>>) -> Vec<A> {
    answers.into_iter().map(|a| a.unwrap()).collect()
}

// Types.

/// `ConvertedMergeable.multiMerge` made a map of the converted keys, and of keys that met all values but one were lost.
#[test]
fn keys_that_meet_lose_no_value() {
    let below = Texts::new();
    let store = below.clone().keyed_by(|key: &String| Ok(key.to_lowercase()));
    let before = unwrapped(store.multi_merge(vec![(k("A"), 1), (k("a"), 2), (k("B"), 5), (k("A"), 4)]));
    assert_eq!(before, [None, Some(1), None, Some(3)]);
    assert_eq!(below.entries(), [(k("a"), 7), (k("b"), 5)]);
    unwrapped(store.multi_put(vec![(k("A"), Some(1)), (k("a"), Some(2))]));
    assert_eq!(
        unwrapped(store.multi_get(&[k("A"), k("a"), k("B")])),
        [Some(2), Some(2), Some(5)]
    );
}

/// A key that cannot be converted is that key's error, and the store is not asked for it: not at all when there is no other.
#[test]
fn a_key_without_a_form_fails_alone() {
    let below = Arc::new(Flaky::new(texts(&[("a", 1)]), |_, _: &String| None));
    let store = below.clone().keyed_by(|key: &String| match key.len() {
        0..=3 => Ok(key.clone()),
        n => Err(Error::invalid(format!(
            "key `{key}` has {n} characters, and may have 3"
        ))),
    });
    let asked = [k("long one"), k("a"), k("b"), k("long too")];
    let invalid = Some(ErrorKind::InvalidRequest);
    assert_eq!(kinds(store.multi_get(&asked)), [invalid, None, None, invalid]);
    let pairs = asked.clone().map(|key| (key, 2)).to_vec();
    assert_eq!(kinds(store.multi_merge(pairs)), [invalid, None, None, invalid]);
    let pairs = asked.map(|key| (key, Some(9))).to_vec();
    assert_eq!(kinds(store.multi_put(pairs)), [invalid, None, None, invalid]);
    assert_eq!(below.below().entries(), [(k("a"), 9), (k("b"), 9)]);
    let calls = below.calls();
    assert!(store.get(&k("long one")).is_err());
    assert_eq!(below.calls(), calls, "nothing to ask is no call");
}

/// Bytes that are no value are corrupt, and the message names the key.
#[test]
fn bytes_that_are_no_value_are_an_error() {
    let below = MapStore::<Vec<u8>, Vec<u8>>::new();
    let store = below.clone().typed::<String, u64>();
    unwrapped(store.multi_put(vec![(k("a"), Some(1)), (k("b"), Some(2))]));
    let (key, _) = below.entries().remove(0);
    below.put(key, Some(vec![1, 2, 3])).unwrap();
    assert_eq!(store.get(&k("b")).unwrap(), Some(2));
    let e = store.get(&k("a")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    assert!(e.to_string().contains("`a`"), "{e}");
}

/// Composition asks the second store for what the first one has, and not at all for nothing.
#[test]
fn composition_does_not_ask_for_nothing() {
    let second = Arc::new(Flaky::new(texts(&[("x", 1)]), |_, _: &String| None));
    let first: MapStore<u8, String> = [(1, k("x")), (2, k("gone"))].into_iter().collect();
    let store = first.and_then(second.clone());
    assert_eq!(unwrapped(store.multi_get(&[7, 8])), [None, None]);
    assert_eq!(second.calls(), 0);
    assert_eq!(
        unwrapped(store.multi_get(&[1, 7, 2, 1])),
        [Some(1), None, None, Some(1)]
    );
}

// Rows.

/// `UnpivotedStore.put` did not wait for its write: here an answer means that the row is there, and a row that failed says so.
#[test]
fn a_put_of_an_entry_waits_for_its_row() {
    type Rows = MapStore<u8, BTreeMap<u8, u64>>;
    let fails = on();
    let flag = Arc::clone(&fails);
    let rows = Flaky::new(Rows::new(), move |op, key: &u8| {
        (op == Operation::Put && *key == 2 && flag.load(Ordering::SeqCst)).then_some(PASSES)
    });
    let store = rows.unpivoted();
    let pairs = vec![
        ((1, 1), Some(1)),
        ((2, 1), Some(1)),
        ((1, 2), Some(2)),
        ((2, 2), Some(2)),
    ];
    let failed = Some(ErrorKind::TryAgain);
    assert_eq!(kinds(store.multi_put(pairs.clone())), [None, failed, None, failed]);
    assert_eq!(
        unwrapped(store.multi_get(&[(1, 1), (1, 2), (2, 1)])),
        [Some(1), Some(2), None]
    );
    fails.store(false, Ordering::SeqCst);
    assert_eq!(kinds(store.multi_put(pairs)), [None; 4]);
}

/// An entry that is zero, and a row without entries, are absent: one rule, the one by which maps are summed.
#[test]
fn zero_is_absent_in_rows() {
    let rows = MapStore::<u8, BTreeMap<u8, i64>>::new();
    let store = rows.clone().unpivoted();
    assert_eq!(store.merge((1, 1), 5).unwrap(), None);
    assert_eq!(store.merge((1, 1), -5).unwrap(), Some(5));
    assert_eq!(store.get(&(1, 1)).unwrap(), None);
    store.put((1, 2), Some(0)).unwrap();
    assert_eq!(store.get(&(1, 2)).unwrap(), None);
    store.put((1, 2), Some(1)).unwrap();
    store.put((1, 2), None).unwrap();
    assert_eq!(rows.entries(), [], "an empty row is not kept");

    let entries = MapStore::<(u8, u8), i64>::new();
    let store = entries.clone().pivoted(|_: &u8| vec![1, 2, 3]);
    store.put(1, Some(BTreeMap::from([(1, 0)]))).unwrap();
    assert_eq!(store.get(&1).unwrap(), None);
    assert_eq!(store.merge(1, BTreeMap::from([(1, 2), (2, 3)])).unwrap(), None);
    assert_eq!(
        store.merge(1, BTreeMap::from([(1, -2)])).unwrap(),
        Some(BTreeMap::from([(1, 2), (2, 3)]))
    );
    assert_eq!(store.get(&1).unwrap(), Some(BTreeMap::from([(2, 3)])));
}

/// What could not be read again is refused before anything of its row is written.
#[test]
fn an_entry_outside_its_row_is_refused() {
    let entries = MapStore::<(u8, u8), u64>::new();
    let store = entries.clone().pivoted(|_: &u8| vec![1, 2]);
    let bad = BTreeMap::from([(1, 1), (9, 9)]);
    let invalid = Some(ErrorKind::InvalidRequest);
    let good = BTreeMap::from([(2, 2)]);
    assert_eq!(
        kinds(store.multi_put(vec![(1, Some(bad.clone())), (2, Some(good.clone()))])),
        [invalid, None]
    );
    assert_eq!(kinds(store.multi_merge(vec![(1, bad), (2, good)])), [invalid, None]);
    assert_eq!(entries.entries(), [((2, 2), 4)]);
}

/// Rows that several pairs of one call add to: behind one that failed nobody knows what the row was.
#[test]
fn a_row_behind_a_failure_has_no_before() {
    let mut fails = true;
    let entries = Flaky::new(MapStore::<(u8, u8), u64>::new(), move |op, key: &(u8, u8)| {
        (op == Operation::Merge && key.0 == 1 && std::mem::replace(&mut fails, false)).then_some(PASSES)
    });
    let store = entries.pivoted(|_: &u8| vec![1, 2]);
    let row = |v| BTreeMap::from([(1, v)]);
    let failed = Some(ErrorKind::TryAgain);
    let pairs = vec![(1, row(1)), (2, row(1)), (1, row(2)), (2, row(2))];
    assert_eq!(kinds(store.multi_merge(pairs)), [failed, None, failed, None]);
    assert_eq!(store.merge(1, row(4)).unwrap(), Some(row(2)));
    assert_eq!(store.merge(2, row(4)).unwrap(), Some(row(3)));
}

// Caches.

/// A failure is not kept: the next one who asks gets the store's answer.
#[test]
fn failures_are_never_cached() {
    let fails = on();
    let store = failing(texts(&[("a", 1)]), Operation::Get, PASSES, &fails);
    let store = store.cached(MapStore::new()).remember_absence();
    assert_eq!(
        kinds(store.multi_get(&[k("a"), k("b")])),
        [Some(ErrorKind::TryAgain); 2]
    );
    fails.store(false, Ordering::SeqCst);
    assert_eq!(unwrapped(store.multi_get(&[k("a"), k("b")])), [Some(1), None]);
}

/// Absence is kept when that was asked for, and only then.
#[test]
fn absence_is_cached_when_asked() {
    for remember in [false, true] {
        let below = Texts::new();
        let store = ReadThrough::new(MapStore::new(), below.clone());
        let store = if remember { store.remember_absence() } else { store };
        assert_eq!(store.get(&k("a")).unwrap(), None);
        below.put(k("a"), Some(1)).unwrap();
        assert_eq!(store.get(&k("a")).unwrap(), (!remember).then_some(1));
    }
}

/// A cache that fails is not an empty store: the store is asked, and the answer is its own.
#[test]
fn a_cache_that_fails_costs_no_answer() {
    let cache = Flaky::new(MapStore::<String, Option<u64>>::new(), |_, _: &String| Some(PASSES));
    let store = ReadThrough::new(cache, texts(&[("a", 1)]));
    assert_eq!(unwrapped(store.multi_get(&[k("a"), k("b")])), [Some(1), None]);
}

/// The same key many times in one call is one question to the store.
#[test]
fn a_cache_asks_for_different_keys() {
    let counts = Arc::new(Counts::default());
    let store = texts(&[("a", 1)])
        .observed(counts.clone())
        .read_through(MapStore::new());
    assert_eq!(
        unwrapped(store.multi_get(&[k("a"), k("b"), k("a"), k("b")])),
        [Some(1), None, Some(1), None]
    );
    assert_eq!(counts.of(Operation::Get).keys, 2);
}

/// `EagerWriteThroughCacheStore` wrote the cache before the store: a write that the store refused was read all the same.
#[test]
fn the_cache_is_written_after_the_store() {
    for how in [PASSES, UNKNOWN] {
        let fails = on();
        let below = texts(&[("a", 1)]);
        let store = failing(below.clone(), Operation::Put, how, &fails);
        let cache = MapStore::<String, Option<u64>>::new();
        let store = WriteThrough::new(cache.clone(), store)
            .keep_written()
            .remember_absence();
        assert_eq!(store.get(&k("a")).unwrap(), Some(1));
        let pairs = vec![(k("a"), Some(2)), (k("b"), None)];
        assert!(store.multi_put(pairs.clone()).iter().all(Result::is_err));
        assert_eq!(
            cache.entries(),
            [],
            "the cache has neither the new value nor the old one"
        );
        assert_eq!(store.get(&k("a")).unwrap(), below.get(&k("a")).unwrap());
        fails.store(false, Ordering::SeqCst);
        unwrapped(store.multi_put(pairs));
        assert_eq!(cache.entries(), [(k("a"), Some(2)), (k("b"), None)]);
    }
}

/// A cache that cannot forget would answer the old value after the write: so nothing is written.
#[test]
fn a_cache_that_cannot_forget_stops_the_write() {
    let below = texts(&[("a", 1), ("b", 1)]);
    let cache = Flaky::new(MapStore::<String, Option<u64>>::new(), |op, key: &String| {
        (op == Operation::Put && key == "a").then_some(PASSES)
    });
    let store = WriteThrough::new(cache, below.clone());
    let failed = Some(ErrorKind::TryAgain);
    assert_eq!(
        kinds(store.multi_put(vec![(k("a"), Some(2)), (k("b"), Some(2)), (k("a"), None)])),
        [failed, None, failed]
    );
    assert_eq!(kinds(store.multi_merge(vec![(k("a"), 5), (k("b"), 5)])), [failed, None]);
    assert_eq!(below.entries(), [(k("a"), 1), (k("b"), 7)]);
}

/// Who read the old value before a write must not put it into the cache after the write.
#[test]
fn a_slow_reader_does_not_bring_back_the_old_value() {
    type Gate = Arc<Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>>;
    for merge in [false, true] {
        let below = texts(&[("a", 1)]);
        let gate: Gate = Arc::default();
        let (read, has_read) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        *gate.lock().unwrap() = Some((read, may_go_on));
        let slow = Slow(below, gate);
        let store = &WriteThrough::new(MapStore::new(), slow);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| store.get(&k("a")).unwrap());
            has_read.recv().unwrap();
            if merge {
                assert_eq!(store.merge(k("a"), 1).unwrap(), Some(1));
            } else {
                store.put(k("a"), Some(2)).unwrap();
            }
            go_on.send(()).unwrap();
            assert_eq!(reader.join().unwrap(), Some(1), "it read before the write");
        });
        assert_eq!(store.get(&k("a")).unwrap(), Some(2));
    }

    /// Its first reader says that it has read, and waits.
    struct Slow(Texts, Gate);
    impl ReadableStore<String, u64> for Slow {
        fn multi_get(&self, keys: &[String]) -> Vec<Result<Option<u64>>> {
            let found = self.0.multi_get(keys);
            let gate = self.1.lock().unwrap().take();
            if let Some((read, may_go_on)) = gate {
                read.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
            found
        }
    }
    impl WritableStore<String, u64> for Slow {
        fn multi_put(&self, pairs: Vec<(String, Option<u64>)>) -> Vec<Result<()>> {
            self.0.multi_put(pairs)
        }
    }
    impl MergeableStore<String, u64> for Slow {
        fn multi_merge(&self, pairs: Vec<(String, u64)>) -> Vec<Result<Option<u64>>> {
            self.0.multi_merge(pairs)
        }
    }
}

/// Two who write one key at once write store and cache in one order: in another one the cache would answer a value that was
/// overwritten.
#[test]
fn a_cache_agrees_with_its_store() {
    fn slow<V>(store: MapStore<String, V>, step: u64) -> Flaky<MapStore<String, V>, String> {
        let mut calls = 0u64;
        Flaky::new(store, move |_, _: &String| {
            calls += step;
            std::thread::sleep(Duration::from_micros(calls * 37 % 100));
            None
        })
    }
    let (below, cache) = (Texts::new(), MapStore::new());
    let store = &WriteThrough::new(slow(cache.clone(), 3), slow(below.clone(), 1)).keep_written();
    for round in 0..50 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || store.put(k("a"), Some(round * 3 + thread)).unwrap());
            }
        });
        let kept = cache.get(&k("a")).unwrap();
        assert_eq!(kept, Some(below.get(&k("a")).unwrap()), "round {round}");
    }
}

// Copies.

fn replicated(
    how: [Option<(Operation, Broken)>; 3],
    reads: Quorum,
    writes: Quorum,
) -> (Replicated<FlakyTexts>, [Texts; 3]) {
    let below = [0, 1, 2].map(|_| texts(&[("a", 1), ("b", 1)]));
    let copies = below.iter().zip(how).map(|(below, how)| {
        Flaky::new(below.clone(), move |op, key: &String| {
            how.filter(|(of, _)| *of == op && key != "b").map(|(_, how)| how)
        })
    });
    (Replicated::new(copies.collect(), reads, writes).unwrap(), below)
}

/// `writeRollback` deleted the key everywhere: a failed write took what was there with it. What a copy had is put back; a deletion only where
/// nothing was; also where the copy took the write and its answer was lost.
#[test]
fn a_rollback_restores_what_was_there() {
    let put = |how| Some((Operation::Put, how));
    for how in [[put(PASSES), put(PASSES), None], [None, put(PASSES), put(PASSES)]] {
        let (store, below) = replicated(how, Quorum::Majority, Quorum::Majority);
        let store = store.roll_back();
        let pairs = vec![(k("a"), Some(2)), (k("new"), Some(2)), (k("b"), Some(2))];
        let failed = Some(ErrorKind::TryAgain);
        assert_eq!(kinds(store.multi_put(pairs)), [failed, failed, None]);
        for below in &below {
            assert_eq!(below.entries(), [(k("a"), 1), (k("b"), 2)]);
        }
        assert_eq!(kinds(store.multi_put(vec![(k("a"), None)])), [failed]);
        assert_eq!(below[2].get(&k("a")).unwrap(), Some(1), "a deletion is taken back, too");
    }
    // Its answer is lost once: then what it had can be put back.
    let below = [0, 1].map(|_| texts(&[("a", 1)]));
    let mut left = [1, 0].into_iter();
    let copies = below.clone().map(|below| {
        let mut failures = left.next().unwrap();
        Flaky::new(below, move |op, _: &String| {
            let fails = op == Operation::Put && failures > 0;
            failures -= i32::from(fails);
            fails.then_some(UNKNOWN)
        })
    });
    let store = Replicated::new(copies.into(), Quorum::One, Quorum::All)
        .unwrap()
        .roll_back();
    let e = store.put(k("a"), Some(2)).unwrap_err();
    assert!(e.to_string().contains("is put back"), "{e}");
    for below in &below {
        assert_eq!(below.entries(), [(k("a"), 1)]);
    }
}

/// A copy whose value is not known cannot get it back: it is not written.
#[test]
fn a_rollback_does_not_write_what_it_could_not_restore() {
    let get = Some((Operation::Get, PASSES));
    let (store, below) = replicated([get, get, None], Quorum::One, Quorum::Majority);
    let e = store.roll_back().put(k("a"), Some(2)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(below.iter().all(|below| below.get(&k("a")).unwrap() == Some(1)));
}

/// A write counts from as many copies on as were said, and an error names the key and how many there were.
#[test]
fn a_write_needs_its_quorum() {
    let put = Some((Operation::Put, PASSES));
    for (writes, needs) in [(Quorum::One, 1), (Quorum::Majority, 2), (Quorum::All, 3)] {
        for failures in 0..3usize {
            let how = [0, 1, 2].map(|i| put.filter(|_| i < failures));
            let (store, _) = replicated(how, Quorum::Majority, writes);
            let done = store.put(k("a"), Some(2));
            assert_eq!(
                done.is_ok(),
                3 - failures >= needs,
                "{writes:?} with {failures} failures"
            );
            if let Err(e) = done {
                let expected = format!("\"a\": {} of 3 copies took the write and {needs} must", 3 - failures);
                assert!(e.to_string().contains(&expected), "{e}");
            }
        }
    }
}

/// A read is what enough copies say: absence too has to be said by enough of them, and a failure says nothing.
#[test]
fn a_read_needs_its_quorum() {
    let copies = [texts(&[("x", 1)]), texts(&[("x", 1), ("y", 1)]), texts(&[("y", 2)])];
    let get = |reads| {
        let store = Replicated::new(copies.to_vec(), reads, Quorum::All).unwrap();
        [k("x"), k("y"), k("z")].map(|key| store.get(&key).map_err(|e| e.kind()))
    };
    let apart = Err(ErrorKind::TryAgain);
    assert_eq!(get(Quorum::One), [Ok(Some(1)), Ok(None), Ok(None)]);
    assert_eq!(get(Quorum::Majority), [Ok(Some(1)), apart, Ok(None)]);
    assert_eq!(get(Quorum::All), [apart, apart, Ok(None)]);
    let closed = Some((Operation::Get, Broken::Before(ErrorKind::Closed)));
    for (reads, answer) in [(Quorum::One, Ok(Some(1))), (Quorum::Majority, Err(ErrorKind::Closed))] {
        let (store, _) = replicated([closed, closed, None], reads, Quorum::All);
        assert_eq!(store.get(&k("a")).map_err(|e| e.kind()), answer);
    }
}

/// A repair writes what most copies say, and never what could undo a write that was answered with success.
#[test]
fn a_repair_mends_the_fewer() {
    let make = |writes| {
        let copies = [texts(&[("a", 2), ("new", 1)]), texts(&[("a", 2)]), texts(&[("a", 1)])];
        let store = Replicated::new(copies.to_vec(), Quorum::Majority, writes).unwrap();
        (store, copies)
    };
    let (store, copies) = make(Quorum::Majority);
    let mended = Ok(Repaired { mended: 1, failed: 0 });
    let done = store
        .repair(&[k("a"), k("new"), k("none")])
        .into_iter()
        .map(|r| r.map_err(|e| e.kind()));
    assert_eq!(done.collect::<Vec<_>>(), [mended, mended, Ok(Repaired::default())]);
    assert!(copies.iter().all(|copy| copy.entries() == [(k("a"), 2)]));
    // One copy was enough for the write of `new`: that two lack it does not say that it was not written.
    let (store, copies) = make(Quorum::One);
    assert_eq!(kinds(store.repair(&[k("a"), k("new")])), [Some(ErrorKind::TryAgain); 2]);
    assert_eq!(copies[0].entries(), [(k("a"), 2), (k("new"), 1)]);
    assert!(!store.reads_meet_writes());
}

/// Two who write one key at once meet all copies in one order: in another one the copies would stay apart for ever.
#[test]
fn copies_do_not_drift_apart() {
    let copies = [0, 1, 2].map(|_| Texts::new());
    let slow = copies.iter().zip(1..).map(|(copy, step)| {
        let mut calls = 0u64;
        Flaky::new(copy.clone(), move |_, _: &String| {
            calls += step;
            std::thread::sleep(Duration::from_micros(calls * 37 % 100));
            None
        })
    });
    let store = &Replicated::new(slow.collect(), Quorum::Majority, Quorum::All).unwrap();
    for round in 0..50 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || store.put(k("a"), Some(round * 3 + thread)).unwrap());
            }
        });
        let [a, b, c] = copies.each_ref().map(|copy| copy.entries());
        assert!(a == b && b == c, "round {round}: {a:?} {b:?} {c:?}");
    }
}

#[test]
fn nothing_is_replicated_or_sharded_into_no_store() {
    let none = Replicated::<Texts>::new(Vec::new(), Quorum::One, Quorum::One);
    assert_eq!(none.err().map(|e| e.kind()), Some(ErrorKind::InvalidRequest));
    assert_eq!(
        Sharded::<Texts>::new(Vec::new()).err().map(|e| e.kind()),
        Some(ErrorKind::InvalidRequest)
    );
}

/// A shard that is not there was absence to a reader and an error to a writer: it is an error to both, and to its keys only.
#[test]
fn a_missing_shard_is_an_error_to_all() {
    let store = Sharded::new(vec![Some(Texts::new()), None]).unwrap();
    let keys: Vec<String> = (0..20).map(|i| format!("{i}")).collect();
    let two = NonZeroU32::new(2).unwrap();
    let expected: Vec<_> = keys
        .iter()
        .map(|key| (shard_of(key, two) == 1).then_some(ErrorKind::TryAgain))
        .collect();
    assert_eq!(expected.iter().flatten().count(), 11, "both shards have some");
    assert_eq!(
        kinds(store.multi_put(keys.iter().map(|key| (key.clone(), Some(1))).collect())),
        expected
    );
    assert_eq!(
        kinds(store.multi_merge(keys.iter().map(|key| (key.clone(), 1)).collect())),
        expected
    );
    assert_eq!(kinds(store.multi_get(&keys)), expected);
    let lost = keys.iter().find(|key| shard_of(*key, two) == 1).unwrap();
    let e = store.get(lost).unwrap_err().to_string();
    assert!(e.contains(&format!("`{lost}`")) && e.contains("shard 1 of 2"), "{e}");
}

/// Where keys lie is fixed for ever: another hash would find nothing of what is stored.
#[test]
fn shards_of_rule_1() {
    let shards =
        |n: u32| ["", "a", "rufous", "key 7", "\u{10ffff}"].map(|key| shard_of(&k(key), NonZeroU32::new(n).unwrap()));
    assert_eq!(shards(1), [0; 5]);
    assert_eq!(shards(2), GOLDEN[0]);
    assert_eq!(shards(16), GOLDEN[1]);
    assert_eq!(shards(1_000_003), GOLDEN[2]);
    assert_eq!(
        shard_of(&(7u32, k("a")), NonZeroU32::new(1_000_003).unwrap()),
        GOLDEN_PAIR
    );
}
/// Computed with another implementation of XXH3.
const GOLDEN: [[u32; 5]; 3] = [
    [1, 0, 1, 1, 0],
    [12, 0, 8, 10, 7],
    [766_785, 52_623, 506_906, 663_229, 446_336],
];
const GOLDEN_PAIR: u32 = 688_760;

/// An error before the first hit is an error: the store that failed might have had another value, or this one.
#[test]
fn a_search_does_not_pass_over_an_error() {
    let first = failing(texts(&[("a", 1)]), Operation::Get, PASSES, &on());
    let fails_on_b = Flaky::new(texts(&[("a", 1)]), |_, key: &String| (key == "b").then_some(PASSES));
    let second = texts(&[("a", 2), ("b", 2), ("c", 2)]);
    let second = Flaky::new(second, |_, _: &String| None);
    let store = Searching::new(vec![fails_on_b, second]);
    let found = store.multi_get(&[k("a"), k("b"), k("c"), k("d")]);
    let found: Vec<_> = found.into_iter().map(|a| a.map_err(|e| e.kind())).collect();
    assert_eq!(found, [Ok(Some(1)), Err(ErrorKind::TryAgain), Ok(Some(2)), Ok(None)]);
    assert!(Searching::new(vec![first]).get(&k("a")).is_err());
}

// Load.

/// `TryAgain` is tried again, as often as was said; other errors are not; only keys that failed are asked again.
#[test]
fn what_may_pass_is_tried_again() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&asked);
    let store = Flaky::new(texts(&[("a", 1), ("b", 2)]), move |_, key: &String| {
        let mut calls = calls.lock().unwrap();
        calls.push(key.clone());
        let tries = calls.iter().filter(|other| *other == key).count();
        match key.as_str() {
            "a" if tries < 3 => Some(PASSES),
            "never" => Some(PASSES),
            "closed" => Some(Broken::Before(ErrorKind::Closed)),
            _ => None,
        }
    });
    let store = store.retrying(backoff(4));
    let found = store.multi_get(&[k("a"), k("closed"), k("b"), k("never")]);
    let found: Vec<_> = found.into_iter().map(|a| a.map_err(|e| e.kind())).collect();
    assert_eq!(
        found,
        [
            Ok(Some(1)),
            Err(ErrorKind::Closed),
            Ok(Some(2)),
            Err(ErrorKind::TryAgain)
        ]
    );
    let e = store.get(&k("never")).unwrap_err().to_string();
    assert!(e.starts_with("tried 4 times: "), "{e}");
    let asked = asked.lock().unwrap();
    let times = |key: &str| asked.iter().filter(|other| *other == key).count();
    assert_eq!(
        (times("a"), times("closed"), times("b"), times("never")),
        (3, 1, 1, 4 + 4)
    );
}

/// A put that is sent again must not overwrite a later put of the same call.
#[test]
fn a_retried_put_does_not_overtake_a_later_one() {
    let mut first = true;
    let store = Flaky::new(Texts::new(), move |_, key: &String| {
        let fails = first && key == "a";
        first &= !fails;
        fails.then_some(PASSES)
    });
    let store = store.retrying(backoff(3));
    unwrapped(store.multi_put(vec![
        (k("a"), Some(1)),
        (k("b"), Some(1)),
        (k("a"), Some(2)),
        (k("b"), None),
    ]));
    assert_eq!(unwrapped(store.multi_get(&[k("a"), k("b")])), [Some(2), None]);
}

/// After an error a merge may have been added: sent again it would count twice. It is sent once.
#[test]
fn a_merge_is_not_tried_again() {
    let below = Texts::new();
    let store = failing(below.clone(), Operation::Merge, UNKNOWN, &on()).retrying(backoff(5));
    assert_eq!(store.merge(k("a"), 3).map_err(|e| e.kind()), Err(ErrorKind::TryAgain));
    assert_eq!(below.entries(), [(k("a"), 3)]);
}

/// Values to which being added twice makes no difference are sent again.
#[test]
fn idempotent_additions_are_tried_again() {
    type Sets = MapStore<String, BTreeSet<u64>>;
    let below = Sets::new();
    let mut failures = 3;
    let flaky = Flaky::new(below.clone(), move |_, _: &String| {
        failures -= 1;
        (failures >= 0).then_some(UNKNOWN)
    });
    let store = RetryingAdds::new(Adds(flaky), backoff(4));
    unwrapped(store.multi_add(vec![(k("a"), BTreeSet::from([1])), (k("a"), BTreeSet::from([2]))]));
    assert_eq!(below.entries(), [(k("a"), BTreeSet::from([1, 2]))]);
}

/// No call has more keys than was said, and not more calls go on at once.
#[test]
fn batches_are_bounded() {
    let (now, most, largest) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    struct Watched<'a>(Texts, [&'a AtomicUsize; 3]);
    impl ReadableStore<String, u64> for Watched<'_> {
        fn multi_get(&self, keys: &[String]) -> Vec<Result<Option<u64>>> {
            let [now, most, largest] = self.1;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            largest.fetch_max(keys.len(), Ordering::SeqCst);
            // Until there was company, however busy the machine is.
            for _ in 0..10_000 {
                std::thread::sleep(Duration::from_millis(1));
                if most.load(Ordering::SeqCst) > 1 {
                    break;
                }
            }
            now.fetch_sub(1, Ordering::SeqCst);
            self.0.multi_get(keys)
        }
    }
    let store = Watched(texts(&[("5", 5)]), [&now, &most, &largest]);
    let n = |n| NonZeroUsize::new(n).unwrap();
    let store = store.batched(n(10)).side_by_side(n(3));
    let keys: Vec<String> = (0..205).map(|i| format!("{i}")).collect();
    let found = unwrapped(store.multi_get(&keys));
    assert_eq!(found.iter().flatten().count(), 1);
    assert_eq!(found[5], Some(5));
    assert_eq!(largest.load(Ordering::SeqCst), 10);
    assert!((2..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

/// A product asks each of its stores once, however many keys there are (it had no `multiGet`), and says which of them failed.
#[test]
fn a_product_asks_for_many_keys_at_once() {
    let (left, right) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let store = texts(&[("a", 1)])
        .observed(left.clone())
        .with(MapStore::<String, u64>::new().observed(right.clone()));
    assert_eq!(
        unwrapped(store.multi_get(&[k("a"), k("b"), k("c")])),
        [Some((Some(1), None)), None, None]
    );
    assert_eq!((left.of(Operation::Get).calls, right.of(Operation::Get).calls), (1, 1));
    let broken = failing(Texts::new(), Operation::Get, PASSES, &on());
    let e = texts(&[]).with(broken).get(&k("a")).unwrap_err();
    assert!(e.to_string().starts_with("the second of two stores"), "{e}");
}

/// A sum of two stores is not the value of one of them while the other fails.
#[test]
fn a_sum_needs_both() {
    let broken = failing(Texts::new(), Operation::Get, PASSES, &on());
    assert!(texts(&[("a", 1)]).summed_with(broken).get(&k("a")).is_err());
}

/// Present, absent, failed and the time are counted apart.
#[test]
fn an_observer_is_told_of_every_outcome() {
    let counts = Arc::new(Counts::default());
    let store = Flaky::new(texts(&[("a", 1)]), |_, key: &String| (key == "bad").then_some(PASSES));
    let store = store.observed(counts.clone());
    drop(store.multi_get(&[k("a"), k("a"), k("none"), k("bad")]));
    drop(store.multi_put(vec![(k("b"), Some(1)), (k("bad"), None)]));
    drop(store.multi_merge(vec![(k("b"), 1), (k("new"), 1), (k("bad"), 1)]));
    let told = |op| {
        let t = counts.of(op);
        (t.calls, t.keys, t.present, t.absent, t.failed)
    };
    assert_eq!(told(Operation::Get), (1, 4, 2, 1, 1));
    assert_eq!(told(Operation::Put), (1, 2, 1, 0, 1));
    assert_eq!(told(Operation::Merge), (1, 3, 1, 1, 1));
}

// Write-behind.

fn idle() -> Behind {
    Behind::default().age(None)
}

/// What waits is written when the store is dropped, when its time is over, and before its key is read.
#[test]
fn nothing_waits_for_ever() {
    let below = Texts::new();
    let store = below.clone().write_behind(idle()).unwrap();
    store.add(k("a"), 1).unwrap();
    store.add(k("b"), 1).unwrap();
    assert!(below.is_empty());
    assert_eq!(store.get(&k("a")).unwrap(), Some(1));
    assert_eq!(below.entries(), [(k("a"), 1)], "what is not asked for waits on");
    drop(store);
    assert_eq!(below.entries(), [(k("a"), 1), (k("b"), 1)]);

    let below = Texts::new();
    let store = below
        .clone()
        .write_behind(idle().age(Some(Duration::from_millis(20))))
        .unwrap();
    store.add(k("a"), 1).unwrap();
    let begun = std::time::Instant::now();
    while below.is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nobody writes what has waited long enough"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(store.close().is_empty());
}

/// Whoever reads a key finds what he added to it before, wherever it is: in memory, on its way, or written.
#[test]
fn what_one_has_added_one_reads() {
    let slow = Flaky::new(Texts::new(), |_, _: &String| {
        std::thread::sleep(Duration::from_micros(20));
        None
    });
    let limit = idle().keys(3).age(Some(Duration::from_micros(300)));
    let store = &WriteBehind::new(Adds(slow), limit).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            scope.spawn(move || {
                let mut sums = [0; 3];
                for i in 0..150 {
                    let n = (i * 7 % 5 % 3) as usize;
                    store.add(format!("{thread} {n}"), i + 1).unwrap();
                    sums[n] += i + 1;
                    if i % 4 == thread {
                        assert_eq!(store.get(&format!("{thread} {n}")).unwrap(), Some(sums[n]));
                    }
                }
            });
        }
    });
    store.flush().unwrap();
}

/// A sum that the store did not confirm is neither sent again (it would count twice) nor forgotten: its owner gets it.
#[test]
fn an_unclear_sum_is_kept_for_its_owner() {
    let fails = on();
    let below = Texts::new();
    let flag = Arc::clone(&fails);
    let flaky = Flaky::new(below.clone(), move |op, key: &String| {
        (op == Operation::Merge && key == "a" && flag.load(Ordering::SeqCst)).then_some(UNKNOWN)
    });
    let store = WriteBehind::new(Adds(Arc::new(flaky)), idle()).unwrap();
    unwrapped(store.multi_add(vec![(k("a"), 1), (k("b"), 2), (k("a"), 2)]));
    let e = store.flush().unwrap_err();
    assert!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("\"a\""),
        "{e}"
    );
    fails.store(false, Ordering::SeqCst);
    assert!(store.flush().is_err(), "it stays unclear until it is taken");
    assert_eq!(below.entries(), [(k("a"), 3), (k("b"), 2)], "it was not sent again");
    let unclear = store.take_unclear();
    assert_eq!(
        unclear.iter().map(|u| (u.key.as_str(), u.value)).collect::<Vec<_>>(),
        [("a", 3)]
    );
    assert!(store.flush().is_ok() && store.close().is_empty());
}

/// A key whose sum is unclear cannot be read: whatever the store has, nobody knows whether it is whole.
#[test]
fn an_unclear_key_has_no_answer() {
    let flaky = Flaky::new(texts(&[("a", 1), ("b", 1)]), |op, key: &String| {
        (op == Operation::Merge && key == "a").then_some(PASSES)
    });
    let store = WriteBehind::new(Adds(flaky), idle()).unwrap();
    unwrapped(store.multi_add(vec![(k("a"), 1), (k("b"), 1)]));
    assert_eq!(
        kinds(store.multi_get(&[k("a"), k("b")])),
        [Some(ErrorKind::TryAgain), None]
    );
    assert_eq!(store.take_unclear().len(), 1);
    assert_eq!(unwrapped(store.multi_get(&[k("a"), k("b")])), [Some(1), Some(2)]);
}

/// A store that refuses everything does not fill the memory: from a bound on additions are refused, and surely not added.
#[test]
fn what_waits_and_what_is_unclear_is_bounded() {
    let store = failing(Texts::new(), Operation::Merge, PASSES, &on());
    let store = WriteBehind::new(Adds(store), idle().keys(10)).unwrap();
    let accepted = (0..100u64).filter(|i| store.add(format!("{i}"), 1).is_ok()).count();
    assert!((10..=20).contains(&accepted), "{accepted}");
    let unclear = store.close();
    assert_eq!(unclear.len(), accepted, "each that was accepted is accounted for");
}

/// Also a store that panics: what was on its way is unclear, and the writing thread goes on.
#[test]
fn a_store_that_panics_loses_no_sum() {
    let mut panics = true;
    let flaky = Flaky::new(Texts::new(), move |_, _: &String| {
        assert!(!std::mem::replace(&mut panics, false), "by order");
        None
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let store = WriteBehind::new(Adds(flaky), idle()).unwrap();
    let store = store.when_lost(move |u| tell.lock().unwrap().push((u.key.clone(), u.value, u.error.kind())));
    store.add(k("a"), 1).unwrap();
    assert!(store.flush().is_err());
    store.add(k("a"), 2).unwrap();
    drop(store);
    assert_eq!(
        *told.lock().unwrap(),
        [(k("a"), 1, ErrorKind::Bug)],
        "dropping tells what nobody has taken"
    );
}

/// A store that miscounts is not believed.
#[test]
fn a_store_that_loses_count_is_an_error() {
    struct Short;
    impl ReadableStore<String, u64> for Short {
        fn multi_get(&self, keys: &[String]) -> Vec<Result<Option<u64>>> {
            keys.iter().skip(1).map(|_| Ok(None)).collect()
        }
    }
    let keys = [k("a"), k("b")];
    let bug = [Some(ErrorKind::Bug); 2];
    assert_eq!(kinds(Short.read_through(MapStore::new()).multi_get(&keys)), bug);
    assert_eq!(kinds(Short.summed_with(Texts::new()).multi_get(&keys)), bug);
    assert_eq!(kinds(Short.with(Texts::new()).multi_get(&keys)), bug);
    assert_eq!(kinds(Searching::new(vec![Short]).multi_get(&keys)), bug);
    assert_eq!(kinds(Short.retrying(backoff(1)).multi_get(&keys)), bug);
    assert_eq!(
        kinds(
            Texts::new()
                .with(Short)
                .and_then(function(|_: &_| Ok(Some(1))))
                .multi_get(&keys)
        ),
        bug
    );
    assert!(Short.get(&k("a")).is_err());
}

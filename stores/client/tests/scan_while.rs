//! Scans that end early: from behind any key, to any number of keys, the stretch of the whole that a list has there.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rufous_algebra::Codec;
use rufous_core::{BatchId, Error, ErrorKind, StoreFace};
use support::*;

fn world() -> World {
    let w = World::default();
    w.publish(
        manifest(1, Some("n1"), &[(0, cut(5, 10))]),
        &[("a", 1), ("b", 2), ("d", 4), ("f", 8)],
    );
    let cells = [("b", 16), ("c", 32), ("e", 64), ("g", 128)];
    let cells = cells.map(|(k, v)| ((key(k), BatchId(5)), u64::to_bytes(&v)));
    w.put(
        "n1",
        0,
        Shard {
            row: row(&[(5, 10)], 20),
            cells: cells.into(),
        },
    );
    w
}

const ALL: [(&str, u64); 7] = [
    ("a", 1),
    ("b", 18),
    ("c", 32),
    ("d", 4),
    ("e", 64),
    ("f", 8),
    ("g", 128),
];

#[test]
fn a_scan_is_a_stretch_of_the_list() {
    let client = world().client().raw(StoreFace::of(COUNTS));
    let whole = client.scan(&[], &mut |_, _| Ok(())).unwrap();
    for after in [None, Some(""), Some("a"), Some("bb"), Some("f"), Some("g"), Some("z")] {
        for limit in 0..=ALL.len() + 1 {
            let wanted: Vec<_> = ALL
                .iter()
                .filter(|(k, _)| after.is_none_or(|after| *k > after))
                .take(limit)
                .map(|(k, v)| (key(k), v.to_bytes()))
                .collect();
            let mut found = Vec::new();
            let after = after.map(key);
            let basis = client
                .scan_while(&[], after.as_deref(), &mut |basis, key, value| {
                    assert_eq!(basis, &whole, "one basis, from the first key on");
                    if found.len() == limit {
                        return Ok(false);
                    }
                    found.push((key.to_vec(), value.to_vec()));
                    Ok(true)
                })
                .unwrap();
            assert_eq!((found, basis), (wanted, whole.clone()), "{after:?} {limit}");
        }
    }
}

/// The error of the one who is shown the pairs is his own.
#[test]
fn an_error_ends_it() {
    let client = world().client().raw(StoreFace::of(COUNTS));
    let e = client
        .scan_while(&[], None, &mut |_, _, _| Err(Error::corrupt("mine")))
        .unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::CorruptData, "mine"));
}

/// What lies before the place where a scan goes on is not read: it may be damaged, or much.
#[test]
fn what_lies_before_is_not_read() {
    let w = World::default();
    let mut values = pairs(&[("a", 1), ("b", 2), ("c", 4)]);
    values.insert(key("a"), vec![0xff; 20]);
    let highest = vec![0xff, 0xff, 1];
    values.insert(vec![0xff, 0xff], 8u64.to_bytes());
    values.insert(highest.clone(), 16u64.to_bytes());
    w.publish_store(
        manifest(1, Some("n1"), &[(0, cut(5, 10))]),
        &StoreFace::of(COUNTS),
        values,
    );
    w.put("n1", 0, shard(row(&[(5, 10)], 20), &[("a", 5, 1)]));
    let client = w.client().raw(StoreFace::of(COUNTS));
    let from = |prefix: &[u8], after: &[u8]| {
        let mut found = Vec::new();
        let scanned = client.scan_while(prefix, Some(after), &mut |_, key, _| {
            found.push(key.to_vec());
            Ok(true)
        });
        scanned.map(|_| found)
    };
    assert_eq!(from(&[], &[]).unwrap_err().kind(), ErrorKind::CorruptData);
    let rest = vec![key("b"), key("c"), vec![0xff, 0xff], highest.clone()];
    assert_eq!(from(&[], &key("a")).unwrap(), rest);
    assert_eq!(from(&[], &key("b")).unwrap(), rest[1..]);
    assert_eq!(from(&key("b"), &key("a")).unwrap(), [key("b")]);
    assert_eq!(from(&key("b"), &key("b")).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(from(&key("b"), &key("c")).unwrap(), Vec::<Vec<u8>>::new());
    // Nothing is larger than what these begin with.
    assert_eq!(from(&[0xff], &[0xff]).unwrap(), rest[2..]);
    assert_eq!(from(&[], &[0xff, 0xff]).unwrap(), rest[3..]);
    assert_eq!(from(&[0xff, 0xff], &highest).unwrap(), Vec::<Vec<u8>>::new());
}

/// A read ends soon after nobody waits for it any more.
#[test]
fn what_is_given_up_ends() {
    let w = World::default();
    let names: Vec<String> = (0..2000).map(|i| format!("k{i:04}")).collect();
    let values: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &values);
    w.put("n1", 0, shard(row(&[(5, 10)], 10), &[]));
    let flag = Arc::new(AtomicBool::new(false));
    let client = w.client().raw(StoreFace::of(COUNTS)).unless(flag.clone());
    let mut shown = 0;
    client
        .scan(&[], &mut |_, _| {
            shown += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(shown, 2000);
    let e = client.scan(&[], &mut |_, _| {
        shown += 1;
        flag.store(true, Ordering::Relaxed);
        Ok(())
    });
    let e = e.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains("given up"), "{e}");
    assert!(shown < 2600, "{shown}");
    assert_eq!(client.get(&key("k0001")).unwrap_err().kind(), ErrorKind::TryAgain);
}

fn asked(w: &World) -> usize {
    w.state().asked.load(Ordering::Relaxed)
}

/// What a list holds of the realtime state has a limit, and what is more is read a slice at a time, of the one snapshot: whatever the limit, the
/// list is that of plain collections, from any key on. Keys have cells in several batches, lie beside the generation's and between them,
/// and begin with what nothing is larger than.
#[test]
fn a_list_is_read_in_slices() {
    let w = World::default();
    let (mut sums, mut offline, mut cells) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut rng = Rng(7);
    for n in 0..60u64 {
        let beginning: &[u8] = [b"a".as_slice(), b"b", &[0xff], &[0xff, 0xff]][(n % 4) as usize];
        let key = [beginning, &[rng.below(256) as u8, n as u8]].concat();
        let sum: &mut u64 = sums.entry(key.clone()).or_default();
        if rng.one_in(2) {
            offline.insert(key.clone(), (n + 1).to_bytes());
            *sum += n + 1;
        }
        for batch in 5..8 {
            if rng.one_in(2) {
                cells.insert((key.clone(), BatchId(batch)), (100 * n).to_bytes());
                *sum += 100 * n;
            }
        }
    }
    let there = |key: &Vec<u8>| offline.contains_key(key) || cells.keys().any(|(k, _)| k == key);
    sums.retain(|key, _| there(key));
    let all: Vec<(Vec<u8>, Vec<u8>)> = sums.iter().map(|(k, v)| (k.clone(), v.to_bytes())).collect();
    w.publish_store(
        manifest(1, Some("n1"), &[(0, cut(5, 10))]),
        &StoreFace::of(COUNTS),
        offline,
    );
    let batches = [(5, 10), (6, 12), (7, 14)];
    w.put(
        "n1",
        0,
        Shard {
            row: row(&batches, 20),
            cells,
        },
    );
    let list = |most: usize, prefix: &[u8], after: Option<&[u8]>| {
        let client = w.client().live_bytes(most).raw(StoreFace::of(COUNTS));
        let mut found = Vec::new();
        let scanned = client.scan_while(prefix, after, &mut |_, key, value| {
            found.push((key.to_vec(), value.to_vec()));
            // One that begins again and again would have no end.
            Ok(found.len() <= all.len())
        });
        scanned.map(|_| found)
    };
    // A key has three cells at most, each of which counts as less than 80 bytes.
    for most in [240, 300, 700, 2_000, usize::MAX] {
        for prefix in [b"".as_slice(), b"a", b"b", &[0xff], &[0xff, 0xff], b"c"] {
            let before = asked(&w);
            for after in std::iter::once(None).chain(all.iter().step_by(7).map(|(key, _)| Some(key.as_slice()))) {
                let wanted: Vec<_> = { all.iter() }
                    .filter(|(k, _)| k.starts_with(prefix) && after.is_none_or(|after| k.as_slice() > after))
                    .cloned()
                    .collect();
                assert_eq!(
                    list(most, prefix, after).unwrap(),
                    wanted,
                    "{most} {prefix:?} {after:?}"
                );
            }
            assert!(asked(&w) > before);
        }
    }
    let total: u64 = sums.values().sum();
    let sum = |most| w.client().live_bytes(most).raw(StoreFace::of(COUNTS)).sum_under(&[]);
    assert_eq!(sum(240).unwrap().value, Some(total.to_bytes()));
    // How often the state is passed follows from what may be held.
    let passes = |most| {
        let before = asked(&w);
        list(most, b"", None).unwrap();
        asked(&w) - before
    };
    assert_eq!(passes(usize::MAX), 1);
    // A slice is a range, and what lies behind all ranges.
    let slices = passes(240);
    assert!((10..=2 * sums.len()).contains(&slices), "{slices}");
}

/// What is committed between two slices is in none of the rest: all slices are of the snapshot that the first one is of.
#[test]
fn all_slices_are_of_one_snapshot() {
    let w = world();
    let client = w.client().live_bytes(100).raw(StoreFace::of(COUNTS));
    let before = asked(&w);
    let mut found = Vec::new();
    client
        .scan(&[], &mut |k, v| {
            found.push((k.to_vec(), v.to_vec()));
            assert!(found.len() <= ALL.len(), "{found:?}");
            // To every key that is there, and beside them.
            let cells =
                ["a", "b", "c", "d", "dd", "e", "f", "g", "h"].map(|k| ((key(k), BatchId(5)), 1_000u64.to_bytes()));
            let (row, cells) = (row(&[(5, 10)], 30), cells.into());
            w.put("n1", 0, Shard { row, cells });
            Ok(())
        })
        .unwrap();
    let all: Vec<_> = ALL.iter().map(|(k, v)| (key(k), v.to_bytes())).collect();
    assert_eq!(found, all);
    assert!(asked(&w) > before + 2, "it was read in slices");
}

/// What one key alone has may be more than a list may hold: that is said of it. Keys before it were shown, and are exact.
#[test]
fn a_key_that_is_too_large_is_named() {
    let limited = world().client().live_bytes(60).raw(StoreFace::of(COUNTS));
    let mut found = 0;
    let e = limited.scan(&[], &mut |_, _| {
        found += 1;
        Ok(())
    });
    let e = e.unwrap_err();
    assert_eq!((e.kind(), found), (ErrorKind::InvalidRequest, 0));
    assert!(
        e.to_string().contains("`counts`") && e.to_string().contains("key `b` alone"),
        "{e}"
    );
}

/// An owner that falls silent between two slices ends the list: what was shown is exact, and not all.
#[test]
fn an_owner_that_falls_silent_between_slices_ends_the_list() {
    let w = world();
    let client = w.client().live_bytes(100).raw(StoreFace::of(COUNTS));
    let mut found = Vec::new();
    let e = client.scan(&[], &mut |k, v| {
        found.push((k.to_vec(), v.to_vec()));
        let asked = asked(&w);
        w.state().dies_when_asked.store(asked + 1, Ordering::Relaxed);
        Ok(())
    });
    assert_eq!(e.unwrap_err().kind(), ErrorKind::TryAgain);
    let all: Vec<_> = ALL.iter().map(|(k, v)| (key(k), v.to_bytes())).collect();
    assert!(
        !found.is_empty() && found.len() < all.len() && all.starts_with(&found),
        "{found:?}"
    );
}

//! Scans that end early: from behind any key, to any number of keys, the stretch of the whole that a list has there.

mod support;

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

/// What a list would hold of the realtime state has a limit, and the error says what to ask for in its place.
#[test]
fn a_list_holds_so_much_of_the_realtime_state() {
    let w = world();
    let limited = w.client().live_bytes(250).raw(StoreFace::of(COUNTS));
    let e = limited.scan(&[], &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("`counts`") && e.to_string().contains("narrower prefix"),
        "{e}"
    );
    assert_eq!(limited.sum_under(&[]).unwrap_err().kind(), ErrorKind::InvalidRequest);
    let mut found = 0;
    limited
        .scan(&key("c"), &mut |_, _| {
            found += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(
        (found, limited.get(&key("b")).unwrap().value),
        (1, Some(18u64.to_bytes()))
    );
}

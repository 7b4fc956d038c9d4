//! Scans that end early: from behind any key, to any number of keys, the stretch of the whole that a list has there.

mod support;

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

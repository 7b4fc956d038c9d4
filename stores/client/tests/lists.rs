//! Reads of many keys: one snapshot, both layers merged in key order.

mod support;

use rufous_algebra::Codec;
use rufous_core::key::to_bytes;
use rufous_core::{BatchId, Error, ErrorKind, StoreFace};
use support::*;

type Hours<'a> = &'a [(&'a str, u32, u64)];

/// Keys (word, hour); some offline only, some realtime only, some in both.
fn world(offline: Hours<'_>, live: Hours<'_>) -> World {
    let w = World::default();
    let bytes = |k: &str, h: u32| to_bytes(&(k, h));
    let values = offline.iter().map(|(k, h, v)| (bytes(k, *h), v.to_bytes())).collect();
    w.publish_store(
        manifest(1, Some("n1"), &[(0, cut(5, 10))]),
        &StoreFace::of(HOURS),
        values,
    );
    let cells = live
        .iter()
        .map(|(k, h, v)| ((bytes(k, *h), BatchId(5)), v.to_bytes()))
        .collect();
    w.put_store(
        "n1",
        "hours",
        0,
        Shard {
            row: row(&[(5, 10)], 20),
            cells,
        },
    );
    w
}

fn both() -> World {
    world(
        &[("a", 1, 1), ("a", 3, 2), ("ab", 1, 4), ("b", 2, 8)],
        &[("a", 2, 16), ("a", 3, 32), ("b", 1, 64), ("c", 9, 128)],
    )
}

#[test]
fn a_prefix_meets_its_own_keys_only() {
    let hours = both().client().store(HOURS).unwrap();
    assert_eq!(
        hours.sum_under(("a",)).unwrap().value,
        Some(1 + 2 + 16 + 32),
        "not `ab`"
    );
    assert_eq!(hours.sum_under(("ab",)).unwrap().value, Some(4));
    assert_eq!(hours.sum_under(()).unwrap().value, Some(255));
    assert_eq!(hours.sum_under(("x",)).unwrap().value, None);
    assert_eq!(hours.sum_range(("a", 2)..("a", 4)).unwrap().value, Some(50));
    assert_eq!(hours.sum_range(("a", 3)..("b", 2)).unwrap().value, Some(34 + 4 + 64));
    assert_eq!(hours.sum_range(("b", 3)..("a", 1)).unwrap().value, None);
}

#[test]
fn lists_ascend_by_key() {
    let w = both();
    let hours = w.client().store(HOURS).unwrap();
    let all: Vec<_> = hours
        .under(())
        .unwrap()
        .into_iter()
        .map(|((k, h), a)| (k, h, a.value.unwrap()))
        .collect();
    let want = [
        ("a", 1, 1),
        ("a", 2, 16),
        ("a", 3, 34),
        ("ab", 1, 4),
        ("b", 1, 64),
        ("b", 2, 8),
        ("c", 9, 128),
    ];
    assert_eq!(all, want.map(|(k, h, v)| (k.to_string(), h, v)));
    let b = hours.under(("b",)).unwrap();
    assert_eq!(b.iter().map(|(k, _)| k.1).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(b[0].1.coverage.applied(&p(0)), 20);
    assert_eq!(w.state().snapshots, 2, "one a read");
}

#[test]
fn the_largest_come_first_and_equals_by_key() {
    let w = world(
        &[("a", 1, 5), ("b", 1, 7), ("c", 1, 5), ("d", 1, 1)],
        &[("d", 1, 4), ("e", 1, 6)],
    );
    let hours = w.client().store(HOURS).unwrap();
    let top = |n| {
        hours
            .top(n)
            .unwrap()
            .into_iter()
            .map(|((k, _), a)| (k, a.value.unwrap()))
            .collect::<Vec<_>>()
    };
    let want = [("b", 7), ("e", 6), ("a", 5), ("c", 5), ("d", 5)].map(|(k, v)| (k.to_string(), v));
    assert_eq!(top(9), want);
    assert_eq!(top(3), want[..3]);
    assert_eq!(top(0), []);
}

#[test]
fn multi_get_is_one_snapshot_with_one_result_a_key() {
    let w = both();
    let hours = w.client().store(HOURS).unwrap();
    let found = hours.multi_get(&[("c", 9), ("a", 3), ("x", 0), ("a", 3)]);
    let values: Vec<_> = found.iter().map(|a| a.as_ref().unwrap().value).collect();
    assert_eq!(values, [Some(128), Some(34), None, Some(34)]);
    assert_eq!(w.state().snapshots, 1);
    assert!(hours.multi_get::<(&str, u32)>(&[]).is_empty());
    w.state().silent = true;
    let found = hours.multi_get(&[("c", 9), ("x", 0)]);
    assert!(
        found.len() == 2
            && found
                .iter()
                .all(|a| a.as_ref().is_err_and(|e| e.kind() == ErrorKind::TryAgain))
    );
}

#[test]
fn a_scan_stops_at_the_first_error_of_its_caller() {
    let w = both();
    let raw = w.client().raw(StoreFace::of(HOURS));
    let mut seen = 0;
    let e = raw.scan(&[], &mut |_, _| {
        seen += 1;
        if seen == 3 {
            Err(Error::try_again("enough"))
        } else {
            Ok(())
        }
    });
    assert_eq!(
        (e.unwrap_err().to_string().as_str(), seen),
        ("enough", 3),
        "not taken for a missing file, not repeated"
    );
    let mut all = 0;
    let basis = raw.scan(&[], &mut |_, v| {
        all += u64::decode(v).map_err(|e| Error::corrupt(e.to_string()))?;
        Ok(())
    });
    assert_eq!((all, basis.unwrap().coverage.applied_total()), (255, 20));
}

#[test]
fn a_sum_over_more_than_fits_in_one_step() {
    let w = World::default();
    let values = (0..200_000u32)
        .map(|h| (to_bytes(&("k", h)), 1u64.to_bytes()))
        .collect();
    w.publish_store(manifest(1, None, &[]), &StoreFace::of(HOURS), values);
    assert_eq!(
        w.client().store(HOURS).unwrap().sum_under(("k",)).unwrap().value,
        Some(200_000)
    );
}

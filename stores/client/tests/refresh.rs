//! Snapshot first, then the cached manifest, then the newest; and what starts a read over.

mod support;

use std::time::Duration;

use rufous_core::{BatchId, ErrorKind};
use support::*;

#[test]
fn the_cached_manifest_is_used_while_it_fits_and_the_newest_when_it_does_not() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    let cells = [("a", 5, 5), ("a", 6, 20)];
    w.put("n1", 0, shard(row(&[(5, 10), (6, 15)], 30), &cells));
    let counts = w.client().store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap().value, Some(35));
    let reads = w.state().manifest_reads;

    w.publish(manifest(2, Some("n1"), &[(0, cut(6, 15))]), &[("a", 15)]);
    let a = counts.get("a").unwrap();
    assert_eq!(
        (a.value, a.token.manifest(), w.state().manifest_reads),
        (Some(35), 1, reads),
        "exact without a look"
    );

    let mut r = row(&[(6, 15)], 30);
    r.retained_from = BatchId(6);
    w.put("n1", 0, shard(r, &cells[1..]));
    let a = counts.get("a").unwrap();
    assert_eq!(
        (a.value, a.token.manifest(), w.state().manifest_reads),
        (Some(35), 2, reads + 1)
    );
}

#[test]
fn a_generation_published_after_the_snapshot_cannot_gap() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    w.put(
        "n1",
        0,
        shard(row(&[(5, 10), (6, 15)], 30), &[("a", 5, 5), ("a", 6, 20)]),
    );
    let client = w.client();
    // The cells that the old manifest needs are gone already when the snapshot is taken.
    let mut r = row(&[(6, 15), (7, 25)], 30);
    r.retained_from = BatchId(6);
    let counts = client.store(COUNTS).unwrap();
    w.put("n1", 0, shard(r, &[("a", 6, 10), ("a", 7, 10)]));
    let (w2, mut published) = (World::default(), false);
    w2.publish(manifest(3, Some("n1"), &[(0, cut(7, 25))]), &[("a", 25)]);
    let (m, file) = {
        let s = w2.state();
        (s.manifests[&3].clone(), s.files["counts-3"].clone())
    };
    w.state().after_snapshot = Some(Box::new(move |s| {
        if !std::mem::replace(&mut published, true) {
            s.manifests.insert(3, m.clone());
            s.files.insert("counts-3".into(), file.clone());
        }
    }));
    let a = counts.get("a").unwrap();
    assert_eq!(
        (a.value, a.token.manifest()),
        (Some(35), 3),
        "an older snapshot under a newer frontier"
    );
    assert_eq!(w.state().snapshots, 1);
}

#[test]
fn a_switch_of_the_namespace_takes_a_new_snapshot() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    let counts = w.client().store(COUNTS).unwrap();
    w.publish(manifest(2, Some("n2"), &[(0, cut(5, 10))]), &[("a", 1_000)]);
    // The old namespace was cleared behind us: that is how the client notices.
    let mut old = row(&[(9, 90)], 99);
    old.retained_from = BatchId(9);
    w.put("n1", 0, shard(old, &[("a", 9, 7)]));
    w.put("n2", 0, shard(row(&[(5, 10)], 20), &[("a", 5, 2_000)]));
    let a = counts.get("a").unwrap();
    assert_eq!(
        (a.value, a.token.manifest()),
        (Some(3_000), 2),
        "never one layer of each"
    );
    assert_eq!(w.state().snapshots, 2);
}

#[test]
fn a_switch_is_noticed_while_the_old_namespace_still_answers() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    w.put("n1", 0, shard(row(&[(5, 10)], 20), &[("a", 5, 1)]));
    let counts = w.client().refresh_after(Duration::ZERO).store(COUNTS).unwrap();
    assert_eq!(counts.get("a").unwrap().value, Some(11));
    w.publish(manifest(2, Some("n2"), &[(0, cut(5, 10))]), &[("a", 70)]);
    assert_eq!(counts.get("a").unwrap().value, Some(70));
}

#[test]
fn endless_switching_ends() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    let mut gap = row(&[(9, 90)], 99);
    gap.retained_from = BatchId(9);
    for n in 1..20 {
        w.put(&format!("n{n}"), 0, shard(gap.clone(), &[]));
    }
    w.state().after_snapshot = Some(Box::new(|s| {
        let mut m = s.manifests.values().next_back().unwrap().clone();
        m.number += 1;
        m.realtime_namespace = Some(format!("n{}", m.number));
        s.manifests.insert(m.number, m);
    }));
    let e = w.client().store(COUNTS).unwrap().get("a").unwrap_err();
    assert_eq!((e.kind(), w.state().snapshots), (ErrorKind::TryAgain, 4), "{e}");
}

#[test]
fn a_bounded_input_has_no_realtime_part() {
    let w = World::default();
    w.publish(manifest(1, None, &[(0, cut(i64::MAX, 10))]), &[("a", 10)]);
    w.state().silent = true;
    let counts = w.client().store(COUNTS).unwrap();
    let a = counts.get("a").unwrap();
    assert_eq!((a.value, a.freshness, a.coverage.applied(&p(0))), (Some(10), None, 10));
    w.publish(manifest(2, None, &[(0, cut(i64::MAX, 12))]), &[("a", 12)]);
    assert_eq!(
        counts.get("a").unwrap().value,
        Some(12),
        "only a new manifest moves it: it is asked for"
    );
}

#[test]
fn a_missing_file_is_looked_for_once_more_in_the_newest_manifest() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 10)]);
    // What is kept needs no file.
    let counts = w.client().cache_bytes(0).store(COUNTS).unwrap();
    w.publish(manifest(2, Some("n1"), &[(0, cut(6, 15))]), &[("a", 15)]);
    w.state().files.remove("counts-1");
    assert_eq!(counts.get("a").unwrap().value, Some(15));
    assert_eq!(counts.sum_range("a".."b").unwrap().value, Some(15));
    w.state().files.remove("counts-2");
    let e = counts.get("a").unwrap_err();
    assert_eq!(
        (e.kind(), e.to_string().as_str()),
        (ErrorKind::TryAgain, "store `counts`: run counts-2 is gone")
    );
    assert_eq!(
        counts.get_partial("a").unwrap_err().kind(),
        ErrorKind::TryAgain,
        "a missing file is never absence"
    );
}

#[test]
fn a_job_that_never_ran_says_how_to_start_it() {
    let w = World::default();
    let counts = w.client().store(COUNTS).unwrap();
    let e = counts.get("a").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        e.to_string(),
        "job `words` has never run with this data directory: start `stream` or `batch`"
    );
    w.publish(manifest(0, Some("n1"), &[]), &[]);
    assert_eq!(counts.get("a").unwrap().value, None, "found as soon as it runs");
}

#[test]
fn manifests_that_vanish_are_an_error_once() {
    let w = World::default();
    w.publish(manifest(5, None, &[]), &[("a", 1)]);
    let counts = w.client().store(COUNTS).unwrap();
    w.state().manifests.clear();
    w.publish(manifest(0, None, &[]), &[("a", 2)]);
    assert_eq!(counts.get("a").unwrap_err().kind(), ErrorKind::CorruptData);
    assert_eq!(counts.get("a").unwrap().value, Some(2));
}

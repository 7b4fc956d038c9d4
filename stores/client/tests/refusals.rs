//! What is missing makes a whole read an error that names it; the other words answer without it (P28, P29, P31).

mod support;

use rufous_client::Missing;
use rufous_core::{BatchId, ErrorKind};
use support::*;

fn world(r: rufous_store_api::Progress) -> World {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 100)]);
    w.put("n1", 0, shard(r, &[("a", 5, 1), ("a", 6, 2)]));
    w
}

/// The kind, the message, and the partial answer beside it.
fn refused(w: &World) -> (ErrorKind, String, Option<u64>, Vec<Missing>) {
    let counts = w.client().store(COUNTS).unwrap();
    let e = counts.get("a").unwrap_err();
    for other in [
        counts.multi_get(&["a"]).remove(0).unwrap_err(),
        counts.raw().sum_under(&[]).unwrap_err(),
        counts.raw().under(&[]).unwrap_err(),
        counts.raw().scan(&[], &mut |_, _| panic!("shown")).unwrap_err(),
        counts.top(3).unwrap_err(),
    ] {
        assert_eq!(
            (other.kind(), other.to_string()),
            (e.kind(), e.to_string()),
            "all words refuse alike"
        );
    }
    let partial = counts.get_partial("a").unwrap();
    (e.kind(), e.to_string(), partial.so_far, partial.missing)
}

#[test]
fn dropped_cells_that_no_generation_covers_are_a_gap() {
    let mut r = row(&[(5, 10), (6, 15)], 20);
    r.retained_from = BatchId(6);
    let (kind, text, so_far, missing) = refused(&world(r));
    assert_eq!(kind, ErrorKind::CorruptData);
    assert!(
        text.contains("partition 0 of `lines`") && text.contains("batch 5") && text.contains("batch 6"),
        "{text}"
    );
    assert_eq!(so_far, Some(100), "the offline part: a prefix of the log");
    assert_eq!(
        missing,
        [Missing::Gap {
            partition: p(0),
            from: BatchId(5),
            to: BatchId(6)
        }]
    );
}

#[test]
fn layers_that_divide_a_partition_differently_are_never_added() {
    let (kind, text, so_far, missing) = refused(&world(row(&[(5, 12), (6, 15)], 20)));
    assert_eq!(kind, ErrorKind::CorruptData);
    assert!(
        text.contains("offset 10 offline") && text.contains("offset 12 in realtime"),
        "{text}"
    );
    assert_eq!((so_far, missing.len()), (Some(100), 1));

    let (_, text, ..) = refused(&world(row(&[(4, 2)], 20)));
    assert!(
        text.contains("offset 10 offline") && text.contains("nowhere in realtime, which has read up to 20"),
        "{text}"
    );
}

#[test]
fn a_lost_range_is_incomplete_until_it_is_accepted() {
    let mut r = row(&[(5, 10), (6, 15)], 20);
    r.holes = vec![hole(7, 10), hole(8, 13), hole(16, 18)];
    let w = world(r);
    let (kind, text, so_far, missing) = refused(&w);
    assert_eq!(kind, ErrorKind::Incomplete);
    assert_eq!(
        text,
        "store `counts`: offsets 10..13 of partition 0 of `lines` were deleted before they were read, offsets 16..18 of \
         partition 0 of `lines` were deleted before they were read; a backfill from the archive repairs it, \
         `accept_holes` answers without them"
    );
    assert_eq!(
        (so_far, missing.len()),
        (Some(103), 2),
        "a hole that ends at the cut is covered offline, and so is the beginning of one across it"
    );
    let a = w.client().store(COUNTS).unwrap().accept_holes().get("a").unwrap();
    assert_eq!(a.value, Some(103));
    assert_eq!(
        a.coverage
            .holes()
            .iter()
            .map(|h| (h.hole.from, h.hole.to))
            .collect::<Vec<_>>(),
        [(10, 13), (16, 18)]
    );
    assert_eq!(
        a.coverage.to_string(),
        "batch of manifest 1 without lines/0 10..13, lines/0 16..18"
    );
}

#[test]
fn a_hole_of_the_manifest_shows_in_every_answer() {
    let w = world(row(&[(5, 10), (6, 15)], 20));
    w.manifest_hole(1, 0, hole(2, 4));
    let (kind, text, so_far, _) = refused(&w);
    assert_eq!((kind, so_far), (ErrorKind::Incomplete, Some(103)));
    assert!(text.contains("offsets 2..4 of partition 0 of `lines`"), "{text}");
    assert_eq!(
        w.client()
            .store(COUNTS)
            .unwrap()
            .accept_holes()
            .get("a")
            .unwrap()
            .coverage
            .holes()
            .len(),
        1
    );

    // The same loss in both layers is one loss. Accepting holes accepts nothing else.
    w.manifest_hole(1, 0, hole(12, 13));
    let mut r = row(&[(5, 11)], 20);
    r.holes = vec![hole(12, 13)];
    w.put("n1", 0, shard(r, &[]));
    let e = w.client().store(COUNTS).unwrap().accept_holes().get("a").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    w.put(
        "n1",
        0,
        shard(
            {
                let mut r = row(&[(5, 10)], 20);
                r.holes = vec![hole(12, 13)];
                r
            },
            &[],
        ),
    );
    assert_eq!(
        w.client()
            .store(COUNTS)
            .unwrap()
            .accept_holes()
            .get("a")
            .unwrap()
            .coverage
            .holes()
            .len(),
        2
    );
}

#[test]
fn a_silent_owner_is_unavailable() {
    let w = world(row(&[(5, 10), (6, 15)], 20));
    w.state().silent = true;
    let (kind, text, so_far, missing) = refused(&w);
    assert_eq!((kind, so_far), (ErrorKind::TryAgain, Some(100)));
    assert_eq!(
        text,
        "store `counts`: partition 0 of `lines` has no owner at present (asked for 2.0 s); try again, or `get_partial` answers without it"
    );
    assert_eq!(
        missing,
        [Missing::Unavailable {
            partition: Some(p(0)),
            reason: "asked for 2.0 s".into()
        }]
    );

    // It dies between the check and the question about cells.
    (w.state().silent, w.state().dies_after_snapshot) = (false, true);
    let (kind, _, so_far, missing) = refused(&w);
    assert_eq!((kind, so_far, missing.len()), (ErrorKind::TryAgain, Some(100), 1));
    let partial = w.client().store(COUNTS).unwrap().get_partial("a").unwrap();
    assert_eq!(
        partial.coverage.applied(&p(0)),
        10,
        "coverage does not claim what is missing"
    );
}

#[test]
fn a_silent_owner_of_unknown_partitions_is_unavailable_too() {
    let w = World::default();
    w.publish(manifest(0, Some("n1"), &[]), &[]);
    w.state().silent = true;
    let (kind, text, so_far, missing) = refused(&w);
    assert_eq!((kind, so_far, missing.len()), (ErrorKind::TryAgain, None, 1));
    assert!(text.contains("has no owner at present (asked for 2.0 s)"), "{text}");
}

#[test]
fn the_most_severe_decides_and_all_are_named() {
    let mut r = row(&[(5, 10)], 20);
    r.holes = vec![hole(12, 13)];
    let w = world(r);
    w.put(
        "n1",
        1,
        shard(
            {
                let mut r = row(&[(3, 4)], 9);
                r.retained_from = BatchId(3);
                r
            },
            &[("a", 3, 50)],
        ),
    );
    let (kind, text, so_far, missing) = refused(&w);
    assert_eq!((kind, missing.len()), (ErrorKind::CorruptData, 2));
    assert!(
        text.contains("partition 1 of `lines`") && text.contains("12..13"),
        "{text}"
    );
    assert_eq!(so_far, Some(103), "the sound partition counts, the gapped one does not");
}

/// P10a: a partition that the group gave to another process is named, whatever its row still holds.
#[test]
fn a_released_partition_is_unavailable() {
    let mut r = row(&[(5, 10), (6, 15)], 20);
    r.released = true;
    let w = world(r);
    let (kind, text, so_far, missing) = refused(&w);
    assert_eq!((kind, so_far), (ErrorKind::TryAgain, Some(100)));
    assert!(
        text.contains("partition 0 of `lines`") && text.contains("another process"),
        "{text}"
    );
    assert!(
        matches!(&missing[..], [Missing::Unavailable { partition: Some(of), .. }] if *of == p(0)),
        "{missing:?}"
    );
    let partial = w.client().store(COUNTS).unwrap().get_partial("a").unwrap();
    assert_eq!(
        partial.coverage.applied(&p(0)),
        10,
        "coverage does not claim what is missing"
    );
}

//! P36: the cells of a published run against what the run added, and when that cannot be known.

mod support;

use rufous_client::{Comparison, Drift, Reconciled};
use rufous_core::StoreFace;
use support::*;

/// A run over batches 5 and 6 of two partitions, beside their cells.
fn world(delta: &[(&str, u64)]) -> World {
    let world = World::default();
    world.publish(
        manifest(1, Some("n"), &[(0, cut(5, 10)), (1, cut(5, 7))]),
        &[("a", 100)],
    );
    world.publish(
        manifest(2, Some("n"), &[(0, cut(7, 30)), (1, cut(6, 9))]),
        &[("a", 114), ("b", 2)],
    );
    {
        let mut state = world.state();
        state.files.insert("delta".into(), pairs(delta));
        let store = state.manifests.get_mut(&2).unwrap().stores.get_mut("counts").unwrap();
        let mut run = store.runs[0].clone();
        run.path = "delta".into();
        store.delta.push(run);
    }
    // Partition 0: batches 5 (10..20), 6 (20..30), 7 (30..); partition 1: 5 (7..9), 6 (9..).
    let zero = of_code(row(&[(5, 10), (6, 20), (7, 30)], 35));
    let cells = [("a", 4, 100), ("a", 5, 1), ("b", 5, 2), ("a", 6, 3), ("c", 7, 50)];
    world.put("n", 0, shard(zero, &cells));
    let one = of_code(row(&[(5, 7), (6, 9)], 12));
    world.put("n", 1, shard(one, &[("a", 5, 10), ("a", 6, 70), ("d", 6, 1)]));
    world
}

fn of_code(row: rufous_store_api::Progress) -> rufous_store_api::Progress {
    rufous_store_api::Progress {
        fingerprint: "f00d".into(),
        ..row
    }
}

fn reconcile(world: &World) -> Reconciled {
    world.client().reconcile(&StoreFace::of(COUNTS), None).unwrap()
}

const RIGHT: &[(&str, u64)] = &[("a", 14), ("b", 2)];

/// I6: without a fault there is no drift, though the layers hold more than the run covers.
#[test]
fn layers_that_agree() {
    let found = reconcile(&world(RIGHT));
    assert_eq!(found.agrees(), Some(true));
    let expected = Comparison::Compared {
        keys: 2,
        drifted: 0,
        first: Vec::new(),
    };
    assert_eq!(found.outcome, expected);
}

/// A dropped delta, a doubled one, a key too many: each is found, with both sides.
#[test]
fn drift_is_found() {
    let bytes = |n: u64| Some(n.to_le_bytes().to_vec());
    for (delta, keys, expected) in [
        (&[("b", 2)][..], 2, vec![("a", None, bytes(14))]),
        (
            &[("a", 28), ("b", 4)],
            2,
            vec![("a", bytes(28), bytes(14)), ("b", bytes(4), bytes(2))],
        ),
        (&[("a", 14), ("b", 2), ("e", 9)], 3, vec![("e", bytes(9), None)]),
        (&[], 2, vec![("a", None, bytes(14)), ("b", None, bytes(2))]),
    ] {
        let found = reconcile(&world(delta));
        let first = expected.iter().map(|(k, offline, realtime)| Drift {
            key: key(k),
            offline: offline.clone(),
            realtime: realtime.clone(),
        });
        let expected = Comparison::Compared {
            keys,
            drifted: expected.len() as u64,
            first: first.collect(),
        };
        assert_eq!(found.outcome, expected);
    }
}

/// What makes a comparison impossible, and a word of how it is told.
type Spoil = (fn(&mut State), &'static str);

/// Where it cannot be known it says so: never a drift, and never a drift of zero.
#[test]
fn what_cannot_be_compared() {
    let spoils: &[Spoil] = &[
        (|s| progress(s, 0).next = 29, "live up to offset 29"),
        (
            |s| progress(s, 0).retained_from = rufous_core::BatchId(6),
            "are dropped",
        ),
        (|s| progress(s, 1).fingerprint = "other".into(), "other code"),
        (|s| progress(s, 1).released = true, "another process"),
        (|s| progress(s, 0).cuts[3].1 = 31, "divided at offset 30"),
        (|s| progress(s, 0).holes.push(hole(12, 14)), "offsets 12..14"),
        (
            |s| drop(s.shards.get_mut("n").unwrap().remove(&("counts".into(), p(1)))),
            "no realtime state",
        ),
        (|s| drop(s.manifests.remove(&1)), "not there any more"),
        (|s| s.manifests.get_mut(&1).unwrap().line = "0".into(), "another line"),
    ];
    for (i, (spoil, word)) in spoils.iter().enumerate() {
        let world = world(RIGHT);
        spoil(&mut world.state());
        let found = reconcile(&world);
        let Comparison::NotComparable(why) = &found.outcome else {
            panic!("{i}: {found:?}");
        };
        assert!(why.contains(word), "{i}: {why}");
        assert_eq!(found.agrees(), None);
    }
    // Holes outside of the run are none of its business.
    let world = world(RIGHT);
    progress(&mut world.state(), 0).holes.push(hole(2, 10));
    assert_eq!(reconcile(&world).agrees(), Some(true));
    // Only one partition moved: the other's cells are not the run's.
    let world = self::world(&[("a", 10)]);
    world
        .state()
        .manifests
        .get_mut(&2)
        .unwrap()
        .frontier
        .0
        .insert(p(0), cut(5, 10));
    assert_eq!(reconcile(&world).agrees(), Some(true));
}

fn progress(s: &mut State, n: u32) -> &mut rufous_store_api::Progress {
    let shards = s.shards.get_mut("n").unwrap();
    &mut shards.get_mut(&("counts".into(), p(n))).unwrap().row
}

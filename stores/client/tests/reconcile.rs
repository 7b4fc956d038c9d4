//! P36: the cells of a published run against what the run added, and when that cannot be known.

mod support;

use rufous_algebra::{Absorb, Codec, FloatSum, Monoid};
use rufous_client::reconcile::obstacle::Obstacle;
use rufous_client::reconcile::report::Report;
use rufous_client::{Comparison, Drift, ReconcileOptions, Reconciled};
use rufous_core::{Store, StoreFace, Timestamp};
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

/// In one pass, and key by key where memory is short: the same.
fn reconciled(world: &World, face: &StoreFace) -> Reconciled {
    let found = world.client().reconcile(face, None).unwrap();
    for memory in [0, 20, 45] {
        let options = ReconcileOptions {
            memory,
            ..ReconcileOptions::default()
        };
        let short = world.client().reconcile_with(face, None, &options).unwrap();
        assert_eq!(short, found, "{memory} bytes");
    }
    found
}

fn reconcile(world: &World) -> Reconciled {
    reconciled(world, &StoreFace::of(COUNTS))
}

/// It ends when it is told to, and says so.
#[test]
fn a_comparison_can_be_stopped() {
    for memory in [0, 1_000] {
        let options = ReconcileOptions {
            memory,
            stop: std::sync::Arc::new(true.into()),
        };
        let many: Vec<(String, u64)> = (0..10_000).map(|n| (format!("{n:05}"), 1)).collect();
        let delta: Vec<(&str, u64)> = many.iter().map(|(k, n)| (&**k, *n)).collect();
        let face = StoreFace::of(COUNTS);
        let e = world(&delta)
            .client()
            .reconcile_with(&face, None, &options)
            .unwrap_err();
        assert_eq!(e.kind(), rufous_core::ErrorKind::Closed);
    }
}

const RIGHT: &[(&str, u64)] = &[("a", 14), ("b", 2)];

/// I6: without a fault there is no drift, though the layers hold more than the run covers.
#[test]
fn layers_that_agree() {
    let found = reconcile(&world(RIGHT));
    assert_eq!(found.agrees(), Some(true));
    let expected = Comparison::Compared {
        keys: 2,
        within: 0,
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
            within: 0,
            drifted: expected.len() as u64,
            first: first.collect(),
        };
        assert_eq!(found.outcome, expected);
    }
}

/// What makes a comparison impossible, and a word of how it is told.
type Spoil = (fn(&mut State), Obstacle, &'static str);

/// Where it cannot be known it says so: never a drift, and never a drift of zero.
#[test]
fn what_cannot_be_compared() {
    let spoils: &[Spoil] = &[
        (|s| progress(s, 0).next = 29, Obstacle::Behind, "live up to offset 29"),
        (
            |s| progress(s, 0).retained_from = rufous_core::BatchId(6),
            Obstacle::Dropped,
            "are dropped",
        ),
        (
            |s| progress(s, 1).fingerprint = "other".into(),
            Obstacle::OtherCode,
            "other code",
        ),
        (
            |s| progress(s, 1).released = true,
            Obstacle::Elsewhere,
            "another process",
        ),
        (
            |s| progress(s, 0).cuts[3].1 = 31,
            Obstacle::Misaligned,
            "divided at offset 30",
        ),
        (
            |s| progress(s, 0).holes.push(hole(12, 14)),
            Obstacle::Hole,
            "offsets 12..14",
        ),
        (
            |s| drop(s.shards.get_mut("n").unwrap().remove(&("counts".into(), p(1)))),
            Obstacle::NoState,
            "no realtime state",
        ),
        (|s| drop(s.manifests.remove(&1)), Obstacle::NoBase, "not there any more"),
        (
            |s| s.manifests.get_mut(&1).unwrap().line = "0".into(),
            Obstacle::NoRun,
            "another line",
        ),
        (
            |s| s.manifests.get_mut(&2).unwrap().realtime_namespace = None,
            Obstacle::Bounded,
            "bounded input",
        ),
    ];
    for (i, (spoil, expected, word)) in spoils.iter().enumerate() {
        let world = world(RIGHT);
        spoil(&mut world.state());
        let found = reconcile(&world);
        let Comparison::NotComparable { obstacle, why } = &found.outcome else {
            panic!("{i}: {found:?}");
        };
        assert!(obstacle == expected && why.contains(word), "{i}: {obstacle}: {why}");
        assert_eq!(
            found.may_change(),
            *obstacle as u8 <= Obstacle::Misaligned as u8,
            "{obstacle} passes by itself, or not"
        );
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

const LOADS: Store<String, FloatSum> = Store::new("loads");

/// The sum of these values, one after the other.
fn load(values: &[f64]) -> FloatSum {
    let mut sum = FloatSum::zero();
    values.iter().for_each(|x| sum.absorb(x));
    sum
}

/// P36: approximate sums are compared within their published bound. Other bytes of the same values are no drift, and
/// are counted; a value less, or another one, is drift with both sides.
#[test]
fn approximate_sums_are_compared_within_their_bounds() {
    let face = StoreFace::of(LOADS);
    for (offline, within, drifted) in [
        (vec![0.3, 0.2, 0.1], 1, 0),
        (vec![0.1, 0.2, 0.3], 0, 0),
        (vec![0.3, 0.2], 0, 1),
        (vec![0.1, 0.2, 0.3, 0.3], 0, 1),
        (vec![0.1, 0.2, 0.300_001], 0, 1),
    ] {
        let world = world(&[]);
        for number in [1, 2] {
            let m = world.state().manifests[&number].clone();
            let delta = [(key("a"), load(&offline).to_bytes())].into();
            world.publish_store(m, &face, delta);
        }
        {
            let mut state = world.state();
            let store = state.manifests.get_mut(&2).unwrap().stores.get_mut("loads").unwrap();
            store.delta = store.runs.clone();
        }
        let of = |cells: &[(i64, f64)]| {
            cells
                .iter()
                .map(|(b, x)| ((key("a"), rufous_core::BatchId(*b)), load(&[*x]).to_bytes()))
                .collect()
        };
        let mut zero = shard(of_code(row(&[(5, 10), (6, 20), (7, 30)], 35)), &[]);
        zero.cells = of(&[(5, 0.1), (6, 0.2)]);
        let mut one = shard(of_code(row(&[(5, 7), (6, 9)], 12)), &[]);
        one.cells = of(&[(5, 0.3)]);
        world.put_store("n", "loads", 0, zero);
        world.put_store("n", "loads", 1, one);
        let found = reconciled(&world, &face);
        let Comparison::Compared {
            keys: 1,
            within: w,
            drifted: d,
            first,
        } = &found.outcome
        else {
            panic!("{found:?}");
        };
        assert_eq!((*w, *d), (within, drifted), "{offline:?}");
        for drift in first {
            let side = |bytes: &Option<Vec<u8>>| FloatSum::decode(bytes.as_ref().unwrap()).unwrap();
            assert_eq!(side(&drift.offline), load(&offline));
            assert!((drift.ahead(&face).unwrap() - (offline.iter().sum::<f64>() - 0.6)).abs() < 1e-9);
            assert_eq!(side(&drift.realtime).count(), 3);
        }
    }
}

/// A manifest that is another form of the one before it is no run: the run behind it is compared. A rollback is none
/// either, and says so; the runs that it took back can still be compared by their numbers.
#[test]
fn the_newest_run_is_compared() {
    let world = world(RIGHT);
    let two = world.state().manifests[&2].clone();
    let mut merged = two.clone();
    merged.number = 3;
    merged.stores.get_mut("counts").unwrap().delta.clear();
    world.state().manifests.insert(3, merged.clone());
    let found = reconcile(&world);
    assert_eq!((found.manifest, found.agrees()), (2, Some(true)));
    let mut back = world.state().manifests[&1].clone();
    back.number = 4;
    world.state().manifests.insert(4, back);
    let found = reconcile(&world);
    assert_eq!(found.agrees(), None);
    assert!(
        matches!(&found.outcome, Comparison::NotComparable { obstacle: Obstacle::NoRun, why } if why.contains("manifest 4 added no batches")),
        "{found:?}"
    );
    let number = |n| world.client().reconcile(&StoreFace::of(COUNTS), Some(n)).unwrap();
    assert_eq!(number(2).agrees(), Some(true));
    assert_eq!(number(3).agrees(), None);
    let e = world.client().reconcile(&StoreFace::of(COUNTS), Some(9)).unwrap_err();
    assert!(e.to_string().contains("no manifest 9"), "{e}");
}

/// Which run covers a batch: per partition, the newest that does; none of what is open, dropped, or came with another
/// line.
#[test]
fn runs_over_a_batch() {
    let world = world(RIGHT);
    let runs = |b: i64| world.client().runs_over(&|_| Some(rufous_core::BatchId(b))).unwrap();
    assert_eq!(runs(5), [2]);
    assert_eq!(runs(6), [2], "open in one partition, covered in the other");
    assert_eq!(runs(7), [] as [u64; 0]);
    assert_eq!(runs(4), [] as [u64; 0], "what manifest 1 was built on is not there");
    // A rollback, and another run over the same batches.
    let mut back = world.state().manifests[&1].clone();
    back.number = 3;
    let mut again = world.state().manifests[&2].clone();
    again.number = 4;
    again.frontier = manifest(4, Some("n"), &[(0, cut(6, 20)), (1, cut(6, 9))]).frontier;
    world.state().manifests.extend([(3, back), (4, again)]);
    assert_eq!(runs(5), [4]);
    assert_eq!(runs(6), [] as [u64; 0], "taken back");
    // Each partition by its own run.
    let mut more = world.state().manifests[&4].clone();
    more.number = 5;
    more.frontier = manifest(5, Some("n"), &[(0, cut(7, 30)), (1, cut(6, 9))]).frontier;
    world.state().manifests.insert(5, more);
    assert_eq!(runs(6), [5]);
    let of = |n: i64, m: i64| {
        let batch =
            move |p: &rufous_core::SourcePartition| Some(rufous_core::BatchId(if p.partition == 0 { n } else { m }));
        world.client().runs_over(&batch).unwrap()
    };
    assert_eq!(of(6, 5), [5, 4]);
    for m in world.state().manifests.values_mut().filter(|m| m.number < 5) {
        m.line = "0".into();
    }
    assert_eq!(runs(6), [] as [u64; 0], "another line");
}

/// Golden: a stored report is read by later versions; one of another format, or none at all, is made again.
#[test]
fn reports_are_json() {
    let report = Report::new(
        2,
        "5..7".into(),
        Timestamp(7),
        vec![reconcile(&world(&[("a", 14), ("b", 4)]))],
    );
    let text = r#"{
  "format": 1,
  "manifest": 2,
  "batches": "5..7",
  "at": 7,
  "stores": [
    {
      "store": "counts",
      "manifest": 2,
      "from": {
        "lines/0": {
          "batch": 5,
          "cut": 10,
          "batch_before": 4
        },
        "lines/1": {
          "batch": 5,
          "cut": 7,
          "batch_before": 4
        }
      },
      "to": {
        "lines/0": {
          "batch": 7,
          "cut": 30,
          "batch_before": 6
        },
        "lines/1": {
          "batch": 6,
          "cut": 9,
          "batch_before": 5
        }
      },
      "outcome": {
        "compared": {
          "keys": 2,
          "within": 0,
          "drifted": 1,
          "first": [
            {
              "key": "6200",
              "offline": "0400000000000000",
              "realtime": "0200000000000000"
            }
          ]
        }
      }
    }
  ]
}
"#;
    assert_eq!(String::from_utf8(report.encode().unwrap()).unwrap(), text);
    assert_eq!(Report::decode(text.as_bytes()), Some(report.clone()));
    assert_eq!(report.drifted().count(), 1);
    assert!(!report.may_change());
    let world = world(RIGHT);
    progress(&mut world.state(), 0).next = 29;
    let behind = Report::new(2, "5..7".into(), Timestamp(7), vec![reconcile(&world)]);
    assert!(behind.may_change());
    let text = String::from_utf8(behind.encode().unwrap()).unwrap();
    assert!(
        text.contains(r#""not-comparable": {"#) && text.contains(r#""obstacle": "behind""#),
        "{text}"
    );
    assert_eq!(Report::decode(text.as_bytes()), Some(behind));
    for other in [
        text.replace("format\": 1", "format\": 2"),
        "{}".into(),
        String::new(),
        text.replace("behind", "later"),
    ] {
        assert_eq!(Report::decode(other.as_bytes()), None, "{other}");
    }
}

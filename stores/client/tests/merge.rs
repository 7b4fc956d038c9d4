//! The sum of both layers: which cells count, what is absent, and what the answer says of itself.

mod support;

use rufous_core::{BatchId, Cut, StoreFace, Timestamp};
use support::*;

/// Partition 0 is covered to batch 5 (offset 10), partition 1 to batch 7 (offset 40); the shards still hold older cells.
fn two_partitions() -> World {
    let w = World::default();
    w.publish(
        manifest(3, Some("n1"), &[(0, cut(5, 10)), (1, cut(7, 40))]),
        &[("a", 100), ("b", 7)],
    );
    let mut r0 = row(&[(4, 2), (5, 10), (6, 15)], 20);
    r0.last_time = Some(Timestamp(9_000));
    let mut r1 = row(&[(5, 10), (7, 40)], 50);
    r1.last_time = Some(Timestamp(8_000));
    w.put(
        "n1",
        0,
        shard(r0, &[("a", 4, 1_000), ("a", 5, 1), ("a", 6, 2), ("c", 6, 4)]),
    );
    w.put("n1", 1, shard(r1, &[("a", 5, 2_000), ("a", 6, 4_000), ("a", 7, 8)]));
    w
}

#[test]
fn offline_and_realtime_meet_at_each_partitions_own_frontier() {
    let w = two_partitions();
    let counts = w.client().store(COUNTS).unwrap();
    let a = counts.get("a").unwrap();
    assert_eq!(
        a.value,
        Some(100 + 1 + 2 + 8),
        "cells below a partition's own frontier do not count"
    );
    assert_eq!(counts.get("b").unwrap().value, Some(7), "offline alone");
    assert_eq!(counts.get("c").unwrap().value, Some(4), "realtime alone");
    assert_eq!(counts.get("d").unwrap().value, None, "surely absent");

    assert_eq!(a.freshness, Some(Timestamp(8_000)), "the least of the partitions");
    assert_eq!(
        (
            a.coverage.applied(&p(0)),
            a.coverage.applied(&p(1)),
            a.coverage.applied_total()
        ),
        (20, 50, 70)
    );
    assert_eq!(a.coverage.partitions()[&p(1)].frontier, cut(7, 40));
    assert_eq!(a.coverage.to_string(), "batch of manifest 3");
    assert_eq!(a.token.to_string(), "3@f00d:lines/0=20,lines/1=50");
}

#[test]
fn json_has_the_answer_and_what_it_rests_on() {
    let w = two_partitions();
    let raw = w.client().raw(StoreFace::of(COUNTS));
    let json = raw.get(&key("a")).unwrap().to_json(raw.face(), &key("a")).unwrap();
    assert_eq!(json["key"], "a");
    assert_eq!(json["value"], 111);
    assert_eq!(json["covered_until"], "batch of manifest 3");
    assert_eq!(json["freshness"], "1970-01-01T00:00:08Z");
    assert_eq!(json["coverage"]["partitions"]["lines/0"]["applied"], 20);
    assert_eq!(json["token"]["offsets"]["lines/1"], 50);
    let absent = raw.get(&key("d")).unwrap().to_json(raw.face(), &key("d")).unwrap();
    assert!(absent["value"].is_null());
    let partial = raw
        .get_partial(&key("a"))
        .unwrap()
        .to_json(raw.face(), &key("a"))
        .unwrap();
    assert_eq!(partial["so_far"], 111);
    assert!(partial.get("value").is_none());
}

/// O19: where a service was asked as of now, the answer says so, to people and programs.
#[test]
fn an_answer_that_is_not_repeatable_says_so() {
    let w = World::default();
    let mut m = manifest(1, Some("n1"), &[(0, cut(5, 10))]);
    m.not_repeatable = vec!["rates".into(), "users".into()];
    w.publish(m, &[("a", 100)]);
    let raw = w.client().raw(StoreFace::of(COUNTS));
    let answer = raw.get(&key("a")).unwrap();
    assert_eq!(answer.coverage.not_repeatable(), ["rates", "users"]);
    assert_eq!(
        answer.coverage.to_string(),
        "batch of manifest 1 (not repeatable: `rates`, `users` asked as of now)"
    );
    let json = answer.to_json(raw.face(), &key("a")).unwrap();
    assert_eq!(
        json["coverage"]["not_repeatable"],
        serde_json::json!(["rates", "users"])
    );
    let plain = two_partitions().client().raw(StoreFace::of(COUNTS));
    let json = plain.get(&key("a")).unwrap().to_json(plain.face(), &key("a")).unwrap();
    assert!(json["coverage"].get("not_repeatable").is_none());
}

#[test]
fn either_layer_may_be_ahead() {
    let w = World::default();
    w.publish(manifest(1, Some("n1"), &[(0, cut(5, 10))]), &[("a", 100)]);
    // Behind the frontier: its cells are below it.
    w.put("n1", 0, shard(row(&[(3, 0)], 6), &[("a", 3, 60)]));
    // A partition that the manifest does not know begins at ORIGIN.
    w.put("n1", 1, shard(row(&[(3, 0)], 4), &[("a", 3, 5)]));
    let a = w.client().store(COUNTS).unwrap().get("a").unwrap();
    assert_eq!(a.value, Some(105));
    assert_eq!((a.coverage.applied(&p(0)), a.coverage.applied(&p(1))), (10, 4));
}

#[test]
fn genesis_has_no_generation_and_an_empty_namespace_no_shard() {
    let w = World::default();
    w.state()
        .manifests
        .insert(0, manifest(0, Some("n1"), &[(0, Cut { cut: 30, ..Cut::ORIGIN })]));
    let counts = w.client().store(COUNTS).unwrap();
    let a = counts.get("a").unwrap();
    assert_eq!((a.value, a.coverage.applied(&p(0)), a.freshness), (None, 30, None));
    let start = Cut {
        batch: BatchId::MIN,
        cut: 30,
        batch_before: BatchId::MIN,
    };
    let mut r = rufous_store_api::Progress::standing_at(start, "t".into(), "c".into(), "f".into());
    r.cuts.push((BatchId(2), 31));
    r.next = 33;
    w.put("n1", 0, shard(r, &[("a", 2, 9)]));
    assert_eq!(counts.get("a").unwrap().value, Some(9));
}

#[test]
fn a_damaged_cell_is_an_error_of_its_key_alone() {
    let w = two_partitions();
    w.state()
        .shards
        .get_mut("n1")
        .unwrap()
        .get_mut(&("counts".into(), p(0)))
        .unwrap()
        .cells
        .insert((key("b"), BatchId(6)), vec![]);
    let found = w.client().store(COUNTS).unwrap().multi_get(&["a", "b"]);
    assert_eq!(found[0].as_ref().unwrap().value, Some(111));
    let e = found[1].as_ref().unwrap_err();
    assert_eq!(e.kind(), rufous_core::ErrorKind::CorruptData);
    assert!(
        e.to_string()
            .starts_with("store `counts`: the parts of key `b` cannot be added"),
        "{e}"
    );
}

#[test]
fn clients_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let client = two_partitions().client();
    shared(&client);
    shared(&client.store(COUNTS).unwrap());
    shared(client.store(COUNTS).unwrap().raw());
}

//! What an answer was made of: the sum of the parts that are shown is the answer, in every random state; each part is where the
//! plain state has it; and what was left out is what the frontier covers.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rufous_algebra::Codec;
use rufous_client::explain::Place;
use rufous_client::{RawExplained, Window};
use rufous_core::{AsKey, ErrorKind, HopSize, StoreFace, Timestamp, WindowedStore};
use rufous_store_api::RunFile;
use serde_json::json;
use support::*;

const VIEWS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::minutes(5), HopSize::hours(1)]);
/// Key, partition, batch, value.
type CellOf = (&'static str, u32, i64, u64);

const KEYS: [&str; 2] = ["a", "ab"];

fn numbers(explained: &RawExplained) -> Vec<u64> {
    explained
        .parts
        .merged
        .iter()
        .map(|p| u64::decode(&p.value).unwrap())
        .collect()
}

#[test]
fn the_parts_are_the_answer_in_the_order_of_merging() {
    let mut left = 0;
    for seed in 1..=1_000u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let w = World::default();
        let frontier: Vec<i64> = (0..2).map(|_| 3 + rng.below(4) as i64).collect();
        let cuts: Vec<(u32, rufous_core::Cut)> = (0..)
            .zip(&frontier)
            .map(|(n, b)| (n, cut(*b, *b as u64 * 10)))
            .collect();
        let mut offline = BTreeMap::new();
        for k in KEYS {
            if rng.one_in(2) {
                offline.insert(k, 1 + rng.below(1000));
            }
        }
        let values: Vec<_> = offline.iter().map(|(k, v)| (*k, *v)).collect();
        w.publish(manifest(4, Some("n1"), &cuts), &values);
        let mut cells: Vec<CellOf> = Vec::new();
        for n in 0..2 {
            let batches: Vec<i64> = (0..8).filter(|_: &i64| rng.one_in(2)).collect();
            let begun: Vec<_> = (0..8).map(|b| (b, b as u64 * 10)).collect();
            let mut own: Vec<(&str, i64, u64)> = Vec::new();
            for b in batches {
                let k = KEYS[rng.below(2) as usize];
                own.push((k, b, 1 + rng.below(1000)));
            }
            cells.extend(own.iter().map(|(k, b, v)| (*k, n, *b, *v)));
            w.put("n1", n, shard(row(&begun, 90), &own));
        }
        let counts = w.client().store(COUNTS).unwrap();
        for k in KEYS {
            let mut expected: Vec<u64> = offline.get(k).copied().into_iter().collect();
            let mut live: Vec<&CellOf> = cells.iter().filter(|c| c.0 == k).collect();
            live.sort_by_key(|c| (c.2, c.1));
            let (above, below): (Vec<&CellOf>, Vec<&CellOf>) =
                live.into_iter().partition(|c| c.2 >= frontier[c.1 as usize]);
            expected.extend(above.iter().map(|c| c.3));
            let found = counts.explain_answer(k).unwrap();
            assert_eq!(numbers(&found), expected, "seed {seed}");
            let place = |part: &rufous_client::explain::Part| match &part.place {
                Place::Realtime { partition, batch } => Some((partition.partition, batch.0)),
                _ => None,
            };
            let places: Vec<_> = found.parts.merged.iter().filter_map(place).collect();
            assert_eq!(places, above.iter().map(|c| (c.1, c.2)).collect::<Vec<_>>());
            let left_out = found
                .parts
                .left_out
                .iter()
                .map(|l| (u64::decode(&l.part.value).unwrap(), l.frontier.batch.0));
            let covered = below.iter().map(|c| (c.3, frontier[c.1 as usize]));
            left += below.len();
            assert_eq!(left_out.collect::<Vec<_>>(), covered.collect::<Vec<_>>());
            let sum = (!expected.is_empty()).then(|| expected.iter().sum::<u64>());
            let answer = counts.get(k).unwrap();
            assert_eq!(answer.value, sum);
            assert_eq!(found.answer.value.as_deref().map(|v| u64::decode(v).unwrap()), sum);
            assert_eq!(found.answer.token, answer.token);
            assert_eq!(found.parts.runs_without.len(), usize::from(!offline.contains_key(k)));
        }
    }
    assert!(left > 500, "{left}");
}

#[test]
fn it_says_where_each_part_lies() {
    let w = World::default();
    w.publish(manifest(7, Some("n1"), &[(0, cut(5, 10))]), &[("a", 100)]);
    w.put(
        "n1",
        0,
        shard(row(&[(4, 3), (5, 10)], 14), &[("a", 4, 40), ("a", 5, 20), ("a", 6, 3)]),
    );
    // A second run, which has another key.
    w.state().files.insert("more".into(), pairs(&[("b", 1)]));
    let more = RunFile {
        path: "more".into(),
        bytes: 0,
        checksum: String::new(),
        keys: 1,
        first_key: String::new(),
        last_key: String::new(),
    };
    w.state()
        .manifests
        .get_mut(&7)
        .unwrap()
        .stores
        .get_mut("counts")
        .unwrap()
        .runs
        .push(more);
    let found = w.client().raw(StoreFace::of(COUNTS)).explain_answer(&key("a")).unwrap();
    let json = found.to_json(&StoreFace::of(COUNTS), &key("a")).unwrap();
    assert_eq!((&json["key"], &json["value"]), (&json!("a"), &json!(123)));
    assert_eq!(
        json["parts"],
        json!([
            {"layer": "offline", "manifest": 7, "run": "counts-7", "bytes": 8, "value": 100},
            {"layer": "realtime", "partition": "lines/0", "batch": 5, "bytes": 8, "value": 20},
            {"layer": "realtime", "partition": "lines/0", "batch": 6, "bytes": 8, "value": 3},
        ])
    );
    assert_eq!(
        json["left_out"],
        json!([{
            "layer": "realtime", "partition": "lines/0", "batch": 4, "bytes": 8, "value": 40,
            "why": "below the frontier, batch 5 at offset 10: the offline part has it",
            "frontier": {"batch": 5, "cut": 10},
        }])
    );
    assert_eq!(json["runs_without"], json!(["more"]));
    assert_eq!(
        found.to_string(),
        "`a`: 123\n    offline, manifest 7, run counts-7: 100 (8 bytes)\n  + realtime, lines/0, batch 5: 20 (8 bytes)\n  + realtime, \
         lines/0, batch 6: 3 (8 bytes)\n  left out: realtime, lines/0, batch 4: 40 (8 bytes), below the frontier, batch 5 at offset 10: the \
         offline part has it\n  not in runs more\n  offline until batch of manifest 7, token 7@f00d:lines/0=14"
    );
    let absent = w.client().store(COUNTS).unwrap().explain_answer("zzz").unwrap();
    assert!(absent.parts.merged.is_empty() && absent.answer.value.is_none());
    assert!(absent.to_string().starts_with("`zzz`: (absent)\n"), "{absent}");
}

/// A part that is missing is no answer, so there is nothing to explain.
#[test]
fn what_is_no_whole_answer_is_not_explained() {
    let w = World::default();
    w.publish(manifest(7, Some("n1"), &[(0, cut(5, 10))]), &[("a", 100)]);
    w.put("n1", 0, shard(row(&[(5, 11)], 14), &[]));
    assert_eq!(
        w.client()
            .store(COUNTS)
            .unwrap()
            .explain_answer("a")
            .unwrap_err()
            .kind(),
        rufous_core::ErrorKind::CorruptData
    );
}

#[test]
fn a_window_says_which_hops_were_added() {
    const MINUTE: i64 = 60_000;
    let hop = |size: HopSize, minute: i64| {
        let grid = VIEWS.windows().grid().unwrap();
        grid.hop(size, Timestamp(minute * MINUTE))
    };
    let full = |size, minute| {
        let mut bytes = key("a");
        hop(size, minute).encode_key(&mut bytes);
        bytes
    };
    let (five, hour) = (HopSize::minutes(5), HopSize::hours(1));
    let w = World::default();
    let offline = BTreeMap::from([
        (full(five, 55), 1u64.to_bytes()),
        (full(hour, 60), 200u64.to_bytes()),
        (full(five, 60), 7u64.to_bytes()),
    ]);
    w.publish_store(
        manifest(7, Some("n1"), &[(0, cut(5, 10))]),
        &StoreFace::windowed(VIEWS),
        offline,
    );
    let mut live = shard(row(&[(5, 10)], 14), &[]);
    live.cells
        .insert((full(hour, 60), rufous_core::BatchId(6)), 30u64.to_bytes());
    live.cells
        .insert((full(five, 120), rufous_core::BatchId(6)), 4000u64.to_bytes());
    w.put_store("n1", "views", 0, live);
    let views = w.client().windows(VIEWS).unwrap();
    let window = Window::between(Timestamp(55 * MINUTE), Timestamp(130 * MINUTE));
    // What is held has a limit.
    let explained = |most: usize| {
        let client = w.client().live_bytes(most);
        client.windows(VIEWS).unwrap().explain_answer("a", window)
    };
    let e = explained(200).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("store `views`") && e.to_string().contains("shorter window"),
        "{e}"
    );
    explained(2000).unwrap();
    let found = views.explain_answer("a", window).unwrap();
    assert_eq!(
        found.answer,
        views
            .raw()
            .read(&[key("a")], &[window])
            .unwrap()
            .remove(0)
            .remove(0)
            .unwrap()
    );
    let hops: Vec<(String, u64)> = found
        .hops
        .iter()
        .map(|h| {
            (
                h.hop.size().to_string(),
                h.parts.merged.iter().map(|p| u64::decode(&p.value).unwrap()).sum(),
            )
        })
        .collect();
    let expected = [("5m", 1), ("1h", 230), ("5m", 4000), ("5m", 0)];
    assert_eq!(hops, expected.map(|(size, sum)| (size.to_string(), sum)));
    assert_eq!(found.answer.answer.value, Some(4231u64.to_bytes()));
    let json = found.to_json(&StoreFace::windowed(VIEWS), json!("a")).unwrap();
    assert_eq!(
        (&json["value"], json["hops"].as_array().unwrap().len()),
        (&json!(4231), 4)
    );
    assert_eq!(json["hops"][1]["parts"][1]["batch"], json!(6));
    assert!(found.to_string().contains(": no record"), "{found}");
}

/// A window with more hops than anybody reads about is refused by their number, before any of them is read.
#[test]
fn hops_that_are_too_many_are_refused_before_they_are_read() {
    let w = World::default();
    w.publish_store(
        manifest(7, Some("n1"), &[(0, cut(5, 10))]),
        &StoreFace::windowed(VIEWS),
        BTreeMap::from([(key("a"), 1u64.to_bytes())]),
    );
    w.put_store("n1", "views", 0, shard(row(&[(5, 10)], 14), &[]));
    let window = Window::between(Timestamp(0), Timestamp(20_000 * 3_600_000));
    // A read that began after the plan would be told that it is given up.
    let given_up = Arc::new(AtomicBool::new(false));
    let told = given_up.clone();
    let views = w.client().raw_windows(StoreFace::windowed(VIEWS)).unwrap();
    let views = views.unless(given_up).planned(move |_| {
        told.store(true, Ordering::Relaxed);
        Ok(())
    });
    let e = views.explain_answer(&key("a"), &window).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
    assert!(e.to_string().contains("at most 10000"), "{e}");
}

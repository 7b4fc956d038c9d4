//! What a caller may demand of a read: that it holds what he knows of, and that it is done in time. Less is an error that says how
//! much less, never an answer.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rufous_client::{Client, Token};
use rufous_core::{ErrorKind, SourcePartition, StoreFace};
use support::*;

fn world(next: u64) -> World {
    let w = World::default();
    w.publish(
        manifest(1, Some("n1"), &[(0, cut(5, 10)), (1, cut(5, 20))]),
        &[("a", 1)],
    );
    w.put("n1", 0, shard(row(&[(5, 10)], next), &[("a", 5, next - 10)]));
    w
}

fn offsets(all: &[(u32, u64)]) -> BTreeMap<SourcePartition, u64> {
    all.iter().map(|(n, o)| (p(*n), *o)).collect()
}

fn soon(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

#[test]
fn less_than_demanded_is_no_answer() {
    let w = world(14);
    let counts = w.client().store(COUNTS).unwrap();
    for (demanded, enough) in [
        (vec![], true),
        (vec![(0, 14)], true),
        (vec![(0, 15)], false),
        // No row of it was ever written: the frontier counts.
        (vec![(1, 20)], true),
        (vec![(1, 21)], false),
        (vec![(7, 0)], true),
        (vec![(7, 1)], false),
    ] {
        let counts = counts.clone().at_least(&offsets(&demanded));
        let reads = [
            counts.get("a").map(drop),
            counts.multi_get(&["a"]).remove(0).map(drop),
            counts.get_partial("a").map(drop),
            counts.under(()).map(drop),
            counts.sum_under(()).map(drop),
            counts.top(1).map(drop),
            counts.explain_answer("a").map(drop),
        ];
        for read in reads {
            assert_eq!(
                read.err().map(|e| e.kind()),
                (!enough).then_some(ErrorKind::TryAgain),
                "{demanded:?}"
            );
        }
    }
    let e = counts
        .clone()
        .at_least(&offsets(&[(0, 15), (1, 25)]))
        .get("a")
        .unwrap_err();
    assert_eq!(
        e.to_string(),
        "store `counts`: partition 0 of `lines` is demanded up to offset 15 and has been applied up to 14, partition 1 of `lines` is \
         demanded up to offset 25 and has been applied up to 20; try again when `stream` has read further, or ask without `at_least`"
    );
    // Demands add up.
    let both = counts
        .clone()
        .at_least(&offsets(&[(0, 15)]))
        .at_least(&offsets(&[(0, 3)]));
    assert!(both.get("a").is_err());
    w.put("n1", 0, shard(row(&[(5, 10)], 15), &[("a", 5, 5)]));
    assert_eq!(both.get("a").unwrap().value, Some(6));
}

#[test]
fn a_source_of_another_job_is_refused() {
    let w = world(14);
    let foreign = BTreeMap::from([(SourcePartition::new("clicks", 0), 3)]);
    let e = w
        .client()
        .store(COUNTS)
        .unwrap()
        .at_least(&foreign)
        .get("a")
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("`clicks`") && e.to_string().contains("it has: lines"),
        "{e}"
    );
}

/// The manifest that is cached may be behind the demand though the newest is not.
#[test]
fn the_newest_manifest_is_asked_before_a_demand_is_refused() {
    let w = world(14);
    let client = w.client();
    let counts = client.store(COUNTS).unwrap();
    counts.get("a").unwrap();
    w.publish(
        manifest(2, Some("n1"), &[(0, cut(7, 30)), (1, cut(5, 20))]),
        &[("a", 21)],
    );
    let a = counts.clone().at_least(&offsets(&[(0, 30)])).get("a").unwrap();
    assert_eq!((a.value, a.coverage.applied(&p(0))), (Some(21), 30));
    let now = client.snapshot().unwrap();
    assert!(
        now.store(COUNTS)
            .unwrap()
            .at_least(&offsets(&[(0, 30)]))
            .get("a")
            .is_ok()
    );
    assert!(
        now.store(COUNTS)
            .unwrap()
            .at_least(&offsets(&[(0, 31)]))
            .get("a")
            .is_err()
    );
}

/// P30: after a rebuild an answer goes back in time, and who carries a token of before is told.
#[test]
fn a_token_that_was_carried_is_a_demand() {
    let w = world(14);
    let counts = w.client().store(COUNTS).unwrap();
    let text = counts.get("a").unwrap().token.to_string();
    let json = serde_json::to_string(&counts.get("a").unwrap().token).unwrap();
    w.put("n1", 0, shard(row(&[(5, 10)], 12), &[("a", 5, 2)]));
    assert_eq!(
        counts.get("a").unwrap().value,
        Some(3),
        "without a demand the answer goes back"
    );
    for token in [text.parse::<Token>().unwrap(), serde_json::from_str(&json).unwrap()] {
        let e = counts.clone().at_least(token.offsets()).get("a").unwrap_err();
        assert!(
            e.to_string().contains("up to offset 14 and has been applied up to 12"),
            "{e}"
        );
    }
}

#[test]
fn a_deadline_that_passed_is_refused_at_once() {
    let w = world(14);
    let counts = w.client().store(COUNTS).unwrap().until(Instant::now());
    let asked = || {
        let s = w.state();
        (s.snapshots, s.manifest_reads)
    };
    let before = asked();
    for read in [
        counts.get("a").map(drop),
        counts.get_partial("a").map(drop),
        counts.top(3).map(drop),
    ] {
        let e = read.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain);
        assert!(
            e.to_string().starts_with("store `counts`: the deadline had passed"),
            "{e}"
        );
    }
    assert_eq!(asked(), before, "nobody was asked");
}

/// An owner that hangs: the error comes when the time is up, says what was waited for, and is no partial answer.
#[test]
fn a_slow_owner_is_not_waited_for_longer() {
    let w = world(14);
    w.state().slow = Duration::from_secs(20);
    let client: Client = w.client();
    let counts = client.store(COUNTS).unwrap();
    let held = client.snapshot().unwrap().store(COUNTS).unwrap();
    for counts in [counts, held] {
        for read in [0, 1, 2, 3] {
            let began = Instant::now();
            let counts = counts.clone().until(soon(100));
            let e = match read {
                0 => counts.get("a").map(drop),
                1 => counts.get_partial("a").map(drop),
                2 => counts.under(()).map(drop),
                _ => counts.sum_under(()).map(drop),
            };
            let (e, took) = (e.unwrap_err(), began.elapsed());
            assert_eq!(e.kind(), ErrorKind::TryAgain);
            assert!(e.to_string().contains("process 17: receiving took too long"), "{e}");
            assert!(e.to_string().contains(" ms after the read began, passed"), "{e}");
            assert!(
                (Duration::from_millis(90)..Duration::from_secs(5)).contains(&took),
                "{took:?}"
            );
        }
    }
}

/// Reads of one snapshot take turns, and a deadline ends the wait for one.
#[test]
fn another_read_of_the_same_snapshot_is_not_waited_for_longer() {
    let w = world(14);
    w.state().slow = Duration::from_secs(3);
    let now = w.client().snapshot().unwrap().raw(StoreFace::of(COUNTS));
    std::thread::scope(|s| {
        let first = s.spawn(|| now.get(&key("a")).unwrap().value);
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        let e = now.clone().until(soon(100)).get(&key("a")).unwrap_err();
        assert!(e.to_string().contains("another read of the same snapshot"), "{e}");
        assert!(began.elapsed() < Duration::from_secs(2));
        assert!(first.join().unwrap().is_some());
    });
}

/// Scans, sums and lists look at the clock while they go on.
#[test]
fn a_long_scan_ends_when_its_time_is_up() {
    let w = world(14);
    let names: Vec<String> = (0..20_000).map(|n| format!("k{n:05}")).collect();
    let values: Vec<(&str, u64)> = names.iter().map(|k| (k.as_str(), 1)).collect();
    w.publish(manifest(2, Some("n1"), &[(0, cut(5, 10)), (1, cut(5, 20))]), &values);
    let counts = w.client().raw(StoreFace::of(COUNTS)).until(soon(60));
    let mut shown = 0;
    let e = counts.scan(&[], &mut |_, _| {
        shown += 1;
        std::thread::sleep(Duration::from_micros(100));
        Ok(())
    });
    assert_eq!(e.as_ref().unwrap_err().kind(), ErrorKind::TryAgain);
    assert!(
        e.as_ref()
            .unwrap_err()
            .to_string()
            .contains("passed during this: a scan"),
        "{e:?}"
    );
    assert!((1..15_000).contains(&shown), "{shown}");
    // In time it is whole.
    let counts = w.client().raw(StoreFace::of(COUNTS)).until(soon(60_000));
    let mut shown = 0;
    counts
        .scan(&[], &mut |_, _| {
            shown += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(shown, 20_001);
    let keys: Vec<Vec<u8>> = names.iter().map(|k| key(k)).collect();
    let answers = counts.multi_get(&keys);
    assert!(answers.len() == keys.len() && answers.iter().all(|a| a.as_ref().unwrap().value.is_some()));
}

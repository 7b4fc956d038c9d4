//! P22: exclusive, numbered, checked; a torn or altered manifest is an error that names it.

use std::collections::BTreeMap;

use rufous_core::{BatchId, Cut, ErrorKind, Frontier, SourcePartition, Timestamp};
use rufous_store_api::{InputRange, Manifest, ManifestLog, Published};
use rufous_store_offline::Manifests;
use xxhash_rust::xxh3::xxh3_64;

fn manifest(number: u64, batch: i64) -> Manifest {
    let frontier = |batch: i64| {
        Frontier(BTreeMap::from([(
            SourcePartition::new("s", 0),
            Cut {
                batch: BatchId(batch),
                cut: batch as u64 * 10,
                batch_before: BatchId(batch - 1),
            },
        )]))
    };
    Manifest {
        format: 1,
        number,
        job: "j".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: Some("n".into()),
        stores: BTreeMap::new(),
        frontier: frontier(batch),
        drop_before: BTreeMap::from([("n".to_string(), frontier(batch - 1))]),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(1_000),
        covered_until: "x".into(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

#[test]
fn one_of_many_publishers_wins() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path().join("m"));
    assert_eq!(log.newest(0).unwrap(), None);
    assert_eq!(log.publish(&manifest(0, 1)).unwrap(), Published::Done);
    for number in 1..20 {
        let wins: usize = std::thread::scope(|s| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    s.spawn(|| {
                        usize::from(log.publish(&manifest(number, number as i64 + 1)).unwrap() == Published::Done)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
        assert_eq!(
            log.newest(number - 1).unwrap().unwrap(),
            manifest(number, number as i64 + 1)
        );
    }
    assert_eq!(log.newest(0).unwrap().unwrap().number, 19);
    assert_eq!(log.newest(20).unwrap(), None);
}

#[test]
fn a_publish_that_breaks_the_drop_permission_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    log.publish(&manifest(0, 5)).unwrap();
    let e = log.publish(&manifest(1, 3)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("s/0"), "{e}");
    assert_eq!(
        log.publish(&manifest(2, 9)).unwrap_err().kind(),
        ErrorKind::InvalidRequest,
        "no number is left out"
    );
    assert_eq!(log.newest(0).unwrap().unwrap().number, 0);
}

fn corrupt(log: &Manifests, number: u64, why: &str) {
    for e in [log.get(number).unwrap_err(), log.newest(0).unwrap_err()] {
        assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
        assert!(
            e.to_string().contains(&format!("/{number}.json")) && e.to_string().contains(why),
            "{e}"
        );
    }
}

#[test]
fn altered_and_torn_manifests_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    log.publish(&manifest(0, 5)).unwrap();
    log.publish(&manifest(1, 6)).unwrap();
    let path = dir.path().join("1.json");
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        // 0x20 makes other letters of the checksum's digits.
        for flip in [0x20, 0x15, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            std::fs::write(&path, &bad).unwrap();
            corrupt(&log, 1, "");
        }
        std::fs::write(&path, &good[..at]).unwrap();
        corrupt(&log, 1, "");
    }
    std::fs::write(&path, [&good[..], b"\n"].concat()).unwrap();
    corrupt(&log, 1, "");
    // Nothing is published on top of it.
    assert_eq!(log.publish(&manifest(2, 7)).unwrap_err().kind(), ErrorKind::CorruptData);
    std::fs::write(&path, &good).unwrap();
    assert_eq!(log.publish(&manifest(2, 7)).unwrap(), Published::Done);
}

/// Forged by a later program: the checksum fits, the content is not all known.
#[test]
fn what_is_not_known_is_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    let mut input = manifest(0, 5);
    input.input.push(InputRange {
        partition: SourcePartition::new("s", 0),
        from: 0,
        to: 9,
        files: Vec::new(),
        read_as: String::new(),
    });
    log.publish(&input).unwrap();
    let path = dir.path().join("0.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let body = &good[..good.rfind("xxh3 ").unwrap()];
    for (from, to, why) in [
        ("\"format\": 1", "\"format\": 3", "format 3"),
        (
            "\"format\": 1",
            "\"format\": 2",
            "has format 2, and what it says is of format 1",
        ),
        ("\"format\": 1,", "", "format none"),
        ("\"number\": 0", "\"number\": 1", "number 1"),
        ("\"job\"", "\"colour\": 3, \"job\"", "colour"),
        ("\"job\": \"j\",", "", "job"),
        ("\"to\": 9", "\"to\": 9, \"shade\": 1", "input.0.shade"),
        ("\"batch\": 5", "\"batch\": 5, \"hue\": 1", "frontier.s/0.hue"),
    ] {
        assert!(body.contains(from), "{from}");
        let bad = body.replacen(from, to, 1);
        std::fs::write(&path, format!("{bad}xxh3 {:016x}\n", xxh3_64(bad.as_bytes()))).unwrap();
        corrupt(&log, 0, why);
    }
}

#[test]
fn a_gap_is_an_error_and_a_deleted_past_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    for n in 0..8 {
        log.publish(&manifest(n, n as i64 + 1)).unwrap();
    }
    let path = |n: u64| dir.path().join(format!("{n}.json"));
    for name in ["099.json", "+99.json", "x.json", ".tmp-99.json", "99.json.old"] {
        std::fs::write(dir.path().join(name), "not ours").unwrap();
    }
    // The past is deleted from below.
    for n in 0..3 {
        std::fs::remove_file(path(n)).unwrap();
    }
    for at_least in 0..8 {
        assert_eq!(log.newest(at_least).unwrap().unwrap().number, 7, "from {at_least}");
    }
    assert_eq!(log.newest(8).unwrap(), None);
    assert_eq!(log.newest(u64::MAX).unwrap(), None);
    // A number is never used twice, whatever was deleted; who is late reads the current one.
    for n in [0, 1, 2, 3, 4, 7] {
        assert_eq!(log.publish(&manifest(n, 100)).unwrap(), Published::Conflict, "{n}");
    }
    let lost = std::fs::read(path(6)).unwrap();
    std::fs::remove_file(path(6)).unwrap();
    for at_least in [0, 1, 3, 5, 6] {
        let e = log.newest(at_least).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData, "from {at_least}");
        assert!(e.to_string().contains("/6.json is missing though 7.json"), "{e}");
    }
    std::fs::write(path(6), lost).unwrap();
    assert_eq!(log.newest(0).unwrap().unwrap().number, 7);
    std::fs::write(path(u64::MAX), "far away").unwrap();
    assert!(log.newest(0).unwrap_err().to_string().contains("/8.json is missing"));
}

/// Readers beside a publisher and beside who deletes: always a manifest, never older than the one known.
#[test]
fn the_newest_is_found_while_others_publish_and_delete() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    log.publish(&manifest(0, 1)).unwrap();
    let last = 150;
    std::thread::scope(|s| {
        s.spawn(|| {
            for n in 1..=last {
                assert_eq!(log.publish(&manifest(n, n as i64 + 1)).unwrap(), Published::Done);
                if let Some(old) = n.checked_sub(20) {
                    std::fs::remove_file(dir.path().join(format!("{old}.json"))).unwrap();
                }
            }
        });
        for lists in [true, false] {
            let log = &log;
            s.spawn(move || {
                let mut known = 0;
                while known < last {
                    match log.newest(if lists { 0 } else { known }) {
                        Ok(found) => {
                            let found = found.expect("there is always one").number;
                            assert!(found >= known);
                            known = found;
                        }
                        Err(e) => assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}"),
                    }
                }
            });
        }
    });
}

/// P22: of two who checked against the same base one publishes; the other reads the current one and checks again.
#[test]
fn the_loser_publishes_on_top() {
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path());
    log.publish(&manifest(0, 1)).unwrap();
    let (a, mut b) = (manifest(1, 4), manifest(1, 5));
    b.line = "other".into();
    assert_eq!(log.publish(&a).unwrap(), Published::Done);
    assert_eq!(log.publish(&b).unwrap(), Published::Conflict);
    assert_eq!(log.get(1).unwrap(), Some(a), "the winner's bytes stay");
    b.number = 2;
    assert_eq!(log.publish(&b).unwrap(), Published::Done);
    assert_eq!(log.newest(1).unwrap(), Some(b));
    assert!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .all(|e| e.unwrap().file_name().to_string_lossy().ends_with(".json"))
    );
}

//! Several processes on one namespace (mode 1): each writes its own partitions, and who lost one writes nothing more.

mod bed;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bed::*;
use rufous_algebra::Codec;
use rufous_core::{BatchId, Frontier};
use rufous_store_api::{Committed, Progress, RealtimeReader, RealtimeStore, Repair};
use rufous_test_servers::redis::RedisSetup;

/// P11: right offset, old epoch; and P13: right epoch, wrong offset. Each handle remembers rows of before.
#[test]
fn a_zombie_is_refused_by_the_server() {
    let server = RedisSetup::durable("no").start().unwrap();
    let (old, new) = (open(&server), open(&server));
    let p = part(0);
    let mut zombie = acquire(&old, &p);
    add(&old, &p, &mut zombie, 1, &["a"]);
    let mut row = acquire(&new, &p);
    assert_eq!((row.epoch, row.next), (2, 1));
    let late = try_add(&old, &p, &mut zombie.clone(), 1, &["a"]).unwrap();
    let refused = |found| Committed::Refused {
        partition: p.clone(),
        found,
    };
    assert_eq!(late, refused(Some((1, 2))));
    add(&new, &p, &mut row, 1, &["a", "b"]);
    // The epoch is right and the chunk is not: sent again by who did not hear that it was done.
    let again = Progress { next: 1, ..row.clone() };
    assert_eq!(
        try_add(&new, &p, &mut again.clone(), 1, &["a", "b"]).unwrap(),
        refused(Some((3, 2)))
    );
    // The other handle has rows of its own, older ones.
    assert_eq!(
        try_add(&old, &p, &mut zombie, 1, &["a"]).unwrap(),
        refused(Some((3, 2)))
    );
    let snapshot = new.snapshot().unwrap();
    assert_eq!((total(&*snapshot, "a"), total(&*snapshot, "b")), (2, 1));
}

/// A drop by another process does not make a commit fail that only met it.
#[test]
fn a_commit_goes_on_behind_a_drop() {
    let server = RedisSetup::durable("no").start().unwrap();
    let (owner, other) = (open(&server), open(&server));
    let p = part(0);
    let mut row = acquire(&owner, &p);
    for batch in 1..=3 {
        add(&owner, &p, &mut row, batch, &["a"]);
    }
    other.drop_below(&p, BatchId(3)).unwrap();
    add(&owner, &p, &mut row, 3, &["a"]);
    let found = bed::row(&*other.snapshot().unwrap(), &p).unwrap();
    assert_eq!((found.next, found.retained_from), (4, BatchId(3)));
    assert_eq!(total(&*other.snapshot().unwrap(), "a"), 2);
}

/// Also when a thread panics, the one that waits ends.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Handles take partitions from each other all the time; every record counts once, and snapshots are whole.
#[test]
fn storms_count_every_record_once() {
    const PARTITIONS: u32 = 4;
    const RECORDS: u64 = 400;
    let server = RedisSetup::durable("no").start().unwrap();
    let (refused, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    drop(open(&server));
    // How far each partition was seen to be.
    let seen: Mutex<BTreeMap<u32, u64>> = Mutex::default();
    let word = |p: u32, offset: u64| format!("w{}", (offset * 7 + u64::from(p)) % 5);
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (server, refused, ended) = (&server, &refused, &ended);
            scope.spawn(move || {
                let _end = End(ended);
                let store = open(server);
                let mut turn = thread;
                let mut left = PARTITIONS;
                while left > 0 {
                    left = PARTITIONS;
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(thread + 1);
                    for n in 0..PARTITIONS {
                        let p = part((n + (turn >> 40) as u32) % PARTITIONS);
                        let mut row = acquire(&store, &p);
                        for _ in 0..6 {
                            if row.next >= RECORDS {
                                break;
                            }
                            let to = (row.next + 1 + (turn >> 50) % 3).min(RECORDS);
                            let words: Vec<String> = (row.next..to).map(|o| word(p.partition, o)).collect();
                            let words: Vec<&str> = words.iter().map(String::as_str).collect();
                            // The batch is a function of the offset, as it is of a log.
                            let batch = (1 + row.next as i64 / 100).max(row.batch.0);
                            match try_add(&store, &p, &mut row, batch, &words).unwrap() {
                                Committed::Done => {}
                                Committed::Refused { .. } => {
                                    refused.fetch_add(1, Ordering::Relaxed);
                                    break;
                                }
                            }
                        }
                        left -= u32::from(row.next >= RECORDS);
                    }
                }
            });
        }
        let (server, ended, seen) = (&server, &ended, &seen);
        scope.spawn(move || {
            let reader = reader(server);
            while !ended.load(Ordering::Relaxed) {
                let snapshot = reader.snapshot().unwrap();
                let rows = snapshot.partitions("counts").unwrap();
                let expected: u64 = rows.iter().map(|(_, r)| r.next).sum();
                let mut found = 0;
                let scanned = snapshot.scan("counts", b"", &Frontier::default(), &mut |_, cell| {
                    found += u64::decode(&cell.value).unwrap();
                    Ok(())
                });
                scanned.unwrap();
                assert_eq!(found, expected, "rows and cells of one moment");
                let mut seen = seen.lock().unwrap();
                for (p, row) in &rows {
                    let before = seen.insert(p.partition, row.next).unwrap_or(0);
                    assert!(row.next >= before);
                }
                if rows.len() == PARTITIONS as usize && rows.iter().all(|(_, r)| r.next == RECORDS) {
                    break;
                }
            }
        });
    });
    let snapshot = reader(&server).snapshot().unwrap();
    for w in 0..5 {
        let word_of = format!("w{w}");
        let expected = (0..PARTITIONS)
            .flat_map(|p| (0..RECORDS).map(move |o| (p, o)))
            .filter(|(p, o)| word(*p, *o) == word_of)
            .count();
        assert_eq!(total(&*snapshot, &word_of), expected as u64);
    }
    assert!(refused.load(Ordering::Relaxed) > 0, "nobody met anybody");
}

/// What a replaced shard left is never added to, whoever had it known.
#[test]
fn a_rebuilt_shard_begins_with_nothing() {
    let server = RedisSetup::durable("no").start().unwrap();
    let (a, b) = (open(&server), open(&server));
    let p = part(0);
    let mut row = acquire(&a, &p);
    add(&a, &p, &mut row, 1, &["a", "a"]);
    let mut fresh = b.acquire("counts", &p, &mut |_| Ok(Repair::Replace(start()))).unwrap();
    add(&b, &p, &mut fresh, 1, &["a"]);
    assert_eq!(total(&*a.snapshot().unwrap(), "a"), 1);
    let cells = keys(&server)
        .into_iter()
        .filter(|k| k.contains("}:cells/"))
        .collect::<Vec<_>>();
    assert_eq!(cells, [format!("{PREFIX}cells/counts/lines/0/1/1")]);
}

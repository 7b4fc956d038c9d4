//! Several processes on one namespace (mode 1): each writes its own partitions, and who lost one writes nothing more.

mod bed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bed::*;
use rufous_algebra::Codec;
use rufous_core::{BatchId, ErrorKind, Frontier, Result};
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

const PARTITIONS: u32 = 4;

fn word(p: u32, offset: u64) -> String {
    format!("w{}", (offset * 7 + u64::from(p)) % 5)
}

/// Until it is done; a server that is away is waited for.
fn patiently<T>(mut f: impl FnMut() -> Result<T>) -> T {
    let started = Instant::now();
    loop {
        match f() {
            Ok(done) => return done,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
                assert!(started.elapsed() < Duration::from_secs(60), "{e}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A process: takes every partition in turn, commits a few chunks, and goes on until all are read.
fn process(url: &str, seed: u64, records: u64, refused: &AtomicU64) {
    let store = patiently(|| try_open(url, &options()));
    let (mut turn, mut left) = (seed, PARTITIONS);
    while left > 0 {
        left = PARTITIONS;
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed + 1);
        for n in 0..PARTITIONS {
            let p = part((n + (turn >> 40) as u32) % PARTITIONS);
            let mut row = patiently(|| try_acquire(&store, &p));
            for _ in 0..6 {
                if row.next >= records {
                    break;
                }
                let to = (row.next + 1 + (turn >> 50) % 3).min(records);
                let words: Vec<String> = (row.next..to).map(|o| word(p.partition, o)).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let batch = (1 + row.next as i64 / 100).max(row.batch.0);
                match try_add(&store, &p, &mut row, batch, &words) {
                    Ok(Committed::Done) => {}
                    Ok(Committed::Refused { .. }) => {
                        refused.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    // P12: nobody knows, so it is acquired again.
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
                        break;
                    }
                }
            }
            left -= u32::from(row.next >= records);
        }
    }
}

/// Rows and cells of each snapshot are of one moment, and no row goes back.
fn watch(reader: &dyn RealtimeReader, ended: &AtomicBool) {
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    while !ended.load(Ordering::Relaxed) {
        let look = || -> Result<_> {
            let snapshot = reader.snapshot()?;
            let rows = snapshot.partitions("counts")?;
            let mut found = 0;
            snapshot.scan("counts", b"", &Frontier::default(), &mut |_, cell| {
                found += u64::decode(&cell.value).unwrap();
                Ok(())
            })?;
            Ok((rows, found))
        };
        let (rows, found) = match look() {
            Ok(found) => found,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
                continue;
            }
        };
        assert_eq!(
            found,
            rows.iter().map(|(_, r)| r.next).sum::<u64>(),
            "rows and cells of one moment"
        );
        for (p, row) in rows.iter() {
            let before = seen.insert(p.partition, row.next).unwrap_or(0);
            assert!(row.next >= before, "{p} went back from {before} to {}", row.next);
        }
    }
}

fn storm(fsync: &'static str, records: u64, kills: u32) {
    let mut server = RedisSetup::durable(fsync).start().unwrap();
    drop(open(&server));
    let reader = reader(&server);
    let (refused, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let url = server.url();
    std::thread::scope(|scope| {
        let processes: Vec<_> = (0..3)
            .map(|seed| {
                let (url, refused) = (&url, &refused);
                scope.spawn(move || process(url, seed, records, refused))
            })
            .collect();
        scope.spawn(|| watch(&reader, &ended));
        let _end = End(&ended);
        for turn in 0..kills {
            std::thread::sleep(Duration::from_millis(50 + u64::from(turn * 37 % 60)));
            server.kill().unwrap();
            server.start_again().unwrap();
        }
        processes.into_iter().for_each(|p| p.join().unwrap());
    });
    let snapshot = reader.snapshot().unwrap();
    for w in 0..5 {
        let word_of = format!("w{w}");
        let expected = (0..PARTITIONS)
            .flat_map(|p| (0..records).map(move |o| (p, o)))
            .filter(|(p, o)| word(*p, *o) == word_of)
            .count();
        assert_eq!(total(&*snapshot, &word_of), expected as u64);
    }
    assert!(refused.load(Ordering::Relaxed) > 0, "nobody met anybody");
}

/// Handles take partitions from each other all the time; every record counts once, and snapshots are whole.
#[test]
fn storms_count_every_record_once() {
    storm("no", 400, 0);
}

/// The same while the server is killed again and again: what was acknowledged stays, and no snapshot is of two moments.
#[test]
fn storms_over_a_server_that_is_killed_count_every_record_once() {
    storm("always", 300, 6);
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

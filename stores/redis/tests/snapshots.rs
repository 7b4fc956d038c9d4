//! Several snapshots at once, each of its own moment, against copies of a plain map.

mod bed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bed::*;
use rufous_algebra::{Codec, Max};
use rufous_core::{BatchId, ChunkMeta, ErrorKind, Frontier, Job, SourcePartition, Store, StoreFace, TextChunk, key};
use rufous_store_api::{
    Commit, Committed, NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, Until,
};
use rufous_store_redis::{RedisOptions, RedisRealtime};
use rufous_test_servers::redis::{RedisServer, RedisSetup};

/// (batch, key, partition) -> count.
type Cells = BTreeMap<(i64, Vec<u8>, u32), u64>;

#[derive(Clone, Default)]
struct Model {
    cells: Cells,
    rows: BTreeMap<SourcePartition, Progress>,
}

fn check(snapshot: &dyn Snapshot, model: &Model, what: &str) {
    let rows: BTreeMap<_, _> = snapshot.partitions("counts").unwrap().iter().cloned().collect();
    assert_eq!(rows, model.rows, "{what}");
    let numbers: Vec<u32> = rows.keys().map(|p| p.partition).collect();
    let mut found = Vec::new();
    let scanned = snapshot.scan("counts", b"", &Frontier::default(), &mut |key, cell| {
        let place = (cell.batch.0, key.to_vec(), numbers[cell.partition as usize]);
        found.push((place, u64::decode(&cell.value).unwrap()));
        Ok(())
    });
    scanned.unwrap();
    let expected: Vec<_> = model.cells.iter().map(|(k, v)| (k.clone(), *v)).collect();
    assert_eq!(found, expected, "{what}");
    let keys: Vec<Vec<u8>> = WORDS.iter().map(|w| key::to_bytes(*w)).collect();
    let cells = snapshot.cells("counts", &keys, &Frontier::default()).unwrap();
    for (key, cells) in keys.iter().zip(cells) {
        let found: Vec<_> = cells
            .iter()
            .map(|c| (c.batch.0, numbers[c.partition as usize], u64::decode(&c.value).unwrap()))
            .collect();
        let of_key = model.cells.iter().filter(|((_, k, _), _)| k == key);
        let expected: Vec<_> = of_key.map(|((batch, _, p), v)| (*batch, *p, *v)).collect();
        assert_eq!(found, expected, "{what}");
    }
}

const WORDS: [&str; 6] = ["", "a", "ab", "b\0", " p", "\u{10ffff}"];

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// What the server keeps for snapshots.
fn kept_for_snapshots(server: &RedisServer) -> Vec<String> {
    let of = |key: &str| {
        ["undo/", "leases", "leased", "layers", "doomed"]
            .iter()
            .any(|part| key.contains(part))
    };
    keys(server).into_iter().filter(|k| of(k)).collect()
}

#[test]
fn snapshots_of_many_moments_stand_still() {
    let server = RedisSetup::volatile().start().unwrap();
    let options = RedisOptions {
        accept_volatile: true,
        ..options()
    };
    for seed in 0..20 {
        admin(&server, &["FLUSHALL"]);
        let store = try_open(&server.url(), &options).unwrap();
        let mut numbers = Numbers(seed);
        let mut model = Model::default();
        let mut held: Vec<(Box<dyn Snapshot>, Model, usize)> = Vec::new();
        for p in 0..3 {
            model.rows.insert(part(p), acquire(&store, &part(p)));
        }
        for turn in 0..150 {
            let p = part(numbers.below(3) as u32);
            match numbers.below(14) {
                0 | 1 => held.push((store.snapshot().unwrap(), model.clone(), turn)),
                2 | 3 if !held.is_empty() => {
                    let at = numbers.below(held.len());
                    held.swap_remove(at);
                }
                4 => {
                    let row = &mut model.rows.get_mut(&p).unwrap();
                    let below = row.batch.0.saturating_sub(numbers.below(2) as i64);
                    store.drop_below(&p, BatchId(below)).unwrap();
                    row.retained_from = row.retained_from.max(BatchId(below));
                    let kept = row.retained_from;
                    row.cuts.retain(|(b, _)| *b >= kept);
                    model.cells.retain(|(b, _, of), _| *of != p.partition || *b >= kept.0);
                }
                5 => {
                    let row = store
                        .acquire("counts", &p, &mut |_| Ok(Repair::Replace(start())))
                        .unwrap();
                    model.rows.insert(p.clone(), row);
                    model.cells.retain(|(_, _, of), _| *of != p.partition);
                }
                _ => {
                    let words: Vec<&str> = (0..1 + numbers.below(4)).map(|_| WORDS[numbers.below(6)]).collect();
                    let row = model.rows.get_mut(&p).unwrap();
                    let batch = row.batch.max(row.retained_from).0.max(0) + i64::from(numbers.below(8) == 0);
                    add(&store, &p, row, batch, &words);
                    for word in words {
                        *model
                            .cells
                            .entry((batch, key::to_bytes(word), p.partition))
                            .or_default() += 1;
                    }
                }
            }
            if numbers.below(6) == 0 {
                for (snapshot, of, taken) in &held {
                    check(
                        &**snapshot,
                        of,
                        &format!("seed {seed}, taken at {taken}, read at {turn}"),
                    );
                }
            }
        }
        for (snapshot, of, taken) in held.drain(..) {
            check(&*snapshot, &of, &format!("seed {seed}, taken at {taken}, at the end"));
        }
        check(&*store.snapshot().unwrap(), &model, "the present");
        // Nothing is kept for snapshots that ended, once something is written.
        let row = model.rows.get_mut(&part(0)).unwrap();
        let batch = row.batch.max(row.retained_from).0.max(0);
        add(&store, &part(0), row, batch, &["a"]);
        assert_eq!(kept_for_snapshots(&server), [""; 0]);
    }
}

/// A snapshot that nobody reads ends; reading it prolongs it. What it saw goes with it.
#[test]
fn a_lease_ends() {
    let server = RedisSetup::durable("no").start().unwrap();
    let options = RedisOptions {
        snapshot_lease: Duration::from_millis(600),
        ..options()
    };
    let store = try_open(&server.url(), &options).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let (read, left) = (store.snapshot().unwrap(), store.snapshot().unwrap());
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(250));
        add(&store, &part(0), &mut row, 1, &["a"]);
        assert_eq!(total(&*read, "a"), 1);
    }
    let e = left
        .cells("counts", &[key::to_bytes("a")], &Frontier::default())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains("the snapshot is too old"), "{e}");
    std::thread::sleep(Duration::from_millis(700));
    add(&store, &part(0), &mut row, 1, &["a"]);
    assert!(
        read.scan("counts", b"", &Frontier::default(), &mut |_, _| Ok(()))
            .is_err()
    );
    assert_eq!(kept_for_snapshots(&server), [""; 0]);
    assert_eq!(total(&*store.snapshot().unwrap(), "a"), 6);
}

/// A read that is late, or that nobody waits for any more, lets go of its lease where the server is well: writers keep nothing for it.
#[test]
fn late_reads_leave_no_lease() {
    let server = RedisSetup::durable("no").start().unwrap();
    let store = try_open(&server.url(), &options()).unwrap();
    let mut row = acquire(&store, &part(0));
    add(&store, &part(0), &mut row, 1, &["a"]);
    let over = [
        Until::from(Instant::now()),
        Until::default().unless(Some(Arc::new(|| true))),
    ];
    for until in over {
        let mut late = store.snapshot().unwrap();
        late.set_until(&until);
        let e = late
            .cells("counts", &[key::to_bytes("a")], &Frontier::default())
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
        drop(late);
        add(&store, &part(0), &mut row, 1, &["a"]);
        assert_eq!(kept_for_snapshots(&server), [""; 0], "{until:?}");
    }
}

/// A thousand keys are one round trip, whatever the number of partitions and batches.
#[test]
fn a_thousand_keys_are_one_round_trip() {
    let server = RedisSetup::durable("no").start().unwrap();
    let store = open(&server);
    let words: Vec<String> = (0..1_000).map(|i| i.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for p in 0..4 {
        let mut row = acquire(&store, &part(p));
        for batch in 1..=3 {
            add(&store, &part(p), &mut row, batch, &words);
        }
    }
    let keys: Vec<_> = words.iter().map(|w| key::to_bytes(*w)).collect();
    let snapshot = store.snapshot().unwrap();
    // From the first read on the server knows the script.
    assert_eq!(total(&*snapshot, "7"), 12);
    admin(&server, &["CONFIG", "RESETSTAT"]);
    let found = snapshot.cells("counts", &keys, &Frontier::default()).unwrap();
    assert!(found.iter().all(|cells| cells.len() == 12));
    let redis::Value::BulkString(stats) = admin(&server, &["INFO", "commandstats"]) else {
        panic!()
    };
    let stats = String::from_utf8(stats).unwrap();
    assert!(stats.contains("cmdstat_evalsha:calls=1,"), "{stats}");
}

/// Values that are large together: a call ends after some of them, of ranges and of keys, and nothing is left out.
#[test]
fn large_values_come_in_several_calls() {
    const TEXTS: Store<String, Max<String>> = Store::new("texts");
    let server = RedisSetup::durable("no").start().unwrap();
    let job = Job::new(
        "texts",
        LINES
            .read()
            .keyed(|l, out| out.emit(l, Max::of(l.repeat(250_000))))
            .sum_by_key(TEXTS),
    );
    let plan = job.plan().unwrap();
    let faces = [StoreFace::of(TEXTS)];
    let store = RedisRealtime::open(
        &server.url(),
        &options(),
        NamespaceOf::new("texts", "main", "n1"),
        &faces,
    )
    .unwrap();
    let words: Vec<String> = (0..12).map(|i| format!("{i:04}")).collect();
    for n in 0..3 {
        let p = part(n);
        let mut repair = |_: Option<&Progress>| Ok(Repair::Keep(start()));
        let row = store.acquire("texts", &p, &mut repair).unwrap();
        let mut run = plan.instantiate();
        let mut chunk = TextChunk::default();
        words.iter().for_each(|w| chunk.push(w));
        let meta = ChunkMeta {
            source: 0,
            partition: n,
            batch: BatchId(1),
        };
        run.push(&meta, &mut chunk).unwrap();
        let deltas = run.take(Vec::new()).unwrap().remove(0);
        let commit = Commit {
            advances: &[step(&p, &row, 1, words.len())],
            sources: &["lines"],
            deltas: &[("texts", &*deltas)],
        };
        assert_eq!(store.commit(&commit).unwrap(), Committed::Done);
    }
    let snapshot = store.snapshot().unwrap();
    let mut found = Vec::new();
    let scanned = snapshot.scan("texts", b"", &Frontier::default(), &mut |key, cell| {
        found.push((key.to_vec(), cell.partition, cell.value.len() > 1_000_000));
        Ok(())
    });
    scanned.unwrap();
    let expected: Vec<_> = words
        .iter()
        .flat_map(|w| (0..3).map(|p| (key::to_bytes(w.as_str()), p, true)))
        .collect();
    assert_eq!(found, expected);
    let keys: Vec<_> = words.iter().map(|w| key::to_bytes(w.as_str())).collect();
    let ranges: Vec<_> = keys.iter().map(|k| k.clone()..[k.as_slice(), &[1]].concat()).collect();
    let mut found = Vec::new();
    let ranged = snapshot.ranges("texts", &ranges, &Frontier::default(), &mut |place, key, cell| {
        assert_eq!(key, keys[place]);
        found.push((key.to_vec(), cell.partition, cell.value.len() > 1_000_000));
        Ok(())
    });
    ranged.unwrap();
    assert_eq!(found, expected);
    for cells in snapshot.cells("texts", &keys, &Frontier::default()).unwrap() {
        assert_eq!(cells.iter().map(|c| c.partition).collect::<Vec<_>>(), [0, 1, 2]);
    }
}

/// A scan takes pages, of many small cells and of few large ones, and follows what is written meanwhile in none of them.
#[test]
fn scans_go_by_pages() {
    let server = RedisSetup::durable("no").start().unwrap();
    let store = open(&server);
    let words: Vec<String> = (0..9_000).map(|i| format!("{i:05}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut rows = [acquire(&store, &part(0)), acquire(&store, &part(1))];
    add(&store, &part(0), &mut rows[0], 1, &words);
    add(&store, &part(1), &mut rows[1], 1, &words[4_000..]);
    let snapshot = store.snapshot().unwrap();
    let mut found = Vec::new();
    let scanned = snapshot.scan("counts", b"", &Frontier::default(), &mut |key, cell| {
        if found.len() % 2_000 == 0 {
            add(&store, &part(0), &mut rows[0], 1, &["00001", "99999", "00001x"]);
        }
        found.push((key.to_vec(), cell.partition, u64::decode(&cell.value).unwrap()));
        Ok(())
    });
    scanned.unwrap();
    let of = |p: u32, from: usize| words[from..].iter().map(move |w| (key::to_bytes(*w), p, 1));
    let mut expected: Vec<_> = of(0, 0).chain(of(1, 4_000)).collect();
    expected.sort();
    assert!(found == expected, "{} cells, {} expected", found.len(), expected.len());
}

//! Commits of 20,000 distinct cells, reads of 1,000 keys and scans, on a redis-server of its own with an append-only file (everysec).
//! `cargo bench -p rufous-store-redis`

use std::time::{Duration, Instant};

use rufous_core::{
    BatchId, ChunkMeta, Cut, Deltas, Frontier, Job, Source, SourcePartition, Store, StoreFace, TextChunk, key,
};
use rufous_store_api::{Advance, Commit, Committed, NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair};
use rufous_store_redis::{RedisOptions, RedisRealtime};
use rufous_test_servers::redis::RedisSetup;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const CELLS: usize = 20_000;
const ROUNDS: usize = 15;

struct Bed {
    store: RedisRealtime,
    row: Progress,
    partition: SourcePartition,
}

fn deltas(partition: u32, batch: i64, words: impl Iterator<Item = usize>) -> Box<dyn Deltas> {
    let job = Job::new("bench", LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS));
    let mut run = job.plan().unwrap().instantiate();
    let mut chunk = TextChunk::default();
    words.for_each(|w| chunk.push(&format!("some-user-{w:08}")));
    let meta = ChunkMeta {
        source: 0,
        partition,
        batch: BatchId(batch),
    };
    run.push(&meta, &mut chunk).unwrap();
    run.take(Vec::new()).unwrap().remove(0)
}

impl Bed {
    fn new(url: &str, instance: &str, partition: u32) -> Self {
        let stores = [StoreFace::of(COUNTS)];
        let store = RedisRealtime::open(
            url,
            &RedisOptions::default(),
            NamespaceOf::new("bench", instance, "n"),
            &stores,
        )
        .unwrap();
        let partition = SourcePartition::new("lines", partition);
        let start = Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
        let mut repair = |_: Option<&Progress>| Ok(Repair::Keep(start.clone()));
        let row = store.acquire("counts", &partition, &mut repair).unwrap();
        Self { store, row, partition }
    }

    fn commit(&mut self, batch: i64, deltas: &dyn Deltas) -> Duration {
        let cuts = match BatchId(batch) > self.row.batch {
            true => vec![(BatchId(batch), self.row.next)],
            false => vec![],
        };
        let advance = Advance {
            partition: self.partition.clone(),
            epoch: self.row.epoch,
            from: self.row.next,
            to: self.row.next + 1,
            batch: BatchId(batch),
            cuts,
            holes: vec![],
            leader_epoch: -1,
            last_time: None,
            running: None,
        };
        let started = Instant::now();
        let done = self.store.commit(&Commit {
            advances: std::slice::from_ref(&advance),
            sources: &["lines"],
            deltas: &[("counts", deltas)],
        });
        let took = started.elapsed();
        assert_eq!(done.unwrap(), Committed::Done);
        (self.row.next, self.row.batch) = (advance.to, advance.batch);
        took
    }
}

/// Median of many, in things a second.
fn show(what: &str, things: usize, mut took: Vec<Duration>) {
    took.sort();
    let [least, median, most] = [0, took.len() / 2, took.len() - 1].map(|i| took[i].as_secs_f64());
    println!(
        "{what:<58} {:>9.0} /s   median {:6.2} ms, {:.2} to {:.2}",
        things as f64 / median,
        median * 1e3,
        least * 1e3,
        most * 1e3
    );
}

fn main() {
    let server = RedisSetup::durable("everysec").start().unwrap();
    let url = server.url();

    let mut bed = Bed::new(&url, "new", 0);
    let round = |i: i64| deltas(0, i, 0..CELLS);
    let took = (1..=ROUNDS as i64).map(|i| bed.commit(i, &*round(i))).collect();
    show("cells of a new batch", CELLS, took);

    let mut bed = Bed::new(&url, "one", 0);
    let took = (0..ROUNDS)
        .map(|i| bed.commit(1, &*deltas(0, 1, i * CELLS..(i + 1) * CELLS)))
        .collect();
    show("new cells of a batch that has some", CELLS, took);
    let took = (0..ROUNDS)
        .map(|i| bed.commit(1, &*deltas(0, 1, i * CELLS..(i + 1) * CELLS)))
        .collect();
    show("cells that are there", CELLS, took);
    let held = bed.store.snapshot().unwrap();
    let took = (0..ROUNDS)
        .map(|i| bed.commit(1, &*deltas(0, 1, i * CELLS..(i + 1) * CELLS)))
        .collect();
    show("cells that are there, and that a snapshot sees", CELLS, took);

    let keys: Vec<Vec<u8>> = (0..1_000)
        .map(|i| key::to_bytes(&format!("some-user-{:08}", i * 97)))
        .collect();
    let read = |snapshot: &dyn rufous_store_api::Snapshot| {
        let started = Instant::now();
        let found = snapshot.cells("counts", &keys, &Frontier::default()).unwrap();
        assert!(found.iter().all(|cells| cells.len() == 1));
        started.elapsed()
    };
    show(
        "1,000 keys of a snapshot of before",
        1_000,
        (0..200).map(|_| read(&*held)).collect(),
    );
    drop(held);
    let now = bed.store.snapshot().unwrap();
    show("1,000 keys", 1_000, (0..200).map(|_| read(&*now)).collect());
    drop(now);
    let whole = |_| {
        let started = Instant::now();
        read(&*bed.store.snapshot().unwrap());
        started.elapsed()
    };
    show(
        "snapshot, 1,000 keys, and its end",
        1_000,
        (0..200).map(whole).collect(),
    );
    let scan = |_| {
        let snapshot = bed.store.snapshot().unwrap();
        let started = Instant::now();
        let mut count = 0;
        let scanned = snapshot.scan("counts", b"", &Frontier::default(), &mut |_, _| {
            count += 1;
            Ok(())
        });
        scanned.unwrap();
        assert_eq!(count, ROUNDS * CELLS);
        started.elapsed()
    };
    show("cells of a scan", ROUNDS * CELLS, (0..5).map(scan).collect());

    // Several processes: handles of their own, partitions of their own.
    for handles in [1, 2, 4] {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for p in 0..handles {
                let url = &url;
                scope.spawn(move || {
                    let mut bed = Bed::new(url, &format!("many-{handles}"), p);
                    let deltas: Vec<_> = (0..ROUNDS).map(|i| deltas(p, 1, i * CELLS..(i + 1) * CELLS)).collect();
                    for deltas in deltas {
                        bed.commit(1, &*deltas);
                    }
                });
            }
        });
        let all = handles as usize * ROUNDS * CELLS;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{handles} handles at once, making deltas included: {:>19.0} cells/s",
            all as f64 / seconds
        );
    }
}

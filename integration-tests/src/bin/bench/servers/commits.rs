//! Commits of many distinct cells, and reads of a thousand keys, beside what the server does with the same rows by itself.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use rufous::core::{BatchId, ChunkMeta, Cut, Frontier, Plan, SourcePartition, TextChunk, key};
use rufous::store_api::{Advance, Commit, Committed, NamespaceOf, Progress, RealtimeStore, Repair};
use rufous_algebra::Codec;
use rufous_examples::word_count::{Args, word_count};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime};
use rufous_store_redis::{RedisOptions, RedisRealtime};
use rufous_store_rocksdb::{RocksOptions, RocksStore};
use rufous_test_servers::postgres::Server as Postgres;
use rufous_test_servers::redis::RedisSetup;

use super::{Options, limit, median};

/// Keys of one read.
const KEYS: u32 = 1_000;
const READS: usize = 200;

struct Bed<'a> {
    store: Arc<dyn RealtimeStore>,
    plan: &'a Plan,
    row: Progress,
}

/// A word of a number: seven letters, and neighbours are not neighbours.
pub(super) fn word(n: u32) -> String {
    let mut n = n.wrapping_mul(2_654_435_761);
    let mut letter = || {
        let letter = char::from(b'a' + (n % 26) as u8);
        n /= 26;
        letter
    };
    (0..7).map(|_| letter()).collect()
}

impl<'a> Bed<'a> {
    fn new(plan: &'a Plan, store: Arc<dyn RealtimeStore>) -> Result<Self> {
        let fresh = || Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), plan.fingerprint().into());
        let row = store.acquire("counts", &SourcePartition::new("lines", 0), &mut |_| {
            Ok(Repair::Keep(fresh()))
        })?;
        Ok(Self { store, plan, row })
    }
    /// Adds one to each of these words, in one commit. Seconds.
    fn commit(&mut self, words: std::ops::Range<u32>) -> Result<f64> {
        let mut run = self.plan.instantiate();
        let meta = ChunkMeta {
            source: 0,
            partition: 0,
            batch: BatchId(7),
        };
        for n in words.clone() {
            let mut chunk = TextChunk::default();
            chunk.push(&word(n));
            run.push(&meta, &mut chunk)?;
        }
        let deltas = run.take(Vec::new())?;
        let (from, to) = (self.row.next, self.row.next + u64::from(words.len() as u32));
        let advance = Advance {
            partition: SourcePartition::new("lines", 0),
            epoch: self.row.epoch,
            from,
            to,
            batch: BatchId(7),
            cuts: if from == 0 { vec![(BatchId(7), 0)] } else { Vec::new() },
            holes: Vec::new(),
            leader_epoch: -1,
            last_time: None,
            running: None,
        };
        let start = Instant::now();
        let done = self.store.commit(&Commit {
            advances: &[advance],
            sources: &["lines"],
            deltas: &[("counts", &*deltas[0])],
        })?;
        let took = start.elapsed().as_secs_f64();
        ensure!(done == Committed::Done, "{done:?}");
        self.row.next = to;
        Ok(took)
    }
    /// Seconds of a read of a thousand keys, each with one cell.
    fn read(&self, cells: u32, times: u64) -> Result<f64> {
        let mut all = Vec::new();
        for i in 0..READS as u32 {
            let keys: Vec<Vec<u8>> = (0..KEYS)
                .map(|n| key::to_bytes(word((i * 7919 + n * 31) % cells).as_str()))
                .collect();
            let start = Instant::now();
            let snapshot = self.store.snapshot()?;
            snapshot.partitions("counts")?;
            let found = snapshot.cells("counts", &keys, &Frontier::default())?;
            all.push(start.elapsed().as_secs_f64());
            ensure!(
                found
                    .iter()
                    .all(|cells| cells.len() == 1 && cells[0].value == times.to_bytes())
            );
        }
        Ok(median(all))
    }
    /// Whether every word has its count.
    fn is_exact(&self, words: u32, times: u64) -> Result<bool> {
        let (mut n, mut good) = (0, true);
        let snapshot = self.store.snapshot()?;
        snapshot.scan("counts", &[], &Frontier::default(), &mut |_, cell| {
            n += 1;
            good &= cell.value == times.to_bytes();
            Ok(())
        })?;
        Ok(good && n == words)
    }
}

pub(super) fn table(options: &Options) -> Result<()> {
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    println!(
        "commits of {} distinct cells, {} of new ones and {} of the same again; {KEYS} keys a read",
        options.cells, options.commits, options.commits
    );
    let (namespace, stores) = (plan.fingerprint(), plan.live_stores());
    let of = NamespaceOf::new(plan.job(), "main", namespace);
    for _ in 0..options.runs {
        let dir = tempfile::tempdir()?;
        let rocks = RocksStore::open(&dir.path().join("db"), namespace, &stores, RocksOptions::default())?;
        measure("rocksdb", options, &plan, Arc::new(rocks), None)?;

        let server = Postgres::start(&[])?;
        let url = server.url("postgres");
        let store = PostgresRealtime::open(&url, &PostgresOptions::default(), of, &stores)?;
        let limit = limit::postgres(&url, options)?;
        measure("postgres", options, &plan, Arc::new(store), Some(limit))?;

        let server = RedisSetup::durable("everysec").start()?;
        let store = RedisRealtime::open(&server.url(), &RedisOptions::default(), of, &stores)?;
        let limit = limit::redis(&server.url(), options)?;
        measure("redis", options, &plan, Arc::new(store), Some(limit))?;
    }
    Ok(())
}

fn measure(
    name: &str,
    options: &Options,
    plan: &Plan,
    store: Arc<dyn RealtimeStore>,
    limit: Option<f64>,
) -> Result<()> {
    let mut bed = Bed::new(plan, store)?;
    let mut rates = Vec::new();
    for _ in 0..2 {
        let mut took = 0.0;
        for i in 0..options.commits {
            took += bed.commit(i * options.cells..(i + 1) * options.cells)?;
        }
        rates.push(f64::from(options.commits) * f64::from(options.cells) / took);
    }
    let words = options.commits * options.cells;
    let (exact, read) = (bed.is_exact(words, 2)?, bed.read(words, 2)?);
    let beside = limit.map_or_else(String::new, |limit| {
        let times = rates[0] / limit;
        format!(
            "; the server by itself, the same rows inserted: {:.0} k/s ({times:.2} x)",
            limit / 1e3
        )
    });
    println!(
        "{name}: new cells {:.0} k/s, the same again {:.0} k/s{beside}; {KEYS} keys in {:.2} ms; exact: {}",
        rates[0] / 1e3,
        rates[1] / 1e3,
        read * 1e3,
        if exact { "yes" } else { "NO" }
    );
    Ok(())
}

//! Joins as of event time against a million keys (O17-O19), records once per id, and what origins cost where nobody asks anything of them.

#[path = "../../algebra/benches/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::contest;
use rufous_core::producer::{Buffer, LastSeen};
use rufous_core::service::{Version, versions};
use rufous_core::{BatchId, Chunk, ChunkMeta, Executor, Job, Service, Source, Store, TextChunk, Timestamp};

const KEYS: u64 = 1_000_000;
const RECORDS: usize = 1 << 18;
const LINES: Source<str> = Source::new("lines");
const PAGES: Service<u64, u64> = Service::new("pages");
const COUNTS: Store<u64, u64> = Store::new("counts");

/// xorshift (Marsaglia 2003).
fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

fn key(line: &str) -> u64 {
    line.parse().unwrap_or(0)
}

fn pass(run: &mut Executor, chunks: &mut [(TextChunk, Vec<i64>)]) {
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let mut offset = 0;
    for (chunk, times) in chunks {
        if let Some(origins) = run.origins(0) {
            origins.begin(0, BatchId(0));
            times
                .iter()
                .zip(offset..)
                .for_each(|(t, offset)| origins.add(Some(Timestamp(*t)), offset));
        }
        offset += times.len() as u64;
        run.push_shared(&meta, black_box(chunk)).expect("a run");
    }
}

const ROWS: Source<str> = Source::new("rows");
const NEWEST: Store<u64, Buffer<u64>> = Store::new("newest");
const TOTALS: Store<u64, u64> = Store::new("totals");
const IDS: Store<(u32, u64), LastSeen> = Store::new("ids");

/// What stands between a pass over all keys and what it leaves is dropped: there is no store behind.
fn fill(run: &mut Executor, source: u32) {
    let meta = ChunkMeta {
        source,
        partition: 0,
        batch: BatchId(0),
    };
    for from in (0..KEYS).step_by(1024) {
        let mut chunk = TextChunk::default();
        let keys = from..(from + 1024).min(KEYS);
        keys.clone().for_each(|k| chunk.push(&k.to_string()));
        if let Some(origins) = run.origins(source) {
            origins.begin(0, BatchId(0));
            keys.for_each(|k| origins.add(Some(Timestamp((k % 1_000) as i64)), k));
        }
        run.push_shared(&meta, &chunk).expect("a run");
    }
    run.take(Vec::new()).expect("deltas");
}

/// Joins with what the job built itself (O17, O18), and records once per id (O21).
fn own() {
    let mut x = 7;
    let chunks: Vec<(TextChunk, Vec<i64>)> = (0..RECORDS / 1024)
        .map(|_| {
            let mut chunk = TextChunk::default();
            (0..1024).for_each(|_| chunk.push(&(next(&mut x) % KEYS).to_string()));
            (chunk, (0..1024).map(|_| (next(&mut x) % 2_000) as i64).collect())
        })
        .collect();
    let keyed = |source: Source<str>| {
        source
            .read()
            .keyed(|line, out| out.emit(key(line), 1_u64))
            .within_partition()
    };
    let few = |pairs: rufous_core::KeyedProducer<u64, (u64, Option<u64>)>| {
        let pairs = pairs.map_values(|(n, found)| n + found.unwrap_or(0));
        pairs.map_keys(|k| k % 16).sum_by_key(COUNTS)
    };
    let stream = Job::new("stream", few(keyed(LINES).left_join(keyed(ROWS).as_service(NEWEST))));
    let joined = few(keyed(LINES).left_join(TOTALS.as_service()));
    let store = Job::new("store", (joined, keyed(ROWS).sum_by_key(TOTALS)));
    let once = LINES
        .read()
        .dedupe_by(IDS, 24, key)
        .keyed(|line, out| out.emit(key(line) % 16, 1_u64));
    let once = Job::new("once", once.sum_by_key(COUNTS));
    let kept = keyed(LINES)
        .left_join(TOTALS.as_service())
        .filter_values(|(_, n)| n.unwrap_or(0) < 1 << 20)
        .map_values(|(n, _)| *n)
        .sum_by_key(TOTALS);
    let looped = Job::new("loop", kept.clone());
    let beside = few(keyed(LINES).left_join(TOTALS.as_service()));
    let twice = Job::new("twice", (kept, beside));
    let mut filled: Vec<Executor> = [&stream, &store, &once, &looped, &twice]
        .into_iter()
        .map(|job| {
            let plan = job.plan().expect("a plan");
            let rows = plan.sources().iter().position(|s| s.name == "rows");
            let mut run = plan.instantiate();
            fill(&mut run, rows.unwrap_or(0) as u32);
            run
        })
        .collect();
    let mut filled = filled.iter_mut();
    // A record that asks in two ways and adds goes through by itself.
    let single: Vec<(TextChunk, Vec<i64>)> = chunks
        .iter()
        .flat_map(|(chunk, times)| chunk.iter().zip(times))
        .map(|(line, time)| {
            let mut one = TextChunk::default();
            one.push(line);
            (one, vec![*time])
        })
        .collect();
    let mut contender = |chunks: &[(TextChunk, Vec<i64>)]| {
        let (run, mut chunks) = (filled.next().expect("a job"), chunks.to_vec());
        move || pass(run, &mut chunks)
    };
    contest(
        format!("joins with what the job built, {KEYS} keys, a record"),
        RECORDS as u64,
    )
    .contender("a stream through a buffer", contender(&chunks))
    .contender("a store of the job", contender(&chunks))
    .contender("dedupe_by", contender(&chunks))
    .contender("a store that depends on the join", contender(&chunks))
    .contender("the same, asked twice: record by record", contender(&single))
    .at_most_ns(1e3)
    .run();
}

fn main() {
    own();
    let mut x = 88_172_645_463_325_252;
    // One key in four has a second version.
    let rows = (0..KEYS).flat_map(|k| {
        let first = Version::new(k, Timestamp(0), k);
        let second = (k % 4 == 0).then(|| Version::new(k, Timestamp(1_000), k + 1));
        std::iter::once(first).chain(second)
    });
    let table = versions(rows, Timestamp(3_600_000));
    let mut chunks: Vec<(TextChunk, Vec<i64>)> = (0..RECORDS / 1024)
        .map(|_| {
            let mut chunk = TextChunk::default();
            (0..1024).for_each(|_| chunk.push(&(next(&mut x) % KEYS).to_string()));
            (chunk, (0..1024).map(|_| (next(&mut x) % 2_000) as i64).collect())
        })
        .collect();
    let keyed = || LINES.read().keyed(|line, out| out.emit(key(line), 1_u64));
    let few = |job: &'static str, pairs: rufous_core::KeyedProducer<u64, u64>| {
        Job::new(job, pairs.map_keys(|k| k % 16).sum_by_key(COUNTS))
    };
    let mut joined = few(
        "joined",
        keyed().left_join(PAGES).map_values(|(n, page)| n + page.unwrap_or(0)),
    )
    .plan()
    .expect("a plan");
    joined.bind(PAGES, table).expect("a binding");
    let plain = few("plain", keyed().map_values(|n| n + 1)).plan().expect("a plan");
    let (mut joined, mut plain) = (joined.instantiate(), plain.instantiate());
    let mut same = chunks.clone();
    contest(format!("as-of join against {KEYS} keys, a record"), RECORDS as u64)
        .contender("left_join", || pass(&mut joined, &mut chunks))
        .contender("the same job without the join", || pass(&mut plain, &mut same))
        .run();
}

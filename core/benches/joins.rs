//! A join as of event time against a million keys (O19), and what origins cost where nobody asks anything of them.

#[path = "../../algebra/benches/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::contest;
use rufous_core::service::{Version, versions};
use rufous_core::{BatchId, ChunkMeta, Executor, Job, Service, Source, Store, TextChunk, Timestamp};

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
    for (chunk, times) in chunks {
        if let Some(origins) = run.origins(0) {
            origins.begin(0, BatchId(0));
            times
                .iter()
                .zip(0..)
                .for_each(|(t, offset)| origins.add(Some(Timestamp(*t)), offset));
        }
        run.push_shared(&meta, black_box(chunk)).expect("a run");
    }
}

fn main() {
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

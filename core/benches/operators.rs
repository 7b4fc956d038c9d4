//! Operators with memory: running counts beside the plain sum, beside a loop by hand, and while most keys are forgotten and
//! asked for again. The bar is 1.5 million records a second.

#[path = "../../algebra/benches/common/mod.rs"]
mod common;

use std::collections::HashMap;

use common::contest;
use rufous_core::{BatchId, ChunkMeta, Executor, Job, OperatorState, Plan, Result, Source, Store, TextChunk, Wanted};

const LINES: Source<str> = Source::new("lines");
const RUNNING: Store<String, u64> = Store::new("running");
const ROUND: Store<String, u64> = Store::new("round");
const WITH: Store<u64, i64> = Store::new("with");

/// A record in nanoseconds at 1.5 million a second.
const BAR: f64 = 1e9 / 1.5e6;
const RECORDS: usize = 1 << 20;
const CHUNK: usize = 1024;

fn chunks(keys: u64) -> Vec<TextChunk> {
    let mut random = 7_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % keys
    };
    let chunk = |_| {
        let mut chunk = TextChunk::default();
        (0..CHUNK).for_each(|_| chunk.push(&format!("account-{:x}", next())));
        chunk
    };
    (0..RECORDS / CHUNK).map(chunk).collect()
}

fn plan(job: impl Fn(rufous_core::KeyedProducer<String, u64>) -> Job) -> Plan {
    let pairs = LINES.read().keyed(|line, out| out.emit(line, 1)).within_partition();
    job(pairs).plan().expect("a job")
}

fn scan() -> Plan {
    plan(|pairs| {
        let round = pairs.scan_by_key(RUNNING).filter_values(|n| n % 64 == 0);
        Job::new("scan", round.sum_by_key(ROUND))
    })
}

/// Reads all, with commits now and then.
fn run(mut run: Executor, chunks: &[TextChunk]) -> usize {
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let mut spare = Vec::new();
    let mut cells = 0;
    for some in chunks.chunks(256) {
        for chunk in some {
            run.push_shared(&meta, chunk).expect("a run");
        }
        let mut deltas = run.take(std::mem::take(&mut spare)).expect("deltas");
        cells += deltas.iter().map(|d| d.len()).sum::<usize>();
        deltas.iter_mut().for_each(|d| d.clear());
        spare = deltas;
    }
    cells
}

/// A store that has a number for every key, at no cost: what asking itself costs.
struct Instant;
impl OperatorState for Instant {
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        Ok(vec![Some(5_u64.to_le_bytes().to_vec()); wanted.keys.len()])
    }
}

fn main() {
    for keys in [1_000, 1_000_000] {
        let chunks = chunks(keys);
        let (scan, sum) = (scan(), plan(|pairs| Job::new("sum", pairs.sum_by_key(RUNNING))));
        let changes = plan(|pairs| {
            let steps = pairs.sum_by_key(RUNNING).changes();
            let round = steps.filter_values(|(before, after)| before.unwrap_or(0) / 64 != after / 64);
            Job::new("changes", round.map_values(|_| 1).sum_by_key(ROUND))
        });
        let totals = plan(|pairs| {
            let with = pairs.sum_by_key(RUNNING).totals(|_, n, out| out.emit(*n, 1));
            Job::new("totals", with.sum_by_key(WITH))
        });
        let forgetful = || {
            let mut run = scan.instantiate();
            run.remember(Box::new(Instant), Some(1 << 20));
            run
        };
        contest(format!("running counts of {keys} keys, a record"), RECORDS as u64)
            .contender("scan_by_key", || run(scan.instantiate(), &chunks))
            .contender("changes", || run(changes.instantiate(), &chunks))
            .contender("totals", || run(totals.instantiate(), &chunks))
            .contender("scan_by_key that remembers 1 MiB", || run(forgetful(), &chunks))
            .contender("sum_by_key alone", || run(sum.instantiate(), &chunks))
            .contender("a loop by hand with a HashMap", || {
                use rufous_core::Chunk;
                let mut counts: HashMap<String, u64> = HashMap::new();
                let mut round = 0;
                for line in chunks.iter().flat_map(Chunk::iter) {
                    let n = counts.entry(line.to_string()).or_default();
                    *n += 1;
                    round += usize::from(n.is_multiple_of(64));
                }
                round
            })
            .at_most_ns(BAR)
            .run();
    }
}

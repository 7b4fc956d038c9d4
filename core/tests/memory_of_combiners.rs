//! A combiner that is full is expanded in one go: what comes out is not bound by the memory of the run.

use rufous_core::{BatchId, ChunkMeta, Job, Rules, Source, Store, TextChunk};

const LINES: Source<str> = Source::new("lines");
const TOTALS: Store<(u64, u64), u64> = Store::new("totals");
const BUDGET: usize = 256 << 10;

/// The most cells that one `take` hands out, when the run is asked after every chunk whether it is full.
fn most_cells(rules: &Rules) -> usize {
    let keys = LINES
        .read()
        .keyed(|line, out| out.emit(line.parse::<u64>().unwrap(), 1_u64))
        .flat_map_keys(|k, out| (0..200_u64).for_each(|i| out.emit((*k, i))));
    let plan = Job::new("j", keys.sum_by_key(TOTALS)).plan_with(rules).unwrap();
    let mut run = plan.instantiate();
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let (mut most, mut n) = (0, 0_u64);
    for _ in 0..1_000 {
        let mut chunk = TextChunk::default();
        for _ in 0..8 {
            chunk.push(&n.to_string());
            n += 1;
        }
        run.push(&meta, &mut chunk).unwrap();
        if run.is_full(BUDGET) {
            most = most.max(run.take(Vec::new()).unwrap()[0].len());
        }
    }
    most.max(run.take(Vec::new()).unwrap()[0].len())
}

/// `StreamOptions::memory_budget`, "bytes that combining maps may hold before they are committed early": a rule of the planner
/// must not multiply it by the fan-out of a key step.
#[test]
fn a_rule_keeps_the_memory_bound() {
    let (without, with) = (most_cells(&Rules::none()), most_cells(&Rules::all()));
    assert!(
        with <= 4 * without,
        "{with} cells in one commit, {without} without rules"
    );
}

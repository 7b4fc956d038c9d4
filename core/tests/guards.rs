//! Steps that guard the closure behind them: a filter that moves before its guard sees what it never saw.

use rufous_core::{BatchId, ChunkMeta, Job, KeyedProducer, Rules, Source, Store, Summed, TextChunk};

const LINES: Source<str> = Source::new("lines");
const TOTALS: Store<u64, u64> = Store::new("totals");

fn cells(job: &Job, rules: &Rules) -> usize {
    let plan = job.plan_with(rules).unwrap();
    let mut run = plan.instantiate();
    let mut chunk = TextChunk::default();
    ["", "a", "ab"].into_iter().for_each(|line| chunk.push(line));
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    run.push(&meta, &mut chunk).unwrap();
    run.take(Vec::new()).unwrap()[0].len()
}

fn pairs() -> KeyedProducer<u64, u64> {
    LINES
        .read()
        .keyed(|line, out| out.emit(line.len() as u64, line.len() as u64))
}

fn same(tail: Summed<u64, u64>) {
    let job = Job::new("j", tail);
    assert_eq!(cells(&job, &Rules::none()), 2);
    assert_eq!(cells(&job, &Rules::all()), 2);
}

/// `filter-values-first` past a `flat_map_keys` that emits no key ("`collectKeys`: `flat_map_keys` that emits one key or none").
#[test]
fn a_key_step_that_drops_pairs_guards_a_filter_by_value() {
    let guarded = pairs().flat_map_keys(|k, out| {
        if *k > 0 {
            out.emit(*k);
        }
    });
    same(guarded.filter_values(|v| 100 / *v > 3).sum_by_key(TOTALS));
}

/// `filter-keys-first` past a `flat_map_values` that emits no value.
#[test]
fn a_value_step_that_drops_pairs_guards_a_filter_by_key() {
    let guarded = pairs().flat_map_values(|v, out| {
        if *v > 0 {
            out.emit(*v);
        }
    });
    same(guarded.filter_keys(|k| 100 / *k > 3).sum_by_key(TOTALS));
}

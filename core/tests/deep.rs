//! Graphs that are deep, wide or both: a chain of 100,000 steps plans, runs, explains itself and is dropped on a stack of
//! 256 KiB, and a graph of 2^40 paths is planned by its forty steps. ("A chain of 100,000 steps is refused or runs, but never
//! overflows the stack.") Answers are compared with sums that are computed here by hand.
//!
//! The time that each phase takes is printed (`--nocapture`), not asserted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use rufous_algebra::Codec;
use rufous_core::*;

const LINES: Source<str> = Source::new("lines");
const SUMS: Store<u64, u64> = Store::new("sums");
const PASSED: Counter = Counter::new("passed");

/// Steps of a deep chain.
const DEEPEST: u64 = 100_000;
/// The same, but for a chain of every kind there is time only in a build with optimisation. A recursion would overflow the
/// stack with far fewer: 20,000 levels have 13 bytes each.
const DEEP: u64 = if cfg!(debug_assertions) { 20_000 } else { DEEPEST };

/// Where every graph here lives and dies: the main thread has 8 MiB and would hide a recursion.
fn on_a_small_stack(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(test);
    thread.expect("a thread").join().expect("the test in the thread");
}

/// What a run leaves in the stores that are named here, and in the counters.
struct Totals(BTreeMap<&'static str, BTreeMap<Vec<u8>, u64>>);

impl Totals {
    fn of(&self, store: &str) -> Vec<(u64, u64)> {
        let key = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("a key of 8 bytes"));
        self.0[store].iter().map(|(k, v)| (key(k), *v)).collect()
    }
    fn counter(&self, name: &str) -> u64 {
        self.0["counters"][[name.as_bytes(), &[0]].concat().as_slice()]
    }
}

/// Plans the job, runs it over these numbers, a line each, explains it and drops it.
fn totals(what: &str, job: Job, numbers: std::ops::Range<u64>) -> Totals {
    let mut begun = Instant::now();
    let mut phase = |phase: &str| {
        println!("{what}: {phase} in {} ms", begun.elapsed().as_millis());
        begun = Instant::now();
    };
    let plan = job.plan().expect("a good job");
    phase("planned");
    let mut run = plan.instantiate();
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let mut chunk = TextChunk::default();
    let last = numbers.end.saturating_sub(1);
    for n in numbers {
        chunk.push(&n.to_string());
        if chunk.len() == 1000 || n == last {
            run.push(&meta, &mut chunk).expect("a run");
            chunk.clear();
        }
    }
    let mut totals = BTreeMap::new();
    for (store, deltas) in plan.stores().iter().zip(run.take(Vec::new()).expect("what was summed")) {
        let sums: &mut BTreeMap<Vec<u8>, u64> = totals.entry(store.name).or_default();
        let add = &mut |delta: Delta<'_>| {
            *sums.entry(delta.key.to_vec()).or_default() += u64::decode(delta.value).expect("a number");
            Ok(())
        };
        deltas.for_each(add).expect("cells");
    }
    phase("run");
    assert!(plan.explain(None).lines().count() > plan.stores().len());
    assert!(plan.dot().ends_with("}\n"));
    drop((plan, run, job));
    phase("explained and dropped");
    Totals(totals)
}

fn numbers() -> Producer<u64> {
    LINES.read().map(|line| line.parse().unwrap_or(0))
}

/// The remainder by 7 as key, the number as value.
fn pairs() -> KeyedProducer<u64, u64> {
    numbers().keyed(|n, out| out.emit(*n % 7, *n))
}

/// Per remainder by 7, the sum of `f` of all numbers in `[0, n)`.
fn by_remainder(n: u64, f: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
    let mut sums = BTreeMap::new();
    for i in 0..n {
        *sums.entry(i % 7).or_default() += f(i);
    }
    sums.into_iter().collect()
}

/// A chain of `DEEP` steps on records, run over the numbers below `n`.
fn deep_records(what: &str, n: u64, step: fn(Producer<u64>, u64) -> Producer<u64>) -> Totals {
    let chain = (0..DEEP).fold(numbers(), step);
    let sums = chain.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS);
    totals(what, Job::new("deep", sums), 0..n)
}

/// The same on pairs.
fn deep_pairs(
    what: &str,
    n: u64,
    step: fn(KeyedProducer<u64, u64>, u64) -> KeyedProducer<u64, u64>,
) -> Vec<(u64, u64)> {
    let chain = (0..DEEP).fold(pairs(), step);
    totals(what, Job::new("deep", chain.sum_by_key(SUMS)), 0..n).of("sums")
}

#[test]
fn steps_on_records() {
    on_a_small_stack(|| {
        let chain = (0..DEEPEST).fold(numbers(), |chain, _| chain.map(|n| n + 7));
        let sums = chain.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS);
        let sums = totals("map", Job::new("deep", sums), 0..3000);
        assert_eq!(sums.of("sums"), by_remainder(3000, |n| n + 7 * DEEPEST));
        let sums = deep_records("filter", 200, |chain, i| chain.filter(move |n| *n != i * 2));
        assert_eq!(sums.of("sums"), by_remainder(200, |n| if n % 2 == 0 { 0 } else { n }));
        let sums = deep_records("filter_map", 200, |chain, _| chain.filter_map(|n| Some(n + 7)));
        assert_eq!(sums.of("sums"), by_remainder(200, |n| n + 7 * DEEP));
        let sums = deep_records("flat_map", 200, |chain, i| {
            chain.flat_map(move |n, out| {
                out.emit(*n);
                if i % (DEEP / 2) == 0 {
                    out.emit(*n);
                }
            })
        });
        assert_eq!(sums.of("sums"), by_remainder(200, |n| 4 * n));
        let sums = deep_records("key_by and values", 200, |chain, i| match i % 2 {
            0 => chain.key_by(|n| *n).values(),
            _ => chain,
        });
        assert_eq!(sums.of("sums"), by_remainder(200, |n| n));
    });
}

#[test]
fn steps_on_values_and_keys() {
    on_a_small_stack(|| {
        let sums = deep_pairs("map_values", 200, |chain, _| chain.map_values(|n| n + 1));
        assert_eq!(sums, by_remainder(200, |n| n + DEEP));
        let sums = deep_pairs("filter_values", 200, |chain, i| {
            chain.filter_values(move |n| *n != 2 * i)
        });
        assert_eq!(sums, by_remainder(200, |n| if n % 2 == 0 { 0 } else { n }));
        let sums = deep_pairs("flat_map_values", 200, |chain, _| {
            chain.flat_map_values(|n, out| out.emit(n + 1))
        });
        assert_eq!(sums, by_remainder(200, |n| n + DEEP));
        let sums = deep_pairs("map_keys", 200, |chain, _| chain.map_keys(|k| (k + 1) % 7));
        let turned = by_remainder(200, |n| n).into_iter().map(|(k, v)| ((k + DEEP) % 7, v));
        assert_eq!(sums.into_iter().collect::<BTreeMap<_, _>>(), turned.collect());
        let sums = deep_pairs("filter_keys", 200, |chain, i| chain.filter_keys(move |k| *k != i + 3));
        assert_eq!(sums, by_remainder(200, |n| n)[..3]);
        let sums = deep_pairs("keyed_pairs", 200, |chain, _| {
            chain.keyed_pairs(|k, n, out| out.emit(*k, n + 1))
        });
        assert_eq!(sums, by_remainder(200, |n| n + DEEP));
        let sums = deep_pairs("swap", 200, |chain, _| chain.swap());
        assert_eq!(sums, by_remainder(200, |n| n));
    });
}

/// Key steps that multiply are where combiners go: looking for the place must not walk the chain once for every step, whether
/// there is one or not.
#[test]
fn steps_that_multiply_keys() {
    on_a_small_stack(|| {
        let sums = deep_pairs("flat_map_keys", 200, |chain, _| {
            chain.flat_map_keys(|k, out| out.emit(*k))
        });
        assert_eq!(sums, by_remainder(200, |n| n));
        let mut chain = pairs();
        for _ in 0..DEEP / 5 {
            chain = chain.flat_map_keys(|k, out| out.emit(*k));
        }
        let job = Job::new("deep", chain.map_values(|n| n + 1).sum_by_key(SUMS));
        let sums = totals("flat_map_keys before map_values", job, 0..200).of("sums");
        assert_eq!(sums, by_remainder(200, |n| n + 1));
    });
}

/// Filters that move before other steps: every filter passes every value step before it, or every branch has one to pass.
#[test]
fn filters_that_move() {
    on_a_small_stack(|| {
        let source = pairs();
        let branch = |_| source.clone().map_values(|n| n + 1).filter_keys(|k| *k < 3);
        let all = (0..DEEP / 20).map(branch).fold(source.clone(), KeyedProducer::merge);
        let job = Job::new("wide", all.sum_by_key(SUMS));
        let sums = totals("filter_keys in every branch", job, 0..20).of("sums");
        let each = by_remainder(20, |n| n + (n + 1) * (DEEP / 20));
        assert_eq!(sums[..3], each[..3]);
        assert_eq!(sums[3..], by_remainder(20, |n| n)[3..]);

        let mut chain = pairs();
        for _ in 0..DEEP {
            chain = chain.map_values(|n| n + 1);
        }
        for i in 0..10 {
            chain = chain.filter_keys(move |k| *k != i + 3);
        }
        let job = Job::new("deep", chain.sum_by_key(SUMS));
        let sums = totals("filter_keys behind map_values", job, 0..200).of("sums");
        assert_eq!(sums, by_remainder(200, |n| n + DEEP)[..3]);
    });
}

#[test]
fn names_and_counters() {
    on_a_small_stack(|| {
        let sums = deep_pairs("named", 20, |chain, i| {
            chain.map_values(|n| n + 1).named(&format!("step-{i}"))
        });
        assert_eq!(sums, by_remainder(20, |n| n + DEEP));
        let sums = deep_records("counted", 20, |chain, _| chain.counted(PASSED));
        assert_eq!(sums.of("sums"), by_remainder(20, |n| n));
        assert_eq!(sums.counter("passed"), 20 * DEEP);
        let sums = deep_records("counting", 20, |chain, _| {
            let counts = |n: &u64, out: &mut Out<'_, u64>| {
                out.count(PASSED, 2);
                out.emit(*n);
            };
            chain.flat_map(counts).counting([PASSED])
        });
        assert_eq!(sums.counter("passed"), 20 * 2 * DEEP);
    });
}

#[test]
fn merges_in_a_row() {
    on_a_small_stack(|| {
        // Every branch is the numbers once.
        let all = |n| by_remainder(n, |i| i * (DEEP + 1));
        let left = deep_records("merge, leaning left", 20, |chain, _| chain.merge(numbers()));
        assert_eq!(left.of("sums"), all(20));
        let right = deep_records("merge, leaning right", 20, |chain, _| numbers().merge(chain));
        assert_eq!(right.of("sums"), all(20));
        let left = deep_pairs("merge of pairs", 20, |chain, _| chain.merge(pairs()));
        assert_eq!(left, all(20));
        // Every merge is read twice, so it stays a step; the second reader is empty.
        let forked = deep_records("merge, every one read twice", 20, |chain, _| {
            chain.clone().filter(|_| false).merge(chain)
        });
        assert_eq!(forked.of("sums"), by_remainder(20, |n| n));
    });
}

fn leaked(name: &str, i: u64) -> &'static str {
    String::leak(format!("{name}-{i}"))
}

/// A store needs a name, and a job with a hundred thousand stores is no job: these chains are shorter.
#[test]
fn sums_and_writes_in_a_row() {
    const ROWS: u64 = 2000;
    on_a_small_stack(|| {
        let mut chain = pairs().sum_by_key(Store::new("first"));
        for i in 1..ROWS {
            chain = chain
                .deltas()
                .map_keys(|k| (k + 1) % 7)
                .sum_by_key(Store::new(leaked("store", i)));
        }
        let job = Job::new("deep", chain);
        let all = totals("deltas", job, 0..200);
        let last: BTreeMap<_, _> = all.of(&format!("store-{}", ROWS - 1)).into_iter().collect();
        let turned = by_remainder(200, |n| n)
            .into_iter()
            .map(|(k, v)| ((k + ROWS - 1) % 7, v));
        assert_eq!(last, turned.collect());
        assert_eq!(all.of("first"), by_remainder(200, |n| n));

        let mut chain = numbers();
        for i in 0..ROWS {
            chain = chain.write(Sink::new(leaked("sink", i))).records();
        }
        let sums = chain.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS);
        let plan = Job::<Anywhere>::new("deep", sums.clone()).plan().expect("a good job");
        assert_eq!(plan.sinks().len() as u64, ROWS);
        assert_eq!(
            totals("writes", Job::new("deep", sums), 0..200).of("sums"),
            by_remainder(200, |n| n)
        );

        let mut chain = numbers();
        for i in 0..ROWS {
            chain = chain.counted(Counter::new(leaked("counter", i)));
        }
        let job = Job::new("deep", chain.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS));
        let all = totals("counters", job, 0..200);
        assert!((0..ROWS).all(|i| all.counter(&format!("counter-{i}")) == 200));
    });
}

/// `DEEP` branches into one sum, from as many reads of one source: they become one read with as many readers.
#[test]
fn a_wide_graph() {
    on_a_small_stack(|| {
        let mut branches: Vec<KeyedProducer<u64, u64>> = (0..DEEP)
            .map(|i| LINES.read().keyed(move |line, out| out.emit(i % 7, line.len() as u64)))
            .collect();
        // A balanced tree of merges, so that width alone is tried.
        while branches.len() > 1 {
            let mut pairs = branches.into_iter();
            let mut merged = Vec::new();
            while let Some(one) = pairs.next() {
                merged.push(match pairs.next() {
                    Some(other) => one.merge(other),
                    None => one,
                });
            }
            branches = merged;
        }
        let all = branches.remove(0);
        let job = Job::new("wide", all.sum_by_key(SUMS));
        assert_eq!(totals("wide", job, 0..10).of("sums"), by_remainder(DEEP, |_| 10));

        let lines = numbers();
        let empty = |_| lines.clone().filter(|_| false);
        let all = (0..DEEP).map(empty).fold(lines.clone(), Producer::merge);
        let job = Job::new("wide", all.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS));
        assert_eq!(totals("a fork", job, 0..20).of("sums"), by_remainder(20, |n| n));
    });
}

/// A producer merged with itself forty times stands for 2^40 paths: the planner walks nodes, not paths.
#[test]
fn merged_with_itself() {
    on_a_small_stack(|| {
        let doubled = |times| (0..times).fold(numbers(), |chain, _| chain.clone().merge(chain));
        let sum = |chain: Producer<u64>| chain.keyed(|n, out| out.emit(*n % 7, *n)).sum_by_key(SUMS);
        let job = Job::new("doubled", sum(doubled(40)));
        assert_eq!(totals("2^40 paths", job, 0..0).of("sums"), []);
        let job = Job::new("doubled", sum(doubled(10)));
        assert_eq!(
            totals("2^10 paths", job, 0..20).of("sums"),
            by_remainder(20, |n| n << 10)
        );
        // With names and declarations between, which vanish from the plan.
        let chain = (0..40).fold(numbers(), |chain, i| {
            let once = chain
                .flat_map(|n, out| out.emit(*n))
                .counting([PASSED])
                .named(&format!("step-{i}"));
            once.clone().merge(once)
        });
        assert_eq!(
            totals("2^40 paths, named", Job::new("doubled", sum(chain)), 0..0).of("sums"),
            []
        );
    });
}

/// How many records of `Tracked` are alive, and how many were at most.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// A record that knows how many of it there are.
struct Tracked;

impl Tracked {
    fn new() -> Self {
        MOST.fetch_max(ALIVE.fetch_add(1, Relaxed) + 1, Relaxed);
        Self
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

/// Steps that multiply their records: what is under way is about one chunk a step, however many records come out.
#[test]
fn steps_that_multiply_records() {
    on_a_small_stack(|| {
        const STEPS: u32 = 6;
        let tens = |_: &Tracked, out: &mut Out<'_, Tracked>| (0..10).for_each(|_| out.emit(Tracked::new()));
        let first = LINES.read().map(|_| Tracked::new());
        let tracked = (0..STEPS).fold(first, |chain, _| chain.flat_map(tens).counted(PASSED));
        let sum = tracked.keyed(|_, out| out.emit(0_u64, 1)).sum_by_key(SUMS);
        let all = totals("tens of tens", Job::new("tens", sum), 0..3);
        assert_eq!(all.of("sums"), [(0, 3 * 10_u64.pow(STEPS))]);
        assert_eq!(
            all.counter("passed"),
            3 * (1..=STEPS).map(|i| 10_u64.pow(i)).sum::<u64>()
        );
        // A chunk is full at 1024 records and may be overrun by what one record emits. `counted` fills a chunk as well.
        let bound = (2 * STEPS as usize + 1) * (1024 + 10);
        let most = MOST.load(Relaxed);
        println!("tens of tens: {most} records alive at most");
        assert!(most <= bound, "{most} records were alive, {bound} are a chunk a step");
        assert_eq!(ALIVE.load(Relaxed), 0);
    });
}

//! Heavy hitters beside the frequent items of Apache DataSketches: a skewed stream (Zipf, 1.1) of 10^6 items, about 96
//! counters.

#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;

use common::contest;
use datasketches::frequencies::FrequentItemsSketch;
use rufous_algebra::laws::Rng;
use rufous_algebra::{Codec, HeavyHitters, Monoid, Semigroup};

type Ours<T> = HeavyHitters<T, 96>;

/// Of 100,000 items the n-th comes about `1 / n^1.1` as often as the first.
fn zipf(n: usize) -> Vec<u64> {
    let mut rng = Rng(1);
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=100_000)
        .map(|rank| {
            sum += f64::from(rank).powf(-1.1);
            sum
        })
        .collect();
    (0..n)
        .map(|_| {
            let at = (rng.next() >> 11) as f64 / 2f64.powi(53) * sum;
            (cumulated.partition_point(|c| *c < at) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
        .collect()
}

fn ours(items: &[u64]) -> Ours<u64> {
    let mut state = Ours::zero();
    items.iter().for_each(|item| state.insert(item));
    state
}

fn apache(items: &[u64]) -> FrequentItemsSketch<u64> {
    let mut sketch = FrequentItemsSketch::new(128).expect("a power of two");
    items.iter().for_each(|item| sketch.update(*item));
    sketch
}

fn main() {
    let items = zipf(1_000_000);
    let mut truth: HashMap<u64, u64> = HashMap::new();
    items.iter().for_each(|item| *truth.entry(*item).or_default() += 1);
    let within = |state: &Ours<u64>| truth.iter().all(|(item, n)| state.estimate(item).contains(*n as f64));

    contest("insert: 10^6 numbers, skewed", items.len() as u64)
        .contender("rufous, 96 counters", || ours(&items))
        .contender("datasketches, 96 counters", || apache(&items))
        .at_most_ns(20.0)
        .exact(within(&ours(&items)))
        .run();

    let words: Vec<String> = items
        .iter()
        .take(200_000)
        .map(|item| format!("word {}", item % 1_000_003))
        .collect();
    contest("insert: 2 * 10^5 words, skewed", words.len() as u64)
        .contender("rufous, 96 counters", || {
            let mut state = Ours::<String>::zero();
            words.iter().for_each(|word| state.insert(word.as_str()));
            state
        })
        .contender("datasketches, 96 counters, borrowed", || {
            let mut sketch = FrequentItemsSketch::<String>::new(128).expect("a power of two");
            words.iter().for_each(|word| sketch.update_ref(word.as_str()));
            sketch
        })
        .run();

    let distinct: Vec<u64> = (0..1_000_000u64).collect();
    contest("insert: 10^6 numbers, all different", distinct.len() as u64)
        .contender("rufous, 96 counters", || ours(&distinct))
        .contender("datasketches, 96 counters", || apache(&distinct))
        .run();

    let parts: Vec<Ours<u64>> = items.chunks(1_000).map(ours).collect();
    let theirs: Vec<FrequentItemsSketch<u64>> = items.chunks(1_000).map(apache).collect();
    let sum = || {
        let mut sum = Ours::zero();
        parts.iter().for_each(|part| sum.combine(part));
        sum
    };
    contest("merge: 1,000 full states", parts.len() as u64)
        .contender("rufous", sum)
        .contender("datasketches", || {
            let mut sum = FrequentItemsSketch::<u64>::new(128).expect("a power of two");
            theirs.iter().for_each(|part| sum.merge(part));
            sum
        })
        .exact(within(&sum()))
        .run();

    let (a, b) = (parts[0].to_bytes(), parts[1].to_bytes());
    contest("merge of bytes: two full states", 100)
        .contender("rufous", || {
            let mut out = Vec::new();
            for _ in 0..100 {
                out.clear();
                rufous_algebra::codec::merge_bytes::<Ours<u64>>(&a, &b, &mut out).expect("states");
            }
            out
        })
        .run();
    println!("\nbytes of a full state: {}", a.len());
}

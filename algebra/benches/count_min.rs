//! Count-Min: inserts, look-ups and sums, beside the crates that have them. Random `u64` items.

#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;

use common::contest;
use datasketches::countmin::CountMinSketch as Apache;
use probabilistic_collections::count_min_sketch::{CountMinSketch as Collections, CountMinStrategy};
use rufous_algebra::laws::Rng;
use rufous_algebra::{Codec, CountMin, Monoid, Semigroup};

type Ours = CountMin<5, 2719>;

fn ours(items: &[u64]) -> Ours {
    let mut sketch = Ours::zero();
    items.iter().for_each(|x| sketch.insert(x));
    sketch
}

fn apache(items: &[u64]) -> Apache<i64> {
    let mut sketch = Apache::new(5, 2719).expect("a shape");
    items.iter().for_each(|x| sketch.update(x));
    sketch
}

fn collections(items: &[u64]) -> Collections<CountMinStrategy, u64> {
    let mut sketch = Collections::new(5, 2719);
    items.iter().for_each(|x| sketch.insert(x, 1));
    sketch
}

/// Every count within its bounds, but for as many as may miss, and none too low.
fn exact(items: &[u64]) -> bool {
    let sketch = ours(items);
    let mut counts: HashMap<u64, f64> = HashMap::new();
    items.iter().for_each(|x| *counts.entry(*x).or_default() += 1.0);
    let estimates = || counts.iter().map(|(x, n)| (sketch.estimate(x), *n));
    let misses = estimates().filter(|(e, n)| !e.contains(*n)).count() as f64;
    sketch.total() == items.len() as i64
        && estimates().all(|(e, n)| n <= e.value)
        && misses <= (1.0 - Ours::CONFIDENCE) * counts.len() as f64
}

fn main() {
    let mut rng = Rng(1);
    let items: Vec<u64> = (0..1_000_000).map(|_| rng.next()).collect();
    let repeated: Vec<u64> = (0..1_000_000).map(|_| rng.next() >> 44).collect();
    let n = items.len() as u64;

    contest("count-min 5 x 2719: insert, 10^6 random items", n)
        .contender("rufous", || ours(&items))
        .contender("datasketches", || apache(&items))
        .contender("probabilistic-collections", || collections(&items))
        .at_most_ns(4.5)
        .at_most_of("datasketches", 1.0)
        .at_most_of("probabilistic-collections", 1.0)
        .exact(exact(&items))
        .run();

    contest("count-min 5 x 2719: insert, 10^6 items of 10^6", n)
        .contender("rufous", || ours(&repeated))
        .contender("datasketches", || apache(&repeated))
        .exact(exact(&repeated))
        .run();

    let few: Vec<&[u64]> = items.chunks_exact(10).take(10_000).collect();
    for n in [100, 1_000] {
        contest(
            format!("count-min 5 x 2719: insert of {n} items into a new sketch"),
            n as u64,
        )
        .contender("rufous", || ours(&items[..n]))
        .contender("datasketches", || apache(&items[..n]))
        .exact(exact(&items[..n]))
        .run();
    }
    contest("count-min 5 x 2719: insert of 10 items each into new sketches", 100_000)
        .contender("rufous", || few.iter().map(|ten| ours(ten).total()).sum::<i64>())
        .exact(few.iter().all(|ten| exact(ten)))
        .run();

    let (a, b) = (ours(&items), ours(&repeated));
    let (theirs, other) = (apache(&items), apache(&repeated));
    let collected = collections(&items);
    contest("count-min 5 x 2719: estimate", n)
        .contender("rufous", || items.iter().map(|x| a.estimate(x).value).sum::<f64>())
        .contender("datasketches", || items.iter().map(|x| theirs.estimate(x)).sum::<i64>())
        .contender("probabilistic-collections", || {
            items.iter().map(|x| collected.count(x)).sum::<i64>()
        })
        .run();

    let whole = ours(&[&items[..], &repeated].concat());
    let mut sum = a.clone();
    sum.combine(&b);
    let (mut mine, mut merged) = (a.clone(), apache(&items));
    contest("count-min 5 x 2719: merge of tables", 100)
        .contender("rufous", || (0..100).for_each(|_| mine.combine(&b)))
        .contender("datasketches", || {
            (0..100).for_each(|_| merged.merge(&other).expect("one shape"))
        })
        .at_most_of("datasketches", 1.2)
        .exact(sum == whole)
        .run();

    let small: Vec<Ours> = few[..512].iter().map(|ten| ours(ten)).collect();
    let all = ours(&items[..5_120]);
    contest("count-min 5 x 2719: sum of 512 sketches of 10 items", 512)
        .contender("rufous", || Ours::sum_all(&small))
        .exact(Ours::sum_all(&small).as_ref() == Some(&all))
        .run();

    let bytes = a.to_bytes();
    contest("count-min 5 x 2719: bytes of a table", 100)
        .contender("rufous, encode", || (0..100).map(|_| a.to_bytes().len()).sum::<usize>())
        .contender("rufous, decode", || {
            (0..100).filter(|_| Ours::decode(&bytes).is_ok()).count()
        })
        .run();
    println!("\nencoded bytes");
    for n in [0, 1, 10, 100_000, 1_000_000] {
        println!(
            "  {n} items: rufous {}, datasketches {}",
            ours(&items[..n]).to_bytes().len(),
            apache(&items[..n]).serialize().len()
        );
    }
}

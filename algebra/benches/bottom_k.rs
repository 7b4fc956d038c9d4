//! The entries of least key, beside what one would write with the standard library's heap and sets.

#[path = "common/mod.rs"]
mod common;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};

use common::contest;
use rufous_algebra::laws::Rng;
use rufous_algebra::{HashBytes, Kmv, Latest, Monoid, Sample, Semigroup, TopK, WeightedSample};

const N: u64 = 1_000_000;

fn kmv(items: std::ops::Range<u64>) -> Kmv<1024> {
    let mut state = Kmv::zero();
    items.for_each(|item| state.insert(&item));
    state
}

fn main() {
    contest("distinct count, 1,024 hashes: 10^6 inserts", N)
        .contender("rufous", || kmv(0..N))
        .contender("a heap and a set", || {
            let (mut heap, mut set) = (BinaryHeap::new(), HashSet::new());
            for item in 0..N {
                let hash = item.hash64();
                if (heap.len() < 1024 || heap.peek().is_some_and(|top| hash < *top)) && set.insert(hash) {
                    heap.push(hash);
                    if heap.len() > 1024
                        && let Some(top) = heap.pop()
                    {
                        set.remove(&top);
                    }
                }
            }
            heap
        })
        .contender("datasketches theta, 1,024 to 2,048", || {
            let mut sketch = datasketches::theta::ThetaSketchBuilder::default()
                .lg_k(10)
                .build()
                .expect("a size");
            (0..N).for_each(|item| sketch.update(item));
            sketch
        })
        .at_most_ns(4.0)
        .exact(kmv(0..N).estimate().contains(N as f64))
        .run();

    let mut rng = Rng(1);
    let scores: Vec<(u64, u64)> = (0..N).map(|item| (rng.next() % 1_000_000, item)).collect();
    let top = || {
        let mut state = TopK::<(u64, u64), 100>::zero();
        scores.iter().for_each(|entry| state.insert(entry));
        state
    };
    let set: BTreeSet<(u64, u64)> = scores.iter().copied().collect();
    contest("best 100 by score: 10^6 inserts", N)
        .contender("rufous", top)
        .contender("a heap", || {
            let mut heap = BinaryHeap::new();
            for entry in &scores {
                heap.push(Reverse(*entry));
                if heap.len() > 100 {
                    heap.pop();
                }
            }
            heap
        })
        .exact(top().iter().eq(set.iter().rev().take(100)))
        .run();

    contest("sample of 100: 10^6 inserts", N)
        .contender("rufous, uniform", || {
            let mut state = Sample::<u64, 100>::zero();
            (0..N).for_each(|id| state.insert(&id, &id));
            state
        })
        .contender("rufous, weighted", || {
            let mut state = WeightedSample::<u64, 100>::zero();
            (0..N).for_each(|id| state.insert(&id, 1 + id % 1_000, &id));
            state
        })
        .contender("rufous, latest", || {
            let mut state = Latest::<u64, 100>::zero();
            (0..N).for_each(|id| state.insert((id % 100_000) as i64, &id, &id));
            state
        })
        .run();

    let parts: Vec<Kmv<1024>> = (0..100).map(|i| kmv(i * 10_000..(i + 1) * 10_000)).collect();
    let sum = || {
        let mut sum = Kmv::zero();
        parts.iter().for_each(|part| sum.combine(part));
        sum
    };
    let small: Vec<Kmv<1024>> = (0..1_000).map(|i| kmv(i * 10..(i + 1) * 10)).collect();
    contest("merge: 100 full states of 1,024 hashes", 100)
        .contender("rufous", sum)
        .exact(sum() == kmv(0..N))
        .run();
    contest("merge: 1,000 states of 10 hashes", 1_000)
        .contender("rufous", || Kmv::sum_all(&small))
        .run();
}

//! MinHash with 256 bins beside `k` hashes for each item (`probabilistic-collections`).

#[path = "common/mod.rs"]
mod common;

use common::contest;
use probabilistic_collections::SipHasherBuilder;
use probabilistic_collections::similarity::MinHash as Rival;
use rufous_algebra::{Codec, MinHash, Monoid, Semigroup};

fn set(items: std::ops::Range<u64>) -> MinHash<256> {
    let mut state = MinHash::zero();
    items.for_each(|item| state.insert(&item));
    state
}

fn main() {
    let rival = Rival::<std::ops::Range<u64>, u64, _>::with_hashers(
        256,
        [SipHasherBuilder::from_seed(1, 2), SipHasherBuilder::from_seed(3, 4)],
    );
    let right = set(0..60_000).jaccard(&set(20_000..80_000)).contains(0.5);
    contest("insert into all of 256 bins", 1_000_000)
        .contender("rufous", || set(0..1_000_000))
        .at_most_ns(2.0)
        .exact(right)
        .run();
    contest("signature of 10,000 items", 10_000)
        .contender("rufous", || set(0..10_000).signature())
        .contender("probabilistic-collections, 256 hashes", || {
            rival.get_min_hashes(0..10_000)
        })
        .run();
    contest("ten items, with creation", 10_000)
        .contender("rufous", || {
            (0..1_000)
                .map(|i| set(i * 10..i * 10 + 10))
                .map(|s| s.is_zero())
                .filter(|z| *z)
                .count()
        })
        .run();

    let (a, b) = (set(0..10_000), set(5_000..15_000));
    contest("merge of 256 bins", 1_000)
        .contender("rufous", || {
            let mut sum = a.clone();
            (0..1_000).for_each(|_| sum.combine(std::hint::black_box(&b)));
            sum
        })
        .run();
    contest("similarity", 1_000)
        .contender("rufous", || {
            (0..1_000)
                .map(|_| std::hint::black_box(&a).jaccard(&b).value)
                .sum::<f64>()
        })
        .run();
    let (a, b) = (a.to_bytes(), b.to_bytes());
    contest("merge of bytes", 1_000)
        .contender("rufous", || {
            let mut out = Vec::new();
            for _ in 0..1_000 {
                out.clear();
                rufous_algebra::codec::merge_bytes::<MinHash<256>>(&a, &b, &mut out).expect("states");
            }
            out
        })
        .run();
}

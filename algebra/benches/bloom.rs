//! Bloom filters of 5 * 10^5 items at 1 %, beside the crates that have them. Random `u64` items.

#[path = "common/mod.rs"]
mod common;

use common::contest;
use datasketches::bloom::{BloomFilter as Apache, BloomFilterBuilder};
use fastbloom::BloomFilter as Fast;
use probabilistic_collections::bloom::BloomFilter as Collections;
use rufous_algebra::laws::Rng;
use rufous_algebra::{Bloom, Codec, HashBytes, Monoid, Semigroup, bloom};

const ITEMS: usize = 500_000;
const BITS: usize = bloom::bits(ITEMS, 0.01);
type Ours = Bloom<BITS, { bloom::probes(0.01) }>;

fn ours(items: &[u64]) -> Ours {
    let mut filter = Ours::zero();
    items.iter().for_each(|x| filter.insert(x));
    filter
}

fn apache(items: &[u64]) -> Apache {
    let mut filter = BloomFilterBuilder::with_accuracy(ITEMS as u64, 0.01)
        .build()
        .expect("a shape");
    items.iter().for_each(|x| filter.insert(x));
    filter
}

fn empty_fast() -> Fast {
    Fast::with_false_pos(0.01).seed(&0).expected_items(ITEMS)
}

fn collections(items: &[u64]) -> Collections<u64> {
    let mut filter = Collections::new(ITEMS, 0.01);
    items.iter().for_each(|x| filter.insert(x));
    filter
}

fn main() {
    let mut rng = Rng(1);
    let items: Vec<u64> = (0..ITEMS).map(|_| rng.next()).collect();
    let others: Vec<u64> = (0..ITEMS).map(|_| rng.next()).collect();
    let n = ITEMS as u64;

    let mut filter = ours(&items);
    let dense = filter.clone();
    let mut fast = empty_fast();
    items.iter().for_each(|x| _ = fast.insert(x));
    let mut fast_xxh3 = empty_fast();
    let (mut theirs, mut collected) = (apache(&items), collections(&items));
    let found = others.iter().filter(|x| filter.contains(*x)).count() as f64;
    let exact = items.iter().all(|x| filter.contains(x)) && (found - 5_000.0).abs() < 4.0 * 4_950f64.sqrt();

    // All into filters that have their bits already, so that no form changes.
    contest("bloom 5 * 10^5 at 1 %: insert into bits", n)
        .contender("rufous", || items.iter().for_each(|x| filter.insert(x)))
        .contender("fastbloom, xxh3", || {
            items.iter().for_each(|x| _ = fast_xxh3.insert_hash(x.hash64()))
        })
        .contender("fastbloom", || items.iter().for_each(|x| _ = fast.insert(x)))
        .contender("datasketches", || items.iter().for_each(|x| theirs.insert(x)))
        .contender("probabilistic-collections", || {
            items.iter().for_each(|x| collected.insert(x))
        })
        .at_most_ns(7.5)
        .at_most_of("fastbloom", 1.0)
        .at_most_of("datasketches", 1.0)
        .at_most_of("probabilistic-collections", 1.0)
        .exact(exact)
        .run();

    contest("bloom 5 * 10^5 at 1 %: insert, from nothing", n)
        .contender("rufous", || ours(&items))
        .contender("fastbloom", || {
            let mut filter = empty_fast();
            items.iter().for_each(|x| _ = filter.insert(x));
            filter
        })
        .run();

    for (what, asked) in [("seen", &items), ("not seen", &others)] {
        contest(format!("bloom 5 * 10^5 at 1 %: look-up of items {what}"), n)
            .contender("rufous", || asked.iter().filter(|x| dense.contains(*x)).count())
            .contender("fastbloom, xxh3", || {
                asked.iter().filter(|x| fast_xxh3.contains_hash(x.hash64())).count()
            })
            .contender("fastbloom", || asked.iter().filter(|x| fast.contains(*x)).count())
            .contender("datasketches", || asked.iter().filter(|x| theirs.contains(x)).count())
            .contender("probabilistic-collections", || {
                asked.iter().filter(|x| collected.contains(*x)).count()
            })
            .run();
    }

    let (a, b) = (ours(&items), ours(&others));
    let (mut mine, other) = (a.clone(), apache(&others));
    let mut sum = a.clone();
    sum.combine(&b);
    let whole = ours(&[&items[..], &others].concat());
    contest("bloom 5 * 10^5 at 1 %: merge of bits", 20)
        .contender("rufous", || (0..20).for_each(|_| mine.combine(&b)))
        .contender("datasketches", || {
            (0..20).for_each(|_| theirs.union(&other).expect("one shape"))
        })
        .exact(sum == whole)
        .run();

    let few: Vec<Ours> = items.chunks_exact(10).take(300).map(ours).collect();
    contest("bloom 5 * 10^5 at 1 %: sum of 300 filters of 10 items", 300)
        .contender("rufous, sum_all", || Ours::sum_all(&few))
        .contender("rufous, one by one", || {
            let mut sum = Ours::zero();
            few.iter().for_each(|s| sum.combine(s));
            sum
        })
        .exact(Ours::sum_all(&few) == Some(ours(&items[..3_000])))
        .run();

    println!("\nencoded bytes");
    for n in [0, 1, 10, 4_096, 4_097, ITEMS] {
        println!(
            "  {n} items: rufous {}, datasketches {}",
            ours(&items[..n]).to_bytes().len(),
            apache(&items[..n]).serialize().len()
        );
    }
}

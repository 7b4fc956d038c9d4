//! HyperLogLog beside `hyperloglogplus`, `datasketches` and `probabilistic-collections`: inserts, merges, merges of bytes.

#[path = "common/mod.rs"]
mod common;

use std::hash::{BuildHasher, Hasher, RandomState};

use common::contest;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use hyperloglogplus::{HyperLogLog as _, HyperLogLogPlus};
use rufous_algebra::codec::{merge_bytes, sum_bytes};
use rufous_algebra::{Codec, Hll, Monoid, Semigroup};
use xxhash_rust::xxh3::xxh3_64;

/// The same hash for the rival as for ours.
#[derive(Clone, Copy, Default)]
struct Xxh3;
struct Xxh3Hasher(u64);
impl BuildHasher for Xxh3 {
    type Hasher = Xxh3Hasher;
    fn build_hasher(&self) -> Xxh3Hasher {
        Xxh3Hasher(0)
    }
}
impl Hasher for Xxh3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

fn ours(items: std::ops::Range<u64>) -> Hll<14> {
    let mut sketch = Hll::default();
    items.for_each(|i| sketch.insert(&i));
    sketch
}
fn plus<B: BuildHasher + Default>(items: std::ops::Range<u64>) -> HyperLogLogPlus<u64, B> {
    let mut sketch = HyperLogLogPlus::new(14, B::default()).unwrap();
    items.for_each(|i| sketch.insert(&i));
    sketch
}
fn apache(items: std::ops::Range<u64>) -> HllSketch {
    let mut sketch = HllSketch::new(14, HllType::Hll8).unwrap();
    items.for_each(|i| sketch.update(i));
    sketch
}
fn union(sketches: &[&HllSketch]) -> HllUnion {
    let mut union = HllUnion::new(14).unwrap();
    sketches.iter().for_each(|s| union.update(s));
    union
}

fn main() {
    inserts();
    merges();
    bytes();
}

fn inserts() {
    let within = |n: u64| (ours(0..n).estimate().value / n as f64 - 1.0).abs() < 4.0 * 0.0082;
    contest("hll p14: insert, 1e6 items into one sketch", 1_000_000)
        .contender("Hll<14>", || ours(0..1_000_000))
        .contender("hyperloglogplus xxh3", || plus::<Xxh3>(0..1_000_000))
        .contender("hyperloglogplus SipHash", || plus::<RandomState>(0..1_000_000))
        .contender("datasketches HLL8", || apache(0..1_000_000))
        .contender("probabilistic-collections (answers infinity)", || {
            let mut sketch = probabilistic_collections::hyperloglog::HyperLogLog::<u64>::new(0.0081);
            (0..1_000_000u64).for_each(|i| sketch.insert(&i));
            sketch
        })
        .at_most_ns(3.0)
        .at_most_of("hyperloglogplus xxh3", 0.6)
        .exact(within(1_000_000))
        .run();
    contest("hll p14: insert, 1000 items a sketch, with its creation", 1_000 * 100)
        .contender("Hll<14>", || {
            (0..100).for_each(|i| drop(ours(i << 32..(i << 32) + 1_000)))
        })
        .contender("hyperloglogplus xxh3", || {
            (0..100).for_each(|i| drop(plus::<Xxh3>(i << 32..(i << 32) + 1_000)))
        })
        .contender("datasketches HLL8", || {
            (0..100).for_each(|i| drop(apache(i << 32..(i << 32) + 1_000)))
        })
        .exact(within(1_000))
        .run();
    contest("hll p14: insert, 10 items a sketch, with its creation", 10 * 10_000)
        .contender("Hll<14>", || {
            (0..10_000).for_each(|i| drop(ours(i << 32..(i << 32) + 10)))
        })
        .contender("hyperloglogplus xxh3", || {
            (0..10_000).for_each(|i| drop(plus::<Xxh3>(i << 32..(i << 32) + 10)))
        })
        .contender("datasketches HLL8", || {
            (0..10_000).for_each(|i| drop(apache(i << 32..(i << 32) + 10)))
        })
        .exact(ours(0..10).estimate().value.round() == 10.0)
        .run();
}

fn merges() {
    let (mut a, b) = (ours(0..100_000), ours(50_000..150_000));
    let (mut plus_a, plus_b) = (plus::<Xxh3>(0..100_000), plus::<Xxh3>(50_000..150_000));
    let (apache_a, apache_b) = (apache(0..100_000), apache(50_000..150_000));
    let mut resident = union(&[&apache_a]);
    let mut whole = a.clone();
    whole.combine(&b);
    contest("hll p14: merge of dense sketches", 200)
        .contender("Hll<14>", || (0..200).for_each(|_| a.combine(&b)))
        .contender("datasketches: union and to_sketch", || {
            (0..200).for_each(|_| drop(union(&[&apache_a, &apache_b]).to_sketch(HllType::Hll8)));
        })
        .contender("datasketches: resident union", || {
            (0..200).for_each(|_| resident.update(&apache_b))
        })
        .contender("hyperloglogplus xxh3", || {
            (0..200).for_each(|_| plus_a.merge(&plus_b).unwrap())
        })
        .at_most_ns(1_000.0)
        .at_most_of("datasketches: union and to_sketch", 0.05)
        .at_most_of("datasketches: resident union", 0.05)
        .exact(whole == ours(0..150_000))
        .run();
    for n in [10u64, 1_000] {
        let sketches: Vec<_> = (0..512).map(|i| ours(i << 32..(i << 32) + n)).collect();
        let apaches: Vec<_> = (0..512).map(|i| apache(i << 32..(i << 32) + n)).collect();
        let pluses: Vec<_> = (0..512).map(|i| plus::<Xxh3>(i << 32..(i << 32) + n)).collect();
        let mut whole = Hll::<14>::zero();
        (0..512).for_each(|i| (0..n).for_each(|j| whole.insert(&((i << 32) + j))));
        let contest = contest(format!("hll p14: sum of 512 sketches of {n} items"), 512)
            .contender("Hll<14>, sum_all", || Hll::sum_all(&sketches))
            .contender("Hll<14>, pairwise", || {
                sketches.iter().fold(Hll::<14>::zero(), |mut sum, s| {
                    sum.combine(s);
                    sum
                })
            })
            .contender("datasketches: resident union", || {
                union(&apaches.iter().collect::<Vec<_>>())
            })
            .contender("hyperloglogplus xxh3", || {
                let mut sum = plus::<Xxh3>(0..0);
                pluses.iter().for_each(|s| sum.merge(s).unwrap());
                sum
            })
            .exact(Hll::sum_all(&sketches) == Some(whole));
        if n == 10 {
            contest.at_most_ns(150.0).run()
        } else {
            contest.run()
        }
    }
}

fn bytes() {
    for (n, bar) in [
        (10u64, Some(150.0)),
        (100, None),
        (1_000, None),
        (100_000, Some(4_000.0)),
    ] {
        let (a, b) = (ours(0..n).to_bytes(), ours(n / 2..n + n / 2).to_bytes());
        let (apache_a, apache_b) = (apache(0..n).serialize(), apache(n / 2..n + n / 2).serialize());
        let mut sum = Vec::new();
        merge_bytes::<Hll<14>>(&a, &b, &mut sum).unwrap();
        let exact = sum == ours(0..n + n / 2).to_bytes();
        let contest = contest(
            format!("hll p14: bytes x bytes -> bytes, {n} items, {} bytes", a.len()),
            100,
        )
        .contender("Hll<14>", || {
            (0..100).for_each(|_| {
                sum.clear();
                merge_bytes::<Hll<14>>(&a, &b, &mut sum).unwrap();
            });
        })
        .contender("datasketches", || {
            (0..100).for_each(|_| {
                let sketches = [&apache_a, &apache_b].map(|s| HllSketch::deserialize(s).unwrap());
                drop(
                    union(&[&sketches[0], &sketches[1]])
                        .to_sketch(HllType::Hll8)
                        .serialize(),
                );
            });
        })
        .exact(exact);
        match bar {
            Some(bar) => contest.at_most_ns(bar).run(),
            None => contest.run(),
        }
    }
    let small: Vec<Vec<u8>> = (0..512u64).map(|i| ours(i << 32..(i << 32) + 10).to_bytes()).collect();
    let mut sum = Vec::new();
    contest("hll p14: sum of 512 encoded sketches of 10 items", 512)
        .contender("sum_bytes", || {
            sum.clear();
            sum_bytes::<Hll<14>>(&mut small.iter().map(Vec::as_slice), &mut sum)
        })
        .run();
    // What a window over thirty days reads of hours.
    let hours: Vec<Hll<12>> = (0..720u64)
        .map(|hour| {
            let mut sketch = Hll::default();
            (hour << 32..(hour << 32) + 600).for_each(|i| sketch.insert(&i));
            sketch
        })
        .collect();
    let mut plain = Hll::<12>::zero();
    hours.iter().for_each(|h| plain.combine(h));
    let encoded: Vec<Vec<u8>> = hours.iter().map(Codec::to_bytes).collect();
    sum.clear();
    sum_bytes::<Hll<12>>(&mut encoded.iter().map(Vec::as_slice), &mut sum).unwrap();
    let exact = sum == plain.to_bytes();
    contest("hll p12: sum of 720 encoded sketches of 600 items", 720)
        .contender("sum_bytes", || {
            sum.clear();
            sum_bytes::<Hll<12>>(&mut encoded.iter().map(Vec::as_slice), &mut sum)
        })
        .exact(exact)
        .run();
}

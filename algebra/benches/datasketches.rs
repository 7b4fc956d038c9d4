//! What the wrapped sketches cost beside the library they wrap: inserts, merges, bytes, and images of HyperLogLog.

#[path = "common/mod.rs"]
mod common;

use std::borrow::Cow;
use std::collections::HashSet;
use std::hint::black_box;

use common::contest;
use datasketches::cpc::{CpcSketch, CpcUnion};
use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType};
use datasketches::kll::{KllFloat, KllSketch};
use datasketches::req::{RankAccuracy, ReqFloat, ReqSketch};
use datasketches::tdigest::TDigestMut;
use datasketches::theta::{CompactThetaSketch, ThetaSketch, ThetaSketchBuilder, ThetaUnionBuilder};
use datasketches::tuple::{
    CompactTupleSketch, DefaultUnionPolicy, DefaultUpdatePolicy, TupleSketchBuilder, TupleUnionBuilder,
};
use rufous_algebra::apache::hll_image::{Content, from_image, to_image};
use rufous_algebra::apache::{Cpc, Kll, Req, TDigest, Theta, Tuple};
use rufous_algebra::murmur::MurmurItem;
use rufous_algebra::{Absorb, Codec, HashBytes, Semigroup};

const N: u64 = 1_000_000;

/// Distinct and in no order (SplitMix64).
fn keys(n: u64) -> Vec<u64> {
    (0..n)
        .map(|i| {
            let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
        .collect()
}

fn of<'a, T: 'a, S: Absorb<T>>(items: impl IntoIterator<Item = &'a T>) -> S {
    let mut state = S::zero();
    items.into_iter().for_each(|item| state.absorb(item));
    state
}

/// As a store has it: from its bytes, nothing left to sort.
fn stored<S: Codec>(value: S) -> S {
    S::decode(&value.to_bytes()).unwrap_or(value)
}

fn sum<S: Semigroup>(a: &S, b: &S) -> S {
    let mut sum = a.clone();
    sum.combine(b);
    sum
}

fn theta(keys: &[u64]) -> ThetaSketch {
    let mut sketch = ThetaSketchBuilder::default().build().unwrap();
    keys.iter().for_each(|x| sketch.update(*x));
    sketch
}

fn cpc(keys: &[u64]) -> CpcSketch {
    let mut sketch = CpcSketch::new(11).unwrap();
    keys.iter().for_each(|x| sketch.update(*x));
    sketch
}

fn bytes_at<S: Absorb<u64> + Codec>(name: &str) {
    let sizes = [1, 10, 1_000, N].map(|n| of::<u64, S>(&keys(n)).to_bytes().len());
    println!("{name}: bytes of 1, 10, 1e3, 1e6 items: {sizes:?}");
}

fn float_bytes_at<S: Absorb<f64> + Codec>(name: &str) {
    let sizes = [1, 10, 1_000, N].map(|n| {
        let floats: Vec<f64> = keys(n).into_iter().map(|x| x as f64).collect();
        of::<f64, S>(&floats).to_bytes().len()
    });
    println!("{name}: bytes of 1, 10, 1e3, 1e6 items: {sizes:?}");
}

fn main() {
    bytes_at::<Theta<12>>("Theta<12>");
    bytes_at::<Cpc<11>>("Cpc<11>");
    float_bytes_at::<Kll<200>>("Kll<200>");
    float_bytes_at::<Req<12>>("Req<12>");
    float_bytes_at::<TDigest<200>>("TDigest<200>");
    hashes();
    distinct();
    keyed();
    quantiles();
    images();
}

fn hashes() {
    let keys = keys(1_000);
    contest("hash of a u64", keys.len() as u64)
        .contender("murmur3-x64-128, seed 9001", || {
            keys.iter().map(|x| x.murmur().map_or(0, |[a, b]| a ^ b)).sum::<u64>()
        })
        .contender("xxh3-64", || {
            keys.iter().fold(0u64, |sum, x| sum.wrapping_add(x.hash64()))
        })
        .run();
}

fn distinct() {
    let all = keys(N);
    let small: Vec<&[u64]> = all[..100_000].chunks(10).collect();
    // No more than `k` items are counted exactly; of more, the library's own trimmed sketch is the reference.
    let few = &all[..4_000];
    let exact = of::<u64, Theta<12>>(few).estimate().value == few.iter().collect::<HashSet<_>>().len() as f64;
    contest("theta insert, 1e6 items", N)
        .contender("Theta<12>", || of::<u64, Theta<12>>(&all))
        .contender("library", || theta(&all))
        .exact(exact)
        .run();
    contest("theta insert, 10 items with creation", 100_000)
        .contender("Theta<12>", || {
            small
                .iter()
                .for_each(|keys| drop(black_box(of::<u64, Theta<12>>(*keys))))
        })
        .contender("library", || small.iter().for_each(|keys| drop(black_box(theta(keys)))))
        .run();
    for (title, n) in [
        ("theta merge, 10 items", 10),
        ("theta merge, 1e3 items", 1_000),
        ("theta merge, 1e5 items", 100_000),
    ] {
        let (a, b) = (&all[..n], &all[n / 2..n / 2 + n]);
        let (x, y) = (stored(of::<u64, Theta<12>>(a)), stored(of::<u64, Theta<12>>(b)));
        let (cx, cy) = (theta(a).compact(true), theta(b).compact(true));
        let united = || {
            let mut union = ThetaUnionBuilder::default().build().unwrap();
            union.update(&cx).unwrap();
            union.update(&cy).unwrap();
            union.to_sketch(true)
        };
        contest(title, 1)
            .contender("Theta<12>", || sum(&x, &y))
            .contender("library, union and sketch", united)
            .exact(sum(&x, &y).to_apache() == united().serialize())
            .run();
    }
    let many: Vec<Theta<12>> = small[..512].iter().map(|keys| stored(of(*keys))).collect();
    contest("theta sum_all of 512 sketches of 10 items, each", 512)
        .contender("Theta<12>", || Theta::sum_all(&many))
        .run();
    let large = stored(of::<u64, Theta<12>>(&all));
    let encoded = large.to_bytes();
    contest("theta encode, 1e6 items", 1)
        .contender("Theta<12>", || large.to_bytes())
        .run();
    contest("theta decode, 1e6 items", 1)
        .contender("Theta<12>", || Theta::<12>::decode(&encoded))
        .contender("library", || CompactThetaSketch::deserialize(&encoded[1..]))
        .run();

    contest("cpc insert, 1e6 items", N)
        .contender("Cpc<11>", || of::<u64, Cpc<11>>(&all))
        .contender("library", || cpc(&all))
        .contender("library, raw bytes", || {
            let mut sketch = CpcSketch::new(11).unwrap();
            all.iter()
                .for_each(|x| sketch.update(raw_bytes::from_slice(&x.to_le_bytes())));
            sketch
        })
        .run();
    contest("cpc insert, 10 items with creation", 100_000)
        .contender("Cpc<11>", || {
            small.iter().for_each(|keys| drop(black_box(of::<u64, Cpc<11>>(*keys))))
        })
        .contender("library", || small.iter().for_each(|keys| drop(black_box(cpc(keys)))))
        .run();
    for (title, n) in [
        ("cpc merge, 10 items", 10),
        ("cpc merge, 1e3 items", 1_000),
        ("cpc merge, 1e5 items", 100_000),
    ] {
        let (a, b) = (&all[..n], &all[n / 2..n / 2 + n]);
        let (x, y) = (stored(of::<u64, Cpc<11>>(a)), stored(of::<u64, Cpc<11>>(b)));
        let (cx, cy) = (cpc(a), cpc(b));
        let united = || {
            let mut union = CpcUnion::new(11).unwrap();
            union.update(&cx).unwrap();
            union.update(&cy).unwrap();
            union.to_sketch()
        };
        contest(title, 1)
            .contender("Cpc<11>", || sum(&x, &y))
            .contender("library, union and sketch", united)
            .exact(sum(&x, &y).to_apache() == united().serialize())
            .run();
    }
    let large = stored(of::<u64, Cpc<11>>(&all));
    let encoded = large.to_bytes();
    contest("cpc encode, 1e6 items", 1)
        .contender("Cpc<11>", || large.to_bytes())
        .run();
    contest("cpc decode, 1e6 items", 1)
        .contender("Cpc<11>", || Cpc::<11>::decode(&encoded))
        .contender("library", || CpcSketch::deserialize(&encoded[1..]))
        .run();
}

fn keyed() {
    let items: Vec<(u64, u64)> = keys(N).into_iter().map(|x| (x, x & 1_023)).collect();
    let policy = DefaultUpdatePolicy::<u64>::default();
    let native = |items: &[(u64, u64)]| -> CompactTupleSketch<u64> {
        let mut sketch = TupleSketchBuilder::new(policy).build().unwrap();
        items.iter().for_each(|(key, value)| sketch.update(*key, *value));
        sketch.trim();
        sketch.compact(true)
    };
    contest("tuple insert, 1e6 items", N)
        .contender("Tuple<12, u64>", || of::<_, Tuple<12, u64>>(&items))
        .contender("library, trimmed", || native(&items))
        .exact(of::<_, Tuple<12, u64>>(&items).to_apache() == native(&items).serialize())
        .run();
    let (a, b) = (&items[..100_000], &items[50_000..150_000]);
    let (x, y) = (stored(of::<_, Tuple<12, u64>>(a)), stored(of::<_, Tuple<12, u64>>(b)));
    let (cx, cy) = (native(a), native(b));
    let united = || {
        let mut union = TupleUnionBuilder::new(DefaultUnionPolicy::<u64>::default())
            .build()
            .unwrap();
        union.update(&cx).unwrap();
        union.update(&cy).unwrap();
        union.to_sketch(true)
    };
    contest("tuple merge, 1e5 items", 1)
        .contender("Tuple<12, u64>", || sum(&x, &y))
        .contender("library, union and sketch", united)
        .exact(sum(&x, &y).to_apache() == united().serialize())
        .run();
}

fn quantiles() {
    let items: Vec<f64> = keys(N).into_iter().map(|x| x as f64).collect();
    let kll = |items: &[f64]| {
        let mut sketch = KllSketch::<KllFloat<f64>>::new(200).unwrap();
        items
            .iter()
            .for_each(|x| sketch.update(KllFloat::<f64>::new(*x).unwrap()));
        sketch
    };
    let req = |items: &[f64]| {
        let mut sketch = ReqSketch::<ReqFloat<f64>>::new(12, RankAccuracy::HighRank).unwrap();
        items
            .iter()
            .for_each(|x| sketch.update(ReqFloat::<f64>::new(*x).unwrap()));
        sketch
    };
    let digest = |items: &[f64]| {
        let mut digest = TDigestMut::new(200).unwrap();
        items.iter().for_each(|x| digest.update(*x));
        digest
    };
    let mut sorted = items.clone();
    sorted.sort_by(f64::total_cmp);
    let (median, rank) = (sorted[N as usize / 2], (N / 2 + 1) as f64 / N as f64);
    let within = |found: Option<rufous_algebra::Estimate>| found.is_some_and(|found| found.contains(rank));
    contest("kll insert, 1e6 items", N)
        .contender("Kll<200>", || of::<_, Kll<200>>(&items))
        .contender("library", || kll(&items))
        .exact(within(of::<_, Kll<200>>(&items).rank(median)))
        .run();
    contest("req insert, 1e6 items", N)
        .contender("Req<12>", || of::<_, Req<12>>(&items))
        .contender("library", || req(&items))
        .exact(within(of::<_, Req<12>>(&items).rank(median)))
        .run();
    contest("t-digest insert, 1e6 items", N)
        .contender("TDigest<200>", || of::<_, TDigest<200>>(&items))
        .contender("library", || digest(&items))
        .exact(within(of::<_, TDigest<200>>(&items).rank(median)))
        .run();
    let (a, b) = (&items[..100_000], &items[50_000..150_000]);
    let (x, y) = (of::<_, Kll<200>>(a), of::<_, Kll<200>>(b));
    let (lx, ly) = (kll(a), kll(b));
    contest("kll merge, 1e5 items", 1)
        .contender("Kll<200>", || sum(&x, &y))
        .contender("library", || {
            let mut merged = lx.clone();
            merged.merge(&ly).unwrap();
            merged
        })
        .run();
    let (x, y) = (of::<_, Req<12>>(a), of::<_, Req<12>>(b));
    let (lx, ly) = (req(a), req(b));
    contest("req merge, 1e5 items", 1)
        .contender("Req<12>", || sum(&x, &y))
        .contender("library", || {
            let mut merged = lx.clone();
            merged.merge(&ly).unwrap();
            merged
        })
        .run();
    let (x, y) = (of::<_, TDigest<200>>(a), of::<_, TDigest<200>>(b));
    let (lx, ly) = (digest(a), digest(b));
    contest("t-digest merge, 1e5 items", 1)
        .contender("TDigest<200>", || sum(&x, &y))
        .contender("library", || {
            let mut merged = lx.clone();
            merged.merge(&ly);
            merged
        })
        .run();
}

fn images() {
    let mut native = HllSketch::new(12, HllType::Hll8).unwrap();
    keys(100_000).iter().for_each(|x| native.update(*x));
    let image = native.serialize();
    let Ok((_, Content::Registers(registers))) = from_image(&image) else {
        return;
    };
    contest("hll image, 4096 registers: write", 1)
        .contender("to_image", || {
            to_image(12, Content::Registers(Cow::Borrowed(&registers)))
        })
        .contender("library", || native.serialize())
        .run();
    contest("hll image, 4096 registers: read", 1)
        .contender("from_image", || from_image(&image))
        .contender("library", || HllSketch::deserialize(&image))
        .run();
}

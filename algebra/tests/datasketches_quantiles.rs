//! KLL, REQ and t-digest: laws where they are exact, bounds under every merge tree, bytes, and the library beside
//! sorted lists.
#![cfg(feature = "datasketches")]

mod common;

use std::fmt::Debug;

use common::Rng;
use common::bytes::bytes;
use datasketches::kll::{KllFloat, KllSketch};
use datasketches::req::{RankAccuracy, ReqFloat, ReqSketch};
use datasketches::tdigest::TDigestMut;
use rufous_algebra::apache::{Kll, Req, TDigest};
use rufous_algebra::laws::{
    approximate_trees, check_absorb, check_codec, check_commutative, check_merge, check_sum_all,
};
use rufous_algebra::{Absorb, ApproxLaws, Codec, Estimate, Monoid, Semigroup};

fn of<S: Absorb<f64>>(items: impl IntoIterator<Item = f64>) -> S {
    let mut state = S::zero();
    items.into_iter().for_each(|item| state.absorb(&item));
    state
}

/// Small enough that no three of them, twice over, leave the exact range of a sketch of 200.
fn small<S: Absorb<f64>>() -> Vec<S> {
    vec![
        of([]),
        of([0.0]),
        of([-1.5, 7.0]),
        of([7.0, 7.0, -3.0]),
        of([f64::MIN, f64::MAX, 1e-300, -0.0]),
        of((0..6).map(|i| f64::from(6 - i))),
    ]
}

/// Commutative monoids as long as nothing is thrown away; beyond, states differ by a coin or by the tree, and only the
/// bounds are a law.
#[test]
fn laws() {
    fn all<S: Absorb<f64> + ApproxLaws + Codec + PartialEq + Debug>() {
        let samples: Vec<S> = small();
        for a in &samples {
            assert_eq!(a.is_zero(), *a == S::zero());
            for (x, y) in [(a, &S::zero()), (&S::zero(), a)] {
                let mut sum = x.clone();
                sum.combine(y);
                assert_eq!(&sum, a, "zero is the identity");
            }
        }
        check_commutative(&samples);
        check_codec(&samples);
        check_absorb::<f64, S>(&[3.0, -1.0, 3.0, 0.0, -0.0, f64::NAN, 2.5]);
        for a in &samples {
            for b in &samples {
                for c in &samples {
                    let plus = |a: &S, b: &S| {
                        let mut sum = a.clone();
                        sum.combine(b);
                        sum
                    };
                    assert_eq!(plus(&plus(a, b), c), plus(a, &plus(b, c)), "associativity");
                }
            }
        }
    }
    all::<Kll<200>>();
    all::<Req<12>>();
    all::<Req<12, false>>();
    all::<TDigest<200>>();
    check_sum_all::<Kll<4_000>>(&small());
    check_merge::<Kll<4_000>>(&small());
    check_sum_all::<Req<1_024>>(&small());
    check_merge::<Req<1_024>>(&small());
    check_sum_all::<TDigest<4_000>>(&small());
    check_merge::<TDigest<4_000>>(&small());
}

/// Streams of different shapes: spread out, skewed, with ties, sorted.
fn streams(n: usize) -> Vec<Vec<f64>> {
    let mut rng = Rng(31);
    let mut uniform = move || (rng.next() >> 11) as f64 / (1u64 << 53) as f64;
    vec![
        (0..n).map(|_| uniform()).collect(),
        (0..n).map(|_| (1.0 - uniform()).powf(-1.5)).collect(),
        (0..n).map(|_| (uniform() * 20.0).floor()).collect(),
        (0..n).map(|i| i as f64).collect(),
    ]
}

/// The part of the items that is at most each of some of them: what the sketches are asked, with the truth.
fn truths(items: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = items.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    [0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0]
        .iter()
        .map(|q| sorted[((q * n as f64) as usize).min(n - 1)])
        .map(|value| (value, sorted.partition_point(|x| *x <= value) as f64 / n as f64))
        .collect()
}

/// Approximate tier: under every merge tree the ranks are within the bounds as often as these say. Ends of the stream
/// included, and values that many items have.
#[test]
fn trees() {
    fn all<S: Absorb<f64> + ApproxLaws<Query = f64> + Debug>(trees: usize) {
        for (i, items) in streams(6_000).into_iter().enumerate() {
            let truths = truths(&items);
            let queries: Vec<(&f64, f64)> = truths.iter().map(|(value, rank)| (value, *rank)).collect();
            for seed in 0..3 {
                if let Err(broken) = approximate_trees::<f64, S>(&items, &queries, trees, seed) {
                    panic!("{} on stream {i}: {broken}", std::any::type_name::<S>());
                }
            }
        }
    }
    all::<Kll<64>>(15);
    all::<Kll<200>>(10);
    all::<Req<12>>(15);
    all::<Req<12, false>>(15);
    all::<TDigest<100>>(15);
}

/// The t-digest's bounds are not proven, so its misses are counted on their own: none.
#[test]
fn t_digest_bounds() {
    for (i, items) in streams(20_000).into_iter().enumerate() {
        let truths = truths(&items);
        let mut rng = Rng(i as u64);
        for shards in [1, 2, 16, 64] {
            let mut parts: Vec<TDigest<100>> = vec![TDigest::zero(); shards];
            items.iter().for_each(|x| parts[rng.below(shards)].absorb(x));
            let merged = TDigest::sum_all(&parts).unwrap();
            for (value, rank) in &truths {
                let found = merged.rank(*value).unwrap();
                assert!(
                    found.contains(*rank),
                    "stream {i}, {shards} shards: {rank} of {value} in {found:?}"
                );
            }
        }
    }
}

/// Quantiles: the bounds hold the nearest-rank quantile of the sorted list as often as they say; exact sketches are
/// exact.
#[test]
fn quantiles() {
    fn all<S: Absorb<f64>>(quantile: impl Fn(&S, f64) -> Option<Estimate>, exact_to: usize) {
        let (mut misses, mut expected) = (0u32, 0.0);
        for n in [1, 2, exact_to, 5_000] {
            for items in streams(n) {
                let mut sorted = items.clone();
                sorted.sort_by(f64::total_cmp);
                let sketch: S = of(items);
                for q in [0.0, 0.01, 0.3, 0.5, 0.77, 0.99, 1.0] {
                    let truth = sorted[((q * n as f64).ceil() as usize).clamp(1, n) - 1];
                    let found = quantile(&sketch, q).unwrap();
                    if n <= exact_to {
                        assert!(found.contains(truth), "{q} of {n}: {truth} in {found:?}");
                    }
                    misses += u32::from(!found.contains(truth));
                    expected += 1.0 - found.confidence;
                }
                assert_eq!(quantile(&sketch, f64::NAN), None);
                assert_eq!(quantile(&sketch, -1.0), quantile(&sketch, 0.0));
                assert_eq!(quantile(&sketch, 2.0), quantile(&sketch, 1.0));
            }
        }
        assert!(
            f64::from(misses) <= expected + 4.0 * expected.sqrt(),
            "{misses}, {expected}"
        );
        assert_eq!(quantile(&S::zero(), 0.5), None);
    }
    all::<Kll<200>>(Kll::quantile, 200);
    all::<Req<12>>(Req::quantile, 50);
    all::<Req<12, false>>(Req::quantile, 50);
    all::<TDigest<200>>(TDigest::quantile, 100);
}

/// Not-a-number is no item, `-0.0` is `0.0`; infinities count in KLL and REQ, and are ignored by t-digests.
#[test]
fn odd_items() {
    fn all<S: Absorb<f64> + ApproxLaws<Query = f64> + Codec + PartialEq + Debug>(infinities: bool) {
        assert_eq!(of::<S>([f64::NAN, -f64::NAN]), S::zero());
        assert_eq!(of::<S>([-0.0, 1.0]).to_bytes(), of::<S>([0.0, 1.0]).to_bytes());
        let odd: S = of([f64::INFINITY, f64::NEG_INFINITY, 1.0, 2.0]);
        assert_eq!(odd.magnitude(), if infinities { 4.0 } else { 2.0 });
        assert_eq!(odd.answer(&f64::NAN), None);
        assert_eq!(S::zero().answer(&1.0), None);
        let below = odd.answer(&1.0).unwrap();
        assert!(below.contains(0.5), "{below:?}");
    }
    all::<Kll<200>>(true);
    all::<Req<12>>(true);
    all::<TDigest<200>>(false);
}

/// Golden bytes as far as they are a function of the items; 50 malformed inputs; 25,000 damaged ones each.
#[test]
fn formats() {
    let up_to = |n: u32| (0..n).map(|i| f64::from(i * 7_919 % 1_009));
    bytes("kll-16")
        .value("n = 0", of::<Kll<16>>([]))
        .value("n = 1", of::<Kll<16>>(up_to(1)))
        .value("n = 2", of::<Kll<16>>(up_to(2)))
        .value("n = 15", of::<Kll<16>>(up_to(15)))
        .value("n = 16", of::<Kll<16>>(up_to(16)))
        .value(
            "extremes",
            of::<Kll<16>>([f64::NEG_INFINITY, f64::MIN, -0.0, 1e-300, f64::MAX, f64::INFINITY]),
        )
        .check();
    bytes("req-4")
        .value("n = 0", of::<Req<4>>([]))
        .value("n = 1", of::<Req<4>>(up_to(1)))
        .value("n = 2", of::<Req<4>>(up_to(2)))
        .value("n = 4", of::<Req<4>>(up_to(4)))
        .value("n = 5", of::<Req<4>>(up_to(5)))
        .value("n = 23", of::<Req<4>>(up_to(23)))
        .value(
            "extremes",
            of::<Req<4>>([f64::NEG_INFINITY, f64::MIN, -0.0, 1e-300, f64::MAX, f64::INFINITY]),
        )
        .check();
    let mut merged: TDigest<10> = of(up_to(500));
    merged.combine(&of(up_to(100)));
    bytes("t-digest-10")
        .value("n = 0", of::<TDigest<10>>([]))
        .value("n = 1", of::<TDigest<10>>(up_to(1)))
        .value("n = 2", of::<TDigest<10>>(up_to(2)))
        .value("n = 5", of::<TDigest<10>>(up_to(5)))
        .value("n = 6", of::<TDigest<10>>(up_to(6)))
        .value("n = 1e5", of::<TDigest<10>>(up_to(100_000)))
        .value("merged", merged)
        .value("extremes", of::<TDigest<10>>([f64::MIN, -0.0, 1e-300, f64::MAX]))
        .check();
}

/// Bytes of states that threw items away, written once and kept: they are decoded for ever, and answer as they did.
/// (They cannot be golden: the next run would write others.)
#[test]
fn kept_states() {
    fn kept<S: Absorb<f64> + Codec + PartialEq + Debug>(name: &str) {
        let path = format!("tests/golden/{name}-kept.bin");
        let Ok(bytes) = std::fs::read(&path) else {
            std::fs::write(
                path,
                of::<S>((0..5_000u32).map(|i| f64::from(i * 7_919 % 1_009))).to_bytes(),
            )
            .unwrap();
            panic!("{name} was not there: run again");
        };
        let state = S::decode(&bytes).unwrap();
        assert_eq!(state.to_bytes(), bytes);
        assert_eq!(state.magnitude(), 5_000.0);
        common::bytes::compare(&format!("golden/{name}-kept.json"), format!("{}\n", state.json()));
    }
    kept::<Kll<16>>("kll-16");
    kept::<Req<4>>("req-4");
}

/// States that threw items away come back from their bytes, and damaged ones are refused or can be used: no panic, no
/// allocation beyond four times the input.
#[test]
fn damaged_states() {
    fn all<S: Absorb<f64> + Codec + PartialEq + Debug>(from_apache: impl Fn(&[u8]) -> Option<S>) {
        let mut rng = Rng(33);
        let states: Vec<S> = [0usize, 1, 2, 5, 40, 300, 3_000, 50_000]
            .into_iter()
            .map(|n| of((0..n).map(|i| (i * 7_919 % 1_009) as f64)))
            .collect();
        for state in &states {
            assert_eq!(S::decode(&state.to_bytes()).as_ref(), Ok(state));
        }
        let encoded: Vec<Vec<u8>> = states.iter().map(Codec::to_bytes).collect();
        for _ in 0..40_000 {
            let mut bytes = encoded[rng.below(encoded.len())].clone();
            for _ in 0..=rng.below(3) {
                let reach = if rng.below(2) == 0 { 64 } else { usize::MAX };
                let at = rng.below(bytes.len().min(reach));
                match rng.below(4) {
                    0 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
                    1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
                    2 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
                    _ => bytes.truncate(at),
                }
            }
            let mut found = None;
            let used = allocation_counter::measure(|| found = S::decode(&bytes).ok());
            assert!(
                used.bytes_max <= 4 * bytes.len() as u64 + (64 << 10),
                "{} of {}",
                used.bytes_max,
                bytes.len()
            );
            let read = bytes.get(1..).and_then(&from_apache);
            for mut value in found.into_iter().chain(read) {
                let _ = (value.json(), value.magnitude());
                value.absorb(&5.0);
                value.combine(&states[rng.below(states.len())]);
                let same = value.clone();
                value.combine(&same);
                let again = S::decode(&value.to_bytes());
                // More items than are counted cannot come from a stream, and are refused when read.
                assert!(again.is_err() || again == Ok(value));
            }
        }
    }
    all(|b| Kll::<16>::from_apache(b).ok());
    all(|b| Req::<4>::from_apache(b).ok());
    all(|b| TDigest::<10>::from_apache(b).ok());
}

/// The library takes an image of the reference implementation's t-digest at its word: 32 bytes that claim 2^32 - 1
/// centroids would have it ask for 64 GiB. Here they are refused; honest ones are read.
#[test]
fn reference_t_digests() {
    let mut image = 1u32.to_be_bytes().to_vec();
    for number in [1.0f64, 3.0, 100.0] {
        image.extend_from_slice(&number.to_be_bytes());
    }
    let mut hostile = image.clone();
    hostile.extend_from_slice(&u32::MAX.to_be_bytes());
    let mut read = Err(rufous_algebra::DecodeError::new("unread"));
    let used = allocation_counter::measure(|| read = TDigest::<100>::from_apache(&hostile));
    assert!(read.is_err() && used.bytes_max < 4_096, "{used:?}");
    image.extend_from_slice(&2u32.to_be_bytes());
    for number in [1.0f64, 1.0, 1.0, 3.0] {
        image.extend_from_slice(&number.to_be_bytes());
    }
    assert_eq!(TDigest::<100>::from_apache(&image), Ok(of([1.0, 3.0])));
}

/// Images go both ways: the library reads ours, and answers as ours does; we read its own, with any order of items.
#[test]
fn images() {
    for n in [0u32, 1, 2, 5, 100, 20_000] {
        let items = || (0..n).map(|i| f64::from(i * 7_919 % 10_007));
        let mut kll = KllSketch::<KllFloat<f64>>::new(200).unwrap();
        let mut req = ReqSketch::<ReqFloat<f64>>::new(12, RankAccuracy::LowRank).unwrap();
        let mut digest = TDigestMut::new(200).unwrap();
        for x in items() {
            kll.update(KllFloat::<f64>::new(x).unwrap());
            req.update(ReqFloat::<f64>::new(x).unwrap());
            digest.update(x);
        }
        let ours = Kll::<200>::from_apache(&kll.serialize()).unwrap();
        let back = KllSketch::<KllFloat<f64>>::deserialize(&ours.to_apache()).unwrap();
        assert_eq!((back.n(), back.serialize()), (u64::from(n), ours.to_apache()));
        let ours = Req::<12, false>::from_apache(&req.serialize()).unwrap();
        let back = ReqSketch::<ReqFloat<f64>>::deserialize(&ours.to_apache()).unwrap();
        assert_eq!((back.n(), back.serialize()), (u64::from(n), ours.to_apache()));
        let ours = TDigest::<200>::from_apache(&digest.serialize()).unwrap();
        let mut back = TDigestMut::deserialize(&ours.to_apache()).unwrap();
        assert_eq!(back.serialize(), ours.to_apache());
        assert_eq!(ours, of(items()));
    }
    assert!(Kll::<100>::from_apache(&of::<Kll<200>>([1.0]).to_apache()).is_err());
    assert!(Req::<12>::from_apache(&of::<Req<12, false>>([1.0]).to_apache()).is_err());
    assert!(TDigest::<100>::from_apache(&of::<TDigest<200>>([1.0]).to_apache()).is_err());
}

/// Documented: KLL's and REQ's coin is seeded by chance in each thread, so the same input leads to other bytes; a
/// t-digest's state is a function of its input, but depends on the merge tree (the ancestor closed its t-digest,
/// AB#241, for that).
#[test]
fn what_is_not_replayable() {
    let items = || (0..20_000u32).map(|i| f64::from(i * 7_919 % 10_007));
    let mut all_kll = Vec::new();
    let mut all_req = Vec::new();
    for _ in 0..4 {
        let states = std::thread::spawn(move || (of::<Kll<200>>(items()), of::<Req<12>>(items())))
            .join()
            .unwrap();
        all_kll.push(states.0.to_bytes());
        all_req.push(states.1.to_bytes());
    }
    assert!(all_kll.windows(2).any(|two| two[0] != two[1]));
    assert!(all_req.windows(2).any(|two| two[0] != two[1]));
    assert_eq!(of::<TDigest<100>>(items()), of::<TDigest<100>>(items()));
    let mut merged: TDigest<100> = of(items().take(10_000));
    merged.combine(&of(items().skip(10_000)));
    assert_ne!(merged, of(items()));
}

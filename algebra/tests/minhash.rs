//! MinHash: laws, merge trees, bytes, and the similarity it tells against sets.

mod common;

use std::collections::BTreeSet;

use common::Rng;
use common::bytes::bytes;
use probabilistic_collections::SipHasherBuilder;
use probabilistic_collections::similarity::MinHash as Rival;
use proptest::prelude::*;
use rufous_algebra::laws::{
    self, check_absorb, check_codec, check_commutative, check_idempotent, check_merge, check_monoid, exact_trees,
    replayed_trees, rule,
};
use rufous_algebra::{Codec, Estimate, MinHash, Monoid, Semigroup};

fn set<const M: usize>(items: impl IntoIterator<Item = u64>) -> MinHash<M> {
    let mut state = MinHash::default();
    items.into_iter().for_each(|item| state.insert(&item));
    state
}

/// The number of items at which a state leaves the list: found, since items share bins.
fn threshold<const M: usize>() -> u64 {
    let is_list = |n: u64| set::<M>(0..n).to_bytes().len() < 1 + 4 * M;
    (0..).find(|n| !is_list(n + 1)).unwrap()
}

/// Commutative, idempotent; absorbing is adding; bytes add up as values do; around the change to all bins.
#[test]
fn laws_of_all() {
    fn all<const M: usize>() {
        let n = threshold::<M>();
        let samples = [0..0, 0..1, 5..7, 0..n - 1, 1..n, 0..n, 0..n + 1, n / 2..n + 3, n..9 * n].map(set::<M>);
        check_monoid(&samples);
        check_commutative(&samples);
        check_idempotent(&samples);
        check_codec(&samples);
        check_merge(&samples);
    }
    all::<16>();
    all::<64>();
    all::<256>();
    check_codec(&[0..0, 0..8_192, 0..100_000].map(set::<65536>));
    check_absorb::<&str, MinHash<16>>(&["a", "b", "a", "c", "d", "e"]);
    let items = proptest::collection::vec(0u64..50, 0..12).prop_map(set::<32>);
    laws::random(items.clone(), rule::stored);
    laws::random(items, rule::idempotent);
}

/// Exact tier: any merge tree, also with items seen twice, has the bytes of one state.
#[test]
fn trees() {
    fn trees<const M: usize>(rounds: u64, trees: usize, rng: &mut Rng) {
        let n = M / 8;
        for round in 0..rounds {
            // Every third at the very change of form, the others anywhere.
            let size = if round % 3 == 0 {
                n - 1 + rng.below(4)
            } else {
                rng.below(6 * n)
            };
            let items: Vec<u64> = (0..size).map(|_| rng.next()).collect();
            exact_trees::<u64, MinHash<M>>(&items, trees, round).unwrap();
            replayed_trees::<u64, MinHash<M>>(&items, trees, round).unwrap();
        }
    }
    let mut rng = Rng(1);
    trees::<16>(60, 40, &mut rng);
    trees::<64>(50, 40, &mut rng);
    trees::<256>(20, 40, &mut rng);
}

/// The form is a function of the set: up to `M / 8` bins in use it is a list of at most a quarter of all ranks' bytes.
#[test]
fn form_changes_at_the_threshold() {
    let n = threshold::<256>();
    let most = set::<256>(0..n).to_bytes().len();
    assert!(
        n >= 32 && most <= 1 + 32 * 6 && most <= 256,
        "{n} items take {most} bytes"
    );
    assert_eq!(set::<256>(0..n + 1).to_bytes().len(), 1 + 4 * 256);
    assert_eq!([0, 1].map(|n| set::<256>(0..n).to_bytes().len()), [1, 7]);
}

/// The bytes at both forms and around the change, and of a merge.
#[test]
fn format() {
    fn file<const M: usize>(name: &'static str) {
        let n = threshold::<M>();
        let mut file = bytes::<MinHash<M>>(name);
        for n in [0, 1, 2, 10, n - 1, n, n + 1, 100_000] {
            file = file.value(format!("0..{n}"), set(0..n));
        }
        let mut merged = set(0..3);
        merged.combine(&set(2..7));
        file.value("0..3 + 2..7", merged).check();
    }
    file::<16>("minhash-16");
    file::<256>("minhash-256");
    assert_eq!(MinHash::<256>::schema(), "minhash/256/xxh3");
}

/// Two sets of `n` items each that share so many that `J` is about `j`, and the exact `J`.
fn pair(n: u64, j: f64, run: u64) -> (std::ops::Range<u64>, std::ops::Range<u64>, f64) {
    // J = s / (2 n - s) for s shared items.
    let shared = (2.0 * n as f64 * j / (1.0 + j)).round() as u64;
    let from = run << 32;
    let truth = shared as f64 / (2 * n - shared) as f64;
    (from..from + n, from + n - shared..from + 2 * n - shared, truth)
}

struct Found {
    rmse: f64,
    bias: f64,
    outside: f64,
    truth: f64,
}

fn measure(
    runs: u64,
    n: u64,
    j: f64,
    estimate: impl Fn(std::ops::Range<u64>, std::ops::Range<u64>) -> Estimate,
) -> Found {
    let mut found = Found {
        rmse: 0.0,
        bias: 0.0,
        outside: 0.0,
        truth: 0.0,
    };
    for run in 0..runs {
        let (a, b, truth) = pair(n, j, run);
        let e = estimate(a, b);
        found.rmse += (e.value - truth).powi(2) / runs as f64;
        found.bias += (e.value - truth) / runs as f64;
        found.outside += f64::from(u8::from(!e.contains(truth)));
        found.truth = truth;
    }
    found.rmse = found.rmse.sqrt();
    found
}

/// Similarity: the root mean square error is within 1.15 x `sqrt(J (1 - J) / M)`, there is no bias, and bounds hold as
/// often as they say; for all forms, from nothing in common to everything.
#[test]
fn similarity_keeps_its_standard_error() {
    fn check<const M: usize>(runs: u64, n: u64) {
        for j in [0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0] {
            let found = measure(runs, n, j, |a, b| set::<M>(a).jaccard(&set(b)));
            // Few items use few bins.
            let union = 2.0 * n as f64 / (1.0 + found.truth);
            let used = M as f64 * -(-union / M as f64).exp_m1();
            let theory = (found.truth * (1.0 - found.truth) / used).sqrt();
            let name = format!("M = {M}, n = {n}, J = {}", found.truth);
            assert!(
                found.rmse <= 1.15 * theory + 1e-9,
                "{name}: rmse {}, theory {theory}",
                found.rmse
            );
            let deviation = theory / (runs as f64).sqrt();
            assert!(
                found.bias.abs() <= 4.0 * deviation + 1e-9,
                "{name}: bias {}",
                found.bias
            );
            let expected = 0.05 * runs as f64;
            assert!(
                found.outside <= expected + 4.0 * expected.sqrt(),
                "{name}: {} of {runs} outside",
                found.outside
            );
        }
    }
    check::<256>(500, 3_000);
    check::<64>(1_000, 500);
    // Some bins unused, in both forms, and one of each.
    check::<256>(500, 200);
    check::<256>(800, 40);
    check::<256>(800, 20);
    check::<1024>(200, 5_000);
}

/// Signatures are full, deterministic, and agree bin by bin with probability `J`, also where most bins had to borrow.
#[test]
fn signatures_agree_as_often_as_sets_are_similar() {
    for (n, slack) in [(3_000, 1.15), (100, 1.5), (20, 3.0)] {
        for j in [0.2, 0.5, 0.8] {
            let found = measure(400, n, j, |a, b| {
                let (a, b) = (set::<256>(a).signature().unwrap(), set::<256>(b).signature().unwrap());
                assert!(a.len() == 256 && a.iter().all(|rank| *rank != u32::MAX));
                Estimate::exact(a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / 256.0)
            });
            let theory = slack * (found.truth * (1.0 - found.truth) / (256.0f64).min(2.0 * n as f64)).sqrt();
            assert!(
                found.rmse <= theory,
                "n = {n}, J = {}: rmse {}, {theory}",
                found.truth,
                found.rmse
            );
            assert!(
                found.bias.abs() <= 5.0 * theory / 20.0,
                "n = {n}, J = {}: bias {}",
                found.truth,
                found.bias
            );
        }
    }
    assert_eq!(MinHash::<16>::zero().signature(), None);
    // What a set borrows does not depend on how it came about.
    let mut merged = set::<64>(0..5);
    merged.combine(&set(3..9));
    assert_eq!(merged.signature(), set::<64>(0..9).signature());
    assert_eq!(
        set::<16>(0..2)
            .signature()
            .map(|ranks| ranks.iter().collect::<BTreeSet<_>>().len()),
        Some(2)
    );
}

/// Distinct count: within 1.15 x `1 / sqrt(M)` once bins fill up, better before; bounds hold.
#[test]
fn distinct_counts() {
    for (n, runs) in [
        (1u64, 300u64),
        (10, 300),
        (60, 300),
        (256, 500),
        (1_000, 500),
        (10_000, 300),
    ] {
        let (mut squares, mut outside) = (0.0, 0.0);
        for run in 0..runs {
            let e = set::<256>((0..n).map(|i| run << 32 | i)).distinct();
            squares += (e.value / n as f64 - 1.0).powi(2);
            outside += f64::from(u8::from(!e.contains(n as f64)));
        }
        let rmse = (squares / runs as f64).sqrt();
        assert!(rmse <= 1.15 / 16.0, "n = {n}: rmse {rmse}");
        let expected = 0.05 * runs as f64;
        assert!(
            outside <= expected + 4.0 * expected.sqrt(),
            "n = {n}: {outside} of {runs} outside"
        );
    }
    assert_eq!(MinHash::<16>::zero().distinct(), Estimate::exact(0.0));
}

/// A sum is the union: similarity to it is that to the set of all items; empty sets are alike.
#[test]
fn sums_are_unions() {
    let mut rng = Rng(2);
    for _ in 0..50 {
        let [a, b] = [(); 2].map(|()| {
            (0..rng.below(200))
                .map(|_| rng.below(300) as u64)
                .collect::<BTreeSet<u64>>()
        });
        let mut sum = set::<128>(a.iter().copied());
        sum.combine(&set(b.iter().copied()));
        assert_eq!(sum, set(a.union(&b).copied()));
        assert_eq!(sum.jaccard(&sum).value, 1.0);
    }
    let (nothing, something) = (MinHash::<16>::zero(), set(0..3));
    assert_eq!(nothing.jaccard(&nothing).value, 1.0);
    let apart = nothing.jaccard(&something);
    assert!(apart.value == 0.0 && apart.contains(0.0));
}

/// `probabilistic-collections` hashes each item once for every number of the signature. It has no state: a signature is
/// made of an iterator over the whole set, and two of them have no merge; hashers are random unless given. On the same
/// sets both are as right.
#[test]
fn probabilistic_collections_agrees() {
    let hashers = [SipHasherBuilder::from_seed(1, 2), SipHasherBuilder::from_seed(3, 4)];
    let rival = Rival::<std::ops::Range<u64>, u64, _>::with_hashers(256, hashers);
    let (a, b, truth) = pair(600, 0.5, 0);
    let theirs = rival.get_similarity(a.clone(), b.clone());
    let ours = set::<256>(a).jaccard(&set(b));
    assert!(
        ours.contains(truth) && (theirs - truth).abs() < 4.0 * 0.031,
        "{ours:?}, {theirs}, {truth}"
    );
}

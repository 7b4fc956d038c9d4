//! Sketches keep their published bounds, on fixed seeds: against exact answers from plain collections, and against the
//! crates that count distinct items otherwise.

mod common;

use std::hash::{BuildHasherDefault, DefaultHasher};

use common::bytes::bytes;
use common::{Rng, hll, max_tokens};
use hyperloglogplus::{HyperLogLog as _, HyperLogLogPlus};
use rufous_algebra::laws::{
    check_absorb, check_codec, check_commutative, check_idempotent, check_merge, check_monoid, exact_trees,
    replayed_trees,
};
use rufous_algebra::{Codec, Hll, Monoid, Semigroup};

/// HyperLogLog: over many streams the root mean square error is within 1.15 x theory, and the bounds of two standard errors
/// hold as often as they say.
#[test]
fn hll_keeps_its_standard_error() {
    fn streams<const P: u8>(streams: u64, n: u64, theory: f64) {
        let (mut squares, mut outside) = (0.0, 0.0);
        for stream in 0..streams {
            let estimate = hll::<P>((0..n).map(|i| stream << 40 | i)).estimate();
            squares += (estimate.value / n as f64 - 1.0).powi(2);
            outside += f64::from(u8::from(!(estimate.low..=estimate.high).contains(&(n as f64))));
        }
        let rmse = (squares / streams as f64).sqrt();
        assert!(rmse <= 1.15 * theory, "P = {P}, n = {n}: rmse {rmse}, theory {theory}");
        // 4.6 % are expected outside; four standard deviations of the binomial above that is a wrong bound.
        let expected = 0.046 * streams as f64;
        assert!(
            outside <= expected + 4.0 * expected.sqrt(),
            "P = {P}, n = {n}: {outside} of {streams} outside"
        );
    }
    // Sparse: linear counting in 2^26 slots, sqrt((n / 2^26) / 2) / sqrt(n) or better.
    let sparse = (0.5 / f64::from(1 << 26)).sqrt();
    streams::<14>(200, 50, sparse.max(1e-4));
    streams::<14>(200, 3_000, sparse.max(1e-4));
    streams::<4>(2_000, 200, 1.04 / 4.0);
    streams::<10>(300, 1_000, 1.04 / 32.0);
    streams::<10>(300, 20_000, 1.04 / 32.0);
    streams::<12>(100, 2_000, 1.04 / 64.0);
    streams::<12>(60, 50_000, 1.04 / 64.0);
    streams::<14>(40, 40_000, 1.04 / 128.0);
    // Where other estimators switch from linear counting: 2.5 x 2^P.
    streams::<4>(2_000, 40, 1.04 / 4.0);
    streams::<8>(1_000, 640, 1.04 / 16.0);
    streams::<10>(300, 2_560, 1.04 / 32.0);
    streams::<12>(100, 10_240, 1.04 / 64.0);
}

/// HyperLogLog: a union estimates the union of the sets, overlaps counted once.
#[test]
fn hll_union_counts_overlaps_once() {
    let mut union = hll::<14>(0..60_000);
    union.combine(&hll(30_000..90_000));
    assert_eq!(union, hll(0..90_000));
    let estimate = union.estimate();
    assert!(estimate.low <= 90_000.0 && 90_000.0 <= estimate.high, "{estimate:?}");
    assert_eq!(Hll::<14>::zero().estimate().value, 0.0);
}

/// Both crates that were considered instead agree with ours to within both standard errors, as far as they are right:
/// `probabilistic-collections` answers infinity once its registers fill up.
#[test]
fn other_crates_agree() {
    let fixed = BuildHasherDefault::<DefaultHasher>::default();
    for n in [100u64, 5_000, 200_000] {
        let ours = hll::<14>(0..n).estimate().value;
        let mut plus: HyperLogLogPlus<u64, _> = HyperLogLogPlus::new(14, fixed.clone()).unwrap();
        (0..n).for_each(|i| plus.insert(&i));
        let theirs = plus.count();
        assert!(
            (ours / theirs - 1.0).abs() < 4.0 * 2f64.sqrt() * 0.0081,
            "n = {n}: {ours} against {theirs}"
        );
    }
    let mut collections = probabilistic_collections::hyperloglog::HyperLogLog::<u64, _>::with_hasher(0.01, fixed);
    (0..200).for_each(|i| collections.insert(&i));
    let (ours, theirs) = (hll::<14>(0..200).estimate().value, collections.len());
    assert!((ours / theirs - 1.0).abs() < 4.0 * 0.033, "{ours} against {theirs}");
}

/// Around the change to registers, overlapping each other.
fn samples<const P: u8>() -> [Hll<P>; 6] {
    let n = max_tokens(P);
    [0..0, 0..1, 0..n - 3, n / 2..n, n - 6..n + 1, 0..3 * n].map(hll)
}

/// Commutative, idempotent; absorbing is adding; bytes add up as values do.
#[test]
fn laws() {
    fn all<const P: u8>(samples: &[Hll<P>]) {
        check_monoid(samples);
        check_commutative(samples);
        check_idempotent(samples);
        check_codec(samples);
        check_merge(samples);
    }
    all(&[0..0, 0..1, 0..3, 0..4, 2..6, 0..50].map(hll::<4>));
    all(&samples::<12>());
    all(&samples::<14>());
    check_codec(&[0..0, 0..max_tokens(18), 0..max_tokens(18) + 1].map(hll::<18>));
    check_absorb::<&str, Hll<4>>(&["a", "b", "a", "c", "d", "e"]);
    check_absorb::<(u32, String), Hll<12>>(&[(1, "a".into()), (1, "b".into()), (1, "a".into())]);
}

/// Exact tier: any merge tree, also with items seen twice, has the bytes of one sketch of all items.
#[test]
fn trees() {
    fn trees<const P: u8>(rounds: u64, trees: usize, rng: &mut Rng) {
        let n = max_tokens(P) as usize;
        for round in 0..rounds {
            // Every third at the very change of form, the others anywhere.
            let size = if round % 3 == 0 {
                n - 2 + rng.below(5)
            } else {
                rng.below(3 * n)
            };
            let items: Vec<u64> = (0..size).map(|_| rng.next()).collect();
            exact_trees::<u64, Hll<P>>(&items, trees, round).unwrap();
            replayed_trees::<u64, Hll<P>>(&items, trees, round).unwrap();
        }
    }
    let mut rng = Rng(1);
    trees::<4>(100, 60, &mut rng);
    trees::<8>(60, 60, &mut rng);
    trees::<12>(12, 20, &mut rng);
    trees::<14>(4, 4, &mut rng);
}

/// The form is a function of the content; it changes when the set passes the threshold, not before.
#[test]
fn form_changes_at_the_threshold() {
    fn dense<const P: u8>(n: u64) -> bool {
        hll::<P>(0..n).to_bytes()[0] >> 3 & 3 == 2
    }
    // At these sizes no two items share a slot.
    assert!(!dense::<12>(max_tokens(12)) && dense::<12>(max_tokens(12) + 1));
    assert!(!dense::<4>(max_tokens(4)) && dense::<4>(max_tokens(4) + 1));
}

/// The bytes at every form and around its change, and of a merge.
#[test]
fn format() {
    fn file<const P: u8>(name: &'static str) {
        let limit = max_tokens(P);
        let mut file = bytes::<Hll<P>>(name);
        for n in [0, 1, 2, 10, 16, 17, limit - 1, limit, limit + 1, 100_000] {
            file = file.value(format!("0..{n}"), hll(0..n));
        }
        let mut merged = hll(0..3);
        merged.combine(&hll(2..7));
        file.value("0..3 + 2..7", merged).check();
    }
    file::<4>("hll-4");
    file::<12>("hll-12");
    file::<14>("hll-14");
}

/// Estimates of dense sketches need only `+ * sqrt`: they are the same to the bit on every machine.
#[test]
fn estimates() {
    let estimate = |n| hll::<12>(0..n).estimate().value;
    assert_eq!(
        format!("{:?}", [769, 100_000].map(estimate)),
        "[760.6596809507585, 101368.1537942009]"
    );
}

/// Small states are small: most keys of a store have a few items.
#[test]
fn small_states_are_small() {
    let len = |n| hll::<14>(0..n).to_bytes().len();
    assert_eq!([0, 1, 2, 10].map(len), [1, 5, 9, 41]);
    assert!(
        len(100) < 300,
        "{} bytes of 100 items: the aim is below 4 an item",
        len(100)
    );
    assert!(len(1_000) < 2_600, "{}", len(1_000));
}

/// A dense state has as many registers in use as the tokens above the threshold leave at the least, here 193 of 2^18:
/// those that tokens of all the slots of 192 registers and one more would.
#[test]
fn dense_states_are_full_enough() {
    let dense = |registers: usize| {
        let mut bytes = vec![0; 1 + (1 << 18) / 4 * 3];
        bytes[0] = 1 << 5 | 2 << 3;
        bytes[1..=registers].fill(1);
        bytes
    };
    assert!(Hll::<18>::decode(&dense(192)).is_err());
    assert!(Hll::<18>::decode(&dense(193)).is_ok());
}

/// Folding to a lower precision gives what that precision would have made of the items, from every form to every form.
#[test]
fn folding_is_exact() {
    for n in [0, 3, 100, 190, 200, 700, 800, 3_000, 20_000] {
        assert_eq!(hll::<12>(0..n).fold::<10>(), hll::<10>(0..n));
        assert_eq!(hll::<12>(0..n).fold::<4>(), hll::<4>(0..n));
        assert_eq!(hll::<12>(0..n).fold::<12>(), hll::<12>(0..n));
    }
}

//! Sketches keep their published bounds, on fixed seeds: against exact answers from plain collections, and against the
//! crates that count distinct items otherwise.

mod common;

use std::hash::{BuildHasherDefault, DefaultHasher};

use common::{Rng, hll, quantiles};
use hyperloglogplus::{HyperLogLog as _, HyperLogLogPlus};
use rufous_algebra::{Hll, Monoid, Quantiles, Semigroup};

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

/// Log-histogram: every quantile brackets the exact nearest-rank one, and is within 1/129 of it.
#[test]
fn quantiles_bracket_the_exact_ones() {
    fn compare(mut values: Vec<i64>) {
        let histogram = quantiles(values.iter().copied());
        values.sort_unstable();
        assert_eq!(histogram.count(), values.len() as i64);
        for q in (0..=1_000).map(|q| f64::from(q) / 1_000.0) {
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let found = histogram.quantile(q).unwrap();
            assert!(found.low <= exact && exact <= found.high, "{q}: {exact} in {found:?}");
            let error = (found.value - exact).abs();
            assert!(
                error <= exact.abs() / 129.0 * (1.0 + 1e-12),
                "{q}: {exact} near {found:?}"
            );
            assert!(
                exact.abs() > 128.0 || error == 0.0,
                "{q}: the integer {exact} is exact, not {found:?}"
            );
        }
    }
    let mut rng = Rng(5);
    compare((0..20_001).map(|_| rng.wide()).collect());
    compare((0..999).map(|_| rng.below(3_000) as i64 - 60).collect());
    compare(vec![i64::MIN, i64::MAX]);
    compare(vec![-7]);
}

/// Log-histogram: the odd questions and values.
#[test]
fn quantiles_of_odd_values() {
    assert_eq!(Quantiles::zero().quantile(0.5), None);
    let mut odd = quantiles([1, 2, 3]);
    assert_eq!(odd.quantile(f64::NAN), None);
    assert_eq!(
        [-1.0, 0.0, 0.34, 2.0].map(|q| odd.quantile(q).unwrap().value),
        [1.0, 1.0, 2.0, 3.0]
    );
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]
        .iter()
        .for_each(|v| odd.insert_f64(*v));
    assert_eq!(odd.count(), 6);
    assert_eq!(
        [0.0, 0.2, 1.0].map(|q| odd.quantile(q).unwrap().value),
        [f64::NEG_INFINITY, 0.0, f64::INFINITY]
    );
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

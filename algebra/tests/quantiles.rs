//! The log-histogram: laws, merge trees, bytes, and the bound of its quantiles.

mod common;

use std::num::NonZeroU64;

use common::bytes::bytes;
use common::{Rng, quantiles, wide};
use rufous_algebra::laws::{check_absorb, check_codec, check_commutative, check_group, check_merge, exact_trees};
use rufous_algebra::{Codec, Group, Monoid, Quantiles, Semigroup};

fn samples() -> Vec<Quantiles> {
    let mut samples = vec![
        quantiles([]),
        quantiles([0]),
        quantiles([5, 5, -7]),
        quantiles([i64::MIN, i64::MAX]),
    ];
    let mut taken_away = samples[2].clone();
    taken_away.negate();
    samples.extend([taken_away, quantiles((-300..300).map(|x| x * x * x))]);
    samples
}

/// A commutative group; absorbing is adding; bytes add up as values do.
#[test]
fn laws() {
    check_group(&samples());
    check_commutative(&samples());
    check_codec(&samples());
    check_merge(&samples());
    check_absorb::<i64, Quantiles>(&[5, 0, -5, i64::MAX, 5]);
    check_absorb::<i32, Quantiles>(&[5, 0, -5, i32::MAX, 5]);
    check_absorb::<f64, Quantiles>(&[5.5, -0.0, f64::NAN, f64::INFINITY, 5.5]);
}

/// Exact tier: any merge tree has the bytes of one histogram of all values.
#[test]
fn trees() {
    let mut rng = Rng(3);
    for seed in 0..100 {
        let items: Vec<i64> = (0..rng.below(1_000)).map(|_| wide(&mut rng)).collect();
        exact_trees::<i64, Quantiles>(&items, 100, seed).unwrap();
    }
}

/// Empty, one value, both signs, large counts, counts taken away, special values, many.
#[test]
fn format() {
    let mut large = Quantiles::default();
    large.insert_times(7, 1_000_000.try_into().unwrap());
    let mut taken_away = large.clone();
    taken_away.negate();
    let mut special = Quantiles::default();
    [
        f64::NEG_INFINITY,
        f64::MIN,
        -0.5,
        f64::MIN_POSITIVE / 2.0,
        f64::MIN_POSITIVE,
        0.1,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ]
    .iter()
    .for_each(|v| special.insert_f64(*v));
    let mut merged = special.clone();
    merged.combine(&quantiles(-50..1_000));
    bytes("quantiles")
        .value("nothing", quantiles([]))
        .value("0", quantiles([0]))
        .value("38", quantiles([38]))
        .value("1, 2", quantiles([1, 2]))
        .value("delays", quantiles([-1_116, -5, 0, 1, 1, 38, 137, 1_688]))
        .value("extremes", quantiles([i64::MIN, i64::MAX]))
        .value("cubes", quantiles((-60..60).map(|x| x * x * x)))
        .value("0..100000", quantiles(0..100_000))
        .value("a million sevens", large)
        .value("a million sevens taken away", taken_away)
        .value("special values", special)
        .value("special values and -50..1000", merged)
        .check();
    assert_eq!([0, 1, 10].map(|n| quantiles(1..=n).to_bytes().len()), [1, 5, 23]);
}

/// Canonical: a bucket whose count comes to zero leaves, on every way that it may get there.
#[test]
fn empty_buckets_leave() {
    let mut taken_away = quantiles([7]);
    taken_away.negate();
    taken_away.insert(7);
    assert_eq!(taken_away, quantiles([]));
    let mut wrapped = quantiles([7, 9]);
    wrapped.insert_times(7, NonZeroU64::MAX);
    assert_eq!(wrapped, quantiles([9]));
    wrapped.insert_times(9, NonZeroU64::MAX);
    assert_eq!(wrapped, quantiles([]));
    assert_eq!(
        quantiles([7, 7]).times(NonZeroU64::new(1 << 63).unwrap()),
        quantiles([])
    );
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
    compare((0..20_001).map(|_| wide(&mut rng)).collect());
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

/// Counts of any size, in lists, pages and beyond both, come and go, and leave nothing behind; the bytes say only what is
/// counted, whichever way it came.
#[test]
fn counts_of_any_size() {
    let mut rng = Rng(6);
    for round in 0..600 {
        let span = [3i64, 40, 4_000][round % 3];
        let (mut ours, mut exact) = (Quantiles::default(), std::collections::BTreeMap::<i64, i64>::new());
        for _ in 0..rng.below(400) {
            // Up to 128 every integer has a bucket of its own.
            let value = (rng.below(span as usize) as i64).min(128) - 60;
            let n = rng.next() >> rng.below(63) >> 1;
            let Some(n) = NonZeroU64::new(n) else { continue };
            let mut one = Quantiles::default();
            one.insert_times(value, n);
            let count = exact.entry(value).or_default();
            match rng.below(4) {
                0 => {
                    ours.insert_times(value, n);
                    *count = count.wrapping_add(n.get() as i64);
                }
                1 => {
                    ours.combine(&one);
                    *count = count.wrapping_add(n.get() as i64);
                }
                2 => {
                    one.negate();
                    ours.combine_owned(one);
                    *count = count.wrapping_sub(n.get() as i64);
                }
                _ => ours = Quantiles::decode(&ours.to_bytes()).unwrap(),
            }
        }
        let mut expected = Quantiles::default();
        for (value, n) in &exact {
            let mut one = Quantiles::default();
            if let Some(size) = NonZeroU64::new(n.unsigned_abs()) {
                one.insert_times(*value, size);
            }
            if *n < 0 {
                one.negate();
            }
            expected.combine(&one);
        }
        assert_eq!(ours.to_bytes(), expected.to_bytes(), "round {round}");
        assert_eq!(ours, expected);
        assert_eq!(ours.is_zero(), exact.values().all(|n| *n == 0));
    }
}

/// Ranks, counts of ranges and sums hold the exact ones within their bounds.
#[test]
fn ranks_and_sums_bracket_the_exact_ones() {
    let mut rng = Rng(7);
    let values: Vec<f64> = (0..5_000).map(|_| (rng.below(4_000) as f64 - 1_000.0) / 4.0).collect();
    let mut ours = Quantiles::default();
    values.iter().for_each(|v| ours.insert_f64(*v));
    let at_most = |x: f64| values.iter().filter(|v| **v <= x).count() as f64;
    for _ in 0..2_000 {
        let (a, b) = (
            (rng.below(5_000) as f64 - 1_500.0) / 3.0,
            (rng.below(5_000) as f64 - 1_500.0) / 3.0,
        );
        assert!(
            ours.rank(a).contains(at_most(a)),
            "{a}: {:?}, not {}",
            ours.rank(a),
            at_most(a)
        );
        let between = (at_most(b) - at_most(a)).max(0.0);
        assert!(ours.count_between(a, b).contains(between), "{a} to {b}");
    }
    assert!(ours.sum().contains(values.iter().sum()));
    assert_eq!(ours.rank(f64::INFINITY).value, 5_000.0);
    assert_eq!(ours.rank(f64::NEG_INFINITY).value, 0.0);
    assert_eq!(Quantiles::zero().rank(0.0).value, 0.0);
}

/// Memory stays in proportion: a value takes a word or two, whatever it is, and many values of any size a bounded amount.
#[test]
fn memory_is_bounded() {
    let mut one = Quantiles::default();
    one.insert(7);
    assert!(one.heap_bytes() <= 32, "{}", one.heap_bytes());
    let mut rng = Rng(8);
    let mut far_apart = Quantiles::default();
    (0..1_000).for_each(|_| far_apart.insert_f64(f64::from_bits(rng.next())));
    assert!(
        far_apart.heap_bytes() <= 16 * 1_024 + 8_192,
        "{}",
        far_apart.heap_bytes()
    );
    let mut all = Quantiles::default();
    (0..3_000_000).for_each(|_| all.insert_f64(f64::from_bits(rng.next())));
    assert!(all.heap_bytes() <= 4_500_000, "{}", all.heap_bytes());
}

/// Odd values lead to their own buckets whether or not there are pages: what was counted after pages were made has the
/// bytes of what was counted before.
#[test]
fn odd_values_among_pages() {
    let odd = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE / 2.0,
        -f64::MIN_POSITIVE / 3.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE.next_down(),
        -f64::MIN_POSITIVE.next_down(),
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1.0,
        -1.0,
    ];
    let (mut cold, mut warm) = (Quantiles::default(), Quantiles::default());
    // Until pages are made of all that may have one.
    for _ in 0..40_000 {
        odd.iter().for_each(|v| warm.insert_f64(*v));
    }
    for v in odd {
        let mut one = Quantiles::default();
        one.insert_f64(v);
        cold.combine(&one.times(NonZeroU64::new(40_000).unwrap()));
    }
    assert_eq!(warm.to_bytes(), cold.to_bytes());
    assert_eq!(warm, cold);
    warm.negate();
    cold.combine(&warm);
    assert!(cold.is_zero());
}

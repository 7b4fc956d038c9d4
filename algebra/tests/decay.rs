//! Decayed counts, sums and moments: against weights worked out for the time of reading, under any merge tree, at any time.

mod common;

use common::bytes::bytes;
use common::{Rng, absorbed};
use rufous_algebra::laws::{approximate_trees, check_codec, check_commutative};
use rufous_algebra::{ApproxLaws, DecayedCount, DecayedMoments, DecayedSum, ExactSum, Moment, Monoid};

/// An hour in seconds.
const H: u64 = 3600;

/// The weights of items at the time of reading, straight from the definition: `2^-((now - time) / half_life)`.
fn weights(items: &[(i64, f64)], now: i64) -> Vec<f64> {
    let age = |time: i64| i128::from(now) - i128::from(time);
    items
        .iter()
        .map(|(time, _)| (-(age(*time) as f64) / H as f64).exp2())
        .collect()
}

fn exactly(values: impl IntoIterator<Item = f64>) -> f64 {
    absorbed::<f64, ExactSum>(&values.into_iter().collect::<Vec<_>>()).value()
}

/// Items of either sign around `now`, in no order.
fn items(n: usize, around: i64, rng: &mut Rng) -> Vec<(i64, f64)> {
    (0..n)
        .map(|_| {
            let time = around + rng.below(40 * H as usize) as i64 - 20 * H as i64;
            (time, (rng.next() as i64 >> 40) as f64 / 1024.0)
        })
        .collect()
}

/// Approximate tier, and the ancestor's `DecayedValue` needed items in order of time: here decayed counts and sums lie within their bounds under any merge tree, wherever the clock stands.
#[test]
fn sums_keep_their_bounds() {
    let mut rng = Rng(1);
    for seed in 0..60 {
        let n = [1, 2, 3, 50, 500][seed as usize % 5];
        // From 1900 to far beyond the range of a float's exponent.
        let around = [0, 1_790_000_000, -2_208_988_800, 1 << 50, -(1 << 61)][rng.below(5)];
        let items = items(n, around, &mut rng);
        let queries = [
            around + 20 * H as i64,
            around + 33 * H as i64 + 17,
            around - 5 * H as i64,
        ]
        .map(|now| {
            let weights = weights(&items, now);
            let sum = exactly(weights.iter().zip(&items).map(|(w, (_, x))| w * x));
            (now, exactly(weights.iter().copied()), sum)
        });
        let times: Vec<i64> = items.iter().map(|(time, _)| *time).collect();
        let counts: Vec<(&i64, f64)> = queries.iter().map(|(now, count, _)| (now, *count)).collect();
        approximate_trees::<i64, DecayedCount<H>>(&times, &counts, 20, seed).unwrap();
        let sums: Vec<(&i64, f64)> = queries.iter().map(|(now, _, sum)| (now, *sum)).collect();
        approximate_trees::<(i64, f64), DecayedSum<H>>(&items, &sums, 20, seed).unwrap();
    }
}

/// Approximate tier: decayed mean and variance, also of a mean that is large beside the deviation.
#[test]
fn moments_keep_their_bounds() {
    let mut rng = Rng(2);
    for seed in 0..60 {
        let n = [1, 2, 3, 50, 500][seed as usize % 5];
        let around = [0, 1_790_000_000, -(1 << 61)][rng.below(3)];
        let shift = [0.0, 1e6][rng.below(2)];
        let mut items = items(n, around, &mut rng);
        items.iter_mut().for_each(|(_, x)| *x = shift + (*x / 64.0).round());
        let weights = weights(&items, around);
        let total = exactly(weights.iter().copied());
        // As distances to one of them, so that the oracle's own error stays far below the bound.
        let one = items[0].1;
        let mean = one + exactly(weights.iter().zip(&items).map(|(w, (_, x))| w * (x - one))) / total;
        let variance = exactly(
            weights
                .iter()
                .zip(&items)
                .map(|(w, (_, x))| w * (x - mean) * (x - mean)),
        ) / total;
        approximate_trees::<(i64, f64), DecayedMoments<H>>(
            &items,
            &[(&Moment::Mean, mean), (&Moment::Variance, variance)],
            20,
            seed,
        )
        .unwrap();
    }
}

/// Ages that are whole half-lives have weights that are powers of two: no rounding at all.
#[test]
fn whole_half_lives_are_exact() {
    let hours = |n: i64| n * H as i64;
    let items: Vec<(i64, f64)> = (0..40).map(|i| (hours(i), f64::from(1 + i as i32))).collect();
    let sum: DecayedSum<H> = absorbed(&items);
    let count: DecayedCount<H> = absorbed(&items.iter().map(|i| i.0).collect::<Vec<_>>());
    assert_eq!(count.at(hours(39)).value, 2.0 - 2f64.powi(-39));
    assert_eq!(
        sum.at(hours(39)).value,
        (0..40).map(|i| f64::from(1 + i) * 2f64.powi(i - 39)).sum::<f64>()
    );
    assert_eq!(sum.at(hours(49)).value, sum.at(hours(39)).value / 1024.0);
}

/// Forward decay must not overflow: times at both ends of the clock, the shortest half-life, reading at either end.
#[test]
fn far_times_do_not_overflow() {
    let count: DecayedCount<2> = absorbed(&[i64::MIN, 0, i64::MAX, i64::MAX - 1]);
    let latest = count.at(i64::MAX);
    assert!(latest.contains(1.0 + 0.5f64.sqrt()) && latest.high - latest.low < 1e-13);
    assert_eq!(
        (count.at(i64::MIN).value, count.at(i64::MIN).high),
        (f64::INFINITY, f64::INFINITY)
    );
    let old: DecayedCount<2> = absorbed(&[i64::MIN; 3]);
    assert!(old.at(i64::MIN).contains(3.0) && old.at(i64::MAX).contains(0.0) && old.at(i64::MAX).high < 1e-300);
    let sum: DecayedSum<2> = absorbed(&[(i64::MIN, 1e300), (i64::MAX, -1e-300), (i64::MAX, 5e-324)]);
    assert!(sum.at(i64::MAX).contains(-1e-300));
    let mean: DecayedMoments<2> = absorbed(&[(i64::MIN, 7.0), (i64::MAX, 3.0)]);
    assert!(mean.mean().unwrap().contains(3.0) && mean.variance().unwrap().contains(0.0));
    let longest: DecayedCount<{ i64::MAX as u64 }> = absorbed(&[0, i64::MAX]);
    assert!(longest.at(i64::MAX).contains(1.5));
}

/// A late value of zero does not wipe out what is older, and neither do values that cancel out.
#[test]
fn zeros_weigh_nothing() {
    let sum: DecayedSum<2> = absorbed(&[(0, 1.0), (1_000_000, 0.0)]);
    assert_eq!(sum.at(0).value, 1.0);
    let count: DecayedSum<H> = absorbed(&[(0, 8.0), (H as i64, 1.0), (H as i64, -1.0)]);
    assert_eq!(count.at(H as i64).value, 4.0);
}

/// Bounds are of use: 10,000 items in a row leave a doubt of some 10^-12.
#[test]
fn bounds_are_useful() {
    let mut rng = Rng(3);
    let items = items(10_000, 0, &mut rng);
    let count: DecayedCount<H> = absorbed(&items.iter().map(|i| i.0).collect::<Vec<_>>());
    let found = count.at(0);
    assert!((found.high - found.low) / found.value < 1e-11, "{found:?}");
    let moments: DecayedMoments<H> = absorbed(&items);
    let variance = moments.variance().unwrap();
    assert!((variance.high - variance.low) / variance.value < 1e-7, "{variance:?}");
}

/// Kept to the last bit: commutativity, the zero, the bytes.
#[test]
fn laws() {
    fn check<S: Monoid + rufous_algebra::Commutative + rufous_algebra::Codec + PartialEq + std::fmt::Debug>(
        samples: &[S],
    ) {
        check_commutative(samples);
        check_codec(samples);
        for sample in samples {
            for sum in [S::sum_all([&S::zero(), sample]), S::sum_all([sample, &S::zero()])] {
                assert_eq!(sum.as_ref(), Some(sample));
            }
        }
    }
    let mut rng = Rng(4);
    let lists = [
        vec![],
        vec![(0, 1.0)],
        vec![(5, -1.5), (-7, 0.1)],
        vec![(i64::MAX, 0.0)],
        vec![(3, f64::NAN)],
        items(20, 7, &mut rng),
    ];
    let times = lists.clone().map(|list| list.iter().map(|i| i.0).collect::<Vec<_>>());
    check(&times.map(|t| absorbed::<i64, DecayedCount<H>>(&t)));
    check(&lists.clone().map(|l| absorbed::<(i64, f64), DecayedSum<H>>(&l)));
    check(&lists.clone().map(|l| absorbed::<(i64, f64), DecayedMoments<H>>(&l)));
    assert!(absorbed::<_, DecayedSum<H>>(&lists[4]).at(0).contains(1e308));
    assert_eq!(DecayedMoments::<H>::zero().answer(&Moment::Mean), None);
    assert_eq!(DecayedCount::<H>::zero().at(9).high, 0.0);
}

/// The bytes: weights that are powers of two, so that they are the same with every maths library.
#[test]
fn format() {
    let hours: Vec<(i64, f64)> = (-20..20).map(|i| (i * H as i64, i as f64 / 4.0)).collect();
    let times: Vec<i64> = hours.iter().map(|i| i.0).collect();
    bytes("decayed-count")
        .value("nothing", DecayedCount::<H>::zero())
        .value("one", absorbed(&[0]))
        .value("hours", absorbed(&times))
        .check();
    bytes("decayed-sum")
        .value("nothing", DecayedSum::<H>::zero())
        .value("-2", absorbed(&[(0, -2.0)]))
        .value("hours", absorbed(&hours))
        .value("infinity", absorbed(&[(0, f64::INFINITY)]))
        .check();
    bytes("decayed-moments")
        .value("nothing", DecayedMoments::<H>::zero())
        .value("-2", absorbed(&[(0, -2.0)]))
        .value("hours", absorbed(&hours))
        .check();
}

//! Moments: the exact ones against sums of distances in integers, the floating ones against the exact ones.

mod common;

use common::bytes::bytes;
use common::{Rng, absorbed, wide};
use rufous_algebra::laws::{approximate_trees, check_codec, check_commutative, exact_trees};
use rufous_algebra::{ApproxLaws, Codec, Covariance, FloatMoments, Group, Mean, Moment, Moments, Monoid, Semigroup};

const MOMENTS: [Moment; 4] = [Moment::Mean, Moment::Variance, Moment::Skewness, Moment::Kurtosis];

fn close(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("no {what}"));
    assert!(
        (found - expected).abs() <= expected.abs() * 2f64.powi(-48),
        "{what}: {found}, not {expected}"
    );
}

/// Moments: equal to those of the distances `n x - sum`, which are integers: another formula than the power sums.
#[test]
fn exact_moments_are_those_of_the_distances() {
    let mut rng = Rng(1);
    for round in 0..2_000 {
        let n = 2 + rng.below(30) as i128;
        let reach = [3, 1_000, 100_000][round % 3];
        let values: Vec<i64> = (0..n).map(|_| rng.below(2 * reach + 1) as i64 - reach as i64).collect();
        let moments: Moments = absorbed(&values);
        let sum: i128 = values.iter().map(|x| i128::from(*x)).sum();
        let power = |k: u32| -> i128 { values.iter().map(|x| (n * i128::from(*x) - sum).pow(k)).sum() };
        let (nf, second) = (n as f64, power(2) as f64);
        close(moments.mean(), sum as f64 / nf, "mean");
        close(moments.variance(), second / nf.powi(3), "variance");
        close(
            moments.sample_variance(),
            second / nf.powi(2) / (nf - 1.0),
            "sample variance",
        );
        if second > 0.0 {
            close(
                moments.skewness(),
                power(3) as f64 / second.powf(1.5) * nf.sqrt(),
                "skewness",
            );
            close(moments.kurtosis(), power(4) as f64 / second.powi(2) * nf, "kurtosis");
        }
    }
}

/// Moments: shifting by 2^62 changes nothing but the mean, scaling by 2^40 the variance by 2^80. So nothing cancels out and no
/// power sum is too narrow.
#[test]
fn exact_moments_far_from_zero() {
    let mut rng = Rng(2);
    for _ in 0..500 {
        let values: Vec<i64> = (0..2 + rng.below(50)).map(|_| rng.below(2_000) as i64 - 700).collect();
        let near: Moments = absorbed(&values);
        let far: Moments = absorbed(&values.iter().map(|x| x + (1 << 62)).collect::<Vec<_>>());
        let below: Moments = absorbed(&values.iter().map(|x| x - (1 << 62)).collect::<Vec<_>>());
        let large: Moments = absorbed(&values.iter().map(|x| x << 40).collect::<Vec<_>>());
        let shape = |m: &Moments| (m.skewness(), m.kurtosis());
        assert_eq!((far.variance(), shape(&far)), (near.variance(), shape(&near)));
        assert_eq!((below.variance(), shape(&below)), (near.variance(), shape(&near)));
        assert_eq!(large.variance(), near.variance().map(|v| v * 2f64.powi(80)));
    }
    let ends: Moments = absorbed(&[i64::MIN, i64::MAX]);
    close(ends.variance(), 2f64.powi(126), "variance");
    close(ends.kurtosis(), 1.0, "kurtosis");
    // 2^62 of the widest values: the sums still have room.
    let most = absorbed::<i64, Moments>(&[i64::MIN, i64::MAX]).times((1 << 61).try_into().unwrap());
    close(most.kurtosis(), 1.0, "kurtosis");
    close(most.variance(), 2f64.powi(126), "variance");
}

/// Moments: none of nothing, no shape where there is no variance, and what was added can be taken away.
#[test]
fn exact_moments_of_little() {
    assert_eq!((Moments::zero().mean(), Moments::zero().variance()), (None, None));
    let one: Moments = absorbed(&[7]);
    assert_eq!(
        (one.mean(), one.variance(), one.sample_variance(), one.skewness()),
        (Some(7.0), Some(0.0), None, None)
    );
    let mut late: Moments = absorbed(&[5, 9]);
    late.negate();
    let mut sum: Moments = absorbed(&[5, 1, 2, 9]);
    sum.combine(&late);
    assert_eq!(sum, absorbed(&[1, 2]));
    assert_eq!((late.count(), late.variance(), late.kurtosis()), (-2, None, None));
}

/// Covariance, correlation and slope: against distances in integers, and far from zero.
#[test]
fn covariances() {
    let mut rng = Rng(3);
    for _ in 0..1_000 {
        let n = 2 + rng.below(30) as i128;
        let pairs: Vec<(i64, i64)> = (0..n)
            .map(|_| (rng.below(2_000) as i64 - 900, rng.below(3_000) as i64))
            .map(|(x, e)| (x, 3 * x + e))
            .collect();
        let (sx, sy) = pairs
            .iter()
            .fold((0, 0), |(sx, sy), (x, y)| (sx + i128::from(*x), sy + i128::from(*y)));
        let distances = || {
            pairs
                .iter()
                .map(|(x, y)| (n * i128::from(*x) - sx, n * i128::from(*y) - sy))
        };
        let (xx, yy): (i128, i128) = (
            distances().map(|(x, _)| x * x).sum(),
            distances().map(|(_, y)| y * y).sum(),
        );
        let xy: i128 = distances().map(|(x, y)| x * y).sum();
        let found: Covariance = absorbed(&pairs);
        let far: Covariance = absorbed(
            &pairs
                .iter()
                .map(|(x, y)| (x + (1 << 61), y - (1 << 60)))
                .collect::<Vec<_>>(),
        );
        close(found.covariance(), xy as f64 / (n as f64).powi(3), "covariance");
        if xx > 0 && yy > 0 {
            close(
                found.correlation(),
                xy as f64 / (xx as f64).sqrt() / (yy as f64).sqrt(),
                "correlation",
            );
            close(found.slope(), xy as f64 / xx as f64, "slope");
        }
        assert_eq!(
            (found.covariance(), found.correlation(), found.slope()),
            (far.covariance(), far.correlation(), far.slope())
        );
    }
    assert_eq!(Covariance::zero().covariance(), None);
    let flat: Covariance = absorbed(&[(1, 5), (2, 5)]);
    assert_eq!((flat.correlation(), flat.slope()), (None, Some(0.0)));
}

/// Exact tier: means, moments and covariances have the bytes of one state under any merge tree.
#[test]
fn exact_under_any_tree() {
    let mut rng = Rng(4);
    for seed in 0..100 {
        let values: Vec<i64> = (0..rng.below(200)).map(|_| wide(&mut rng)).collect();
        exact_trees::<i64, Mean>(&values, 100, seed).unwrap();
        exact_trees::<i64, Moments>(&values, 100, seed).unwrap();
        let pairs: Vec<(i64, i64)> = values.iter().map(|x| (*x, wide(&mut rng))).collect();
        exact_trees::<(i64, i64), Covariance>(&pairs, 100, seed).unwrap();
    }
}

/// Streams that floats find hard, as integers: a huge mean, a few values far out, equal values, two values, both signs.
fn streams(rng: &mut Rng, n: usize) -> Vec<Vec<i64>> {
    let bell = |rng: &mut Rng| (0..12).map(|_| rng.below(1_000) as i64).sum::<i64>() - 6_000;
    vec![
        (0..n).map(|_| bell(rng)).collect(),
        (0..n).map(|_| 1_000_000_000 + rng.below(20) as i64).collect(),
        (0..n).map(|_| 1_000_000_000_000 + bell(rng)).collect(),
        (0..n).map(|_| 1 << rng.below(40)).collect(),
        (0..n).map(|i| if i % 97 == 0 { 1 << 45 } else { bell(rng) }).collect(),
        (0..n).map(|_| (rng.next() >> 11) as i64 - (1 << 52)).collect(),
        vec![123_456_789; n],
        (0..n).map(|i| i as i64 % 2).collect(),
        (0..n as i64)
            .map(|i| if i % 2 == 0 { i * 1_000_003 } else { -i * 999_983 })
            .collect(),
    ]
}

/// What the exact moments say of these values; a moment that does not exist is left out.
fn truths(values: &[i64]) -> Vec<(&'static Moment, f64)> {
    let exact: Moments = absorbed(values);
    let answers = [exact.mean(), exact.variance(), exact.skewness(), exact.kurtosis()];
    MOMENTS
        .iter()
        .zip(answers)
        .filter_map(|(moment, answer)| Some((moment, answer?)))
        .collect()
}

fn floats(values: &[i64]) -> Vec<f64> {
    values.iter().map(|x| *x as f64).collect()
}

/// Approximate tier: the true moments lie within the bounds under any merge tree.
#[test]
fn float_moments_keep_their_bounds() {
    let mut rng = Rng(5);
    for seed in 0..40 {
        let n = [1, 2, 3, 40, 500][seed as usize % 5];
        for values in streams(&mut rng, n) {
            approximate_trees::<f64, FloatMoments>(&floats(&values), &truths(&values), 10, seed).unwrap();
        }
    }
}

/// Approximate tier: also where squares and fourth powers fall below the normal numbers or beyond the greatest.
#[test]
fn float_moments_at_the_ends_of_the_range() {
    let mut rng = Rng(8);
    for exponent in [
        -1060, -700, -540, -525, -500, -350, -265, -255, -250, 200, 250, 300, 500, 900,
    ] {
        let scale = |x: f64, times: i32| (0..times).fold(x, |x, _| x * 2f64.powi(exponent));
        for values in streams(&mut rng, 30) {
            let scaled: Vec<f64> = floats(&values).iter().map(|x| scale(*x, 1)).collect();
            // Values that lost bits on the way down are no longer these values.
            if scaled
                .iter()
                .zip(&values)
                .any(|(x, v)| x / 2f64.powi(exponent / 2) / 2f64.powi(exponent - exponent / 2) != *v as f64)
            {
                continue;
            }
            let found: FloatMoments = absorbed(&scaled);
            for (moment, truth) in truths(&values) {
                let truth = match moment {
                    Moment::Mean => scale(truth, 1),
                    Moment::Variance => scale(truth, 2),
                    Moment::Skewness | Moment::Kurtosis => truth,
                };
                let answer = found.answer(moment);
                assert!(
                    answer.is_some_and(|a| a.contains(truth)),
                    "{exponent} {moment:?} {truth}: {answer:?}"
                );
            }
        }
    }
}

/// The classic: a mean of 10^9, a variance of 30. Squares that are subtracted from squares are nonsense here, the pairwise update
/// is right to 9 digits, and its bounds say as much. (A bound of infinity would keep the law, and say nothing.)
#[test]
fn a_small_variance_of_large_values() {
    let values: Vec<i64> = [4, 7, 13, 16].repeat(1_000).iter().map(|x| 1_000_000_000 + x).collect();
    let found: FloatMoments = absorbed(&floats(&values));
    let naive = |s: &[f64]| s.iter().map(|x| x * x).sum::<f64>() / 4e3 - (s.iter().sum::<f64>() / 4e3).powi(2);
    assert!((naive(&floats(&values)) - 22.5).abs() > 10.0);
    let variance = found.answer(&Moment::Variance).unwrap();
    assert!((variance.value - 22.5).abs() < 1e-6, "{variance:?}");
    assert!(
        variance.contains(22.5) && variance.high - variance.low < 0.01,
        "{variance:?}"
    );
    let skewness = found.answer(&Moment::Skewness).unwrap();
    assert!(
        skewness.contains(0.0) && skewness.high - skewness.low < 0.01,
        "{skewness:?}"
    );
    let kurtosis = found.answer(&Moment::Kurtosis).unwrap();
    assert!(
        kurtosis.contains(1.36) && kurtosis.high - kurtosis.low < 0.01,
        "{kurtosis:?}"
    );
}

/// The bounds of ordinary streams are of use: a millionth of the value for 100,000 values absorbed one by one.
#[test]
fn float_moments_have_useful_bounds() {
    let mut rng = Rng(6);
    let values = &streams(&mut rng, 100_000)[0];
    let found: FloatMoments = absorbed(&floats(values));
    for (moment, truth) in truths(values) {
        let answer = found.answer(moment).unwrap();
        let scale = if matches!(moment, Moment::Mean) {
            1_000.0
        } else {
            truth.abs().max(1.0)
        };
        assert!(
            answer.contains(truth) && answer.high - answer.low < 1e-6 * scale,
            "{moment:?} {truth}: {answer:?}"
        );
    }
}

/// What the floating moments keep to the last bit: commutativity, the zero, their bytes; values that are no numbers, or whose
/// powers are none, have bounds that hold everything.
#[test]
fn laws_of_float_moments() {
    let samples = [
        &[][..],
        &[0.1],
        &[-0.1],
        &[0.1, 0.2],
        &[0.2, 0.1],
        &[1e9, 1e-9, 3.0],
        &[f64::NAN],
        &[f64::INFINITY, 1.0],
        &[1e200, -1e200, 7.0],
        &[5e-324, 1e-320],
    ]
    .map(absorbed::<f64, FloatMoments>);
    check_commutative(&samples);
    check_codec(&samples);
    for sample in samples {
        let mut sum = FloatMoments::zero();
        sum.combine(&sample);
        assert_eq!(sum, sample);
        sum.combine(&FloatMoments::zero());
        assert_eq!(sum, sample);
        let answer = sample.answer(&Moment::Variance);
        assert!(answer.is_none_or(|a| a.low <= a.high), "{answer:?}");
    }
    assert_eq!(FloatMoments::zero().answer(&Moment::Mean), None);
    let odd = absorbed::<f64, FloatMoments>(&[f64::NAN, 1.0])
        .answer(&Moment::Variance)
        .unwrap();
    assert_eq!((odd.low, odd.high), (0.0, f64::INFINITY));
    let times = FloatMoments::of(0.1).times(1_000_003.try_into().unwrap());
    assert!(times.count() == 1_000_003 && times.answer(&Moment::Mean).unwrap().contains(0.1));
}

/// The bytes: nothing, one, two, many, the widest, taken away, merged.
#[test]
fn format() {
    let mut rng = Rng(7);
    let many = streams(&mut rng, 1_000);
    let mut taken_away: Moments = absorbed(&many[0]);
    taken_away.negate();
    let mut merged: Moments = absorbed(&many[0]);
    merged.combine(&absorbed(&many[2]));
    bytes("moments")
        .value("nothing", Moments::zero())
        .value("5", absorbed(&[5]))
        .value("-5, 5", absorbed(&[-5, 5]))
        .value("widest", absorbed(&[i64::MIN, i64::MIN]))
        .value("many", absorbed(&many[0]))
        .value("many taken away", taken_away)
        .value("merged", merged)
        .value("0..100000", absorbed(&(0..100_000).collect::<Vec<_>>()))
        .check();
    let pairs: Vec<(i64, i64)> = many[0].iter().copied().zip(many[2].iter().copied()).collect();
    bytes("covariance")
        .value("nothing", Covariance::zero())
        .value("(3, -4)", absorbed(&[(3, -4)]))
        .value("widest", absorbed(&[(i64::MIN, i64::MAX), (i64::MIN, i64::MIN)]))
        .value("many", absorbed(&pairs))
        .check();
    bytes("float-moments")
        .value("nothing", FloatMoments::zero())
        .value("0.1", FloatMoments::of(0.1))
        .value("0.1, 0.2", absorbed(&[0.1, 0.2]))
        .value("not a number", absorbed(&[f64::NAN, 1.0]))
        .value("many", absorbed(&floats(&many[1])))
        .check();
    let lengths = |values: &[i64]| absorbed::<i64, Moments>(values).to_bytes().len();
    assert_eq!((lengths(&[]), lengths(&[5]), lengths(&[i64::MIN; 3])), (5, 11, 88));
}

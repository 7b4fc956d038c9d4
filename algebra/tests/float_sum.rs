//! Sums of floats: the exact one against an oracle of another kind, the approximate one against its bounds.

mod common;

use common::bytes::bytes;
use common::{Rng, absorbed};
use rufous_algebra::laws::{approximate_trees, check_codec, check_commutative, exact_trees};
use rufous_algebra::{ApproxLaws, Codec, ExactSum, FloatMean, FloatSum, Group, Mean, Monoid, Semigroup, WeightedMean};

/// The correctly rounded sum, by expansions of floats that do not overlap (J. Shewchuk 1997, as in Python's `fsum`): right
/// where no partial sum overflows. Written apart from the accumulator, which works with integers.
fn shewchuk(values: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for value in values {
        let mut x = *value;
        let mut kept = Vec::new();
        for mut y in partials {
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                kept.push(low);
            }
            x = high;
        }
        kept.push(x);
        partials = kept;
    }
    let mut high = partials.pop().unwrap_or(0.0);
    let mut low = 0.0;
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // A tie that what is below decides.
    if let Some(below) = partials.last()
        && (low < 0.0 && *below < 0.0 || low > 0.0 && *below > 0.0)
    {
        let twice = low * 2.0;
        if twice == (high + twice) - high {
            high += twice;
        }
    }
    high
}

/// Floats of many sizes and either sign, subnormal ones among them, that cancel out here and there.
fn floats(n: usize, spread: usize, rng: &mut Rng) -> Vec<f64> {
    let middle = 1023 - spread / 2 + rng.below(3) * 300 - 300;
    let mut values: Vec<f64> = Vec::new();
    for _ in 0..n {
        let before = if values.is_empty() {
            0.0
        } else {
            values[rng.below(values.len())]
        };
        let exponent = (middle + rng.below(spread + 1)).min(2000) as u64;
        values.push(match rng.below(8) {
            0 => -before,
            1 => before.next_up(),
            2 => f64::from_bits(rng.next() >> 12) * if rng.below(2) == 0 { 1.0 } else { -1.0 },
            _ => f64::from_bits(rng.next() & !(0x7ff << 52) | exponent << 52),
        });
    }
    values
}

fn exact(values: &[f64]) -> ExactSum {
    absorbed(values)
}

/// ExactSum: the correctly rounded sum, bit for bit, for floats of any size that cancel out in any way.
#[test]
fn exact_sums_are_correctly_rounded() {
    let mut rng = Rng(1);
    for round in 0..20_000 {
        let spread = [1, 5, 60, 600][round % 4];
        let n = rng.below(40);
        let values = floats(n, spread, &mut rng);
        let (found, expected) = (exact(&values).value(), shewchuk(&values));
        assert_eq!(found.to_bits(), (expected + 0.0).to_bits(), "{values:?}");
    }
}

/// ExactSum: rounding to even at ties, decided by the last bit far below; subnormal numbers; overflow only of the true sum.
#[test]
fn exact_sums_at_the_edges() {
    let least = f64::from_bits(1);
    let two53 = 2f64.powi(53);
    for (values, expected) in [
        (&[two53, 1.0][..], two53),
        (&[two53, 1.0, least], two53 + 2.0),
        (&[two53, 1.0, -least], two53),
        (&[two53, 3.0], two53 + 4.0),
        (&[-two53, -1.0, -least], -two53 - 2.0),
        (&[least, least], f64::from_bits(2)),
        (&[f64::MIN_POSITIVE, -least], f64::MIN_POSITIVE.next_down()),
        (&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
        (&[f64::MAX, f64::MAX], f64::INFINITY),
        (&[-f64::MAX, -f64::MAX], f64::NEG_INFINITY),
        (&[f64::MAX, 2f64.powi(969)], f64::MAX),
        (&[f64::MAX, 2f64.powi(970)], f64::INFINITY),
        (&[f64::MAX, 2f64.powi(970), -least], f64::MAX),
        (&[-0.0, -0.0], 0.0),
    ] {
        assert_eq!(exact(values).value().to_bits(), expected.to_bits(), "{values:?}");
    }
}

/// ExactSum: infinities and not-a-number are counted, and can be taken away again.
#[test]
fn odd_values_are_counted() {
    let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
    assert_eq!(exact(&[1.0, up, up]).value(), up);
    assert_eq!(exact(&[1.0, down]).value(), down);
    assert!(exact(&[up, down]).value().is_nan() && exact(&[f64::NAN]).value().is_nan());
    let mut sum = exact(&[up, down, f64::NAN, 2.5]);
    let mut odd = exact(&[down, f64::NAN, up]);
    odd.negate();
    sum.combine(&odd);
    assert_eq!(sum, exact(&[2.5]));
    let mut taken_away = exact(&[up]);
    taken_away.negate();
    assert_eq!(taken_away.value(), down);
}

/// ExactSum: carries that wait, and wrapping at the far end: many additions, doublings until nothing is left.
#[test]
fn carries_and_wrapping() {
    let mut sum = ExactSum::zero();
    (0..10_000).for_each(|_| sum.add(f64::MAX));
    (0..10_000).for_each(|_| sum.add(-f64::MAX));
    assert!(sum.is_zero());
    // All bits of the significand, in every place that it can have in a word.
    for exponent in 1_000..1_032 {
        let longest = f64::from_bits(exponent << 52 | ((1 << 52) - 1));
        for value in [longest, -longest] {
            let sum = exact(&[value; 5_000]);
            assert_eq!(sum, exact(&[value]).times(5_000.try_into().unwrap()), "{value}");
            // Carries that wait on both sides of a merge.
            let waiting = exact(&[value; 1_023]);
            assert_eq!(
                ExactSum::sum_all(&vec![waiting; 9]),
                Some(exact(&[value]).times(9_207.try_into().unwrap()))
            );
        }
    }
    let many = exact(&[0.1]).times(1_000_000.try_into().unwrap());
    let mut one_by_one = ExactSum::zero();
    (0..1_000_000).for_each(|_| one_by_one.add(0.1));
    assert_eq!(many, one_by_one);
    let half: std::num::NonZeroU64 = (1 << 63).try_into().unwrap();
    let mut wrapped = exact(&[f64::MAX]);
    for _ in 0..40 {
        wrapped = wrapped.times(half);
        assert_eq!(ExactSum::decode(&wrapped.to_bytes()).as_ref(), Ok(&wrapped));
    }
    assert!(wrapped.is_zero() && wrapped.to_bytes().is_empty());
}

/// Exact tier: sums and means of floats have the bytes of one state under any merge tree.
#[test]
fn exact_under_any_tree() {
    let mut rng = Rng(3);
    for seed in 0..100 {
        let n = [0, 1, 2, 30, 300][seed as usize % 5];
        let values = floats(n, [3, 60, 600][seed as usize % 3], &mut rng);
        exact_trees::<f64, ExactSum>(&values, 100, seed).unwrap();
        exact_trees::<f64, FloatMean>(&values, 100, seed).unwrap();
        let weighted: Vec<(f64, f64)> = values.iter().copied().zip(values.iter().rev().copied()).collect();
        exact_trees::<(f64, f64), WeightedMean>(&weighted, 100, seed).unwrap();
    }
    // Past the 1,024 additions after which carries move on.
    let values = floats(5_000, 40, &mut rng);
    exact_trees::<f64, ExactSum>(&values, 60, 7).unwrap();
}

/// Approximate tier: the true sum lies within the bounds of a plain sum, under any merge tree, whatever cancels out.
#[test]
fn float_sums_keep_their_bounds() {
    let mut rng = Rng(4);
    for seed in 0..200 {
        let n = [1, 2, 3, 50, 2_000][seed as usize % 5];
        let values = floats(n, [3, 20, 60][seed as usize % 3], &mut rng);
        approximate_trees::<f64, FloatSum>(&values, &[(&(), shewchuk(&values))], 50, seed).unwrap();
    }
}

/// Approximate tier: the worst that can happen, each addition off by half a unit to the same side, uses up all of the bound.
#[test]
fn float_sums_at_their_worst() {
    let half_a_unit = f64::EPSILON / 2.0;
    let mut values = vec![half_a_unit; 1_000];
    values.insert(0, 1.0);
    let found = absorbed::<f64, FloatSum>(&values).estimate();
    let truth = 1.0 + 1_000.0 * half_a_unit;
    assert_eq!((found.value, shewchuk(&values)), (1.0, truth));
    assert!(
        found.contains(truth) && found.high < truth + 10.0 * half_a_unit,
        "{found:?}"
    );
}

/// Approximate tier: the bounds are not far wider than the worst error: about n u for n equal values.
#[test]
fn float_sums_have_useful_bounds() {
    let sum: FloatSum = absorbed(&[0.1; 10_000]);
    let found = sum.estimate();
    assert!(found.contains(shewchuk(&[0.1; 10_000])));
    assert!((found.high - found.low) / found.value < 3.0 * 10_000.0 * f64::EPSILON / 2.0);
    let mean = sum.mean().unwrap();
    assert!(mean.contains(0.1) && mean.high - mean.low < 1e-12);
    let times = absorbed::<f64, FloatSum>(&[0.1]).times(10_000.try_into().unwrap());
    assert!(times.count() == 10_000 && times.estimate().contains(shewchuk(&[0.1; 10_000])));
    assert_eq!(
        absorbed::<f64, FloatSum>(&[f64::MAX, f64::MAX])
            .answer(&())
            .unwrap()
            .low,
        f64::NEG_INFINITY
    );
    assert_eq!(FloatSum::zero().mean(), None);
}

/// What the approximate sum does keep to the last bit: commutativity, the zero, and its bytes.
#[test]
fn laws_of_float_sums() {
    let samples = [
        &[][..],
        &[0.1],
        &[-0.1, 3.0],
        &[f64::NAN],
        &[f64::INFINITY],
        &[1e300, 1e-300],
    ]
    .map(absorbed::<f64, FloatSum>);
    check_commutative(&samples);
    check_codec(&samples);
    for sample in samples {
        let mut sum = FloatSum::zero();
        sum.combine(&sample);
        assert_eq!(sum, sample);
        sum.combine(&FloatSum::zero());
        assert_eq!(sum, sample);
    }
}

/// Means divide the exact sum; weighted means the exact sums of products.
#[test]
fn means() {
    assert_eq!(Mean::zero().mean(), None);
    assert_eq!(absorbed::<i64, Mean>(&[i64::MIN; 1000]).mean(), Some(i64::MIN as f64));
    assert_eq!(
        absorbed::<f64, FloatMean>(&[1e300, 0.5, -1e300, 0.25]).mean(),
        Some(0.1875)
    );
    let weighted: WeightedMean = absorbed(&[(1.0, 1e17), (3.0, 1.0), (1.0, -1e17)]);
    assert_eq!((weighted.mean(), weighted.weight()), (Some(3.0), 1.0));
    // Products are exact: 0.1 * 0.1 rounded would leave the mean off.
    let tiny: WeightedMean = absorbed(&[(0.1, 0.1), (-0.1 * 0.1, 1.0), (1.0, 1.0)]);
    let below = 0.1f64.mul_add(0.1, -(0.1 * 0.1));
    assert_eq!(tiny.mean(), Some((1.0 + below) / 2.1));
    assert_eq!(absorbed::<(f64, f64), WeightedMean>(&[(5.0, 0.0)]).mean(), None);
}

/// The bytes: nothing, one value of each kind, both signs, at the ends of the range, many values, counts of odd ones.
#[test]
fn format() {
    let mut rng = Rng(9);
    bytes("exact-sum")
        .value("nothing", exact(&[]))
        .value("1", exact(&[1.0]))
        .value("-1", exact(&[-1.0]))
        .value("0.1", exact(&[0.1]))
        .value("0.1, 0.2", exact(&[0.1, 0.2]))
        .value("least", exact(&[f64::from_bits(1)]))
        .value("greatest", exact(&[f64::MAX]))
        .value("both ends", exact(&[-f64::MAX, f64::from_bits(1)]))
        .value("infinity", exact(&[f64::INFINITY]))
        .value("odd values", exact(&[f64::NAN, 0.5, f64::NEG_INFINITY]))
        .value("1024 values", exact(&floats(1_024, 30, &mut rng)))
        .value("1025 values", exact(&floats(1_025, 30, &mut rng)))
        .value("100000 tenths", exact(&[0.1; 100_000]))
        .check();
    bytes("float-sum")
        .value("nothing", FloatSum::zero())
        .value("-0.5", absorbed(&[-0.5]))
        .value("tenths", absorbed(&[0.1; 1000]))
        .value("not a number", absorbed(&[f64::NAN]))
        .check();
    bytes("mean")
        .value("nothing", Mean::zero())
        .value("-7", absorbed(&[-7]))
        .value("many", absorbed(&[i64::MAX; 1000]))
        .check();
    bytes("float-mean")
        .value("nothing", FloatMean::zero())
        .value("0.1", absorbed(&[0.1]))
        .value("many", absorbed(&floats(1000, 30, &mut rng)))
        .check();
    bytes("weighted-mean")
        .value("nothing", WeightedMean::zero())
        .value("2 with 0.1", absorbed(&[(2.0, 0.1)]))
        .value("two", absorbed(&[(2.0, 0.1), (-0.3, 0.7)]))
        .check();
    assert_eq!([1.0, 1000.0, 0.1].map(|x| exact(&[x]).to_bytes().len()), [3, 4, 9]);
}

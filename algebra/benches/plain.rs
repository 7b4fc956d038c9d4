//! Plain sums, beside what one would write without them.

#[path = "common/mod.rs"]
mod common;

use std::hint::black_box;

use common::contest;
use rufous_algebra::aggregator::{self, Aggregator};
use rufous_algebra::codec::merge_bytes;
use rufous_algebra::laws::Rng;
use rufous_algebra::{
    Absorb, Codec, Covariance, DecayedCount, DecayedMoments, DecayedSum, ExactSum, FloatMean, FloatMoments, FloatSum,
    Max, Mean, Moments, Monoid, Semigroup, WeightedMean,
};

const N: usize = 20_000;
/// An hour in seconds.
const H: u64 = 3600;

fn absorbed<T, S: Absorb<T>>(items: &[T]) -> S {
    let mut sum = S::zero();
    items.iter().for_each(|item| sum.absorb(item));
    sum
}

fn main() {
    let mut rng = Rng(1);
    let integers: Vec<i64> = (0..N).map(|_| rng.below(1_000_000) as i64 - 300_000).collect();
    let unsigned: Vec<u64> = integers.iter().map(|x| x.unsigned_abs()).collect();
    let floats: Vec<f64> = integers.iter().map(|x| *x as f64 * 0.001).collect();
    let widely: Vec<f64> = floats
        .iter()
        .map(|x| x * 2f64.powi(rng.below(200) as i32 - 100))
        .collect();
    let events: Vec<(i64, f64)> = floats
        .iter()
        .map(|x| (1_790_000_000 + rng.below(100_000) as i64, *x))
        .collect();
    let times: Vec<i64> = events.iter().map(|e| e.0).collect();
    let tuples: Vec<(u64, i64, Max<i64>)> = integers.iter().map(|x| (1, *x, Max::of(*x))).collect();

    contest("u64 sum_all", N as u64)
        .contender("u64::sum_all", || u64::sum_all(black_box(&unsigned)))
        .contender("iterator sum", || black_box(&unsigned).iter().sum::<u64>())
        .at_most_of("iterator sum", 1.25)
        .exact(u64::sum_all(&unsigned) == Some(unsigned.iter().sum()))
        .run();

    contest("(u64, i64, Max) sum_all", N as u64)
        .contender("tuple sum_all", || <(u64, i64, Max<i64>)>::sum_all(black_box(&tuples)))
        .contender("three folds in one loop", || {
            black_box(&integers)
                .iter()
                .fold((0u64, 0i64, None), |(n, sum, max), x| {
                    (n + 1, sum + x, max.max(Some(*x)))
                })
        })
        .exact(
            <(u64, i64, Max<i64>)>::sum_all(&tuples).map(|t| (t.0, t.1, t.2.get().copied()))
                == Some((N as u64, integers.iter().sum(), integers.iter().max().copied())),
        )
        .run();

    let report = aggregator::count().zip(aggregator::mean()).zip(aggregator::max());
    contest("aggregator of count, mean and max", N as u64)
        .contender("aggregate", || report.aggregate(black_box(&integers)))
        .exact(report.aggregate(&integers).map(|(_, max)| max) == Some(integers.iter().max().copied()))
        .run();

    for (name, values) in [("of one size", &floats), ("over 200 binary orders", &widely)] {
        let exact: ExactSum = absorbed(values);
        let mut backwards = ExactSum::zero();
        values.iter().rev().for_each(|x| backwards.add(*x));
        contest(format!("floats {name}"), N as u64)
            .contender("ExactSum", || absorbed::<f64, ExactSum>(black_box(values)))
            .contender("f64 +=", || black_box(values).iter().sum::<f64>())
            .contender("FloatSum", || absorbed::<f64, FloatSum>(black_box(values)))
            .contender("FloatMean", || absorbed::<f64, FloatMean>(black_box(values)))
            .at_most_ns(3.8)
            .at_most_of("f64 +=", 7.6)
            .exact(exact.value().to_bits() == backwards.value().to_bits())
            .run();
    }

    let exact_sums: Vec<ExactSum> = floats.chunks(10).map(absorbed).collect();
    let encoded: Vec<Vec<u8>> = exact_sums.iter().map(ExactSum::to_bytes).collect();
    let mut out = Vec::new();
    contest("merges of sums of 10 floats", exact_sums.len() as u64)
        .contender("ExactSum::sum_all", || ExactSum::sum_all(black_box(&exact_sums)))
        .contender("ExactSum, bytes by bytes", || {
            encoded.windows(2).for_each(|w| {
                out.clear();
                let _ = merge_bytes::<ExactSum>(&w[0], &w[1], &mut out);
            });
        })
        .exact(ExactSum::sum_all(&exact_sums) == Some(absorbed(&floats)))
        .run();
    println!("  {} bytes for the sum of 10", encoded[0].len());

    let pairs: Vec<(i64, i64)> = integers.iter().copied().zip(integers.iter().rev().copied()).collect();
    let weighted: Vec<(f64, f64)> = floats.iter().copied().zip(widely.iter().copied()).collect();
    contest("moments", N as u64)
        .contender("Moments (i64, exact)", || {
            absorbed::<i64, Moments>(black_box(&integers))
        })
        .contender("Mean (i64, exact)", || absorbed::<i64, Mean>(black_box(&integers)))
        .contender("Covariance (i64, exact)", || {
            absorbed::<(i64, i64), Covariance>(black_box(&pairs))
        })
        .contender("FloatMoments (with bounds)", || {
            absorbed::<f64, FloatMoments>(black_box(&floats))
        })
        .contender("WeightedMean (f64, exact)", || {
            absorbed::<(f64, f64), WeightedMean>(black_box(&weighted))
        })
        .exact(absorbed::<i64, Moments>(&integers).sum() == integers.iter().map(|x| i128::from(*x)).sum::<i128>())
        .run();

    let states: Vec<Moments> = integers.chunks(10).map(absorbed).collect();
    let float_states: Vec<FloatMoments> = floats.chunks(10).map(absorbed).collect();
    contest("merges of moments of 10 values", states.len() as u64)
        .contender("Moments", || Moments::sum_all(black_box(&states)))
        .contender("FloatMoments", || FloatMoments::sum_all(black_box(&float_states)))
        .exact(Moments::sum_all(&states) == Some(absorbed(&integers)))
        .run();
    for n in [1, 10, N] {
        println!(
            "  {} bytes for the moments of {n}",
            absorbed::<i64, Moments>(&integers[..n]).to_bytes().len()
        );
    }

    contest("decay", N as u64)
        .contender("DecayedCount", || absorbed::<i64, DecayedCount<H>>(black_box(&times)))
        .contender("DecayedSum", || {
            absorbed::<(i64, f64), DecayedSum<H>>(black_box(&events))
        })
        .contender("DecayedMoments", || {
            absorbed::<(i64, f64), DecayedMoments<H>>(black_box(&events))
        })
        .contender("exp2 and += in f64, at a known time", || {
            let now = 1_790_100_000i64;
            black_box(&events)
                .iter()
                .map(|(t, x)| x * ((t - now) as f64 / H as f64).exp2())
                .sum::<f64>()
        })
        .run();
    let sums: Vec<DecayedSum<H>> = events.chunks(10).map(absorbed).collect();
    contest("merges of decayed sums", sums.len() as u64)
        .contender("DecayedSum", || DecayedSum::sum_all(black_box(&sums)))
        .run();
}

//! The log-histogram beside DDSketch and t-digest (KLL and REQ: `datasketches`): inserts, merges, merges of bytes.

#[path = "common/mod.rs"]
mod common;

use common::contest;
use datasketches::tdigest::TDigestMut;
use rufous_algebra::codec::merge_bytes;
use rufous_algebra::laws::Rng;
use rufous_algebra::{Codec, Quantiles, Semigroup};
use sketches_ddsketch::{Config, DDSketch};

const N: usize = 1_000_000;

fn uniform(rng: &mut Rng) -> f64 {
    (rng.next() >> 11) as f64 / (1u64 << 53) as f64
}

/// Sizes of things: many small, few very large.
fn pareto() -> Vec<f64> {
    let mut rng = Rng(1);
    (0..N).map(|_| (1.0 - uniform(&mut rng)).powf(-1.0)).collect()
}

/// Delays in minutes, as of flights: around 0, of both signs, with a long tail.
fn delays() -> Vec<f64> {
    let mut rng = Rng(2);
    (0..N)
        .map(|_| {
            let sum: f64 = (0..6).map(|_| uniform(&mut rng)).sum();
            let late = if rng.below(10) == 0 {
                (1.0 - uniform(&mut rng)).powf(-0.7) * 20.0
            } else {
                0.0
            };
            ((sum - 3.0) * 12.0 + late).round()
        })
        .collect()
}

fn ours(values: &[f64]) -> Quantiles {
    let mut histogram = Quantiles::default();
    values.iter().for_each(|v| histogram.insert_f64(*v));
    histogram
}

/// Every percentile brackets the exact one and is within 1/129 of it.
fn exact(values: &[f64]) -> bool {
    let histogram = ours(values);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (1..=100).all(|p| {
        let exact = sorted[(p * sorted.len()).div_ceil(100) - 1];
        histogram
            .quantile(p as f64 / 100.0)
            .is_some_and(|q| q.contains(exact) && (q.value - exact).abs() <= exact.abs() / 129.0 * (1.0 + 1e-12))
    })
}

fn dd(values: &[f64]) -> DDSketch {
    let mut sketch = DDSketch::new(Config::new(0.00775, 4096, 1e-9));
    values.iter().for_each(|v| sketch.add(*v));
    sketch
}

fn main() {
    for (name, values) in [("Pareto", pareto()), ("delays of both signs", delays())] {
        contest(format!("quantiles: insert, 1e6 values, {name}"), N as u64)
            .contender("Quantiles", || ours(&values))
            .contender("sketches-ddsketch", || dd(&values))
            .contender("datasketches t-digest 200", || {
                let mut sketch = TDigestMut::new(200).unwrap();
                values.iter().for_each(|v| sketch.update(*v));
                sketch.total_weight()
            })
            .at_most_ns(1.5)
            .exact(exact(&values))
            .run();

        let (mut a, b) = (ours(&values[..N / 2]), ours(&values[N / 2..]));
        let (mut dd_a, dd_b) = (dd(&values[..N / 2]), dd(&values[N / 2..]));
        let mut whole = a.clone();
        whole.combine(&b);
        contest(format!("quantiles: merge of 5e5 values each, {name}"), 1_000)
            .contender("Quantiles", || (0..1_000).for_each(|_| a.combine(&b)))
            .contender("sketches-ddsketch", || {
                (0..1_000).for_each(|_| dd_a.merge(&dd_b).unwrap())
            })
            .exact(whole == ours(&values))
            .run();
    }
    let values = pareto();
    for n in [10, 1_000, 100_000] {
        let (a, b) = (ours(&values[..n]), ours(&values[n..2 * n]));
        let (x, y) = (a.to_bytes(), b.to_bytes());
        let mut sum = Vec::new();
        merge_bytes::<Quantiles>(&x, &y, &mut sum).unwrap();
        let exact = sum == ours(&values[..2 * n]).to_bytes();
        contest(
            format!("quantiles: bytes x bytes -> bytes, {n} values, {} bytes", x.len()),
            1_000,
        )
        .contender("undecoded", || {
            (0..1_000).for_each(|_| {
                sum.clear();
                merge_bytes::<Quantiles>(&x, &y, &mut sum).unwrap();
            });
        })
        .contender("decoded, added, encoded", || {
            (0..1_000).for_each(|_| {
                let mut a = Quantiles::decode(&x).unwrap();
                a.combine_owned(Quantiles::decode(&y).unwrap());
                drop(a.to_bytes());
            });
        })
        .exact(exact)
        .run();
    }
    contest("quantiles: insert, 10 values a histogram, with its creation", 100_000)
        .contender("Quantiles", || {
            values[..100_000]
                .chunks(10)
                .for_each(|v| drop(std::hint::black_box(ours(v))));
        })
        .contender("sketches-ddsketch", || {
            values[..100_000]
                .chunks(10)
                .for_each(|v| drop(std::hint::black_box(dd(v))));
        })
        .run();
}

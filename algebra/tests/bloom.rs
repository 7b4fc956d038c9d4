//! Bloom filters: laws, merge trees, bytes, and their rates against theory and plain sets.

mod common;

use common::Rng;
use common::bytes::bytes;
use probabilistic_collections::bloom::BloomFilter as Collections;
use proptest::prelude::Strategy;
use rufous_algebra::laws::{
    self, check_absorb, check_codec, check_commutative, check_idempotent, check_merge, check_monoid, exact_trees,
    replayed_trees, rule,
};
use rufous_algebra::{Bloom, Codec, Monoid, Semigroup, bloom};

fn filter<const B: usize, const K: usize>(items: impl IntoIterator<Item = u64>) -> Bloom<B, K> {
    let mut filter = Bloom::zero();
    items.into_iter().for_each(|x| filter.insert(&x));
    filter
}

/// Hashes in a list, at most.
const fn max_hashes(bits: usize) -> u64 {
    let quarter = bits / 256;
    if quarter < 4_096 { quarter as u64 } else { 4_096 }
}

/// Around the change to bits, overlapping each other.
fn samples<const B: usize, const K: usize>() -> [Bloom<B, K>; 7] {
    let n = max_hashes(B);
    [0..0, 0..1, 0..n, n / 2..n + 1, 1..n + 1, 5..n + 9, 0..3 * n].map(filter)
}

/// Commutative, idempotent; absorbing is adding; bytes add up as values do.
#[test]
fn laws() {
    fn all<const B: usize, const K: usize>() {
        let samples = samples::<B, K>();
        check_monoid(&samples);
        check_commutative(&samples);
        check_idempotent(&samples);
        check_codec(&samples);
        check_merge(&samples);
    }
    all::<64, 1>();
    all::<{ bloom::bits(100, 0.01) }, { bloom::probes(0.01) }>();
    all::<4096, 7>();
    all::<65536, 3>();
    check_codec(&[0..0, 0..4_096, 0..4_097].map(filter::<2_097_152, 7>));
    check_absorb::<&str, Bloom<1024, 5>>(&["a", "b", "a", "c", "d", "e", "f"]);
    check_absorb::<(u32, String), Bloom<4096, 7>>(&[(1, "a".into()), (1, "b".into()), (1, "a".into())]);
}

/// The same on random sets that overlap.
#[test]
fn random_laws() {
    let sets = proptest::collection::vec(0..30u64, 0..25).prop_map(filter::<4096, 3>);
    laws::random(sets.clone(), rule::monoid);
    laws::random(sets.clone(), rule::commutative);
    laws::random(sets.clone(), rule::idempotent);
    laws::random(sets, rule::merge);
}

/// Exact tier: any merge tree, also with items seen twice, has the bytes of one filter of all items.
#[test]
fn trees() {
    fn trees<const B: usize, const K: usize>(rounds: u64, trees: usize, rng: &mut Rng) {
        let n = max_hashes(B) as usize;
        for round in 0..rounds {
            // Every third at the very change of form, the others anywhere.
            let size = if round % 3 == 0 {
                n.saturating_sub(2) + rng.below(5)
            } else {
                rng.below(3 * n + 2)
            };
            let items: Vec<u64> = (0..size).map(|_| rng.next()).collect();
            exact_trees::<u64, Bloom<B, K>>(&items, trees, round).unwrap();
            replayed_trees::<u64, Bloom<B, K>>(&items, trees, round).unwrap();
        }
    }
    let mut rng = Rng(1);
    trees::<64, 1>(30, 20, &mut rng);
    trees::<4096, 7>(80, 40, &mut rng);
    trees::<65_536, 7>(15, 20, &mut rng);
    trees::<2_097_152, 3>(2, 2, &mut rng);
}

/// The form is a function of the content: it changes when the set passes the threshold, not before.
#[test]
fn form_changes_at_the_threshold() {
    fn dense<const B: usize>(n: u64) -> bool {
        let bytes = filter::<B, 7>(0..n).to_bytes();
        let dense = bytes[0] >> 3 & 3 == 1;
        assert_eq!(bytes.len() as u64, 1 + if dense { B as u64 / 8 } else { 8 * n });
        dense
    }
    fn changes<const B: usize>() {
        let n = max_hashes(B);
        assert!(!dense::<B>(n) && dense::<B>(n + 1), "{B} bits");
    }
    changes::<64>();
    changes::<960>();
    changes::<4096>();
    changes::<2_097_152>();
}

/// Golden bytes, malformed and damaged ones: at every form and around its change, and of a merge.
#[test]
fn format() {
    fn file<const B: usize, const K: usize>(name: &'static str) {
        let limit = max_hashes(B);
        let mut file = bytes::<Bloom<B, K>>(name);
        for n in [0, 1, 2, limit - 1, limit, limit + 1, 100_000] {
            file = file.value(format!("0..{n}"), filter(0..n));
        }
        let mut merged = filter(0..3);
        merged.combine(&filter(2..7));
        file.value("0..3 + 2..7", merged).check();
    }
    file::<960, 7>("bloom-960-7");
    file::<4096, 3>("bloom-4096-3");
    assert_eq!(Bloom::<960, 7>::schema(), "bloom/960/7/xxh3");
    assert_eq!(filter::<960, 7>([1]).to_bytes().len(), 9);
}

/// No false "no": every item that was seen is found, in every form and after merges.
#[test]
fn what_was_seen_is_found() {
    fn check<const B: usize, const K: usize>(n: u64) {
        let mut a = filter::<B, K>(0..n);
        a.combine(&filter(n / 2..2 * n));
        let decoded = Bloom::<B, K>::decode(&a.to_bytes()).unwrap();
        assert!(
            (0..2 * n).all(|x| a.contains(&x) && decoded.contains(&x)),
            "{B} bits, {n} items"
        );
    }
    for n in [0, 1, 3, 16, 17, 1_000] {
        check::<64, 1>(n);
        check::<4096, 7>(n);
        check::<100_032, 64>(n);
    }
}

/// False answers: at capacity they are as many as theory says, and as the filter says of itself; small filters and
/// large ones, over many seeds.
#[test]
fn false_positives_are_as_announced() {
    fn check<const B: usize, const K: usize>(seeds: u64, n: u64, rate: f64) {
        const ASKED: usize = 20_000;
        let (mut found, mut announced) = (0.0, 0.0);
        for seed in 0..seeds {
            let mut rng = Rng(seed << 32 | n);
            let filter = filter::<B, K>((0..n).map(|_| rng.next()));
            found += (0..ASKED).filter(|_| filter.contains(&rng.next())).count() as f64;
            announced += ASKED as f64 * filter.false_positive_rate();
        }
        let margin = 4.0 * (announced * (1.0 - rate)).sqrt();
        let asked = seeds as f64 * ASKED as f64;
        println!(
            "{B} bits, {K} each: {} of {n} items, says {}, theory {rate}",
            found / asked,
            announced / asked
        );
        assert!(
            (found - announced).abs() <= margin,
            "{B} bits, {K} each: {found}, announced {announced} +- {margin}"
        );
        // How many bits are set varies from filter to filter: a little above the binomial margin.
        assert!(
            found <= asked * rate * 1.01 + margin,
            "{B} bits, {K} each: {found} of {asked}, theory {rate}"
        );
        assert!(
            found >= asked * rate * 0.93 - margin,
            "{B} bits, {K} each: {found} of {asked}, theory {rate}"
        );
    }
    const fn k(rate: f64) -> usize {
        bloom::probes(rate)
    }
    check::<{ bloom::bits(40, 0.01) }, { k(0.01) }>(60, 40, 0.01);
    check::<{ bloom::bits(320, 0.01) }, { k(0.01) }>(40, 320, 0.01);
    check::<{ bloom::bits(1_000, 0.1) }, { k(0.1) }>(10, 1_000, 0.1);
    check::<{ bloom::bits(1_000, 0.7) }, { k(0.7) }>(10, 1_000, 0.7);
    check::<{ bloom::bits(5_000, 0.001) }, { k(0.001) }>(20, 5_000, 0.001);
    check::<{ bloom::bits(100_000, 0.01) }, { k(0.01) }>(4, 100_000, 0.01);
}

/// The number of items from the bits: the root mean square error is within 1.15 x theory, the bounds hold as often as
/// they say, from the change of form to far beyond the capacity.
#[test]
fn estimated_lengths_keep_their_error() {
    fn check<const B: usize, const K: usize>(n: u64, streams: u64) {
        let (m, k) = (B as f64, K as f64);
        let t = n as f64 * k / m;
        let theory = (m * (t.exp_m1() - t)).sqrt() / k;
        let (mut squares, mut outside) = (0.0, 0.0);
        for stream in 0..streams {
            let estimate = filter::<B, K>((0..n).map(|i| stream << 40 | i)).estimate_len();
            assert_eq!(estimate.confidence, 0.95);
            squares += (estimate.value - n as f64).powi(2);
            outside += f64::from(u8::from(!estimate.contains(n as f64)));
        }
        let rmse = (squares / streams as f64).sqrt();
        assert!(
            rmse <= 1.15 * theory,
            "{B} bits, {n} items: rmse {rmse}, theory {theory}"
        );
        let expected = 0.05 * streams as f64;
        assert!(
            outside <= expected + 4.0 * expected.sqrt(),
            "{B} bits, {n} items: {outside} of {streams} outside"
        );
    }
    check::<4096, 7>(17, 400);
    check::<4096, 7>(100, 400);
    check::<4096, 7>(425, 300);
    check::<4096, 7>(1_500, 200);
    check::<4096, 1>(4_000, 200);
    check::<100_032, 4>(10_000, 60);
    let list = filter::<4096, 7>(0..16).estimate_len();
    assert_eq!((list.value, list.low, list.high), (16.0, 16.0, 16.0));
}

/// A full filter says "yes" to all and knows no upper bound; nothing is infinite but that, and nothing panics.
#[test]
fn full_filters() {
    let full = filter::<64, 2>(0..10_000);
    let estimate = full.estimate_len();
    assert_eq!(full.false_positive_rate(), 1.0);
    assert!(estimate.value.is_finite() && estimate.contains(10_000.0) && estimate.high == f64::INFINITY);
    assert_eq!(full.json()["high"], serde_json::Value::Null);
    assert!(full.magnitude().is_finite() && estimate.low <= estimate.value);
}

/// Of a number of items at a rate, the best number of bits for each item is real arithmetic. (Algebird divides width by
/// items as integers: a rate of 0.7 has no bits at all then, and finds everything; a rate of 0.1 has ceil(4 * ln 2) =
/// 3, where its formula in real numbers, ceil(4.79 * ln 2), says 4. Here 3 is right all the same: it needs fewer bits.)
#[test]
fn the_shape_needs_the_fewest_bits() {
    let of_item = |rate: f64, k: f64| -k / (-rate.powf(1.0 / k)).ln_1p();
    for rate in [
        0.9, 0.7, 0.5, 0.3, 0.25, 0.1, 0.05, 0.02, 0.01, 0.001, 1e-6, 1e-9, 1e-15,
    ] {
        let best = (1..=64).min_by(|a, b| of_item(rate, f64::from(*a)).total_cmp(&of_item(rate, f64::from(*b))));
        let k = bloom::probes(rate);
        assert_eq!(Some(k as i32), best, "{rate}");
        for n in [1, 10, 1_000, 1_000_000] {
            let bits = bloom::bits(n, rate);
            assert_eq!(bits % 64, 0);
            let expected = (-(-((k * n) as f64) / bits as f64).exp_m1()).powi(k as i32);
            assert!(expected <= rate * (1.0 + 1e-9), "{rate}, {n} items: {expected}");
            let fewer = bits as f64 - 64.0;
            assert!(
                fewer < n as f64 * of_item(rate, k as f64) * (1.0 + 1e-9),
                "{rate}, {n} items: {bits}"
            );
        }
    }
    assert_eq!([0.7, 0.5, 0.1, 0.01, 0.001].map(bloom::probes), [1, 1, 3, 7, 10]);
    assert_eq!(bloom::bits(500_000, 0.01), 4_796_480);
}

/// All bits can be set, about equally often, whether the number of words is even, odd or a power of two.
#[test]
fn all_bits_are_used() {
    fn used<const B: usize, const K: usize>() {
        let mut counts = vec![0u32; B];
        assert_eq!(max_hashes(B), 0, "so small that one item has bits");
        for item in 0..60_000 {
            let bytes = filter::<B, K>([item]).to_bytes();
            for (i, count) in counts.iter_mut().enumerate() {
                *count += u32::from(bytes[1 + i / 8] >> (i % 8) & 1);
            }
        }
        let mean = counts.iter().sum::<u32>() as f64 / B as f64;
        let chi: f64 = counts.iter().map(|n| (f64::from(*n) - mean).powi(2) / mean).sum();
        let freedom = B as f64 - 1.0;
        assert!(counts.iter().all(|n| *n > 0), "{B} bits: some are never set");
        assert!(chi < freedom + 5.0 * (2.0 * freedom).sqrt(), "{B} bits: {chi}");
    }
    used::<64, 1>();
    used::<128, 3>();
    used::<192, 7>();
}

/// The crates that have the filter have the same rate. `fastbloom` says that its bits may change between versions, and
/// its union asks neither for the hasher nor the shape. `probabilistic-collections` has no union, and takes `ceil` of
/// the number of bits for each item; its hashers and those of `std` that `datasketches` uses are no persisted format.
#[test]
fn other_crates_agree() {
    const N: u64 = 20_000;
    let ours = filter::<{ bloom::bits(N as usize, 0.01) }, { bloom::probes(0.01) }>(0..N);
    let mut fast = fastbloom::BloomFilter::with_false_pos(0.01)
        .seed(&7)
        .expected_items(N as usize);
    let mut apache = datasketches::bloom::BloomFilterBuilder::with_accuracy(N, 0.01)
        .build()
        .unwrap();
    let mut collections = Collections::<u64>::new(N as usize, 0.01);
    for x in 0..N {
        fast.insert(&x);
        apache.insert(x);
        collections.insert(&x);
    }
    let mut found = [0.0; 4];
    for x in 0..10 * N {
        let answers = [
            ours.contains(&x),
            fast.contains(&x),
            apache.contains(&x),
            collections.contains(&x),
        ];
        assert!(x >= N || answers == [true; 4], "{x} was seen");
        for (found, answer) in found.iter_mut().zip(answers) {
            *found += f64::from(u8::from(answer && x >= N));
        }
    }
    for rate in found.map(|n| n / (9 * N) as f64) {
        assert!((0.008..0.012).contains(&rate), "{found:?}");
    }
}

//! The entries of least key and what rests on them: laws, merge trees, bytes, and answers against plain collections.

mod common;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use common::Rng;
use common::bytes::bytes;
use proptest::prelude::*;
use rufous_algebra::laws::{
    self, check_absorb, check_codec, check_commutative, check_idempotent, check_merge, check_monoid, exact_trees,
    replayed_trees, rule,
};
use rufous_algebra::{
    Absorb, BottomK, Codec, ExactLaws, Idempotent, Kmv, Latest, Monoid, Sample, Score, Semigroup, TopK, WeightedSample,
};

fn fold<T, S: Absorb<T>>(items: impl IntoIterator<Item = T>) -> S {
    let mut state = S::zero();
    items.into_iter().for_each(|item| state.absorb(&item));
    state
}

fn hold<S: Monoid + ExactLaws + Idempotent + PartialEq + std::fmt::Debug>(samples: &[S]) {
    check_monoid(samples);
    check_commutative(samples);
    check_idempotent(samples);
    check_codec(samples);
    check_merge(samples);
}

/// A mark of each event, as a payload.
fn event(i: u64) -> String {
    format!("event {i}")
}

/// Nothing, one, up to four (inserted one by one), around `N = 8`, many, overlapping.
const RANGES: [std::ops::Range<u64>; 9] = [0..0, 3..4, 2..6, 0..5, 0..7, 5..13, 0..9, 4..200, 100..300];

/// Times that are often the same, and arrive in no order.
fn time(i: u64) -> i64 {
    (i * 7 % 11) as i64 - 5
}
fn weight(i: u64) -> u64 {
    [1, 10, 0, 3, u64::MAX][i as usize % 5]
}

/// All types: a commutative, idempotent monoid with canonical bytes that add up as the values do.
#[test]
fn laws_of_all() {
    hold(&RANGES.map(|r| fold::<_, BottomK<u64, String, 8>>(r.map(|i| (i * 37 % 101, event(i))))));
    hold(&RANGES.map(|r| fold::<_, BottomK<Reverse<String>, u8, 8>>(r.map(|i| (Reverse(event(i)), i as u8)))));
    hold(&RANGES.map(|r| fold::<_, TopK<(u64, String), 8>>(r.map(|i| (i % 5, event(i))))));
    hold(&RANGES.map(|r| fold::<_, Latest<String, 8>>(r.map(|i| (time(i), i, event(i))))));
    hold(&RANGES.map(|r| fold::<_, Sample<String, 8>>(r.map(|i| (i, event(i))))));
    hold(&RANGES.map(|r| fold::<_, WeightedSample<String, 8>>(r.map(|i| (i, weight(i), event(i))))));
    hold(&RANGES.map(fold::<_, Kmv<8>>));
    check_absorb::<_, BottomK<u8, u8, 3>>(&[(5, 1), (3, 1), (3, 0), (9, 9), (1, 1), (0, 0), (5, 0)]);
    check_absorb::<_, TopK<u8, 3>>(&[5, 3, 9, 9, 1, 7]);
    check_absorb::<_, Latest<u8, 2>>(&[(5, "a", 1), (3, "b", 2), (5, "a", 1), (9, "c", 3), (7, "d", 4)]);
    check_absorb::<_, Sample<u8, 2>>(&[("a", 1), ("b", 2), ("a", 1), ("c", 3), ("d", 4)]);
    check_absorb::<_, WeightedSample<u8, 2>>(&[("a", 1, 1), ("b", 0, 2), ("a", 1, 1), ("c", 3, 3), ("d", 4, 4)]);
    check_absorb::<&str, Kmv<3>>(&["a", "b", "a", "c", "d", "e"]);
}

/// Any entries: keys that meet with other values, and that are dropped and come again.
#[test]
fn laws_of_random_entries() {
    let entries = proptest::collection::vec((0u8..12, any::<i8>()), 0..20);
    let states = entries.prop_map(fold::<_, BottomK<u8, i8, 6>>);
    laws::random(states.clone(), rule::monoid);
    laws::random(states.clone(), rule::commutative);
    laws::random(states.clone(), rule::idempotent);
    laws::random(states, rule::stored);
}

/// Exact tier: any merge tree, also with events seen twice, has the bytes of one state.
#[test]
fn trees() {
    fn both<T, S: Absorb<T> + ExactLaws + Idempotent + std::fmt::Debug>(item: impl Fn(u64) -> T) {
        let mut rng = Rng(1);
        for round in 0..100 {
            // Around the capacity of 8, or anywhere.
            let n = if round % 3 == 0 {
                6 + rng.below(5)
            } else {
                rng.below(60)
            };
            let items: Vec<T> = (0..n).map(|_| item(rng.below(100) as u64)).collect();
            exact_trees::<T, S>(&items, 60, round).unwrap();
            replayed_trees::<T, S>(&items, 40, round).unwrap();
        }
    }
    // Here a key often comes with different values.
    both::<_, BottomK<u64, String, 8>>(|i| (i / 3, event(i)));
    both::<_, BottomK<Reverse<u64>, u64, 8>>(|i| (Reverse(i / 3), i));
    both::<_, TopK<(u64, String), 8>>(|i| (i % 7, event(i)));
    both::<_, Latest<String, 8>>(|i| (time(i), i, event(i)));
    both::<_, Sample<String, 8>>(|i| (i, event(i)));
    both::<_, WeightedSample<String, 8>>(|i| (i, weight(i), event(i)));
    both::<_, Kmv<8>>(|i| i);
}

/// The bytes of each type: nothing, around `N = 8`, many, merged.
#[test]
fn format() {
    fn file<T, S: Absorb<T> + Codec + PartialEq + std::fmt::Debug>(name: &'static str, item: impl Fn(u64) -> T) {
        let mut file = bytes::<S>(name).element::<[u64; 8]>();
        for n in [0, 1, 2, 7, 8, 9, 100_000] {
            file = file.value(format!("0..{n}"), fold((0..n).map(&item)));
        }
        let mut merged: S = fold((0..6).map(&item));
        merged.combine(&fold((4..12).map(&item)));
        file.value("0..6 + 4..12", merged).check();
    }
    file::<_, BottomK<i16, String, 8>>("bottom-k", |i| ((i * 37 % 101) as i16, event(i)));
    file::<_, TopK<(u32, String), 8>>("top-k", |i| (i as u32 % 5, event(i)));
    file::<_, Latest<String, 8>>("latest", |i| (time(i), i, event(i)));
    file::<_, Sample<String, 8>>("sample", |i| (i, event(i)));
    file::<_, WeightedSample<String, 8>>("weighted-sample", |i| (i, weight(i), event(i)));
    file::<_, Kmv<8>>("kmv", |i| i);
    let schemas = [
        BottomK::<Reverse<u8>, f64, 3>::schema(),
        TopK::<(i64, String), 3>::schema(),
        Latest::<u8, 3>::schema(),
        Sample::<u8, 3>::schema(),
        WeightedSample::<u8, 3>::schema(),
        Kmv::<3>::schema(),
    ];
    assert_eq!(
        schemas.join(" "),
        "bottom-k/3<reverse<u8>,f64> top-k/3<(i64,text)> latest/3/xxh3<u8> \
         sample/3/xxh3<u8> weighted-sample/3/xxh3<u8> kmv/3/xxh3"
    );
    assert_eq!(
        [0, 1, 3].map(|n| fold::<u64, Kmv<3>>(0..n).to_bytes().len()),
        [1, 9, 25]
    );
}

/// The core against a map: for each key the value of least bytes, then the least keys. Floats are payloads, too.
#[test]
fn entries_are_those_of_a_map() {
    let mut rng = Rng(2);
    for _ in 0..300 {
        let (mut map, mut found) = (BTreeMap::<u64, Vec<u8>>::new(), BottomK::<u64, f64, 10>::default());
        for _ in 0..rng.below(80) {
            let (key, value) = (rng.below(40) as u64, rng.below(5) as f64 - 2.5);
            let bytes = map.entry(key).or_insert_with(|| value.to_bytes());
            *bytes = value.to_bytes().min(std::mem::take(bytes));
            found.insert(&key, &value);
        }
        let expected: Vec<(u64, Vec<u8>)> = map.into_iter().take(10).collect();
        let entries: Vec<(u64, Vec<u8>)> = found.iter().map(|(key, value)| (*key, value.to_bytes())).collect();
        assert_eq!(entries, expected);
        assert_eq!((found.len(), found.is_empty()), (expected.len(), expected.is_empty()));
    }
}

/// The best by score against a sorted set; ties by item.
#[test]
fn the_best_are_those_of_a_set() {
    let mut rng = Rng(3);
    for _ in 0..300 {
        let entries: Vec<(i64, String)> = (0..rng.below(100))
            .map(|_| (rng.below(6) as i64 - 3, event(rng.below(9) as u64)))
            .collect();
        let set: BTreeSet<(i64, String)> = entries.iter().cloned().collect();
        let mut shards = entries.chunks(7).map(|part| fold::<_, TopK<_, 12>>(part.to_vec()));
        let mut found = shards.next().unwrap_or_default();
        shards.for_each(|shard| found.combine_owned(shard));
        assert!(found.iter().eq(set.iter().rev().take(12)));
    }
    let top = fold::<_, TopK<(u8, String), 2>>([(1, "a".into()), (3, "c".into()), (2, "b".into())]);
    assert_eq!(top.json().to_string(), r#"[[3,"c"],[2,"b"]]"#);
    assert_eq!((top.magnitude(), TopK::<u8, 2>::zero().magnitude()), (3.0, 0.0));
}

/// Floats as scores: one order of all of them, not-a-number last, and `-0.0` is `0.0`.
#[test]
fn scores_are_ordered() {
    let scores = [
        f64::NAN,
        f64::NEG_INFINITY,
        -1.5,
        -f64::MIN_POSITIVE,
        0.0,
        5e-324,
        1.5,
        f64::MAX,
        f64::INFINITY,
    ];
    assert!(scores.windows(2).all(|pair| Score(pair[0]) < Score(pair[1])));
    assert_eq!((Score(-0.0), Score(-f64::NAN)), (Score(0.0), Score(f64::NAN)));
    check_codec(&scores.map(Score));
    let top = fold::<_, TopK<(Score, u8), 3>>(scores.iter().map(|score| (Score(*score), 7)));
    assert!(top.iter().map(|(score, _)| score.0).eq([f64::INFINITY, f64::MAX, 1.5]));
    hold(&[0..0, 0..4, 2..9, 4..8].map(|r| fold::<_, TopK<(Score, u8), 3>>(r.map(|i| (Score(scores[i]), i as u8)))));
}

/// "Latest" is by time, whatever the order of arrival; an event that comes again is one event.
#[test]
fn the_latest_are_by_time() {
    let mut rng = Rng(4);
    let events: Vec<(i64, u64, String)> = (0..50).map(|i| (i as i64 * 10 - 200, i, event(i))).collect();
    for _ in 0..100 {
        let mut latest = Latest::<String, 6>::default();
        for _ in 0..400 {
            let (time, id, value) = &events[rng.below(40)];
            latest.insert(*time, id, value);
        }
        events[30..].iter().for_each(|event| latest.absorb(event));
        let found: Vec<(i64, String)> = latest.iter().map(|(time, value)| (time, value.clone())).collect();
        let expected: Vec<(i64, String)> = events
            .iter()
            .rev()
            .take(6)
            .map(|(time, _, value)| (*time, value.clone()))
            .collect();
        assert_eq!(found, expected);
    }
    let mut one = Latest::<u8, 2>::default();
    one.insert(-3, "id", &7);
    assert_eq!(
        (one.json().to_string(), one.magnitude()),
        (r#"[{"time":-3,"value":7}]"#.to_string(), -3.0)
    );
}

/// Counts of `runs` independent trials that should each succeed with probability `p` are within 4.5 standard
/// deviations.
fn likely(count: u32, runs: u32, p: f64) -> bool {
    let (mean, variance) = (f64::from(runs) * p, f64::from(runs) * p * (1.0 - p));
    (f64::from(count) - mean).abs() <= 4.5 * variance.sqrt() + 1.0
}

/// Uniform sample: each event is kept with probability `N / n`, each pair with `N (N - 1) / (n (n - 1))`.
#[test]
fn samples_are_uniform() {
    const RUNS: u32 = 6_000;
    let (mut single, mut pairs) = ([0u32; 20], [[0u32; 20]; 20]);
    for run in 0..RUNS {
        let mut sample = Sample::<u8, 5>::default();
        // Ids ascend, as real ones do.
        (0..20).for_each(|i| sample.insert(&(u64::from(run) * 20 + u64::from(i)), &i));
        let kept: Vec<usize> = sample.iter().map(|i| usize::from(*i)).collect();
        assert_eq!(kept.len(), 5);
        for a in &kept {
            single[*a] += 1;
            kept.iter().for_each(|b| pairs[*a][*b] += 1);
        }
    }
    for a in 0..20 {
        assert!(likely(single[a], RUNS, 0.25), "{a}: {} of {RUNS}", single[a]);
        for (b, found) in pairs[a].into_iter().enumerate().filter(|(b, _)| *b != a) {
            let p = 5.0 * 4.0 / (20.0 * 19.0);
            assert!(likely(found, RUNS, p), "{a}, {b}: {found} of {RUNS}");
        }
    }
}

/// The share of events in a sample that have a property: exact while all are kept, else within bounds as often as they
/// say.
#[test]
fn shares_of_samples() {
    let of = |n: u64, run: u64| fold::<_, Sample<u64, 50>>((0..n).map(|i| (run << 32 | i, i)));
    assert_eq!(of(0, 0).share(|_| true), None);
    assert_eq!(
        of(49, 0).share(|i| *i < 7).map(|e| (e.value, e.low, e.high)),
        Some((1.0 / 7.0, 1.0 / 7.0, 1.0 / 7.0))
    );
    for part in [0, 1, 20, 150, 299, 300] {
        let truth = part as f64 / 300.0;
        let outside = (0..500)
            .filter(|run| !of(300, *run).share(|i| *i < part).unwrap().contains(truth))
            .count();
        assert!(outside as f64 <= 25.0 + 4.0 * 5.0, "{part}: {outside} of 500 outside");
    }
}

/// Bulk sums of many short states and of long ones agree with sums from left to right; keys meet with other values.
#[test]
fn bulk_sums() {
    let mut rng = Rng(6);
    for (states, most) in [(300, 6), (40, 40), (200, 1), (30, 100)] {
        let states: Vec<BottomK<u64, u64, 64>> = (0..states)
            .map(|_| fold((0..rng.below(most + 1)).map(|_| (rng.below(400) as u64, rng.below(3) as u64))))
            .collect();
        let one_by_one = states.iter().fold(BottomK::zero(), |mut sum, state| {
            sum.combine(state);
            sum
        });
        assert_eq!(BottomK::sum_all(&states), Some(one_by_one));
    }
}

/// The probability that each item is among `n` drawn one after the other without replacement, by weight.
fn inclusion(weights: &[f64], n: usize) -> Vec<f64> {
    fn draw(weights: &[f64], left: &mut Vec<bool>, n: usize, p: f64, included: &mut [f64]) {
        let total: f64 = weights
            .iter()
            .zip(left.iter())
            .filter(|(_, left)| **left)
            .map(|(w, _)| w)
            .sum();
        for i in 0..weights.len() {
            if n > 0 && left[i] {
                let p = p * weights[i] / total;
                included[i] += p;
                left[i] = false;
                draw(weights, left, n - 1, p, included);
                left[i] = true;
            }
        }
    }
    let mut included = vec![0.0; weights.len()];
    draw(weights, &mut vec![true; weights.len()], n, 1.0, &mut included);
    included
}

/// Weighted sample: the chance to be kept is that of drawing one after the other by weight, for samples of 1 and of 3,
/// with small weights and large ones; a weight of zero is never kept.
#[test]
fn samples_are_weighted() {
    fn check<const N: usize>(weights: &[u64]) {
        const RUNS: u32 = 10_000;
        let expected = inclusion(&weights.iter().map(|w| *w as f64).collect::<Vec<_>>(), N);
        let mut found = vec![0; weights.len()];
        for run in 0..RUNS {
            let mut sample = WeightedSample::<u8, N>::default();
            for (i, weight) in (0..).zip(weights) {
                sample.insert(&(run, i), *weight, &i);
            }
            for (weight, i) in sample.iter() {
                assert_eq!(weight, weights[usize::from(*i)]);
                found[usize::from(*i)] += 1;
            }
        }
        for (found, p) in found.into_iter().zip(expected) {
            assert!(likely(found, RUNS, p), "{weights:?}: {found} of {RUNS}, not {p}");
        }
    }
    check::<1>(&[1, 2, 3, 4, 0]);
    check::<3>(&[1, 1, 2, 5, 10, 0]);
    check::<3>(&[1, 1, 1, 1, 1]);
    check::<2>(&[1 << 60, 1 << 61, 1 << 62, 1 << 63]);
}

/// Weighted sample: large streams, where most is turned down early, against all keys sorted; by floats, which are good
/// enough to find the order here.
#[test]
fn weighted_samples_keep_the_least_keys() {
    use rufous_algebra::HashBytes;
    let mut rng = Rng(5);
    for _ in 0..20 {
        let events: Vec<(u64, u64)> = (0..3_000).map(|_| (rng.next(), 1 + rng.below(1_000) as u64)).collect();
        let found = fold::<_, WeightedSample<u64, 30>>(events.iter().map(|(id, weight)| (*id, *weight, *id)));
        let mut keys: Vec<(f64, u64)> = events
            .iter()
            .map(|(id, weight)| (-((id.hash64() as f64 + 1.0) / 2f64.powi(64)).ln() / *weight as f64, *id))
            .collect();
        keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        assert!(found.iter().map(|(_, id)| *id).eq(keys[..30].iter().map(|(_, id)| *id)));
    }
}

/// Replay: an event that comes again is not counted again, in a sample or a count.
#[test]
fn replays_change_nothing() {
    let once = fold::<_, Sample<u64, 16>>((0..100u64).map(|i| (i, i)));
    let twice = fold::<_, Sample<u64, 16>>((0..100u64).chain(0..100).map(|i| (i, i)));
    assert_eq!(once, twice);
    assert_eq!(fold::<u64, Kmv<16>>((0..9).chain(0..9)).estimate().value, 9.0);
    let mut distinct: Vec<u64> = twice.iter().copied().collect();
    distinct.dedup();
    assert_eq!(distinct.len(), 16);
}

/// Distinct count: exact below `N`; beyond, the root mean square error is within 1.15 x theory, without bias, and
/// bounds hold as often as they say; also where counting starts to be estimating.
#[test]
fn kmv_keeps_its_standard_error() {
    fn streams<const N: usize>(streams: u64, n: u64) {
        let (mut squares, mut errors, mut outside) = (0.0, 0.0, 0.0);
        for stream in 0..streams {
            let e = fold::<u64, Kmv<N>>((0..n).map(|i| stream << 40 | i)).estimate();
            let error = e.value / n as f64 - 1.0;
            squares += error * error;
            errors += error;
            outside += f64::from(u8::from(!e.contains(n as f64)));
        }
        let runs = streams as f64;
        let (size, n) = (N as f64, n as f64);
        // The variance of (N - 1) / u, where u has a beta distribution.
        let theory = ((n - size + 1.0).max(0.0) / (n * (size - 2.0))).sqrt();
        let rmse = (squares / runs).sqrt();
        assert!(rmse <= 1.15 * theory, "N = {N}, n = {n}: rmse {rmse}, theory {theory}");
        assert!(
            (errors / runs).abs() <= 4.0 * theory / runs.sqrt(),
            "N = {N}, n = {n}: bias {}",
            errors / runs
        );
        let expected = 0.05 * runs;
        assert!(
            outside <= expected + 4.0 * expected.sqrt(),
            "N = {N}, n = {n}: {outside} of {runs} outside"
        );
    }
    streams::<16>(2_000, 15);
    streams::<16>(4_000, 40);
    streams::<16>(4_000, 400);
    streams::<64>(1_500, 100);
    streams::<64>(1_500, 3_000);
    // With fewer streams the error found would itself be uncertain by more than a quarter of the 15 % allowed.
    streams::<1024>(400, 1_500);
    streams::<1024>(400, 10_000);
    assert_eq!(fold::<u64, Kmv<16>>(0..0).estimate().value, 0.0);
    assert_eq!(fold::<u64, Kmv<16>>(0..16).estimate().low, 16.0);
}

/// Similarity from least hashes: exact while both know all theirs, else within bounds as often as they say.
#[test]
fn kmv_similarity() {
    let small = fold::<u64, Kmv<64>>(0..30).jaccard(&fold::<u64, _>(20..40));
    assert_eq!((small.value, small.low, small.high), (0.25, 0.25, 0.25));
    assert_eq!(Kmv::<64>::zero().jaccard(&Kmv::zero()).value, 1.0);
    for overlap in [0, 100, 1_000, 1_900, 2_000u64] {
        let (mut outside, truth) = (0.0, overlap as f64 / (4_000 - overlap) as f64);
        for run in 0..400u64 {
            let of = |from: u64| fold::<u64, Kmv<64>>((from..from + 2_000).map(|i| run << 40 | i));
            outside += f64::from(u8::from(!of(0).jaccard(&of(2_000 - overlap)).contains(truth)));
        }
        assert!(
            outside <= 20.0 + 4.0 * 20f64.sqrt(),
            "J = {truth}: {outside} of 400 outside"
        );
    }
}

/// Ancestor (`PriorityQueue` monoid): a sum that mutates what was added. Here the parts stay as they are.
#[test]
fn parts_are_not_altered() {
    let (a, b) = (fold::<_, TopK<u64, 4>>(0..9), fold::<_, TopK<u64, 4>>(5..20));
    let (a_before, b_before) = (a.clone(), b.clone());
    let sum = TopK::sum_all([&a, &b]).unwrap();
    assert_eq!((a, b), (a_before, b_before));
    assert!(sum.iter().eq(&[19, 18, 17, 16]));
}

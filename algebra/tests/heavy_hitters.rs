//! Heavy hitters: the laws that an approximate sum keeps, its bounds under every merge tree, bytes, and the mistakes
//! that others made.

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use common::Rng;
use common::bytes::bytes;
use compact_str::CompactString;
use datasketches::frequencies::FrequentItemsSketch;
use proptest::prelude::*;
use rufous_algebra::laws::{
    self, approximate_trees, check_absorb, check_codec, check_commutative, check_merge, check_monoid, check_sum_all,
    check_times, rule,
};
use rufous_algebra::{Absorb, Codec, HeavyHitters, Monoid, Semigroup};

fn hitters<const K: usize>(items: impl IntoIterator<Item = u64>) -> HeavyHitters<u64, K> {
    let mut state = HeavyHitters::zero();
    items.into_iter().for_each(|item| state.insert(&item));
    state
}

/// Words of a stream in which the n-th most frequent of 10,000 comes about `1 / n^skew` as often as the first.
fn zipf(n: usize, skew: f64, rng: &mut Rng) -> Vec<u64> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=10_000)
        .map(|rank| {
            sum += f64::from(rank).powf(-skew);
            sum
        })
        .collect();
    (0..n)
        .map(|_| {
            let at = (rng.next() >> 11) as f64 / 2f64.powi(53) * sum;
            // Scattered, so that the order of the items says nothing.
            (cumulated.partition_point(|c| *c < at) as u64).wrapping_mul(0x9e37_79b9)
        })
        .collect()
}

fn truth(items: &[u64]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    items.iter().for_each(|item| *counts.entry(*item).or_default() += 1);
    counts
}

/// From nothing to states that have dropped items, with ties.
fn samples<const K: usize>() -> Vec<HeavyHitters<u64, K>> {
    let mut rng = Rng(1);
    let k = K as u64;
    vec![
        hitters([]),
        hitters([7]),
        hitters([7, 7, 8]),
        hitters(0..k),
        hitters(0..=k),
        hitters((0..=k).chain(0..k).chain(0..k / 2)),
        hitters(zipf(2_000, 1.1, &mut rng)),
        HeavyHitters::of(5, 1 << 40),
    ]
}

/// Commutative, with a zero; bytes add up as values do; `sum_all` and `times` agree with `combine`.
#[test]
fn laws_of_any_state() {
    fn all<const K: usize>() {
        let samples = samples::<K>();
        check_commutative(&samples);
        check_codec(&samples);
        check_sum_all(&samples);
        check_times(&samples);
        for a in &samples {
            for zero_first in [true, false] {
                let (mut sum, b) = if zero_first {
                    (HeavyHitters::zero(), a.clone())
                } else {
                    (a.clone(), HeavyHitters::zero())
                };
                sum.combine(&b);
                assert_eq!(&sum, a);
                assert_eq!(a.is_zero(), *a == HeavyHitters::zero());
            }
            for b in &samples {
                let (mut sum, mut owned, mut bytes) = (a.clone(), a.clone(), Vec::new());
                sum.combine(b);
                owned.combine_owned(b.clone());
                assert_eq!(sum, owned);
                rufous_algebra::codec::merge_bytes::<HeavyHitters<u64, K>>(&a.to_bytes(), &b.to_bytes(), &mut bytes)
                    .unwrap();
                assert_eq!(bytes, sum.to_bytes());
            }
        }
    }
    all::<1>();
    all::<4>();
    all::<40>();
    let few = proptest::collection::vec(0u64..9, 0..30).prop_map(hitters::<4>);
    laws::random(few.clone(), rule::commutative);
    laws::random(few.clone(), rule::codec);
    laws::random(few, rule::times);
}

/// As long as there are no more than `K` items, all is exact: also associative.
#[test]
fn laws_of_exact_states() {
    let samples = [vec![], vec![1u64], vec![1, 1, 2], vec![3, 4, 4, 4], vec![u64::MAX; 20]].map(hitters::<5>);
    check_monoid(&samples);
    check_merge(&samples);
    for exact in &samples {
        assert_eq!(exact.offset(), 0);
    }
}

/// Absorbing is adding a zero that absorbed, also when there is no counter left, and also many at once.
#[test]
fn absorbing_is_adding() {
    check_absorb::<u64, HeavyHitters<u64, 3>>(&[1, 2, 1, 3, 4, 4, 5, 6, 1, 7, 7, 7, 8, 9]);
    check_absorb::<String, HeavyHitters<String, 2>>(
        &["a", "b", "a", "c", "a", "c", "c", "c", "d", ""].map(String::from),
    );
    laws::random(proptest::collection::vec(0u64..12, 0..60), |lists: &[Vec<u64>]| {
        lists
            .iter()
            .try_for_each(|items| rule::absorb::<u64, HeavyHitters<u64, 9>>(items))
    });
    let mut borrowed = HeavyHitters::<CompactString, 3>::zero();
    let mut owned = borrowed.clone();
    for word in ["a", "b", "a", "c", "d", "d"] {
        borrowed.absorb(word);
        owned.absorb(&CompactString::from(word));
    }
    assert_eq!(borrowed, owned);
}

/// Approximate tier: the truth of every item that came, and of some that did not, is within the bounds under any merge
/// tree.
#[test]
fn bounds_hold_under_any_tree() {
    let mut rng = Rng(2);
    for (seed, skew) in (0..60).zip([0.0, 0.7, 1.0, 1.3, 2.0].into_iter().cycle()) {
        let items = zipf(1 + rng.below(1_500), skew, &mut rng);
        let counts = truth(&items);
        let absent = [1u64, 2, 3];
        let queries: Vec<(&u64, f64)> = counts
            .iter()
            .map(|(item, n)| (item, *n as f64))
            .chain(absent.iter().map(|item| (item, 0.0)))
            .collect();
        approximate_trees::<u64, HeavyHitters<u64, 12>>(&items, &queries, 4, seed).unwrap();
        approximate_trees::<u64, HeavyHitters<u64, 96>>(&items, &queries, 2, seed).unwrap();
    }
}

/// The offset is at most `N / (K + 1)` and no item is missed or out of bounds: 200 streams, each dealt to 2 to 31
/// shards and merged pairwise in random order.
#[test]
fn the_offset_keeps_its_bound() {
    const K: usize = 20;
    let mut rng = Rng(3);
    let (mut worst, mut changed) = (0.0f64, 0);
    for stream in 0..200 {
        let items = zipf(200 + rng.below(2_000), f64::from(stream % 5) * 0.4, &mut rng);
        let mut shards = vec![hitters::<K>([]); 2 + rng.below(30)];
        for item in &items {
            let at = rng.below(shards.len());
            shards[at].insert(item);
        }
        while shards.len() > 1 {
            let taken = shards.swap_remove(rng.below(shards.len()));
            let at = rng.below(shards.len());
            if rng.below(2) == 0 {
                shards[at].combine(&taken);
            } else {
                shards[at].combine_owned(HeavyHitters::decode(&taken.to_bytes()).unwrap());
            }
        }
        let merged = &shards[0];
        changed += u32::from(*merged != hitters(items.iter().copied()));
        let limit = items.len() as u64 / (K as u64 + 1);
        assert_eq!(merged.total(), items.len() as u64);
        assert!(merged.offset() <= limit, "{} of {limit}", merged.offset());
        worst = worst.max(merged.offset() as f64 * (K as f64 + 1.0) / items.len() as f64);
        let top = merged.top(usize::MAX);
        assert!(top.len() <= K);
        for (item, n) in truth(&items) {
            assert!(merged.estimate(&item).contains(n as f64));
            assert!(
                n <= limit || top.iter().any(|(kept, _)| *kept == item),
                "{item} came {n} times"
            );
        }
    }
    // The test would show nothing if trees did not matter, or if nothing was ever subtracted.
    assert!(
        changed > 100 && worst > 0.5,
        "{changed} states changed, worst offset {worst}"
    );
}

/// Shares: what is guaranteed has the share, and what has it is guaranteed or possible, if the answer is complete.
#[test]
fn shares_are_guaranteed_or_possible() {
    let mut rng = Rng(4);
    for _ in 0..100 {
        let items = zipf(3_000, 1.2, &mut rng);
        let state = hitters::<30>(items.iter().copied());
        let counts = truth(&items);
        for share in [0.001, 0.01, 0.02, 0.05, 0.2, 1.0] {
            let least = share * items.len() as f64;
            let answer = state.at_least(share);
            assert!(answer.complete || share <= 1.0 / 31.0);
            for (item, _) in &answer.guaranteed {
                assert!(counts[item] as f64 >= least);
            }
            let named: Vec<u64> = answer
                .guaranteed
                .iter()
                .chain(&answer.possible)
                .map(|(item, _)| *item)
                .collect();
            for (item, n) in &counts {
                assert!(!answer.complete || (*n as f64) < least || named.contains(item));
            }
        }
    }
    let nothing = hitters::<3>([]).at_least(0.5);
    assert!(nothing.guaranteed.is_empty() && nothing.possible.is_empty());
}

/// Usefulness, on skewed streams: of the ten most frequent items at least nine in ten are among the first ten.
#[test]
fn most_of_the_top_ten_is_found() {
    let mut rng = Rng(5);
    let mut found = 0;
    for _ in 0..50 {
        let items = zipf(20_000, 1.1, &mut rng);
        let mut counts: Vec<(u64, u64)> = truth(&items).into_iter().map(|(item, n)| (n, item)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let mut state = hitters::<96>([]);
        items
            .chunks(1_000)
            .for_each(|shard| state.combine_owned(hitters(shard.iter().copied())));
        let top = state.top(10);
        // An item as frequent as the tenth is as good.
        found += top
            .iter()
            .filter(|(item, _)| counts.iter().any(|(n, i)| i == item && *n >= counts[9].0))
            .count();
    }
    assert!(found >= 450, "{found} of 500");
}

/// The bytes: exact and not, ties, long texts, around `K` items, saturated, merged.
#[test]
fn format() {
    let mut file = bytes::<HeavyHitters<u64, 8>>("heavy-hitters-u64");
    for n in [0, 1, 2, 7, 8, 9, 100_000] {
        file = file.value(format!("0..{n}"), hitters(0..n));
    }
    let mut skewed = hitters(zipf(100_000, 1.2, &mut Rng(6)));
    file = file.value("skewed", skewed.clone());
    skewed.combine(&hitters(0..30));
    let saturated = skewed.clone().times(NonZeroU64::MAX);
    let mut merged = HeavyHitters::of(1, u64::MAX);
    file = file.value("one, 2^64 - 1 times", merged.clone());
    merged.combine(&HeavyHitters::of(2, 3));
    file.value("skewed + 0..30", skewed)
        .value("saturated", saturated)
        .value("saturated, and three", merged)
        .check();

    let words = |text: &str| {
        let mut state = HeavyHitters::<String, 4>::zero();
        text.split(' ').for_each(|word| state.absorb(word));
        state
    };
    bytes("heavy-hitters-text")
        .element::<[u64; 8]>()
        .value("nothing", HeavyHitters::<String, 4>::zero())
        .value("a", words("a"))
        .value("the empty text", words(""))
        .value("b a a c d", words("b a a c d"))
        .value(
            "one more than there are counters",
            words("the cat and the dog saw the bird and the cow"),
        )
        .value("a long word", words(&"long".repeat(50)))
        .check();
    assert_eq!(words("a").to_bytes().len(), 4);
    assert_eq!(HeavyHitters::<u64, 8>::schema(), "heavy-hitters/8<u64>");
}

/// JSON shows the items with their bounds, most frequent first.
#[test]
fn json() {
    let mut state = HeavyHitters::of("b".to_string(), 3);
    state.combine(&HeavyHitters::<String, 2>::of("a".to_string(), 5));
    state.insert("c");
    let found = state.json().to_string();
    assert_eq!(
        found,
        r#"[{"item":"a","low":4,"high":5},{"item":"b","low":2,"high":3}]"#
    );
}

/// Counts saturate: nothing panics, and bounds hold of the truth up to `2^64 - 1`.
#[test]
fn counts_saturate() {
    let max = u64::MAX as f64;
    let mut state = HeavyHitters::<u64, 1>::of(1, u64::MAX);
    state.insert_times(&1, 5);
    assert_eq!((state.total(), state.estimate(&1).low), (u64::MAX, max));
    state.insert_times(&2, u64::MAX - 1);
    assert!(state.estimate(&1).contains(max) && state.estimate(&2).contains(max));
    state.combine(&state.clone());
    assert_eq!(HeavyHitters::decode(&state.to_bytes()), Ok(state.clone()));
    assert!(state.estimate(&1).contains(max) && state.estimate(&2).contains(max));
    assert_eq!(HeavyHitters::<u64, 1>::of(1, 0), HeavyHitters::zero());
}

/// Ancestor (`ApproxHHTracker`): the count of an item was the total of all. Ancestor (AB#353, #139): hitters were
/// merged wrongly, or twice.
#[test]
fn an_item_has_its_own_count_and_is_merged_once() {
    let mut state = HeavyHitters::<String, 10>::zero();
    for word in ["a", "b", "a", "c"] {
        state.absorb(word);
    }
    let counts = |state: &HeavyHitters<String, 10>| -> Vec<(String, f64)> {
        state.top(10).into_iter().map(|(item, e)| (item, e.value)).collect()
    };
    let expected = |n: f64| vec![("a".to_string(), 2.0 * n), ("b".to_string(), n), ("c".to_string(), n)];
    assert_eq!(counts(&state), expected(1.0));
    state.combine(&state.clone());
    assert_eq!(counts(&state), expected(2.0));
    state = HeavyHitters::sum_all([&HeavyHitters::zero(), &state, &HeavyHitters::zero()]).unwrap();
    assert_eq!(counts(&state), expected(2.0));
}

/// Ancestor (AB#943, #968): SpaceSaver's buffer outgrew its capacity. Ours holds `K` counters, whatever comes.
#[test]
fn the_state_never_outgrows_its_capacity() {
    let mut state = hitters::<8>([]);
    for round in 0..2_000u64 {
        state.insert_times(&(round % 37), 1 + round % 5);
        if round % 50 == 0 {
            state.combine(&hitters(round..round + 100));
        }
        assert!(state.top(usize::MAX).len() <= 8);
        assert!(state.to_bytes().len() <= 1 + 2 * 10 + 8 * (10 + 8));
    }
}

/// A top-n kept beside a frequency sketch is not associative: an item that is never among the first n of a part is
/// lost, though it is the first of all. Here its bounds still hold, and it is kept.
#[test]
fn an_item_that_is_second_everywhere_is_not_lost() {
    let mut sum = HeavyHitters::<u64, 2>::zero();
    for shard in 0..50 {
        let mut part = HeavyHitters::of(1_000 + shard, 11);
        part.combine(&HeavyHitters::of(7, 10));
        sum.combine(&part);
    }
    assert_eq!(sum.top(1)[0].0, 7);
    assert!(sum.estimate(&7).contains(500.0));
}

/// What is there already is counted without an allocation, and so is what is turned away.
#[test]
fn counting_does_not_allocate() {
    let mut state = HeavyHitters::<String, 12>::zero();
    let words: Vec<String> = (0..12)
        .map(|i| format!("a word too long to be stored inline, number {i}"))
        .collect();
    words.iter().for_each(|word| state.insert_times(word, 1_000));
    let used = allocation_counter::measure(|| {
        for word in &words {
            state.absorb(word.as_str());
            state.insert(word);
        }
        state.absorb("a new word, which is turned away");
    });
    assert_eq!(used.count_total, 0);
    assert_eq!(state.offset(), 1);
}

/// Apache DataSketches' frequent items of as many counters (75 % of 128): both bounds hold. Its bound is 3.5 / 128 of
/// the total (and rests on chance), ours 1 / 97. Its bytes follow the history, so equal sums may differ in bytes.
#[test]
fn apache_frequent_items_agree() {
    let mut rng = Rng(9);
    for skew in [0.8, 1.1, 1.5] {
        let items = zipf(30_000, skew, &mut rng);
        let (mut ours, mut theirs) = (hitters::<96>([]), FrequentItemsSketch::<u64>::new(128).unwrap());
        for shard in items.chunks(3_000) {
            let mut part = FrequentItemsSketch::<u64>::new(128).unwrap();
            shard.iter().for_each(|item| part.update(*item));
            theirs.merge(&part);
            ours.combine(&hitters(shard.iter().copied()));
        }
        for (item, n) in truth(&items) {
            let e = ours.estimate(&item);
            assert!(e.contains(n as f64));
            assert!((theirs.lower_bound(&item)..=theirs.upper_bound(&item)).contains(&n));
            assert!(e.low <= theirs.upper_bound(&item) as f64 && theirs.lower_bound(&item) as f64 <= e.high);
        }
    }
}

/// A field of a struct, as users have it: the tier of the struct is that of its weakest field.
#[test]
fn parts_of_tuples() {
    type Words = (u64, HeavyHitters<String, 10>);
    let mut day: Words = Monoid::zero();
    day.combine(&(1, HeavyHitters::of("ann".into(), 2)));
    day.combine(&(2, HeavyHitters::of("bob".into(), 3)));
    assert_eq!(day.1.top(1)[0].0, "bob");
    assert_eq!(Words::decode(&day.to_bytes()), Ok(day.clone()));
    check_merge(&[day]);
}

//! Merge trees: the same items, split and merged in every way.

use std::fmt::Debug;

use super::rule::{Broken, Rule};
use crate::codec::Codec;
use crate::semigroup::{Absorb, Idempotent, Monoid};
use crate::tier::{ApproxLaws, ExactLaws};

/// SplitMix64 (S. Vigna, public domain): seeded, so that every failure repeats.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 bits.
    #[allow(
        clippy::should_implement_trait,
        reason = "an endless source is no iterator to collect"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From 0 to `n - 1`; 0 for `n` of 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % (n.max(1)) as u64) as usize
    }
}

/// Merges the states: from the left, from the right, in a balanced tree, or pairwise in random order.
fn random_tree<S: Monoid>(mut states: Vec<S>, rng: &mut Rng, step: impl Fn(&mut S, S, usize)) -> S {
    let shape = rng.below(4);
    while states.len() > 1 {
        let last = states.len() - 1;
        let (into, from) = match shape {
            0 => (0, 1),
            1 => (last - 1, last),
            2 => {
                // What was just merged waits until all others were.
                states.rotate_left(1);
                (last, 0)
            }
            _ => {
                let at = rng.below(last + 1);
                states.swap(at, last);
                (rng.below(last), last)
            }
        };
        let other = states.remove(from);
        let into = if from < into { into - 1 } else { into };
        step(&mut states[into], other, rng.below(4));
    }
    states.pop().unwrap_or_else(S::zero)
}

fn merge<S: Monoid>(a: &mut S, b: S, way: usize) {
    match way {
        0 => a.combine(&b),
        1 => a.combine_owned(b),
        2 => {
            let zero = S::zero();
            if let Some(sum) = S::sum_all([&zero, a, &b, &zero]) {
                *a = sum;
            }
        }
        _ => {
            a.combine(&S::zero());
            a.combine_owned(b);
        }
    }
}

/// Deals the items, each to one of the shards.
fn deal<T, S: Absorb<T>>(items: &[T], shards: usize, rng: &mut Rng) -> Vec<S> {
    let mut states = vec![S::zero(); shards];
    items.iter().for_each(|item| states[rng.below(shards)].absorb(item));
    states
}

/// The promise of the exact tier: `trees` random ways to deal the items to up to 40 shards and to merge these, also through
/// bytes, lead to the bytes of one state that absorbed the items in a row.
///
/// # Errors
/// The tree that has other bytes.
pub fn exact_trees<T, S: Absorb<T> + ExactLaws + Debug>(items: &[T], trees: usize, seed: u64) -> Rule {
    let mut rng = Rng(seed);
    let mut whole = S::zero();
    items.iter().for_each(|item| whole.absorb(item));
    let bytes = whole.to_bytes();
    for tree in 0..trees {
        let shards = 1 + rng.below(40);
        let merged = random_tree(deal::<T, S>(items, shards, &mut rng), &mut rng, |a, b, way| {
            let b = if way == 3 { through_bytes(b) } else { b };
            merge(a, b, way);
        });
        if merged.to_bytes() != bytes {
            return Err(Broken(format!(
                "tree {tree} of {} items in {shards} shards (seed {seed}) has other bytes than one state\n  tree: {merged:?}\n state: {whole:?}",
                items.len()
            )));
        }
    }
    Ok(())
}

fn through_bytes<S: Codec>(state: S) -> S {
    S::decode(&state.to_bytes()).unwrap_or(state)
}

/// [`exact_trees`] with items that are seen again: each goes to one shard or to several.
///
/// # Errors
/// The tree that has other bytes.
pub fn replayed_trees<T, S: Absorb<T> + ExactLaws + Idempotent + Debug>(items: &[T], trees: usize, seed: u64) -> Rule {
    let mut rng = Rng(seed);
    let mut whole = S::zero();
    items.iter().for_each(|item| whole.absorb(item));
    for tree in 0..trees {
        let shards = 1 + rng.below(40);
        let mut states = deal::<T, S>(items, shards, &mut rng);
        for item in items {
            (0..rng.below(3)).for_each(|_| states[rng.below(shards)].absorb(item));
        }
        let merged = random_tree(states, &mut rng, merge);
        if merged.to_bytes() != whole.to_bytes() {
            return Err(Broken(format!(
                "tree {tree} of {} items, some seen again (seed {seed}), has other bytes than one state",
                items.len()
            )));
        }
    }
    Ok(())
}

/// The law of [`Codec::agrees`], of either tier: `trees` random merge trees over the same items agree with one state
/// that absorbed them in a row, through bytes, and asked from either side.
///
/// # Errors
/// The tree that does not.
pub fn agreeing_trees<T, S: Absorb<T> + Codec + Debug>(items: &[T], trees: usize, seed: u64) -> Rule {
    let mut rng = Rng(seed);
    let mut whole = S::zero();
    items.iter().for_each(|item| whole.absorb(item));
    for tree in 0..trees {
        let shards = 1 + rng.below(40);
        let merged = random_tree(deal::<T, S>(items, shards, &mut rng), &mut rng, merge);
        let merged = through_bytes(merged);
        if !(merged.agrees(&whole) && whole.agrees(&merged) && merged.agrees(&merged)) {
            return Err(Broken(format!(
                "tree {tree} of {} items in {shards} shards (seed {seed}) does not agree with one state\n  tree: {merged:?}\n state: {whole:?}",
                items.len()
            )));
        }
    }
    Ok(())
}

/// The promise of the approximate tier: after each of `trees` random trees the truth lies within the bounds of the answer to
/// each query. Bounds that hold with a confidence below 1 may miss as often as they say, and four standard deviations of the
/// binomial more.
///
/// # Errors
/// The answers that miss the truth.
pub fn approximate_trees<T, S>(items: &[T], queries: &[(&S::Query, f64)], trees: usize, seed: u64) -> Rule
where
    S: Absorb<T> + ApproxLaws + Debug,
{
    let mut rng = Rng(seed);
    let (mut misses, mut asked, mut expected, mut first) = (0, 0, 0.0, None);
    for tree in 0..trees {
        let shards = 1 + rng.below(64);
        let merged = random_tree(deal::<T, S>(items, shards, &mut rng), &mut rng, merge);
        for (n, (query, truth)) in queries.iter().enumerate() {
            let Some(answer) = merged.answer(query) else {
                return Err(Broken(format!("tree {tree} (seed {seed}) has no answer to query {n}")));
            };
            asked += 1;
            expected += 1.0 - answer.confidence;
            if !answer.contains(*truth) {
                misses += 1;
                first.get_or_insert((tree, n, *truth, answer));
            }
        }
    }
    let limit = expected + 4.0 * f64::sqrt(expected);
    match first {
        Some(first) if f64::from(misses) > limit => Err(Broken(format!(
            "{misses} of {asked} answers miss the truth, {limit:.1} may (seed {seed}); the first (tree, query, truth, answer): {first:?}"
        ))),
        _ => Ok(()),
    }
}

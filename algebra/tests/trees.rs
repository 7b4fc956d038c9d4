//! Exact laws under merge trees: equal multisets of items have equal bytes, however they are split and merged.
//!
//! Items are dealt to random shards, some twice over where the state is idempotent; shards are merged pairwise in random
//! order, by reference, by value, through bytes, or in bulk. The oracle is one state that saw the items in a row.

mod common;

use common::{Rng, hll, max_tokens, quantiles};
use rufous_algebra::{Absorb, Codec, Hll, Monoid, Quantiles, Semigroup};

/// Merges the states in a random tree.
fn random_tree<S: Monoid + Codec>(mut states: Vec<S>, rng: &mut Rng) -> S {
    while states.len() > 1 {
        let a = states.swap_remove(rng.below(states.len()));
        let at = rng.below(states.len());
        let b = &mut states[at];
        match rng.below(4) {
            0 => b.combine(&a),
            1 => b.combine_owned(a),
            2 => b.combine(&S::decode_all(&a.to_bytes()).unwrap()),
            _ => *b = S::sum_all([&a, &*b, &S::zero()]).unwrap(),
        }
    }
    states.pop().unwrap_or_else(S::zero)
}

/// Deals the items to as many shards as `shards`, each item to `copies` of them.
fn deal<T, S: Absorb<T>>(items: &[T], shards: usize, copies: usize, rng: &mut Rng) -> Vec<S> {
    let mut states = vec![S::zero(); shards];
    for item in items {
        (0..copies).for_each(|_| states[rng.below(shards)].absorb(item));
    }
    states
}

fn hll_trees<const P: u8>(rounds: usize, rng: &mut Rng) {
    let n = max_tokens(P) as usize;
    for round in 0..rounds {
        // Every third at the very change of form, the others anywhere.
        let size = if round % 3 == 0 {
            n - 2 + rng.below(5)
        } else {
            rng.below(3 * n)
        };
        let items: Vec<u64> = (0..size).map(|_| rng.next()).collect();
        let (shards, copies) = (1 + rng.below(40), 1 + rng.below(2));
        let merged = random_tree(deal::<u64, Hll<P>>(&items, shards, copies, rng), rng);
        let whole = hll::<P>(items.iter().copied());
        assert_eq!(
            merged.to_bytes(),
            whole.to_bytes(),
            "P = {P}, {size} items, {shards} shards"
        );
        assert_eq!(merged, whole);
    }
}

/// HyperLogLog: any merge tree, also with items seen twice, has the bytes of one sketch of all items.
#[test]
fn hll_bytes_do_not_depend_on_the_tree() {
    let mut rng = Rng(1);
    hll_trees::<4>(1_500, &mut rng);
    hll_trees::<8>(800, &mut rng);
    hll_trees::<12>(60, &mut rng);
    hll_trees::<14>(9, &mut rng);
}

/// HyperLogLog: the form is a function of the content; it changes when the set passes the threshold, not before.
#[test]
fn hll_form_changes_at_the_threshold() {
    fn dense<const P: u8>(n: u64) -> bool {
        hll::<P>(0..n).to_bytes().len() == 1 + (1 << P) / 4 * 3
    }
    // At these sizes no two items share a slot.
    assert!(!dense::<12>(max_tokens(12)) && dense::<12>(max_tokens(12) + 1));
    assert!(!dense::<4>(max_tokens(4)) && dense::<4>(max_tokens(4) + 1));
}

/// HyperLogLog: sums of many small sketches in bulk equal pairwise sums, on both sides of the change of form.
#[test]
fn hll_bulk_sums_agree() {
    let mut rng = Rng(2);
    for sketches in [1, 2, 70, 96, 97, 98, 400] {
        let small: Vec<Hll<12>> = (0..sketches).map(|_| hll((0..8).map(|_| rng.next()))).collect();
        let one_by_one = random_tree(small.clone(), &mut rng);
        assert_eq!(Hll::sum_all(&small), Some(one_by_one), "{sketches} sketches");
    }
}

/// Log-histogram: any merge tree has the bytes of one histogram of all values.
#[test]
fn quantiles_bytes_do_not_depend_on_the_tree() {
    let mut rng = Rng(3);
    for _ in 0..600 {
        let items: Vec<i64> = (0..rng.below(1_000)).map(|_| rng.wide()).collect();
        let shards = 1 + rng.below(40);
        let merged = random_tree(deal::<i64, Quantiles>(&items, shards, 1, &mut rng), &mut rng);
        let whole = quantiles(items.iter().copied());
        assert_eq!(
            merged.to_bytes(),
            whole.to_bytes(),
            "{} items, {shards} shards",
            items.len()
        );
        assert_eq!(merged, whole);
    }
}

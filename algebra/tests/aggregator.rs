//! Aggregators: the law of each, and of what combinators make of them; answers against plain collections.

mod common;

use std::collections::BTreeSet;

use common::{Rng, wide};
use proptest::prelude::{Strategy, any};
use rufous_algebra::aggregator::{self, Absorbing, Aggregator};
use rufous_algebra::laws::{check_aggregator, random, rule};
use rufous_algebra::{Covariance, ExactSum, Hll, Max, Moments, Semigroup};

/// Absorbing is adding what was prepared, for all that is ready-made and all combinators.
#[test]
fn laws() {
    let items = [3i64, -1, 0, i64::MAX, 3, i64::MIN];
    check_aggregator(&aggregator::count(), &items);
    check_aggregator(&aggregator::sum(), &items);
    check_aggregator(&aggregator::min(), &items);
    check_aggregator(&aggregator::max(), &items);
    check_aggregator(&aggregator::mean(), &items);
    check_aggregator(&aggregator::distinct::<i64, 4>(), &items);
    check_aggregator(&aggregator::quantile(0.5), &items);
    check_aggregator(&Absorbing::<ExactSum, f64>::new(), &[0.1, f64::INFINITY, -0.1]);
    check_aggregator(&Absorbing::<Covariance, (i64, i64)>::new(), &[(1, 2), (i64::MIN, 3)]);
    let positive = aggregator::mean().filter(|x: &i64| *x > 0);
    check_aggregator(&positive, &items);
    check_aggregator(&positive.clone().map_output(|m| m.is_some()), &items);
    check_aggregator(
        &positive.clone().map_input(|text: &String| text.len() as i64),
        &["a".to_string(), String::new()],
    );
    check_aggregator(
        &aggregator::distinct::<str, 4>().project(|text: &String| text.as_str()),
        &["a".to_string(), String::new()],
    );
    check_aggregator(&positive.clone().zip(aggregator::count()), &items);
    let all = (
        aggregator::count(),
        aggregator::sum(),
        aggregator::min(),
        aggregator::max(),
        aggregator::mean(),
        positive,
    );
    check_aggregator(&all, &items);
    let seen = aggregator::distinct::<i64, 4>().zip(aggregator::quantile(0.9));
    random(any::<i64>().prop_map(|x| x % 1_000), |items| {
        rule::aggregator(&seen, items)
    });
}

/// The harness itself: an `absorb` that does something else is found.
#[test]
#[should_panic(expected = "absorbing is adding what was prepared")]
fn a_broken_law_is_found() {
    struct Twice;
    impl Aggregator for Twice {
        type Item = u64;
        type State = u64;
        type Output = u64;
        fn prepare(&self, item: &u64) -> u64 {
            2 * item
        }
        fn absorb(&self, state: &mut u64, item: &u64) {
            *state += item;
        }
        fn present(&self, state: &u64) -> u64 {
            *state
        }
    }
    check_aggregator(&Twice, &[1, 2]);
}

/// The answers are those of plain collections, and the same from parts computed apart.
#[test]
fn answers() {
    let mut rng = Rng(1);
    let every = (
        (
            aggregator::count(),
            aggregator::sum().map_input(|x: &i64| i128::from(*x)),
        ),
        (aggregator::min(), aggregator::max()),
        aggregator::mean(),
        aggregator::distinct::<i64, 14>(),
        aggregator::quantile(0.25),
        aggregator::count().filter(|x: &i64| x % 2 == 0),
    );
    for _ in 0..100 {
        let items: Vec<i64> = (0..1 + rng.below(300)).map(|_| wide(&mut rng)).collect();
        let ((count, sum), (min, max), mean, distinct, quantile, even) = every.aggregate(&items).unwrap();
        let exact: i128 = items.iter().map(|x| i128::from(*x)).sum();
        assert_eq!((count, sum), (items.len() as u64, exact));
        assert_eq!((min.as_ref(), max.as_ref()), (items.iter().min(), items.iter().max()));
        assert_eq!(mean, Some(exact as f64 / items.len() as f64));
        assert!(distinct.contains(items.iter().collect::<BTreeSet<_>>().len() as f64));
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert!(quantile.unwrap().contains(sorted[items.len().div_ceil(4) - 1] as f64));
        assert_eq!(even, items.iter().filter(|x| *x % 2 == 0).count() as u64);
        let (left, right) = items.split_at(rng.below(items.len()));
        let parts = [left, right].map(|part| every.fold(part));
        let merged = Option::sum_all(&parts).flatten().unwrap();
        assert_eq!(every.present(&merged).0, (count, sum));
        assert_eq!(every.present(&merged).1, (min, max));
    }
}

/// Of no items there is no answer; of items that a filter refused there is that of zero.
#[test]
fn nothing() {
    assert_eq!(aggregator::count::<u8>().aggregate(&[]), None);
    assert_eq!(aggregator::min().filter(|x: &u8| *x > 9).aggregate(&[1]), Some(None));
    assert_eq!(Absorbing::<Max<u8>, u8>::new().aggregate(&[1, 7, 3]), Some(Max::of(7)));
    assert_eq!(
        Absorbing::<Hll<12>, str>::default()
            .aggregate(["a", "b"])
            .unwrap()
            .estimate()
            .value
            .round(),
        2.0
    );
    let spread = Absorbing::<Moments, i64>::new().map_output(|m| m.variance());
    assert_eq!(spread.aggregate(&[2, 4]).flatten(), Some(1.0));
}

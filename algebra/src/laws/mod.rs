//! The laws as functions: run them on your own types. Feature `laws`.
//!
//! Three ways to choose the values:
//! - *samples* of yours: [`check`] and the other `check_*` panic with the law's name and the values that break it. They take
//!   all pairs and triples, so a dozen samples is plenty; choose the odd ones: the zero, the extremes, values that cancel
//!   out, sizes around a change of form;
//! - *random* values: [`random`] takes a `proptest` strategy and one of the [`rule`]s, and shrinks what breaks it to the
//!   simplest values that still do;
//! - *merge trees* of items: [`exact_trees`], [`replayed_trees`] and [`approximate_trees`] check what a tier promises.
//!
//! ```
//! use proptest::prelude::*;
//! use rufous_algebra::{Max, Quantiles, laws};
//!
//! laws::check([Max::of(3), Max::of(-1), Max::default()]);
//! laws::random(any::<(i64, u64)>(), laws::rule::group);
//! laws::check_absorb::<i64, Quantiles>(&[3, -1, 0, 3]);
//! ```
//!
//! A broken law names itself and the simplest values:
//!
//! ```should_panic
//! # use proptest::prelude::*;
//! # use rufous_algebra::{Semigroup, laws};
//! #[derive(Clone, Debug, PartialEq)]
//! struct Difference(i8);
//! impl Semigroup for Difference {
//!     fn combine(&mut self, other: &Self) { self.0 = self.0.wrapping_sub(other.0) }
//! }
//! laws::random(any::<i8>().prop_map(Difference), laws::rule::semigroup);
//! ```

pub mod rule;
mod tree;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::aggregator::Aggregator;
use crate::codec::Codec;
use crate::semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};
pub use rule::{Broken, Rule};
pub use tree::{Rng, agreeing_trees, approximate_trees, exact_trees, replayed_trees};

/// Checks a rule on random values, up to three at a time; 256 times, from a fixed seed.
///
/// # Panics
/// When the rule does not hold, with the simplest values that break it.
pub fn random<T: Debug + Clone>(values: impl Strategy<Value = T>, rule: impl Fn(&[T]) -> Rule) {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let found = runner.run(&proptest::collection::vec(values, 1..=3), |values| {
        rule(&values).map_err(|broken| TestCaseError::fail(broken.to_string()))
    });
    match found {
        Ok(()) => {}
        Err(TestError::Fail(law, values)) => panic!("a law does not hold for {values:?}: {law}"),
        Err(TestError::Abort(why)) => panic!("no values to check a law on: {why}"),
    }
}

#[track_caller]
fn hold(rule: Rule) {
    if let Err(broken) = rule {
        panic!("{broken}");
    }
}

/// All that a summing store asks of a value: a commutative monoid with canonical bytes.
///
/// # Panics
/// When a law does not hold.
#[track_caller]
pub fn check<T: Monoid + Commutative + Codec + PartialEq + Debug>(samples: impl IntoIterator<Item = T>) {
    let samples: Vec<T> = samples.into_iter().collect();
    hold(rule::stored(&samples));
}

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $rule:ident<$($p:ident),+>($samples:ident: &[$item:ident]) where [$($bound:tt)+];)+) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// When a law does not hold.
        #[track_caller]
        pub fn $name<$($p),+>($samples: &[$item]) where $($bound)+ {
            hold(rule::$rule::<$($p),+>($samples));
        }
    )+};
}

checks! {
    /// [`rule::semigroup`].
    check_semigroup = semigroup<T>(samples: &[T]) where [T: Semigroup + PartialEq + Debug];
    /// [`rule::sum_all`].
    check_sum_all = sum_all<T>(samples: &[T]) where [T: Semigroup + PartialEq + Debug];
    /// [`rule::times`].
    check_times = times<T>(samples: &[T]) where [T: Semigroup + PartialEq + Debug];
    /// [`rule::monoid`].
    check_monoid = monoid<T>(samples: &[T]) where [T: Monoid + PartialEq + Debug];
    /// [`rule::commutative`].
    check_commutative = commutative<T>(samples: &[T]) where [T: Commutative + PartialEq + Debug];
    /// [`rule::idempotent`].
    check_idempotent = idempotent<T>(samples: &[T]) where [T: Idempotent + PartialEq + Debug];
    /// [`rule::group`].
    check_group = group<T>(samples: &[T]) where [T: Group + PartialEq + Debug];
    /// [`rule::codec`].
    check_codec = codec<T>(samples: &[T]) where [T: Codec + PartialEq + Debug];
    /// [`rule::merge`].
    check_merge = merge<T>(samples: &[T]) where [T: Semigroup + Codec + PartialEq + Debug];
    /// [`rule::absorb`].
    check_absorb = absorb<T, S>(items: &[T]) where [S: Absorb<T> + PartialEq + Debug];
}

/// [`rule::aggregator`].
///
/// # Panics
/// When the law does not hold.
#[track_caller]
pub fn check_aggregator<A>(aggregator: &A, items: &[A::Item])
where
    A: Aggregator<State: PartialEq + Debug, Item: Sized>,
{
    hold(rule::aggregator(aggregator, items));
}

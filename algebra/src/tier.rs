//! How much the laws promise: the same bytes, or the same bound.
//!
//! | tier | promise |
//! |---|---|
//! | [`Exact`] | equal multisets of items have equal *bytes*, under any merge tree, on any machine |
//! | [`Approximate`] | the state may differ from tree to tree; every tree keeps every answer within the same published bound |
//!
//! A type says its tier once, as an associated type, so it cannot have both. A struct has the weaker tier of its fields.
//! Values that cannot be summed in any order have no tier.

use crate::codec::Codec;
use crate::estimate::Estimate;
use crate::semigroup::{Commutative, Semigroup};

/// Equal multisets have equal bytes.
#[derive(Clone, Copy, Debug)]
pub enum Exact {}

/// Every merge tree keeps the same bound. Such a type says in [`Codec::agrees`] whether two
/// values may be sums of the same items: layers that count the same are compared by it.
#[derive(Clone, Copy, Debug)]
pub enum Approximate {}

/// [`Exact`] or [`Approximate`].
pub trait Tier: sealed::Sealed {
    /// The weaker of this tier and another.
    type And<T: Tier>: Tier;
    /// For reports: `exact` or `approximate`.
    const NAME: &'static str;
}
impl Tier for Exact {
    type And<T: Tier> = T;
    const NAME: &'static str = "exact";
}
impl Tier for Approximate {
    type And<T: Tier> = Self;
    const NAME: &'static str = "approximate";
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Exact {}
    impl Sealed for super::Approximate {}
}

/// A semigroup that says its [`Tier`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether its sums are exact or approximate",
    note = "write `impl Tiered for {Self} {{ type Tier = Exact; }}`, or derive `Monoid` for a struct whose fields all say it"
)]
pub trait Tiered: Semigroup {
    /// The promise that all sums of this type keep.
    type Tier: Tier;
}

/// [`Exact`]. A bound of its own, so that the compiler says what is wrong.
#[diagnostic::on_unimplemented(
    message = "sums of this type are approximate: equal items need not lead to equal bytes",
    label = "exact laws are asked for here",
    note = "one approximate field makes the whole struct approximate: keep it in a store of its own, or use an exact type \
        (`ExactSum` for `FloatSum`, `Quantiles` for a t-digest)"
)]
pub trait IsExact: Tier {}
impl IsExact for Exact {}

/// **Law:** equal multisets of items have equal bytes under any merge tree. Holds for every type whose [`Tier`] is [`Exact`].
pub trait ExactLaws: Tiered<Tier: IsExact> + Commutative + Codec {}
impl<T: Tiered<Tier: IsExact> + Commutative + Codec> ExactLaws for T {}

/// **Law:** whatever the merge tree, the true answer to a query lies within the bounds of [`answer`](Self::answer) with at
/// least its confidence.
pub trait ApproxLaws: Tiered<Tier = Approximate> + Commutative {
    /// What can be asked: an item, a rank, or nothing (`()`).
    type Query: ?Sized;
    /// The answer with its bounds; `None` where there is none, as a quantile of nothing.
    fn answer(&self, query: &Self::Query) -> Option<Estimate>;
}

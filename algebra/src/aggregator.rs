//! Prepare, sum, present: from items through states that can be summed to an answer.
//!
//! An [`Aggregator`] joins what to keep of an item, how that adds up, and what to show of the sum. Only the middle is stored and
//! merged; both ends are plain functions. Aggregators of the same items are joined, narrowed and dressed by combinators, and each
//! item is looked at once:
//!
//! ```
//! use rufous_algebra::aggregator::{self, Aggregator};
//! struct Visit { page: &'static str, ms: i64 }
//!
//! let slow = aggregator::count().filter(|visit: &Visit| visit.ms > 100);
//! let pages = aggregator::distinct::<str, 12>().project(|visit: &Visit| visit.page);
//! let mean = aggregator::mean().map_input(|visit: &Visit| visit.ms);
//! let report = slow.zip(pages).zip(mean).map_output(|((slow, pages), mean)| {
//!     format!("{slow} slow, {} pages, mean {:?} ms", pages.value.round(), mean)
//! });
//!
//! let visits = [Visit { page: "a", ms: 20 }, Visit { page: "b", ms: 220 }, Visit { page: "a", ms: 30 }];
//! assert_eq!(report.aggregate(&visits).unwrap(), "1 slow, 2 pages, mean Some(90.0) ms");
//! ```
//!
//! The state is an ordinary semigroup, so halves computed apart can be summed before they are presented:
//!
//! ```
//! use rufous_algebra::aggregator::{self, Aggregator};
//! use rufous_algebra::Semigroup;
//! let spread = aggregator::min::<i64>().zip(aggregator::max());
//! let mut state = spread.fold(&[3, 1]).unwrap();
//! state.combine(&spread.fold(&[2, 7]).unwrap());
//! assert_eq!(spread.present(&state), (Some(1), Some(7)));
//! ```

mod combinators;
mod ready;

use std::marker::PhantomData;

use crate::semigroup::{Absorb, Semigroup};
pub use combinators::{Filter, MapInput, MapOutput, Project};
pub use ready::{count, distinct, max, mean, min, quantile, sum};

/// What to keep of an item, how it adds up, and what to show of the sum.
///
/// **Law:** `absorb(state, item)` equals `state.combine(prepare(item))`; `laws::check_aggregator` checks it.
pub trait Aggregator {
    /// What is aggregated.
    type Item: ?Sized;
    /// What is summed, stored and merged.
    type State: Semigroup;
    /// What is shown.
    type Output;

    /// The state of one item.
    fn prepare(&self, item: &Self::Item) -> Self::State;

    /// Folds an item in. May be faster than the default, must agree with it.
    #[inline]
    fn absorb(&self, state: &mut Self::State, item: &Self::Item) {
        state.combine_owned(self.prepare(item));
    }

    /// The answer.
    fn present(&self, state: &Self::State) -> Self::Output;

    /// The state of many items, or `None` of none.
    fn fold<'a, I>(&self, items: I) -> Option<Self::State>
    where
        I: IntoIterator<Item = &'a Self::Item>,
        Self::Item: 'a,
    {
        let mut items = items.into_iter();
        let mut state = self.prepare(items.next()?);
        items.for_each(|item| self.absorb(&mut state, item));
        Some(state)
    }

    /// The answer for many items, or `None` of none.
    fn aggregate<'a, I>(&self, items: I) -> Option<Self::Output>
    where
        I: IntoIterator<Item = &'a Self::Item>,
        Self::Item: 'a,
    {
        self.fold(items).map(|state| self.present(&state))
    }

    /// Another answer from this one (Algebird: `andThenPresent`).
    fn map_output<O, F: Fn(Self::Output) -> O>(self, f: F) -> MapOutput<Self, F>
    where
        Self: Sized,
    {
        MapOutput::new(self, f)
    }

    /// Other items, from which these are made (Algebird: `composePrepare`).
    fn map_input<T: ?Sized, F: Fn(&T) -> Self::Item>(self, f: F) -> MapInput<Self, T, F>
    where
        Self: Sized,
        Self::Item: Sized,
    {
        MapInput::new(self, f)
    }

    /// Other items, of which these are a part that is only lent.
    fn project<T: ?Sized, F: Fn(&T) -> &Self::Item>(self, f: F) -> Project<Self, T, F>
    where
        Self: Sized,
    {
        Project::new(self, f)
    }

    /// Only the items for which `keep` holds (Algebird: `filterBefore`). Of others the state is zero.
    fn filter<F: Fn(&Self::Item) -> bool>(self, keep: F) -> Filter<Self, F>
    where
        Self: Sized,
        Self::State: crate::Monoid,
    {
        Filter::new(self, keep)
    }

    /// This and another over the same items, both answers (Algebird: `join`). More of them: a tuple of up to 6 is an aggregator.
    fn zip<A: Aggregator<Item = Self::Item>>(self, other: A) -> (Self, A)
    where
        Self: Sized,
    {
        (self, other)
    }
}

/// The aggregator of a state that [absorbs](Absorb) items; the answer is the state.
///
/// ```
/// use rufous_algebra::aggregator::{Absorbing, Aggregator};
/// use rufous_algebra::Moments;
/// let spread = Absorbing::<Moments, i64>::new().map_output(|m| m.variance());
/// assert_eq!(spread.aggregate(&[2, 4]), Some(Some(1.0)));
/// ```
pub struct Absorbing<S, T: ?Sized>(PhantomData<fn(&T) -> S>);

impl<S, T: ?Sized> Absorbing<S, T> {
    /// All is said by the types.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}
impl<S, T: ?Sized> Default for Absorbing<S, T> {
    fn default() -> Self {
        Self::new()
    }
}
impl<S, T: ?Sized> Clone for Absorbing<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S, T: ?Sized> Copy for Absorbing<S, T> {}

impl<S: Absorb<T>, T: ?Sized> Aggregator for Absorbing<S, T> {
    type Item = T;
    type State = S;
    type Output = S;
    #[inline]
    fn prepare(&self, item: &T) -> S {
        let mut state = S::zero();
        state.absorb(item);
        state
    }
    #[inline]
    fn absorb(&self, state: &mut S, item: &T) {
        state.absorb(item);
    }
    fn present(&self, state: &S) -> S {
        state.clone()
    }
}

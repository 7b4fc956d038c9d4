//! Aggregators that are asked for most.

use super::{Absorbing, Aggregator};
use crate::estimate::Estimate;
use crate::extremum::{Max, Min};
use crate::hash::HashBytes;
use crate::hll::Hll;
use crate::plain::{Count, Mean};
use crate::quantiles::Quantiles;
use crate::semigroup::Monoid;

/// How many items.
///
/// ```
/// use rufous_algebra::aggregator::{self, Aggregator};
/// assert_eq!(aggregator::count().aggregate(["a", "b"]), Some(2));
/// ```
pub fn count<T: ?Sized>() -> impl Aggregator<Item = T, State = Count, Output = u64> + Clone {
    Absorbing::<Count, T>::new().map_output(Count::get)
}

/// The sum of items that are a monoid themselves.
///
/// ```
/// use rufous_algebra::aggregator::{self, Aggregator};
/// assert_eq!(aggregator::sum().aggregate(&[(1u64, 2i64), (3, -4)]), Some((4, -2)));
/// ```
pub fn sum<T: Monoid>() -> impl Aggregator<Item = T, State = T, Output = T> + Clone {
    Sum(std::marker::PhantomData)
}

struct Sum<T>(std::marker::PhantomData<fn(&T)>);
impl<T> Clone for Sum<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}
impl<T: Monoid> Aggregator for Sum<T> {
    type Item = T;
    type State = T;
    type Output = T;
    fn prepare(&self, item: &T) -> T {
        item.clone()
    }
    #[inline]
    fn absorb(&self, state: &mut T, item: &T) {
        state.combine(item);
    }
    fn present(&self, state: &T) -> T {
        state.clone()
    }
}

/// The least item. `None` only if a filter kept nothing.
pub fn min<T: Ord + Clone + Send + Sync + 'static>()
-> impl Aggregator<Item = T, State = Min<T>, Output = Option<T>> + Clone {
    Absorbing::<Min<T>, T>::new().map_output(|least: Min<T>| least.get().cloned())
}

/// The greatest item. `None` only if a filter kept nothing.
pub fn max<T: Ord + Clone + Send + Sync + 'static>()
-> impl Aggregator<Item = T, State = Max<T>, Output = Option<T>> + Clone {
    Absorbing::<Max<T>, T>::new().map_output(|greatest: Max<T>| greatest.get().cloned())
}

/// The mean of integers. `None` only if a filter kept nothing.
pub fn mean() -> impl Aggregator<Item = i64, State = Mean, Output = Option<f64>> + Clone {
    Absorbing::<Mean, i64>::new().map_output(|mean: Mean| mean.mean())
}

/// How many different items, estimated by an [`Hll`] of precision `P`.
pub fn distinct<T: HashBytes + ?Sized, const P: u8>()
-> impl Aggregator<Item = T, State = Hll<P>, Output = Estimate> + Clone {
    Absorbing::<Hll<P>, T>::new().map_output(|seen: Hll<P>| seen.estimate())
}

/// The `q`-quantile of integers, to 0.775 %: see [`Quantiles::quantile`]. `None` only if a filter kept nothing, or `q` is no
/// number.
///
/// ```
/// use rufous_algebra::aggregator::{self, Aggregator};
/// let median = aggregator::quantile(0.5);
/// assert_eq!(median.aggregate(&[9, 1, 5]).flatten().unwrap().value, 5.0);
/// ```
pub fn quantile(q: f64) -> impl Aggregator<Item = i64, State = Quantiles, Output = Option<Estimate>> + Clone {
    Absorbing::<Quantiles, i64>::new().map_output(move |values: Quantiles| values.quantile(q))
}

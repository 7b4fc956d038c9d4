//! Means with weights.

use serde_json::{Value, json};

use super::ExactSum;
use super::by_parts::{number, sums_of_parts};
use crate::codec::Codec;
use crate::semigroup::Absorb;

/// The mean of values with weights, `sum w x / sum w`, both sums exact. Items are pairs of value and weight.
///
/// **Laws, exact.** A commutative [`Group`](crate::Group). **Guarantee:** products are summed with both their halves, so nothing is rounded
/// until the sums are read (products below 2^-969 lose what lies below 2^-1074). **Cost:** two [`ExactSum`]s; 10 ns for
/// an item.
///
/// **Not for** weights that fade with time: [`DecayedMoments`](super::DecayedMoments).
///
/// ```
/// use rufous_algebra::{Absorb, Monoid, WeightedMean};
/// let mut rating = WeightedMean::zero();
/// [(5.0, 1.0), (2.0, 3.0)].iter().for_each(|rated| rating.absorb(rated));
/// assert_eq!(rating.mean(), Some(2.75));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedMean {
    sum: ExactSum,
    weight: ExactSum,
}

impl WeightedMean {
    /// Adds a value.
    pub fn add(&mut self, value: f64, weight: f64) {
        let product = value * weight;
        self.sum.add(product);
        if product.is_finite() {
            self.sum.add(value.mul_add(weight, -product));
        }
        self.weight.add(weight);
    }
    /// The sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight.value()
    }
    /// The mean; `None` if the weights sum to zero.
    pub fn mean(&self) -> Option<f64> {
        let weight = self.weight();
        (weight != 0.0).then(|| self.sum.value() / weight)
    }
    fn shown(&self) -> Value {
        json!({ "mean": number(self.mean()), "weight": self.weight().json() })
    }
    fn size(&self) -> f64 {
        self.mean().unwrap_or(f64::NEG_INFINITY)
    }
}
sums_of_parts!(
    WeightedMean {
        sum: ExactSum,
        weight: ExactSum
    },
    "weighted-mean"
);
impl Absorb<(f64, f64)> for WeightedMean {
    #[inline]
    fn absorb(&mut self, item: &(f64, f64)) {
        self.add(item.0, item.1);
    }
}

//! Means.

use serde_json::{Value, json};

use super::ExactSum;
use super::by_parts::{number, sums_of_parts};
use crate::semigroup::Absorb;

/// The mean of `i64` values: their sum in 128 bits and their count.
///
/// **Laws, exact.** A commutative [`Group`](crate::Group); sum and count wrap, which takes 2^63 values. **Guarantee:** [`mean`](Self::mean)
/// divides the exact sum once, so it is within 2^-52 of itself. **Cost:** 24 bytes encoded; 0.3 ns for a value.
///
/// **Not for** skewed values, of which a median says more: [`Quantiles`](crate::Quantiles).
///
/// ```
/// use rufous_algebra::{Absorb, Mean, Monoid};
/// let mut delay = Mean::zero();
/// [i64::MAX, i64::MAX, -3].iter().for_each(|ms| delay.absorb(ms));
/// assert_eq!(delay.sum(), 2 * i128::from(i64::MAX) - 3);
/// assert_eq!(delay.mean(), Some((2.0 * 2f64.powi(63)) / 3.0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mean {
    sum: i128,
    count: i64,
}

impl Mean {
    /// The sum of the values.
    pub fn sum(&self) -> i128 {
        self.sum
    }
    /// How many values, less those taken away.
    pub fn count(&self) -> i64 {
        self.count
    }
    /// The mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.sum as f64 / self.count as f64)
    }
    fn shown(&self) -> Value {
        json!({ "mean": number(self.mean()), "count": self.count })
    }
    fn size(&self) -> f64 {
        self.mean().unwrap_or(f64::NEG_INFINITY)
    }
}
sums_of_parts!(Mean { sum: i128, count: i64 }, "mean");
impl Absorb<i64> for Mean {
    #[inline]
    fn absorb(&mut self, item: &i64) {
        self.sum = self.sum.wrapping_add(i128::from(*item));
        self.count = self.count.wrapping_add(1);
    }
}

/// The mean of `f64` values: their [`ExactSum`] and their count.
///
/// **Laws, exact.** A commutative [`Group`](crate::Group). **Guarantee:** [`mean`](Self::mean) divides the correctly rounded sum once, so it is
/// within 2^-52 of itself, whatever the order and however much cancels out. **Cost:** that of the sum and 8 bytes. Where bytes
/// need not be equal, [`FloatSum::mean`](super::FloatSum::mean) costs less.
///
/// **Not for** weights: [`WeightedMean`](super::WeightedMean).
///
/// ```
/// use rufous_algebra::{Absorb, FloatMean, Monoid};
/// let mut mean = FloatMean::zero();
/// [1e100, 1.0, -1e100, 3.0].iter().for_each(|x| mean.absorb(x));
/// assert_eq!(mean.mean(), Some(1.0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatMean {
    sum: ExactSum,
    count: i64,
}

impl FloatMean {
    /// The sum of the values.
    pub fn sum(&self) -> &ExactSum {
        &self.sum
    }
    /// How many values, less those taken away.
    pub fn count(&self) -> i64 {
        self.count
    }
    /// The mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.sum.value() / self.count as f64)
    }
    fn shown(&self) -> Value {
        json!({ "mean": number(self.mean()), "count": self.count })
    }
    fn size(&self) -> f64 {
        self.mean().unwrap_or(f64::NEG_INFINITY)
    }
}
sums_of_parts!(
    FloatMean {
        sum: ExactSum,
        count: i64
    },
    "float-mean"
);
impl Absorb<f64> for FloatMean {
    #[inline]
    fn absorb(&mut self, item: &f64) {
        self.sum.add(*item);
        self.count = self.count.wrapping_add(1);
    }
}

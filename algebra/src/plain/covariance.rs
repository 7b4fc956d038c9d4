//! How two numbers vary together.

use serde_json::{Value, json};

use super::by_parts::{number, sums_of_parts};
use super::wide::Wide;
use crate::semigroup::{Absorb, Monoid, Semigroup};

/// Covariance, correlation and the line of best fit of pairs of `i64`, from the exact sums of `x`, `y`, `x^2`, `y^2` and `x y`.
///
/// **Laws, exact.** Integers of 128 and 192 bits, wide enough for 2^63 pairs of any size: equal multisets have equal bytes, and
/// it is a commutative [`Group`](crate::Group).
///
/// **Guarantee.** Differences such as `n * sum xy - sum x * sum y` are computed exactly and rounded once, so each result is within
/// 2^-50 of itself even where the means are huge and the variances small. There is no version for floats: scale them to
/// integers, as cents or microseconds.
///
/// **Cost.** 112 bytes in memory, encoded 13 and more; 2 ns for a pair.
///
/// **Not for** more than two variables at once, or relations that are no line.
///
/// ```
/// use rufous_algebra::{Absorb, Covariance, Monoid};
/// let mut pairs = Covariance::zero();
/// [(1_000_000_001i64, 10i64), (1_000_000_002, 12), (1_000_000_003, 14)].iter().for_each(|p| pairs.absorb(p));
/// assert_eq!((pairs.correlation(), pairs.slope()), (Some(1.0), Some(2.0)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covariance {
    count: Wide<1>,
    x: Wide<2>,
    y: Wide<2>,
    xx: Wide<3>,
    yy: Wide<3>,
    xy: Wide<3>,
}

/// Wide enough for `n * sum x^2`.
type Number = Wide<5>;

impl Covariance {
    /// How many pairs, less those taken away.
    pub fn count(&self) -> i64 {
        self.count.to_i128() as i64
    }
    /// The mean product of the distances to the means; `None` of nothing.
    pub fn covariance(&self) -> Option<f64> {
        let n = self.count() as f64;
        (self.count() > 0).then(|| self.spread(self.xy, self.x, self.y).to_f64() / (n * n))
    }
    /// Pearson's correlation, from -1 to 1. `None` where `x` or `y` does not vary.
    pub fn correlation(&self) -> Option<f64> {
        let (xx, yy) = (self.varies(self.xx, self.x)?, self.varies(self.yy, self.y)?);
        let r = self.spread(self.xy, self.x, self.y).to_f64() / (xx.sqrt() * yy.sqrt());
        Some(r.clamp(-1.0, 1.0))
    }
    /// By how much `y` grows with `x`: the slope of the line of least squares. `None` where `x` does not vary.
    pub fn slope(&self) -> Option<f64> {
        let xx = self.varies(self.xx, self.x)?;
        Some(self.spread(self.xy, self.x, self.y).to_f64() / xx)
    }

    /// `n * products - a * b`: `n^2` times a covariance.
    fn spread(&self, products: Wide<3>, a: Wide<2>, b: Wide<2>) -> Number {
        self.count.to::<5>() * products.to() - a.to() * b.to()
    }
    fn varies(&self, squares: Wide<3>, sum: Wide<2>) -> Option<f64> {
        let spread = self.spread(squares, sum, sum);
        (self.count() > 0 && !spread.is_zero() && !spread.is_negative()).then(|| spread.to_f64())
    }
    fn shown(&self) -> Value {
        json!({
            "count": self.count(),
            "covariance": number(self.covariance()),
            "correlation": number(self.correlation()),
        })
    }
    fn size(&self) -> f64 {
        self.correlation().unwrap_or(f64::NEG_INFINITY)
    }
}

sums_of_parts!(
    Covariance { count: Wide<1>, x: Wide<2>, y: Wide<2>, xx: Wide<3>, yy: Wide<3>, xy: Wide<3> },
    "covariance"
);

impl Absorb<(i64, i64)> for Covariance {
    #[inline]
    fn absorb(&mut self, item: &(i64, i64)) {
        let (x, y) = (i128::from(item.0), i128::from(item.1));
        self.count.combine(&Wide::from(1));
        self.x.combine(&Wide::from(x));
        self.y.combine(&Wide::from(y));
        self.xx.combine(&Wide::from(x * x));
        self.yy.combine(&Wide::from(y * y));
        self.xy.combine(&Wide::from(x * y));
    }
}

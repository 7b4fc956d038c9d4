//! Mean, variance, skewness and kurtosis of floats.

use serde_json::{Map, Value};

use super::bounded::Bounded;
use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_decoded, nothing_left, put_part};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

/// What [`FloatMoments`] and [`DecayedMoments`](super::DecayedMoments) can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The mean.
    Mean,
    /// The mean square of the distance to the mean.
    Variance,
    /// The third standardised moment.
    Skewness,
    /// The fourth standardised moment: 3 for a normal distribution.
    Kurtosis,
}

/// Mean, variance, skewness and kurtosis of `f64` values, each with bounds of the rounding error.
///
/// **State.** The count, the mean and the second to fourth central sums, merged pairwise: T. Chan, G. Golub, R. LeVeque, Updating
/// formulae and a pairwise algorithm for computing sample variances, 1979; P. Pebay, Formulas for robust, one-pass parallel
/// computation of covariances and arbitrary-order statistical moments, 2008. No squares of large means are subtracted.
///
/// **Guarantee.** Each part has a bound of its error, to which each merge adds what it rounds and what it inherits (running error
/// analysis; N. Higham, 2002, section 3.3). So the true moment of the values lies within the bounds of
/// [`answer`](ApproxLaws::answer), always and in any merge tree. The bounds grow with the number of merges in a row: for the
/// variance of `n` values absorbed one by one they come to some `n u |mean| / deviation` of it, with `u = 2^-53`. If values are
/// not finite, or powers overflow, the bounds hold everything.
///
/// **Laws, approximate.** Commutative. No group. Integers have exact ones: [`Moments`](super::Moments).
///
/// **Cost.** 72 bytes, in memory and encoded; a value takes as long as a merge, 64 ns, most of it for the bounds.
///
/// **Not for** integers, or where bytes must be equal.
///
/// ```
/// use rufous_algebra::{Absorb, ApproxLaws, FloatMoments, Moment, Monoid};
/// let mut moments = FloatMoments::zero();
/// [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0].iter().for_each(|x| moments.absorb(x));
/// let variance = moments.answer(&Moment::Variance).unwrap();
/// assert!(variance.contains(22.5) && variance.high - variance.low < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FloatMoments {
    count: u64,
    mean: Bounded,
    second: Bounded,
    third: Bounded,
    fourth: Bounded,
}

impl FloatMoments {
    /// Of one value.
    pub fn of(value: f64) -> Self {
        Self {
            count: 1,
            mean: Bounded::exact(value),
            ..Self::default()
        }
    }
    /// How many values; stops at 2^64 - 1.
    pub fn count(&self) -> u64 {
        self.count
    }
    fn parts(&self) -> [Bounded; 4] {
        [self.mean, self.second, self.third, self.fourth]
    }

    /// The two, starting from the one with more values: better, and the same from both sides.
    fn plus(&self, other: &Self) -> Self {
        let order = |v: &Self| (v.count, v.mean.value);
        let ((na, ma), (nb, mb)) = (order(self), order(other));
        let (a, b) = if na.cmp(&nb).then(ma.total_cmp(&mb)).is_ge() {
            (self, other)
        } else {
            (other, self)
        };
        let count = a.count.saturating_add(b.count);
        let n = Bounded::count(count);
        let (p, q) = (Bounded::count(a.count) / n, Bounded::count(b.count) / n);
        let d = b.mean - a.mean;
        let d2 = d * d;
        // `d^2 na nb / n`, by which the second moment grows.
        let grown = d2 * Bounded::count(a.count) * q;
        let [three, four, six] = [3.0, 4.0, 6.0].map(Bounded::exact);
        Self {
            count,
            mean: Bounded::mean_of(a.mean, b.mean, p, q),
            second: (a.second + b.second) + grown,
            third: (a.third + b.third) + (grown * d * (p - q) + three * d * (p * b.second - q * a.second)),
            fourth: (a.fourth + b.fourth)
                + (grown * d2 * (Bounded::exact(1.0) - three * p * q)
                    + six * d2 * (p * p * b.second + q * q * a.second)
                    + four * d * (p * b.third - q * a.third)),
        }
    }

    /// A standardised moment: `sum / n / (second / n)^power`.
    fn standardised(&self, sum: Bounded, power: f64) -> Option<Estimate> {
        if self.second.is_zero() {
            return None;
        }
        let n = self.count as f64;
        let of = |sum: f64, second: f64| sum / n / (second / n).powf(power);
        let value = of(sum.value, self.second.value);
        let ((a, b), (c, d)) = (sum.ends(), self.second.ends());
        let low = of(a, c).min(of(a, d));
        let high = of(b, c).max(of(b, d));
        // Below the normal numbers a divisor has lost its last bits.
        let lost = c <= 0.0 || (c / n).powf(power).min(c / n) < f64::MIN_POSITIVE;
        if lost || !value.is_finite() || !low.is_finite() || !high.is_finite() {
            return Some(Estimate::certain(value, f64::NEG_INFINITY, f64::INFINITY));
        }
        // Five roundings, one of them of `powf`; a dividend below the normal numbers is off by as much again.
        let slack = 8.0 * f64::EPSILON;
        Some(Estimate::certain(
            value,
            low - slack * (low.abs() + 1.0),
            high + slack * (high.abs() + 1.0),
        ))
    }
}

impl PartialEq for FloatMoments {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.parts().map(Bounded::key) == other.parts().map(Bounded::key)
    }
}
impl Semigroup for FloatMoments {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            *self = self.plus(other);
        }
    }
}
impl Monoid for FloatMoments {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.count == 0
    }
}
impl Commutative for FloatMoments {}
impl Tiered for FloatMoments {
    type Tier = Approximate;
}
impl Absorb<f64> for FloatMoments {
    #[inline]
    fn absorb(&mut self, item: &f64) {
        self.combine(&Self::of(*item));
    }
}
impl ApproxLaws for FloatMoments {
    type Query = Moment;
    /// `None` of nothing, and for skewness and kurtosis where there is no variance.
    fn answer(&self, query: &Moment) -> Option<Estimate> {
        if self.count == 0 {
            return None;
        }
        match query {
            Moment::Mean => Some(self.mean.estimate()),
            Moment::Variance => {
                let variance = (self.second / Bounded::count(self.count)).estimate();
                Some(Estimate {
                    low: variance.low.max(0.0),
                    ..variance
                })
            }
            Moment::Skewness => self.standardised(self.third, 1.5),
            Moment::Kurtosis => self.standardised(self.fourth, 2.0),
        }
    }
}

/// The count, then mean and central sums, each with its bound.
impl Codec for FloatMoments {
    const WIDTH: Option<usize> = Some(72);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.count, out);
        self.parts().into_iter().for_each(|part| part.put(out));
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = Self {
            count: decode_part(&mut bytes)?,
            mean: Bounded::take(&mut bytes)?,
            second: Bounded::take(&mut bytes)?,
            third: Bounded::take(&mut bytes)?,
            fourth: Bounded::take(&mut bytes)?,
        };
        nothing_left(bytes)?;
        if value.count == 0 && value != Self::default() {
            return Err(DecodeError::new("moments of no values"));
        }
        Ok(value)
    }
    fn schema() -> String {
        "float-moments/4".into()
    }
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("count".into(), self.count.into());
        for (name, moment) in [
            ("mean", Moment::Mean),
            ("variance", Moment::Variance),
            ("skewness", Moment::Skewness),
            ("kurtosis", Moment::Kurtosis),
        ] {
            object.insert(name.into(), self.answer(&moment).map_or(Value::Null, |e| e.json()));
        }
        Value::Object(object)
    }
    fn magnitude(&self) -> f64 {
        self.mean.value
    }
    fn agrees(&self, other: &Self) -> bool {
        let mut parts = self.parts().into_iter().zip(other.parts());
        self.count == other.count && parts.all(|(a, b)| a.estimate().meets(&b.estimate()))
    }
}

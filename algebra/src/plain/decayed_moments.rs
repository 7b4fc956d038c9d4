//! Mean and variance in which old items count less.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::DecayedCount;
use super::bounded::Bounded;
use super::decay::relative_error;
use super::float_moments::Moment;
use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_decoded, nothing_left, put_part};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

/// Mean and variance in which an item weighs half as much after each half-life. Items are pairs of time and value. Both are
/// ratios of decayed sums, so they are the same whenever they are read. State, parameter and laws are those of [`DecayedCount`];
/// mean and variance are merged as in [`FloatMoments`](super::FloatMoments), with weights for counts.
///
/// **Guarantee.** Each has a bound of its rounding error, which grows from merge to merge by what it rounds and inherits; the bounds
/// of [`answer`](ApproxLaws::answer) always hold, in any merge tree. Skewness and kurtosis have no answer.
///
/// **Cost.** 56 bytes, in memory and encoded; an item or a merge takes 83 ns, most of it for the bounds.
///
/// **Not for** quantiles of what is recent: keep [`Quantiles`](crate::Quantiles) by hour.
///
/// ```
/// use rufous_algebra::{Absorb, DecayedMoments, Monoid};
/// let mut price = DecayedMoments::<60>::zero();
/// [(0i64, 10.0), (60, 40.0)].iter().for_each(|item| price.absorb(item));
/// assert!(price.mean().unwrap().contains((10.0 + 2.0 * 40.0) / 3.0));
/// assert!(price.variance().unwrap().contains(200.0));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DecayedMoments<const HALF_LIFE: u64> {
    weight: DecayedCount<HALF_LIFE>,
    mean: Bounded,
    variance: Bounded,
}

impl<const HALF_LIFE: u64> DecayedMoments<HALF_LIFE> {
    /// The decayed count.
    pub fn weight(&self) -> &DecayedCount<HALF_LIFE> {
        &self.weight
    }
    /// The weighted mean; `None` of nothing.
    pub fn mean(&self) -> Option<Estimate> {
        (!self.is_zero()).then(|| self.mean.estimate())
    }
    /// The weighted mean square of the distance to the mean; `None` of nothing.
    pub fn variance(&self) -> Option<Estimate> {
        let variance = self.variance.estimate();
        (!self.is_zero()).then(|| Estimate {
            low: variance.low.max(0.0),
            ..variance
        })
    }

    /// The two, starting from the heavier one: better, and the same from both sides.
    fn plus(&self, other: &Self) -> Self {
        let mut weight = self.weight;
        weight.combine(&other.weight);
        let order = |x: &Self, y: &Self| -> Ordering {
            let by_weight = x.weight.scaled().compare(y.weight.scaled());
            let by_count = || x.weight.items().cmp(&y.weight.items());
            by_weight
                .then_with(by_count)
                .then_with(|| x.mean.value.total_cmp(&y.mean.value))
        };
        let (a, b) = if order(self, other).is_ge() {
            (self, other)
        } else {
            (other, self)
        };
        let ratio = b.weight.scaled().ratio(a.weight.scaled());
        let doubt = relative_error(a.weight.items()) + relative_error(b.weight.items());
        // Twice the doubt, as it enters both ways, and what a ratio out of range loses.
        let ratio = Bounded {
            value: ratio,
            error: 2.0 * doubt * ratio + f64::MIN_POSITIVE,
        };
        let p = Bounded::exact(1.0) / (Bounded::exact(1.0) + ratio);
        let q = ratio * p;
        let d = b.mean - a.mean;
        Self {
            weight,
            mean: Bounded::mean_of(a.mean, b.mean, p, q),
            variance: Bounded::mean_of(a.variance, b.variance, p, q) + p * q * d * d,
        }
    }
}

impl<const HALF_LIFE: u64> PartialEq for DecayedMoments<HALF_LIFE> {
    fn eq(&self, other: &Self) -> bool {
        let key = |v: &Self| (v.weight.key(), v.mean.key(), v.variance.key());
        key(self) == key(other)
    }
}
impl<const HALF_LIFE: u64> Semigroup for DecayedMoments<HALF_LIFE> {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        if self.is_zero() {
            *self = *other;
        } else if !other.is_zero() {
            *self = self.plus(other);
        }
    }
}
impl<const HALF_LIFE: u64> Monoid for DecayedMoments<HALF_LIFE> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.weight.is_zero()
    }
}
impl<const HALF_LIFE: u64> Commutative for DecayedMoments<HALF_LIFE> {}
impl<const HALF_LIFE: u64> Tiered for DecayedMoments<HALF_LIFE> {
    type Tier = Approximate;
}
impl<const HALF_LIFE: u64> Absorb<(i64, f64)> for DecayedMoments<HALF_LIFE> {
    #[inline]
    fn absorb(&mut self, item: &(i64, f64)) {
        let mut one = Self {
            mean: Bounded::exact(item.1),
            ..Self::default()
        };
        one.weight.absorb(&item.0);
        self.combine(&one);
    }
}
impl<const HALF_LIFE: u64> ApproxLaws for DecayedMoments<HALF_LIFE> {
    type Query = Moment;
    fn answer(&self, query: &Moment) -> Option<Estimate> {
        match query {
            Moment::Mean => self.mean(),
            Moment::Variance => self.variance(),
            Moment::Skewness | Moment::Kurtosis => None,
        }
    }
}

/// The decayed count, then mean and variance, each with its bound.
impl<const HALF_LIFE: u64> Codec for DecayedMoments<HALF_LIFE> {
    const WIDTH: Option<usize> = Some(56);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.weight, out);
        self.mean.put(out);
        self.variance.put(out);
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = Self {
            weight: decode_part(&mut bytes)?,
            mean: Bounded::take(&mut bytes)?,
            variance: Bounded::take(&mut bytes)?,
        };
        nothing_left(bytes)?;
        if value.is_zero() && value != Self::default() {
            return Err(DecodeError::new("decayed moments of no items"));
        }
        Ok(value)
    }
    fn schema() -> String {
        format!("decayed-moments/{HALF_LIFE}")
    }
    fn json(&self) -> Value {
        let shown = |answer: Option<Estimate>| answer.map_or(Value::Null, |e| e.json());
        json!({ "items": self.weight.items(), "mean": shown(self.mean()), "variance": shown(self.variance()) })
    }
    fn magnitude(&self) -> f64 {
        self.mean.value
    }
    fn agrees(&self, other: &Self) -> bool {
        let same = |a: Bounded, b: Bounded| a.estimate().meets(&b.estimate());
        self.weight.agrees(&other.weight) && same(self.mean, other.mean) && same(self.variance, other.variance)
    }
}

//! Sums in which old items count less.

use serde_json::Value;

use super::bounded::U;
use super::scaled::Scaled;
use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_decoded, nothing_left, put_part};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

/// Whole half-lives of a time, and the part of one that is left, from 0 to 1 and off by less than `4 u`.
#[inline]
fn half_lives<const HALF_LIFE: u64>(time: i64) -> (i64, f64) {
    const {
        assert!(
            HALF_LIFE >= 2 && HALF_LIFE <= i64::MAX as u64,
            "a half-life of 2 to 2^63 - 1 ticks"
        )
    };
    let whole = time.div_euclid(HALF_LIFE as i64);
    let rest = time.wrapping_sub(whole.wrapping_mul(HALF_LIFE as i64));
    (whole, rest as f64 * const { 1.0 / HALF_LIFE as f64 })
}

/// The weight `2^(time / half_life)`. Its error is below `6 u` of itself: `exp2` is good to one unit in the last place, which is
/// `2 u`, and its argument is off by less than `4 u`.
#[inline]
pub(super) fn weight<const HALF_LIFE: u64>(time: i64) -> Scaled {
    let (whole, part) = half_lives::<HALF_LIFE>(time);
    Scaled::new(part.exp2(), whole)
}

/// What a sum of `n` decayed items is off by, relative to the sum of their magnitudes; with room for reading it at some time.
/// Infinite for counts that no stream has.
pub(super) fn relative_error(n: u64) -> f64 {
    let error = (n as f64 + 24.0) * U;
    if error < 0.01 {
        error / (1.0 - 2.0 * error)
    } else {
        f64::INFINITY
    }
}

/// The sum at some time: `sum / 2^(time / half_life)`.
fn at<const HALF_LIFE: u64>(sum: Scaled, time: i64) -> f64 {
    let (whole, part) = half_lives::<HALF_LIFE>(time);
    sum.times((-part).exp2(), -whole).to_f64()
}

/// `value +- error`, or everything where a float cannot say it.
fn around(value: f64, error: f64) -> Estimate {
    if !value.is_finite() || !error.is_finite() {
        return Estimate::certain(value, f64::NEG_INFINITY, f64::INFINITY);
    }
    // Two more steps for what is rounded below the normal numbers.
    let low = (value - error).next_down().next_down();
    let high = (value + error).next_up().next_up();
    Estimate::certain(value, low, high)
}

/// A count in which an item weighs half as much after each half-life.
///
/// **State.** Forward decay (G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, Forward decay, 2009): an item of time `t` counts
/// `2^(t / half_life)`, a weight that never changes, so sums are plain sums and need no common clock and no order of time. Only
/// when it is read is the sum divided by the weight of the time of reading. The landmark is tick 0 of your clock, whatever that
/// is: weights have an exponent of 64 bits, so no time is too far from it.
///
/// **Parameter.** `HALF_LIFE` in the ticks of your times (seconds, milliseconds), at least 2.
///
/// **Guarantee.** After `n` items in any merge tree the relative error is below `(n + 24) u`, with `u = 2^-53`; the bounds of
/// [`at`](Self::at) always hold. Reading at a time before the items makes them count more than 1.
///
/// **Laws, approximate.** Commutative. No group. `exp2` may differ between maths libraries in its last bit, so bytes may differ
/// between machines, within the same bound.
///
/// **Cost.** 24 bytes, in memory and encoded; an item takes 15 ns, a merge about 6.
///
/// ```
/// use rufous_algebra::{Absorb, DecayedCount, Monoid};
/// let mut clicks = DecayedCount::<3600>::zero();
/// [0i64, 3600, 7200].iter().for_each(|second| clicks.absorb(second));
/// assert_eq!(clicks.at(7200).value, 1.0 + 0.5 + 0.25);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DecayedCount<const HALF_LIFE: u64> {
    items: u64,
    weight: Scaled,
}

impl<const HALF_LIFE: u64> DecayedCount<HALF_LIFE> {
    /// How many items, undecayed; stops at 2^64 - 1.
    pub fn items(&self) -> u64 {
        self.items
    }
    /// The decayed count at some time.
    pub fn at(&self, time: i64) -> Estimate {
        if self.items == 0 {
            return Estimate::exact(0.0);
        }
        let value = at::<HALF_LIFE>(self.weight, time);
        let estimate = around(value, value * relative_error(self.items));
        Estimate {
            low: estimate.low.max(0.0),
            ..estimate
        }
    }
    pub(super) fn scaled(&self) -> Scaled {
        self.weight
    }
    pub(super) fn key(&self) -> (u64, (u64, i64)) {
        (self.items, self.weight.key())
    }
}
impl<const HALF_LIFE: u64> PartialEq for DecayedCount<HALF_LIFE> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<const HALF_LIFE: u64> Semigroup for DecayedCount<HALF_LIFE> {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.items = self.items.saturating_add(other.items);
        self.weight = self.weight.plus(other.weight);
    }
}
impl<const HALF_LIFE: u64> Absorb<i64> for DecayedCount<HALF_LIFE> {
    /// The item is its time.
    #[inline]
    fn absorb(&mut self, time: &i64) {
        self.combine(&Self {
            items: 1,
            weight: weight::<HALF_LIFE>(*time),
        });
    }
}
impl<const HALF_LIFE: u64> Codec for DecayedCount<HALF_LIFE> {
    const WIDTH: Option<usize> = Some(24);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.items, out);
        self.weight.put(out);
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = Self {
            items: decode_part(&mut bytes)?,
            weight: Scaled::take(&mut bytes)?,
        };
        nothing_left(bytes)?;
        let sound = value.weight.to_f64() >= 0.0 && (value.items == 0) == value.weight.is_zero();
        if sound {
            Ok(value)
        } else {
            Err(DecodeError::new("decayed count of impossible weight"))
        }
    }
    fn schema() -> String {
        format!("decayed-count/{HALF_LIFE}")
    }
    /// The number of items: what it has decayed to depends on the time, which is not known here.
    fn json(&self) -> Value {
        self.items.json()
    }
    fn magnitude(&self) -> f64 {
        self.at(0).value
    }
}

/// A sum in which an item weighs half as much after each half-life. Items are pairs of time and value. State, parameter and laws
/// are those of [`DecayedCount`].
///
/// **Guarantee.** After `n` items in any merge tree the error is below `(n + 24) u` times the decayed sum of the magnitudes,
/// which is kept too; the bounds of [`at`](Self::at) always hold, and hold everything if a value is not finite.
///
/// **Cost.** 40 bytes, in memory and encoded; an item takes 23 ns, a merge 11.
///
/// ```
/// use rufous_algebra::{Absorb, DecayedSum, Monoid};
/// let mut load = DecayedSum::<60>::zero();
/// [(0i64, 8.0), (60, 2.0), (120, -1.0)].iter().for_each(|item| load.absorb(item));
/// assert_eq!(load.at(120).value, 8.0 / 4.0 + 2.0 / 2.0 - 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DecayedSum<const HALF_LIFE: u64> {
    items: u64,
    sum: Scaled,
    /// The sum of the magnitudes.
    size: Scaled,
}

impl<const HALF_LIFE: u64> DecayedSum<HALF_LIFE> {
    /// How many items, undecayed; stops at 2^64 - 1.
    pub fn items(&self) -> u64 {
        self.items
    }
    /// The decayed sum at some time.
    pub fn at(&self, time: i64) -> Estimate {
        if self.items == 0 {
            return Estimate::exact(0.0);
        }
        let size = at::<HALF_LIFE>(self.size, time);
        around(at::<HALF_LIFE>(self.sum, time), size * relative_error(self.items))
    }
}
impl<const HALF_LIFE: u64> PartialEq for DecayedSum<HALF_LIFE> {
    fn eq(&self, other: &Self) -> bool {
        let key = |v: &Self| (v.items, v.sum.key(), v.size.key());
        key(self) == key(other)
    }
}
impl<const HALF_LIFE: u64> Semigroup for DecayedSum<HALF_LIFE> {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.items = self.items.saturating_add(other.items);
        self.sum = self.sum.plus(other.sum);
        self.size = self.size.plus(other.size);
    }
}
impl<const HALF_LIFE: u64> Absorb<(i64, f64)> for DecayedSum<HALF_LIFE> {
    #[inline]
    fn absorb(&mut self, item: &(i64, f64)) {
        let (time, value) = *item;
        let weight = weight::<HALF_LIFE>(time);
        let value = Scaled::new(value, 0);
        self.combine(&Self {
            items: 1,
            sum: weight.by(value),
            size: weight.by(value.size()),
        });
    }
}
impl<const HALF_LIFE: u64> Codec for DecayedSum<HALF_LIFE> {
    const WIDTH: Option<usize> = Some(40);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.items, out);
        self.sum.put(out);
        self.size.put(out);
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = Self {
            items: decode_part(&mut bytes)?,
            sum: Scaled::take(&mut bytes)?,
            size: Scaled::take(&mut bytes)?,
        };
        nothing_left(bytes)?;
        let nothing = value.items == 0 && !(value.sum.is_zero() && value.size.is_zero());
        if nothing || value.size.to_f64() < 0.0 || value.size.is_zero() && !value.sum.is_zero() {
            return Err(DecodeError::new("decayed sum of impossible size"));
        }
        Ok(value)
    }
    fn schema() -> String {
        format!("decayed-sum/{HALF_LIFE}")
    }
    /// The number of items: what the sum has decayed to depends on the time, which is not known here.
    fn json(&self) -> Value {
        self.items.json()
    }
    fn magnitude(&self) -> f64 {
        self.at(0).value
    }
}

macro_rules! decayed {
    ($($name:ident)+) => {$(
        impl<const HALF_LIFE: u64> Monoid for $name<HALF_LIFE> {
            fn zero() -> Self {
                Self::default()
            }
            fn is_zero(&self) -> bool {
                self.items == 0
            }
        }
        impl<const HALF_LIFE: u64> Commutative for $name<HALF_LIFE> {}
        impl<const HALF_LIFE: u64> Tiered for $name<HALF_LIFE> {
            type Tier = Approximate;
        }
        /// The query is the time of reading.
        impl<const HALF_LIFE: u64> ApproxLaws for $name<HALF_LIFE> {
            type Query = i64;
            fn answer(&self, time: &i64) -> Option<Estimate> {
                Some(self.at(*time))
            }
        }
    )+};
}
decayed!(DecayedCount DecayedSum);

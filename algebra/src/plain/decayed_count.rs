//! Counts in which old items count less.

use serde_json::Value;

use super::decay::{around, at, decayed, relative_error, settled, weight};
use super::scaled::Scaled;
use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_decoded, nothing_left, put_part};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Semigroup};

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
/// **Not for** counts over a window: an item never weighs nothing. Sum the hours of the window instead.
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
    fn agrees(&self, other: &Self) -> bool {
        let time = settled::<HALF_LIFE>(self.weight.max(other.weight));
        self.items == other.items && self.at(time).meets(&other.at(time))
    }
}
decayed!(DecayedCount);

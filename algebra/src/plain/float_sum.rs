//! The sum of floats with a bound of its error.

use serde_json::Value;

use super::bounded::U;
use crate::codec::{Codec, DecodeError, Merge, canonical_bits, decode_part, merge_decoded, nothing_left, put_part};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

/// A plain `f64` sum that knows how far off it can be: it keeps the number of values and the sum of their magnitudes.
///
/// **Guarantee.** `n` values summed in any tree, with unit roundoff `u = 2^-53`, are off by at most
/// `(n-1) u / (1 - (n-1) u) * sum |x|` (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2).
/// [`estimate`](Self::estimate) answers with these bounds, and they always hold. The sum of the magnitudes is rounded as well,
/// which the bounds allow for. If the magnitudes overflow or a value is not finite, they hold everything.
///
/// **Laws, approximate.** Commutative; the order of summing shows in the last bits, so equal multisets may have other bytes.
/// No group: taking away does not undo the rounding. Where bytes must be equal use [`ExactSum`](super::ExactSum).
///
/// **Cost.** 24 bytes, in memory and encoded; an addition takes 0.5 ns, as long as one of plain floats.
///
/// **Not for** values that nearly cancel out: the bound is relative to their magnitudes.
///
/// ```
/// use rufous_algebra::{Absorb, FloatSum, Monoid};
/// let mut sum = FloatSum::zero();
/// (0..1000).for_each(|_| sum.absorb(&0.1));
/// let found = sum.estimate();
/// assert!(found.contains(100.0) && found.high - found.low < 1e-10 && found.value != 100.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FloatSum {
    count: u64,
    sum: f64,
    /// The sum of the magnitudes.
    size: f64,
}

impl FloatSum {
    /// How many values; stops at 2^64 - 1.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum and its bounds.
    pub fn estimate(&self) -> Estimate {
        let n = self.count.saturating_sub(1) as f64 * U;
        // Room for the rounding of the size, of the bound itself, and of its ends.
        let error = n / (1.0 - 3.0 * n) * self.size * (1.0 + 16.0 * U);
        if self.count <= 1 && self.sum.is_finite() {
            return Estimate::exact(self.sum);
        }
        if n > 0.1 || !error.is_finite() || !self.sum.is_finite() {
            return Estimate::certain(self.sum, f64::NEG_INFINITY, f64::INFINITY);
        }
        Estimate::certain(self.sum, (self.sum - error).next_down(), (self.sum + error).next_up())
    }

    /// The mean and its bounds; `None` of nothing.
    pub fn mean(&self) -> Option<Estimate> {
        let n = self.count as f64;
        let sum = self.estimate();
        let end = |end: f64, out: fn(f64) -> f64| out(out(end / n));
        (self.count > 0)
            .then(|| Estimate::certain(sum.value / n, end(sum.low, f64::next_down), end(sum.high, f64::next_up)))
    }
}

impl PartialEq for FloatSum {
    fn eq(&self, other: &Self) -> bool {
        let key = |v: &Self| (v.count, canonical_bits(v.sum), canonical_bits(v.size));
        key(self) == key(other)
    }
}

impl Semigroup for FloatSum {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.size += other.size;
    }
}
impl Monoid for FloatSum {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.count == 0
    }
}
impl Commutative for FloatSum {}
impl Tiered for FloatSum {
    type Tier = Approximate;
}
impl Absorb<f64> for FloatSum {
    #[inline]
    fn absorb(&mut self, item: &f64) {
        self.combine(&Self {
            count: 1,
            sum: *item,
            size: item.abs(),
        });
    }
}
impl ApproxLaws for FloatSum {
    type Query = ();
    fn answer(&self, (): &()) -> Option<Estimate> {
        Some(self.estimate())
    }
}

/// Count, sum and sum of magnitudes.
impl Codec for FloatSum {
    const WIDTH: Option<usize> = Some(24);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.count, out);
        put_part(&self.sum, out);
        put_part(&self.size, out);
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let count = decode_part(&mut bytes)?;
        let sum: f64 = decode_part(&mut bytes)?;
        let size: f64 = decode_part(&mut bytes)?;
        nothing_left(bytes)?;
        if size < 0.0 || size.is_nan() && !sum.is_nan() || count == 0 && (sum != 0.0 || size != 0.0) {
            return Err(DecodeError::new("float sum of impossible size"));
        }
        Ok(Self { count, sum, size })
    }
    fn schema() -> String {
        "float-sum".into()
    }
    fn json(&self) -> Value {
        self.estimate().json()
    }
    fn magnitude(&self) -> f64 {
        self.sum
    }
    fn agrees(&self, other: &Self) -> bool {
        self.count == other.count && self.estimate().meets(&other.estimate())
    }
}

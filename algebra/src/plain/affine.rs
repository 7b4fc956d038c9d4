//! Affine functions, composed.

use serde_json::{Value, json};

use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_decoded, nothing_left, put_part};
use crate::semigroup::{Monoid, Semigroup};

/// The function `x -> a x + b` of integers modulo `MODULUS`, where 0 stands for 2^64 (integers that wrap). The sum of two is the
/// left one, then the right one. **Not commutative**: it has no tier, and what sums in any order does not take it.
///
/// It is the plainest example of a sum that keeps order: adding is `b`, scaling is `a`, and a history of both is one pair.
/// Bytes: both numbers, 16 bytes.
///
/// **Not for** anything that a commutative sum can say: batches, shards and replays are free there, and need order here.
///
/// ```
/// use rufous_algebra::{Affine, Semigroup};
/// let mut account = Affine::<0>::new(1, 100);
/// account.combine(&Affine::new(2, 0));
/// account.combine(&Affine::new(1, 5));
/// assert_eq!(account.apply(0), (0 + 100) * 2 + 5);
/// ```
///
/// ```compile_fail
/// fn in_any_order<T: rufous_algebra::Commutative>() {}
/// in_any_order::<rufous_algebra::Affine<7>>();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Affine<const MODULUS: u64> {
    factor: u64,
    summand: u64,
}

impl<const MODULUS: u64> Affine<MODULUS> {
    /// `x -> factor * x + summand`.
    pub const fn new(factor: u64, summand: u64) -> Self {
        Self {
            factor: Self::reduced(factor as u128),
            summand: Self::reduced(summand as u128),
        }
    }
    /// The factor and the summand.
    pub const fn parts(self) -> (u64, u64) {
        (self.factor, self.summand)
    }
    /// The function's value.
    pub const fn apply(self, x: u64) -> u64 {
        Self::reduced(self.factor as u128 * Self::reduced(x as u128) as u128 + self.summand as u128)
    }
    const fn reduced(n: u128) -> u64 {
        if MODULUS == 0 {
            n as u64
        } else {
            (n % MODULUS as u128) as u64
        }
    }
}

impl<const MODULUS: u64> Semigroup for Affine<MODULUS> {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.factor = Self::reduced(u128::from(self.factor) * u128::from(other.factor));
        self.summand = other.apply(self.summand);
    }
}
impl<const MODULUS: u64> Monoid for Affine<MODULUS> {
    fn zero() -> Self {
        Self::new(1, 0)
    }
    fn is_zero(&self) -> bool {
        *self == Self::zero()
    }
}
impl<const MODULUS: u64> Default for Affine<MODULUS> {
    fn default() -> Self {
        Self::zero()
    }
}
impl<const MODULUS: u64> Codec for Affine<MODULUS> {
    const WIDTH: Option<usize> = Some(16);
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        put_part(&self.factor, out);
        put_part(&self.summand, out);
    }
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let (factor, summand) = (decode_part(&mut bytes)?, decode_part(&mut bytes)?);
        nothing_left(bytes)?;
        let value = Self::new(factor, summand);
        if value.parts() == (factor, summand) {
            Ok(value)
        } else {
            Err(DecodeError::new(format!("affine function of numbers beyond {MODULUS}")))
        }
    }
    fn schema() -> String {
        format!("affine/{MODULUS}")
    }
    fn json(&self) -> Value {
        json!({ "factor": self.factor, "summand": self.summand })
    }
    fn magnitude(&self) -> f64 {
        self.summand as f64
    }
}

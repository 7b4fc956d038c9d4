//! Floats in an order.

use std::cmp::Ordering;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, canonical_bits};

/// A float as a key: ordered as numbers are, not-a-number below all of them. `-0.0` is `0.0`, and there is one
/// not-a-number.
///
/// ```
/// use rufous_algebra::{Absorb, Score, TopK};
/// let mut best = TopK::<(Score, String), 1>::default();
/// best.absorb(&(Score(0.5), "ann".to_string()));
/// best.absorb(&(Score(f64::NAN), "bob".to_string()));
/// assert_eq!(best.iter().next().unwrap().1, "ann");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Score(pub f64);

impl Score {
    /// An integer in the same order.
    fn rank(self) -> i64 {
        if self.0.is_nan() {
            return i64::MIN;
        }
        let bits = canonical_bits(self.0) as i64;
        // The bits of a negative float ascend with its magnitude.
        if bits < 0 { i64::MIN - bits } else { bits }
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Score {}

/// As `f64`.
impl Codec for Score {
    const WIDTH: Option<usize> = f64::WIDTH;
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        f64::decode(bytes).map(Self)
    }
    fn schema() -> String {
        f64::schema()
    }
    fn json(&self) -> Value {
        self.0.json()
    }
    fn magnitude(&self) -> f64 {
        self.0
    }
}

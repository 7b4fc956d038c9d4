//! t-digests: ranks and quantiles that are best at both ends.
//!
//! **State.** Centroids, each a mean and a weight: light near both ends, heavier in the middle (scale function `k2`).
//!
//! **Laws, approximate.** Commutative within the bound. Up to `K / 2` items all are kept, and equal multisets have
//! equal bytes. Unlike KLL there is no coin: the same input in the same order leads to the same bytes, but another
//! merge tree to others.
//!
//! **Guarantee.** None is proven. The bounds are the weight of two centroids as heavy as the scale function allows at
//! that rank, each `q (1 - q) (4 ln(n / 2K) + 24) / 2K` (T. Dunning, O. Ertl, "Computing extremely accurate quantiles
//! using t-digests", 2019): for a million items and `K` = 200, 7 % at the median and 0.27 % at p99. Measured over merge
//! trees of up to 64 shards, values that are all different are off by at most a seventh of that between p1 and p99; it
//! takes values that 5 % of the items share to come near it, since a centroid may mix two such values. They are stated
//! with 95 % although `tests/datasketches_quantiles` finds no miss: streams made to defeat a t-digest exist (G. Cormode
//! and others, "Theory meets practice at the median", 2021). Where a bound must hold, take [`Kll`](super::Kll),
//! [`Req`](super::Req) or [`Quantiles`](crate::Quantiles).
//!
//! **Cost** (`K` = 200). Bytes: 1 of nothing, 17 of one item, 193 of 10, about 4,700 of a million. An insert takes 42
//! ns, a merge of two large digests 85 us: cheaper are many items in one digest than many digests.
//!
//! **Items.** `f64`; not-a-number and infinities are ignored, `-0.0` is `0.0`. At most 2^56 items are counted.
//!
//! ```
//! use rufous_algebra::{Absorb, Monoid, Semigroup, apache::TDigest};
//! let (mut a, mut b) = (TDigest::<200>::zero(), TDigest::<200>::zero());
//! (0..50_000).for_each(|x| a.absorb(&f64::from(x * 7919 % 50_000)));
//! (0..50_000).for_each(|x| b.absorb(&f64::from(50_000 + x * 7919 % 50_000)));
//! a.combine(&b);
//! let p999 = a.quantile(0.999).unwrap();
//! assert!((p999.value - 99_900.0).abs() < 30.0);
//! ```

use datasketches::tdigest::TDigestMut;
use serde_json::Value;

use super::{EMPTY, IMAGE, MOST, TWO_SIGMA, form, framed, item, refused};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, merge_decoded};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

const FORM: Form = form("t-digest", HashId::None);

const FLAGS: usize = 5;
/// In which direction the next compression goes.
const REVERSE: u8 = 4;

/// Ranks and quantiles of floats. See the [module](self).
///
/// `K` is at least 10.
#[derive(Clone, Debug)]
pub struct TDigest<const K: u16> {
    digest: TDigestMut,
}

impl<const K: u16> TDigest<K> {
    /// Counts a value; not-a-number and infinities are none.
    #[inline]
    pub fn insert(&mut self, value: f64) {
        if self.digest.total_weight() < MOST
            && let Some(value) = item(value)
        {
            self.digest.update(value);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.digest.total_weight()
    }

    /// The part of the values that is at most `value`; `None` of nothing, and for not-a-number.
    pub fn rank(&self, value: f64) -> Option<Estimate> {
        let value = item(value)?;
        let mut digest = self.digest.clone();
        let mut at = |value: f64| digest.rank(value).ok().flatten();
        // A value that many items have stands for a range of ranks, which starts and ends beside it.
        let (below, rank, above) = (at(value.next_down())?, at(value)?, at(value.next_up())?);
        let low = (below - self.error(below)).max(0.0);
        let high = (above + self.error(above)).min(1.0);
        Some(Estimate {
            value: rank,
            low,
            high,
            confidence: TWO_SIGMA,
        })
    }

    /// The value at a rank from 0 to 1 (clamped), with the values at the ends of the rank's bounds.
    pub fn quantile(&self, q: f64) -> Option<Estimate> {
        let q = item(q)?.clamp(0.0, 1.0);
        let mut digest = self.digest.clone();
        let mut at = |q: f64| digest.quantile(q).ok().flatten();
        let error = self.error(q);
        let (low, high) = (at((q - error).max(0.0))?, at((q + error).min(1.0))?);
        Some(Estimate {
            value: at(q)?,
            low,
            high,
            confidence: TWO_SIGMA,
        })
    }

    /// Two of the heaviest centroids that are allowed around a rank, and one item. Allowed weights grow towards the
    /// middle, so those count that are as far away as the error itself.
    fn error(&self, rank: f64) -> f64 {
        let (n, compression) = (self.count() as f64, 2.0 * f64::from(K));
        let z = (4.0 * (n / compression).ln() + 24.0).max(0.0);
        let at = |rank: f64| 2.0 * (rank * (1.0 - rank)).max(0.0) * z / compression + 1.0 / n;
        at(rank - at(rank)).max(at(rank + at(rank))).max(at(rank))
    }

    /// The compressed image.
    pub fn to_apache(&self) -> Vec<u8> {
        let mut image = self.digest.clone().serialize();
        // The parity of the number of compressions is no part of the value.
        if let Some(flags) = image.get_mut(FLAGS) {
            *flags &= !REVERSE;
        }
        image
    }

    /// Reads an image of a digest with the same `K` and `f64` items, also those of the reference implementation.
    ///
    /// # Errors
    /// When it is none, or of another `K`.
    pub fn from_apache(image: &[u8]) -> Result<Self, DecodeError> {
        if believable(image) == Some(false) {
            return Err(DecodeError::new("t-digest image: more centroids than bytes"));
        }
        let digest = TDigestMut::deserialize(image).map_err(refused)?;
        if digest.k() != K {
            return Err(DecodeError::new(format!("t-digest of K {}, not {K}", digest.k())));
        }
        if digest.total_weight() > MOST {
            return Err(DecodeError::new(format!("t-digest of {} items", digest.total_weight())));
        }
        Ok(Self { digest })
    }
}

/// Whether an image of the reference implementation is as long as it says; of another, `None`. The library takes such
/// an image at its word: 32 bytes may claim 2^32 centroids, and it would ask for 64 GiB.
fn believable(image: &[u8]) -> Option<bool> {
    let (kind, rest) = image.split_first_chunk::<4>()?;
    let (centroids, size) = match u32::from_be_bytes(*kind) {
        1 => (u32::from_be_bytes(*rest.get(24..)?.first_chunk()?), 16),
        2 => (u32::from(u16::from_be_bytes(*rest.get(24..)?.first_chunk()?)), 8),
        _ => return None,
    };
    Some(u64::from(centroids) * size <= image.len() as u64)
}

/// Of the bytes.
impl<const K: u16> PartialEq for TDigest<K> {
    fn eq(&self, other: &Self) -> bool {
        self.to_apache() == other.to_apache()
    }
}

/// All values of both.
impl<const K: u16> Semigroup for TDigest<K> {
    const BY_PARTS: bool = true;

    fn heap_bytes(&self) -> usize {
        self.digest.estimated_size()
    }
    fn combine(&mut self, other: &Self) {
        if self.is_zero() {
            // A merge would compress the other once more.
            self.clone_from(other);
        } else if self.count().saturating_add(other.count()) <= MOST {
            self.digest.merge(&other.digest);
        }
    }
}

impl<const K: u16> Monoid for TDigest<K> {
    fn zero() -> Self {
        const { assert!(K >= 10, "the size of a t-digest is at least 10") };
        Self {
            digest: TDigestMut::new(K).unwrap_or_default(),
        }
    }
    fn is_zero(&self) -> bool {
        self.digest.is_empty()
    }
}
impl<const K: u16> Commutative for TDigest<K> {}
impl<const K: u16> Tiered for TDigest<K> {
    type Tier = Approximate;
}

/// The query is a value, the answer its rank.
impl<const K: u16> ApproxLaws for TDigest<K> {
    type Query = f64;
    fn answer(&self, query: &f64) -> Option<Estimate> {
        self.rank(*query)
    }
}

impl<const K: u16> Absorb<f64> for TDigest<K> {
    #[inline]
    fn absorb(&mut self, item: &f64) {
        self.insert(*item);
    }
}

impl<const K: u16> Codec for TDigest<K> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        if self.is_zero() {
            out.push(FORM.byte(EMPTY));
        } else {
            out.push(FORM.byte(IMAGE));
            out.extend_from_slice(&self.to_apache());
        }
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(image) = framed(FORM, bytes)? else {
            return Ok(Self::zero());
        };
        let value = Self::from_apache(image)?;
        if value.is_zero() || value.to_apache() != image {
            return Err(DecodeError::new("t-digest image is not in its canonical form"));
        }
        Ok(value)
    }
    fn schema() -> String {
        format!("t-digest/{K}/f64")
    }
    fn json(&self) -> Value {
        super::quantiles_json(self.count(), |q| self.quantile(q))
    }
    fn magnitude(&self) -> f64 {
        self.count() as f64
    }
    fn agrees(&self, other: &Self) -> bool {
        super::quantiles_agree(
            (self.count(), |q| self.quantile(q), |v| self.rank(v)),
            (other.count(), |q| other.quantile(q), |v| other.rank(v)),
        )
    }
}

//! REQ sketches: ranks and quantiles whose error shrinks towards one end.
//!
//! **State.** Like [`Kll`](super::Kll), levels of items of which every other moves up by a coin; but the items at one
//! end never move. With `HIGH` that end is the high ranks (p99 and beyond), otherwise the low ones.
//!
//! **Laws, approximate.** Commutative in distribution: whatever the merge tree, each rank is within the bound with its
//! confidence (G. Cormode, Z. Karnin, E. Liberty, J. Thaler, P. Vesely, "Relative error streaming quantiles", 2021,
//! theorem 3 for merges). Up to `6 K` items the sketch is exact.
//!
//! **Not replayable.** The coin is seeded by chance for each thread and cannot be set: beyond the exact range the same
//! input leads to other bytes each time. What that means is said at [`Kll`](super::Kll).
//!
//! **Guarantee.** The library states a standard error, which its authors fitted to single streams: for a rank `r` it is
//! `0.131 / K` of `1 - r` (with `HIGH`), at most `0.084 / K`; for `K` = 12, 1.1 % of the distance from the end and at
//! most 0.7 % of all. In merge trees of 40 shards the measured error is up to 1.5 times that, so the bounds here are
//! three of these standard errors, stated with 95 %. The last `3 K` items at that end are exact.
//!
//! **Cost** (`K` = 12). Bytes: 1 of nothing, 17 of one item, 109 of 10, about 16,000 of a million. An insert takes 23
//! ns, a merge of two large sketches 10 us.
//!
//! **Not for** ranks in the middle: [`Kll`](super::Kll) has half the error there in fewer bytes.
//!
//! **Items.** `f64`; not-a-number is ignored, `-0.0` is `0.0`, infinities count. At most 2^56 items are counted.
//!
//! ```
//! use rufous_algebra::{Absorb, Monoid, apache::Req};
//! let mut delays = Req::<12>::zero();
//! (0..100_000).for_each(|x| delays.absorb(&f64::from(x)));
//! let p999 = delays.quantile(0.999).unwrap();
//! assert!((p999.value - 99_900.0).abs() < 20.0);
//! ```

use std::ops::Range;

use datasketches::common::NumStdDev;
use datasketches::common::SearchCriteria::Inclusive;
use datasketches::req::{RankAccuracy, ReqFloat, ReqSketch};
use serde_json::Value;

use super::{EMPTY, IMAGE, MOST, TWO_SIGMA, form, framed, item, refused, sort_floats};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, merge_decoded};
use crate::estimate::Estimate;
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{ApproxLaws, Approximate, Tiered};

const FORM: Form = form("req", HashId::None);

const FLAGS: usize = 3;
const IS_EMPTY: u8 = 1 << 2;
const RAW_ITEMS: u8 = 1 << 4;
const LEVEL_ZERO_SORTED: u8 = 1 << 5;

/// Ranks and quantiles of floats, best at the high ranks or, without `HIGH`, at the low ones. See the [module](self).
///
/// `K` is even, from 4 to 1024.
#[derive(Clone, Debug)]
pub struct Req<const K: u16, const HIGH: bool = true> {
    sketch: ReqSketch<ReqFloat<f64>>,
}

impl<const K: u16, const HIGH: bool> Req<K, HIGH> {
    const ACCURACY: RankAccuracy = if HIGH {
        RankAccuracy::HighRank
    } else {
        RankAccuracy::LowRank
    };

    /// Counts a value; not-a-number is none.
    #[inline]
    pub fn insert(&mut self, value: f64) {
        if self.sketch.n() < MOST
            && let Some(value) = item(value)
            && let Ok(value) = ReqFloat::<f64>::new(value)
        {
            self.sketch.update(value);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.sketch.n()
    }

    /// The part of the values that is at most `value`; `None` of nothing, and for not-a-number.
    pub fn rank(&self, value: f64) -> Option<Estimate> {
        let value = ReqFloat::<f64>::new(item(value)?).ok()?;
        let rank = self.sketch.rank(&value, Inclusive)?;
        if !self.sketch.is_estimation_mode() {
            return Some(Estimate::exact(rank));
        }
        let (low, high) = self.around(rank);
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
        let at = |q: f64| {
            self.sketch
                .quantile(q, Inclusive)
                .ok()
                .flatten()
                .map(ReqFloat::into_inner)
        };
        let value = at(q)?;
        if !self.sketch.is_estimation_mode() {
            return Some(Estimate::exact(value));
        }
        let (low, high) = self.around(q);
        Some(Estimate {
            value,
            low: at(low)?,
            high: at(high)?,
            confidence: TWO_SIGMA,
        })
    }

    fn around(&self, rank: f64) -> (f64, f64) {
        let low = self.sketch.rank_lower_bound(rank, NumStdDev::Three);
        (low, self.sketch.rank_upper_bound(rank, NumStdDev::Three))
    }

    /// The image that other libraries read; the lowest level is sorted, so that it is the same whatever order its items
    /// came in.
    pub fn to_apache(&self) -> Vec<u8> {
        let mut image = self.sketch.serialize();
        if let Some(level) = levels(&image).and_then(|levels| levels.into_iter().next()) {
            image[FLAGS] |= LEVEL_ZERO_SORTED;
            sort_floats(&mut image[level]);
        }
        image
    }

    /// Reads an image of a sketch with the same `K` and end, and items that are `f64`.
    ///
    /// # Errors
    /// When it is none, or of another `K` or end.
    pub fn from_apache(image: &[u8]) -> Result<Self, DecodeError> {
        if image.first_chunk::<8>().is_some_and(|head| head[FLAGS] & IS_EMPTY == 0) && levels(image).is_none() {
            return Err(DecodeError::new("req image: its length is not that of its levels"));
        }
        // Before the library makes room for a sketch of whatever size.
        if image.get(4..6).is_some_and(|k| k != K.to_le_bytes()) {
            return Err(DecodeError::new(format!("req of another K than {K}")));
        }
        let sketch = ReqSketch::<ReqFloat<f64>>::deserialize(image).map_err(refused)?;
        if sketch.rank_accuracy() != Self::ACCURACY {
            return Err(DecodeError::new(format!("req of {:?}", sketch.rank_accuracy())));
        }
        if sketch.n() > MOST {
            return Err(DecodeError::new(format!("req of {} items", sketch.n())));
        }
        Ok(Self { sketch })
    }
}

/// Where the items of each level stand in the image of a sketch that is not empty; `None` if they do not fill it. (The
/// library would ask for eight times the image if a level said that it had so many items.)
fn levels(image: &[u8]) -> Option<Vec<Range<usize>>> {
    let [_, _, _, flags, _, _, levels, raw] = *image.first_chunk()?;
    if flags & IS_EMPTY != 0 {
        return None;
    }
    let mut found = Vec::new();
    let mut at = 8;
    if flags & RAW_ITEMS != 0 {
        found.push(at..at + 8 * usize::from(raw));
        at += 8 * usize::from(raw);
    } else {
        // The count, the least and the greatest item.
        at += if levels > 1 { 24 } else { 0 };
        for _ in 0..levels {
            let count = image.get(at + 16..)?.first_chunk::<4>()?;
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            at += 20;
            found.push(at..at.checked_add(count.checked_mul(8)?)?);
            at = found.last()?.end;
        }
    }
    (at == image.len()).then_some(found)
}

/// Of the bytes.
impl<const K: u16, const HIGH: bool> PartialEq for Req<K, HIGH> {
    fn eq(&self, other: &Self) -> bool {
        self.to_apache() == other.to_apache()
    }
}

/// All values of both.
impl<const K: u16, const HIGH: bool> Semigroup for Req<K, HIGH> {
    const BY_PARTS: bool = true;
    fn heap_bytes(&self) -> usize {
        // The levels take more room than the items in them, by half about.
        self.sketch.num_retained() as usize * 12
    }
    fn combine(&mut self, other: &Self) {
        if self.sketch.n().saturating_add(other.sketch.n()) <= MOST {
            self.sketch.merge(&other.sketch).ok();
        }
    }
}

impl<const K: u16, const HIGH: bool> Monoid for Req<K, HIGH> {
    fn zero() -> Self {
        const {
            assert!(
                K >= 4 && K <= 1024 && K.is_multiple_of(2),
                "the size of a REQ sketch is even, from 4 to 1024"
            )
        };
        Self {
            sketch: ReqSketch::new(K, Self::ACCURACY).unwrap_or_default(),
        }
    }
    fn is_zero(&self) -> bool {
        self.sketch.is_empty()
    }
}
impl<const K: u16, const HIGH: bool> Commutative for Req<K, HIGH> {}
impl<const K: u16, const HIGH: bool> Tiered for Req<K, HIGH> {
    type Tier = Approximate;
}

/// The query is a value, the answer its rank.
impl<const K: u16, const HIGH: bool> ApproxLaws for Req<K, HIGH> {
    type Query = f64;
    fn answer(&self, query: &f64) -> Option<Estimate> {
        self.rank(*query)
    }
}

impl<const K: u16, const HIGH: bool> Absorb<f64> for Req<K, HIGH> {
    #[inline]
    fn absorb(&mut self, item: &f64) {
        self.insert(*item);
    }
}

impl<const K: u16, const HIGH: bool> Codec for Req<K, HIGH> {
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
            return Err(DecodeError::new("req image is not in its canonical form"));
        }
        Ok(value)
    }
    fn schema() -> String {
        format!("req/{K}/{}/f64", if HIGH { "high" } else { "low" })
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

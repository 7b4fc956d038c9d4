//! Plain values: numbers, text, containers, and the sums that people count with.
//!
//! | type | zero | commutative | idempotent | inverse | tier | bytes |
//! |---|---|---|---|---|---|---|
//! | `u8 .. u128 i8 .. i128` (wrapping sums) | 0 | yes | no | yes | exact | fixed width, little-endian |
//! | [`Saturating<T>`], [`Count`] | 0 | yes | no | no | exact | as the integer |
//! | [`ExactSum`] of `f64` | 0 | yes | no | yes | exact | place, then the digits in use |
//! | [`FloatSum`] of `f64` | 0 | yes | no | no | approximate | 24 |
//! | [`Mean`], [`FloatMean`], [`WeightedMean`] | of nothing | yes | no | yes | exact | 24; the sums |
//! | [`Moments`], [`Covariance`] of `i64` | of nothing | yes | no | yes | exact | count and power sums, none longer than needed |
//! | [`FloatMoments`] of `f64` | of nothing | yes | no | no | approximate | 72 |
//! | [`DecayedCount`], [`DecayedSum`], [`DecayedMoments`] | of nothing | yes | no | no | approximate | 24, 40, 56 |
//! | [`All`], [`Any`] | all bits; none | yes | yes | no | exact | as the integer |
//! | [`Xor`], [`Parity`] | no bits | yes | no | itself | exact | as the integer |
//! | [`First`], [`Last`] by a given order | none yet | yes | yes | no | exact | as an option of a pair |
//! | [`Leftmost`], [`Rightmost`] | none yet | no | no | no | none | as an option |
//! | [`Affine`] (composition) | identity | no | no | no | none | 16 |
//! | [`Reset<T>`] | zero | no | no | no | none | a byte, then as `T` |
//! | [`Timeline<T>`] (a sum as of the last while) | nothing | as `T` | no | no | as `T` | floor, what is older, then time and value of each |
//! | `Option<T>` (`None` is the zero) | `None` | as `T` | as `T` | no | as `T` | nothing; or a tag unless `T` has a width, then the value |
//! | tuples of 1 to 12, `[T; N]` | all zeros | as parts | as parts | as parts | weakest part | part after part |
//! | [`Elementwise<T>`] (vectors of any length) | `[]` | as `T` | as `T` | as `T` | as `T` | the elements, the last not zero |
//! | `Vec<T>` (concatenation) | `[]` | no | no | no | none | the elements |
//! | `BTreeSet<T>` (union) | `{}` | yes | yes | no | exact | the elements, ascending |
//! | `BTreeMap<K, V>` (key by key) | `{}` | as `V` | as `V` | as `V` | as `V` | key and value, keys ascending |
//! | `bool f64`, `String`, `CompactString` | no sums, only bytes | | | | | fixed width; text: UTF-8 |
//!
//! **Exact** sums have equal bytes for equal multisets, under any merge tree. There is no sum of plain `f64`: it would depend on
//! the order. [`ExactSum`] does not, and [`FloatSum`] says how far off it may be.
//!
//! **Overflow.** Integer sums wrap, signed and unsigned. So they are groups, no order of summing overflows where another
//! does not, and nothing panics. A sum that may pass 2^64 wants `u128`; one that should stop there is [`Saturating`].
//!
//! **Zeros in containers.** An entry of a map whose value is zero stays out: `combine` never adds one and removes those that
//! become zero, so equal sums are equal bytes and a group's inverse leaves nothing behind. Zeros at the end of an
//! [`Elementwise`] vector stay out likewise. A map built by hand keeps to the same rule; otherwise it is not a value of this
//! monoid. Options, tuples, arrays and lists keep their zeros: `Some(0)` is not `None`.

mod affine;
mod array;
mod bits;
mod bounded;
mod by_parts;
mod count;
mod covariance;
mod decay;
mod decayed_count;
mod decayed_moments;
mod decayed_sum;
mod elementwise;
mod exact_sum;
mod float_moments;
mod float_sum;
mod list;
mod map;
mod mean;
mod moments;
mod nearest;
mod numbers;
mod option;
mod ordered;
mod reset;
mod scaled;
mod set;
mod side;
mod text;
mod timeline;
mod tuples;
mod weighted_mean;
mod wide;

pub use affine::Affine;
pub use bits::{All, Any, Parity, Xor};
pub use count::{Count, Saturating};
pub use covariance::Covariance;
pub use decayed_count::DecayedCount;
pub use decayed_moments::DecayedMoments;
pub use decayed_sum::DecayedSum;
pub use elementwise::Elementwise;
pub use exact_sum::ExactSum;
pub use float_moments::{FloatMoments, Moment};
pub use float_sum::FloatSum;
pub use mean::{FloatMean, Mean};
pub use moments::Moments;
pub use ordered::{First, Last};
pub use reset::Reset;
pub use side::{Leftmost, Rightmost};
pub use timeline::Timeline;
pub use weighted_mean::WeightedMean;

//! Semigroups, sketches, their laws, and their canonical bytes. Useful alone: it knows nothing of the rest of Rufous,
//! does no I/O and knows no clock.
//!
//! Modules in reading order:
//! - [`semigroup`]: the ladder of laws ([`Semigroup`], [`Monoid`], [`Group`], the markers) and [`Absorb`];
//! - [`codec`]: canonical bytes, a schema text, and a readable form of every value;
//! - [`plain`]: numbers, text, containers, means, moments, decay; [`extremum`]: [`Min`] and [`Max`];
//! - [`aggregator`]: prepare, sum, present;
//! - [`hash`]: the one hash that persisted sketches use; [`hll`]: distinct counts; [`quantiles`]: a signed log-histogram;
//! - [`heavy_hitters`]: the most frequent items; [`bottom_k`]: the best by score, the latest, samples; [`minhash`]: similarity;
//! - [`laws`]: the laws as functions that you run on your own types.
//!
//! ```
//! use rufous_algebra::{Absorb, Hll, Max, Monoid, Semigroup};
//! let mut a = (1u64, Max::of(3i64));
//! a.combine(&(2, Max::of(1)));
//! assert_eq!(a, (3, Max::of(3)));
//!
//! let mut seen = Hll::<12>::zero();
//! for user in ["ann", "bob", "ann"] { seen.absorb(user) }
//! assert_eq!(seen.estimate().value.round(), 2.0);
//! ```
#![forbid(unsafe_code)]

#[doc(hidden)]
#[path = "derive_support.rs"]
pub mod __private;
pub mod aggregator;
#[cfg(feature = "datasketches")]
pub mod apache;
pub mod bloom;
pub mod bottom_k;
pub mod buffer;
pub mod codec;
pub mod count_min;
pub mod estimate;
pub mod extremum;
pub mod hash;
pub mod heavy_hitters;
pub mod hll;
#[cfg(feature = "laws")]
pub mod laws;
pub mod minhash;
pub mod murmur;
pub mod plain;
pub mod quantiles;
pub mod semigroup;
pub mod tier;
pub mod ways;

pub use aggregator::Aggregator;
pub use bloom::Bloom;
pub use bottom_k::{BottomK, Kmv, Latest, Sample, Score, TopK, WeightedSample};
pub use codec::{Codec, DecodeError};
pub use count_min::CountMin;
pub use estimate::Estimate;
pub use extremum::{Max, Min};
pub use hash::HashBytes;
pub use heavy_hitters::HeavyHitters;
pub use hll::{ApacheHll, Hll, HyperLogLog};
pub use minhash::MinHash;
pub use plain::{
    Affine, All, Any, Count, Covariance, DecayedCount, DecayedMoments, DecayedSum, Elementwise, ExactSum, First,
    FloatMean, FloatMoments, FloatSum, Last, Leftmost, Mean, Moment, Moments, Parity, Reset, Rightmost, Saturating,
    WeightedMean, Xor,
};
pub use quantiles::Quantiles;
pub use semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};
pub use tier::{ApproxLaws, Approximate, Exact, ExactLaws, Tiered};

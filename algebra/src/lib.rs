//! Semigroups, sketches, their laws, and their canonical bytes. Useful alone: it knows nothing of the rest of Rufous,
//! does no I/O and knows no clock.
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
//!
//! Modules in reading order:
//! - [`semigroup`]: the ladder of laws ([`Semigroup`], [`Monoid`], [`Group`], the markers) and [`Absorb`]; [`tier`]: exact or
//!   approximate; [`aggregator`]: prepare, sum, present; [`ways`]: other ways to sum a field;
//! - [`codec`]: canonical bytes, sums of undecoded bytes, schema texts, a readable form; [`estimate`]: a number with bounds;
//! - [`plain`]: numbers, text, containers, means, moments, decay; [`extremum`]: [`Min`] and [`Max`];
//! - [`hash`]: the one hash of persisted sketches; [`murmur`]: that of Apache DataSketches;
//! - sketches: [`hll`] and [`bottom_k::Kmv`] (how many different), [`count_min`] (how often), [`heavy_hitters`] (what occurs
//!   most), [`bloom`] (whether), [`quantiles`] (how large), [`minhash`] (how similar), [`bottom_k`] (the best, the latest,
//!   samples); feature `datasketches`: `apache` (theta, tuple, CPC, KLL, REQ, t-digest, images of other languages);
//! - [`buffer`]: combining by key before values go on;
//! - feature `laws`: the laws as functions that you run on your own types.
//!
//! # What each type promises
//!
//! Exact: equal multisets of items have equal bytes under any merge tree. Approximate: every tree keeps the published bound.
//! Bytes are those of a value of 1, 10 and 1,000,000 items (of different ones: the integers from 0 on).
//!
//! <!-- table: written by tests/table.rs -->
//! | type | zero | commutative | idempotent | inverse | tier | bytes at 1, 10, 1e6 |
//! |---|---|---|---|---|---|---|
//! | `u64` | yes | yes | no | yes | exact | 8, 8, 8 |
//! | `i64` | yes | yes | no | yes | exact | 8, 8, 8 |
//! | `Count` | yes | yes | no | no | exact | 8, 8, 8 |
//! | `ExactSum` | yes | yes | no | yes | exact | 0, 4, 8 |
//! | `FloatSum` | yes | yes | no | no | approximate | 24, 24, 24 |
//! | `Mean` | yes | yes | no | yes | exact | 24, 24, 24 |
//! | `FloatMean` | yes | yes | no | yes | exact | 9, 13, 17 |
//! | `WeightedMean` | yes | yes | no | yes | exact | 5, 9, 14 |
//! | `Moments` | yes | yes | no | yes | exact | 6, 13, 44 |
//! | `FloatMoments` | yes | yes | no | no | approximate | 72, 72, 72 |
//! | `Covariance` | yes | yes | no | yes | exact | 7, 15, 43 |
//! | `DecayedCount<3600>` | yes | yes | no | no | approximate | 24, 24, 24 |
//! | `DecayedSum<3600>` | yes | yes | no | no | approximate | 40, 40, 40 |
//! | `DecayedMoments<3600>` | yes | yes | no | no | approximate | 56, 56, 56 |
//! | `Max<i64>` | yes | yes | yes | no | exact | 8, 8, 8 |
//! | `Min<i64>` | yes | yes | yes | no | exact | 8, 8, 8 |
//! | `First<i64, u64>` | yes | yes | yes | no | exact | 16, 16, 16 |
//! | `Last<i64, u64>` | yes | yes | yes | no | exact | 16, 16, 16 |
//! | `Any<u64>` | yes | yes | yes | no | exact | 8, 8, 8 |
//! | `Xor<u64>` | yes | yes | no | yes | exact | 8, 8, 8 |
//! | `Option<u64>` | yes | yes | no | no | exact | 8, 8, 8 |
//! | `(u64, Max<i64>)` | yes | yes | no | no | exact | 17, 17, 17 |
//! | `[u64;4]` | yes | yes | no | yes | exact | 32, 32, 32 |
//! | `Elementwise<u64>` | yes | yes | no | yes | exact | 0, 32, 32 |
//! | `BTreeSet<u64>` | yes | yes | yes | no | exact | 8, 80, 8000000 |
//! | `BTreeMap<u64, u64>` | yes | yes | no | yes | exact | 16, 160, 16000000 |
//! | `Vec<u64>` | yes | no | no | no | none | 8, 80, 8000000 |
//! | `Leftmost<u64>` | yes | no | no | no | none | 8, 8, 8 |
//! | `Reset<u64>` | yes | no | no | no | none | 9, 9, 9 |
//! | `Affine<1_000_003>` | yes | no | no | no | none | 16, 16, 16 |
//! | `Hll<14>` | yes | yes | yes | no | exact | 5, 41, 12289 |
//! | `Kmv<1024>` | yes | yes | yes | no | exact | 9, 81, 8193 |
//! | `CountMin<5, 2719>` | yes | yes | no | yes | exact | 16, 135, 27191 |
//! | `HeavyHitters<u64, 100>` | yes | yes | no | no | approximate | 10, 91, 906 |
//! | `Bloom<95_872, 7>` | yes | yes | yes | no | exact | 9, 81, 11985 |
//! | `Quantiles` | yes | yes | no | yes | exact | 3, 23, 2476 |
//! | `MinHash<256>` | yes | yes | yes | no | exact | 7, 51, 1025 |
//! | `TopK<u64, 100>` | yes | yes | yes | no | exact | 9, 81, 801 |
//! | `Latest<u64, 100>` | yes | yes | yes | no | exact | 25, 241, 2401 |
//! | `Sample<u64, 100>` | yes | yes | yes | no | exact | 17, 161, 1601 |
//! | `WeightedSample<u64, 100>` | yes | yes | yes | no | exact | 33, 321, 3201 |
//! | `Theta<12>` | yes | yes | yes | no | exact | 17, 97, 32793 |
//! | `Tuple<12, u64>` | yes | yes | no | no | exact | 25, 177, 65561 |
//! | `Cpc<11>` | yes | yes | yes | no | exact | 21, 33, 1269 |
//! | `Kll<200>` | yes | yes | no | no | approximate | 17, 121, 5001 |
//! | `Req<12>` | yes | yes | no | no | approximate | 17, 109, 16001 |
//! | `TDigest<200>` | yes | yes | no | no | approximate | 17, 193, 4257 |
//! <!-- end of table -->
//!
//! "None" of a tier: not commutative, so platforms that do not keep each key's order refuse it. Every sketch and every sum
//! has its page: what it is for, its guarantee and where that comes from, its cost, when not to use it.
//!
//! # Why not the crates there are
//!
//! Persisted state has to be a function of what was counted, for ever, and merging has to be lawful. `tests/rivals.rs` runs
//! the same laws on both crates that were considered, 150 trials each; `benches/hll.rs` runs them side by side.
//!
//! | | this crate | `hyperloglogplus` 0.4 | `probabilistic-collections` 0.7 |
//! |---|---|---|---|
//! | commutativity, associativity, identity broken on bytes | 0, 0, 0 | 72, 36, 69 | 0, 0, 0 |
//! | same items at once and merged have other bytes | 0 | 91 | 0 |
//! | `a + a` has other bytes than `a`; same input twice | 0; 0 | 80; 68 | 0; 0 |
//! | 50,000 different items | within 2 % | within 2 % | infinity |
//! | merge of sketches with other hashers | does not compile | counts twice, no error | panics |
//! | one damaged bit | an error, or a value | panics (debug) | - |
//! | merge of Bloom filters, Count-Min tables | yes | - | none |
//! | bytes of one item, JSON for theirs | 5 | 167 | more than 1,000 |
//! | default hasher | XXH3, fixed | yours | keys at random: no two sketches alike |
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
mod homomorphism;
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
pub use homomorphism::{Additive, Homomorphism};
pub use minhash::MinHash;
pub use plain::{
    Affine, All, Any, Count, Covariance, DecayedCount, DecayedMoments, DecayedSum, Elementwise, ExactSum, First,
    FloatMean, FloatMoments, FloatSum, Last, Leftmost, Mean, Moment, Moments, Parity, Reset, Rightmost, Saturating,
    Timeline, WeightedMean, Xor,
};
pub use quantiles::Quantiles;
pub use semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};
pub use tier::{ApproxLaws, Approximate, Exact, ExactLaws, Tiered};

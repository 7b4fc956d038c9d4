//! Sketches of Apache DataSketches behind the laws of this crate, and images that other languages read. Feature
//! `datasketches`.
//!
//! | type | question | tier |
//! |---|---|---|
//! | [`Theta`] | how many distinct items; unions, intersections, differences, similarity | exact, idempotent |
//! | [`Tuple`] | the same with a sum for each item | that of the sum |
//! | [`Cpc`] | how many distinct items, in the fewest bytes | exact, idempotent |
//! | [`Kll`], [`Req`], [`TDigest`] | ranks and quantiles | approximate |
//! | [`hll_image`] | HyperLogLog images for Java, C++, Python, Go, Spark, Druid | |
//!
//! Each writes (`to_apache`) and reads (`from_apache`) the compact image of its family, so values can come from and go
//! to any DataSketches library. Items are hashed as there: [`MurmurItem`](crate::murmur::MurmurItem), seed 9001. Our
//! own bytes are a [`Form`] byte and, unless the sketch is empty, that image, in the one form that a value has.
//!
//! The crate `datasketches` does the rest, pinned to one version: the state and the merges of CPC, KLL, REQ and
//! t-digest, all bounds, and images that are compressed or of old versions. Theta and Tuple keep their normal form
//! themselves (unions of two sorted lists, 6 times faster than tables), and compute what the crate would. The crate
//! reads some hostile images on which it later panics, or for which it asks for much memory: those are refused here
//! before or right after it reads them.
//!
//! What DataSketches itself does not promise: that equal items lead to equal bytes. Theta keeps more than it was asked
//! for until trimmed, CPC and HyperLogLog carry a running estimate that depends on the order. Here these are never in
//! the state.

pub mod cpc;
pub mod hll_image;
mod image;
mod keys;
pub mod kll;
pub mod req;
pub mod tdigest;
pub mod theta;
pub mod tuple;

pub use cpc::Cpc;
pub use kll::Kll;
pub use req::Req;
pub use tdigest::TDigest;
pub use theta::Theta;
pub use tuple::Tuple;

use serde_json::{Map, Value};

use crate::codec::{DecodeError, Form, HashId};
use crate::estimate::Estimate;

/// How often bounds of two standard errors hold.
const TWO_SIGMA: f64 = 0.95;
/// The mode of our own bytes when nothing was counted; nothing follows.
const EMPTY: u8 = 0;
/// An image follows.
const IMAGE: u8 = 1;
/// More items than this are not counted: level and weight arithmetic in the crate ends at 2^64, and not gently.
const MOST: u64 = 1 << 56;

const fn form(name: &'static str, hash: HashId) -> Form {
    Form::new(name, 1, hash)
}

/// The image in our own bytes, `None` if empty.
fn framed(form: Form, bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    match form.split(bytes)? {
        (EMPTY, []) => Ok(None),
        (EMPTY, rest) => Err(DecodeError::new(format!("{} bytes follow an empty sketch", rest.len()))),
        (IMAGE, image) => Ok(Some(image)),
        (mode, _) => Err(form.unknown_mode(mode)),
    }
}

fn refused(error: datasketches::error::Error) -> DecodeError {
    DecodeError::new(error.to_string())
}

/// A float as an item: `-0.0` is `0.0`, not-a-number is none.
#[inline]
fn item(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value + 0.0)
}

/// What people see of a quantile sketch.
fn quantiles_json(count: u64, quantile: impl Fn(f64) -> Option<Estimate>) -> Value {
    let mut object = Map::new();
    object.insert("count".into(), count.into());
    for (name, q) in [("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        object.insert(name.into(), quantile(q).map_or(Value::Null, |bounded| bounded.json()));
    }
    Value::Object(object)
}

/// Ranks at which two quantile sketches are compared: few, for the bounds of each hold with a confidence only.
const COMPARED: [f64; 5] = [0.01, 0.25, 0.5, 0.75, 0.99];

/// Whether two quantile sketches may be of the same values: as many, and the bounds of the ranks of the same values
/// meet. Each is its count, its quantiles and its ranks.
fn quantiles_agree(
    (n, quantile, rank): (u64, impl Fn(f64) -> Option<Estimate>, impl Fn(f64) -> Option<Estimate>),
    (m, other_quantile, other_rank): (u64, impl Fn(f64) -> Option<Estimate>, impl Fn(f64) -> Option<Estimate>),
) -> bool {
    let both = |value: Estimate| match (rank(value.value), other_rank(value.value)) {
        (Some(a), Some(b)) => a.meets(&b),
        (a, b) => a.is_none() == b.is_none(),
    };
    let at = |q: f64| [quantile(q), other_quantile(q)].into_iter().flatten().all(both);
    n == m && COMPARED.into_iter().all(at)
}

/// Sorts floats where they stand in an image.
fn sort_floats(bytes: &mut [u8]) {
    let mut sorted = bytes.as_chunks::<8>().0.to_vec();
    let number = |bytes: &[u8; 8]| f64::from_le_bytes(*bytes);
    sorted.sort_unstable_by(|a, b| number(a).total_cmp(&number(b)));
    bytes.copy_from_slice(sorted.as_flattened());
}

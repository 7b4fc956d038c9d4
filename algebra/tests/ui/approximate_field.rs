//! One approximate field makes the whole struct approximate.
use rufous_algebra::{ExactLaws, FloatSum};
use rufous_derive::{Codec, Monoid};

#[derive(Clone, Monoid, Codec)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    seconds: FloatSum,
}

fn exact<T: ExactLaws>() {}

fn main() {
    exact::<(u64, i64)>();
    exact::<Visits>();
}

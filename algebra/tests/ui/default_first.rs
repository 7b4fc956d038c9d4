//! The first field was there from the beginning.
use rufous_derive::Codec;

#[derive(Codec)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    #[algebra(default)]
    count: u64,
}

fn main() {}

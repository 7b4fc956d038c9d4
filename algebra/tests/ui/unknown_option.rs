//! An option that does not exist.
use rufous_derive::Monoid;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    #[algebra(by = Max)]
    count: u64,
}

fn main() {}

//! A field whose type has no sum.
use rufous_derive::Monoid;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    last_page: String,
}

fn main() {}

//! A field that is summed another way has no inverse.
use rufous_algebra::ways;
use rufous_derive::Group;

#[derive(Clone, Group)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    #[algebra(with = ways::Max)]
    peak: u64,
}

fn main() {}

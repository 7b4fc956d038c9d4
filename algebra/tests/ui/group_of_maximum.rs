//! A maximum cannot be taken back.
use rufous_algebra::Max;
use rufous_derive::Group;

#[derive(Clone, Group)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    last: Max<u64>,
}

fn main() {}

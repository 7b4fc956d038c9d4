//! An enum has no one sum.
use rufous_derive::Monoid;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
enum Either {
    Left(u64),
    Right(i64),
}

fn main() {}

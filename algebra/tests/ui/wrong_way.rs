//! A way that is not for this type.
use rufous_algebra::ways;
use rufous_derive::Monoid;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
struct Balance {
    #[algebra(with = ways::Saturating)]
    cents: i64,
}

fn main() {}

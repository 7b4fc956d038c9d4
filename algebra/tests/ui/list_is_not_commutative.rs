//! The order of a list matters, so its struct is not commutative either.
use rufous_algebra::Commutative;
use rufous_derive::Monoid;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
struct History {
    events: Vec<u64>,
}

fn any_order<T: Commutative>() {}

fn main() {
    any_order::<History>();
}

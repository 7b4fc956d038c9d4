//! Records that a state cannot take in.
use rufous_algebra::Absorb;
use rufous_derive::Monoid;

struct Ad;

#[derive(Clone, Monoid)]
#[algebra(crate = rufous_algebra)]
struct Stats {
    count: u64,
}

fn fold<T, S: Absorb<T>>(_: T, _: S) {}

fn main() {
    fold(Ad, Stats { count: 0 });
}

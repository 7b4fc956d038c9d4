//! Records that a state cannot take in.
use rufous_algebra::{Absorb, Max};

fn fold<T, S: Absorb<T>>(_: T, _: S) {}

fn main() {
    fold("text", Max::of(1u64));
}

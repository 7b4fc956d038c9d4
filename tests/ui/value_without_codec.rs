//! A value that can be added, and not written down.
use rufous::prelude::*;

#[derive(Clone, Monoid)]
struct Visits {
    n: u64,
}

const VISITS: Store<String, Visits> = Store::new("visits");

fn main() {
    let _ = VISITS;
}

//! Floats have two zeros and many NaNs.
use rufous::prelude::*;

const PRICES: Store<f64, u64> = Store::new("prices");

fn main() {
    let _ = PRICES;
}

//! A source of a struct that nobody can read from JSON or columns.
use rufous::prelude::*;

#[derive(Clone)]
struct Ad {
    campaign: u32,
}

const ADS: Source<Ad> = Source::new("ads");

fn main() {
    let _ = ADS.read().map(|ad| ad.campaign);
}

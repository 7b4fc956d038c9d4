//! Records where values are meant.
use rufous::prelude::*;

#[derive(Clone, Record)]
struct Ad {
    campaign: u32,
}

#[derive(Clone, Monoid, Codec)]
struct Stats {
    ads: u64,
}

const ADS: Source<Ad> = Source::new("ads");
const STATS: Store<u32, Stats> = Store::new("stats");

fn main() {
    let _ = ADS.read().key_by(|ad| ad.campaign).sum_by_key(STATS);
}

//! The sink takes other records.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const LENGTHS: Sink<u64> = Sink::new("lengths");

fn main() {
    let _ = LINES.read().map(|line| line.len()).write(LENGTHS);
}

//! Half of a stream cannot be in order.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");

fn main() {
    let ordered = LINES.read().in_order().map(|line| line.len());
    let other = LINES.read().map(|line| line.len());
    let _ = ordered.merge(other);
}

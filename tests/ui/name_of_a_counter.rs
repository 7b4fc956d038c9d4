//! Counters are keys of a store and names of metrics: they are named as ports are.
use rufous::prelude::*;

const SKIPPED: Counter = Counter::new("skipped_lines");
const LINES: Source<str> = Source::new("lines");

fn main() {
    let _ = LINES.read().counted(SKIPPED);
}

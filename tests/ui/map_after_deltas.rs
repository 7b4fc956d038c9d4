//! A function of deltas that was not declared to commute with addition (O16).
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn main() {
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let _ = counts.deltas().map_values_by(|n: &u64| n + 1);
}

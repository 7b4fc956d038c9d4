//! Deltas are added up in groups that nobody specifies: a look at one would see the size of a chunk (O16).
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn main() {
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let _ = counts.deltas().filter_values(|n| *n > 1);
}

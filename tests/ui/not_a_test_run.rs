//! Records of another type than the source's.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn main() {
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let _ = Job::new("counts", counts).test().given(LINES, [1, 2]).run();
}

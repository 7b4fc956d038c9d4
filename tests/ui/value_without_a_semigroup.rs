//! Nobody has said how two `Visits` are added.
use rufous::prelude::*;

#[derive(Clone, Codec)]
struct Visits {
    n: u64,
}

const LINES: Source<str> = Source::new("lines");
const VISITS: Store<String, Visits> = Store::new("visits");

fn main() {
    let sums = LINES.read().keyed(|line, out| out.emit(line, Visits { n: 1 })).sum_by_key(VISITS);
    let _job: Job = Job::new("visits", sums);
}

//! A list depends on the order of its parts, and no order was asked for.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const LISTS: Store<String, Vec<u64>> = Store::new("lists");

fn main() {
    let sums = LINES.read().keyed(|line, out| out.emit(line, vec![1])).sum_by_key(LISTS);
    let _job: Job = Job::new("lists", sums);
}

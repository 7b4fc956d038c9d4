//! A job whose ends do not agree about order.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const LISTS: Store<String, Vec<u64>> = Store::new("lists");

fn main() {
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let lists = LINES.read().in_order().keyed(|line, out| out.emit(line, vec![1])).sum_by_key(LISTS);
    let _job: Job<InOrder> = Job::new("both", (counts, lists));
}

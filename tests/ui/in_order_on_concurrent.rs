//! Threads that take chunks as they come keep no order.
use rufous::Concurrent;
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const LISTS: Store<String, Vec<u64>> = Store::new("lists");

fn job() -> Job<InOrder> {
    let sums = LINES.read().in_order().keyed(|line, out| out.emit(line, vec![1])).sum_by_key(LISTS);
    Job::new("lists", sums)
}

fn main() {
    job().run_on(&Memory::new()).unwrap();
    job().run_on(&Concurrent::new(2)).unwrap();
}

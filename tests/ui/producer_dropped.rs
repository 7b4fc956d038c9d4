//! Producers, sums and deltas do nothing by themselves.
#![deny(unused_must_use)]
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const TEXTS: Sink<String> = Sink::new("texts");

fn main() {
    LINES.read().map(|line| line.len());
    LINES.read().keyed(|line, out| out.emit(line, 1u64));
    LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS).deltas();
    LINES.read().map(|line| line.to_string()).write(TEXTS);
}

//! The store has other keys, or other values, than the pairs that end in it.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const BY_LENGTH: Store<u32, u64> = Store::new("by-length");
const LONGEST: Store<String, Max<u64>> = Store::new("longest");

fn main() {
    let words = LINES.read().keyed(|line, out| out.emit(line, 1u64));
    let _ = words.clone().sum_by_key(BY_LENGTH);
    let _ = words.sum_by_key(LONGEST);
}

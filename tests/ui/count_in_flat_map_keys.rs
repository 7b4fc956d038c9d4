//! A key step may run once for many pairs of one key: what it counted would depend on the plan.
use rufous::prelude::*;

const SHORT: Counter = Counter::new("short");
const LINES: Source<str> = Source::new("lines");

fn main() {
    let words = LINES.read().keyed(|line, out| out.emit(line, 1u64));
    let _ = words.flat_map_keys(|word: &String, out| {
        out.count(SHORT, 1);
        out.emit(word.as_str());
    });
}

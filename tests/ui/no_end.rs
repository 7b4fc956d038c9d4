//! Pairs that go nowhere.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");

fn main() {
    let words = LINES.read().keyed(|line, out| out.emit(line, 1u64));
    let _job: Job = Job::new("words", words);
}

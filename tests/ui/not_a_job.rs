//! A function that stops at the sum: a binary needs the job, with its name.
use rufous::prelude::*;
use rufous::Summed;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn word_count() -> Summed<String, u64> {
    LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS)
}

fn main() -> std::process::ExitCode {
    App::new(word_count).main()
}

//! Counters at the end of their range.

use rufous_core::{Counter, Job, Source, Store};
use rufous_platform_memory::Memory;

const LINES: Source<str> = Source::new("lines");
const LINES_SEEN: Store<u64, u64> = Store::new("lines-seen");
const BYTES: Counter = Counter::new("bytes");

fn counted(chunk: usize) -> u64 {
    let lines = LINES.read().counted_by(BYTES, |_| 1 << 63);
    let job = Job::new("j", lines.keyed(|_, out| out.emit(0_u64, 1)).sum_by_key(LINES_SEEN));
    let memory = Memory::new().chunk(chunk).source(LINES, ["a", "b"]);
    job.run_on(&memory).unwrap().counter(BYTES)
}

/// `Memory::chunk`: "the answers do not depend on it"; counters are exact, or at least one function of the input.
#[test]
fn a_counter_does_not_depend_on_chunks() {
    assert_eq!(counted(1), counted(2));
}

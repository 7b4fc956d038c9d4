//! The same before a sink.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");
const COPY: Sink<String> = Sink::new("copy");

fn main() {
    let _ = LINES.read().filter(|line| !line.is_empty()).write(COPY);
}

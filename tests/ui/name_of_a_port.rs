//! Names become directories, metrics and settings.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("My Lines");

fn main() {
    let _ = LINES.read();
}

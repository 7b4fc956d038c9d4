//! Lines are borrowed text: to stay as a value they must be owned first.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");

fn main() {
    let _ = LINES.read().key_by(|line| line.len() as u64);
}

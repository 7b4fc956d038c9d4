//! Records of two kinds in one stream.
use rufous::prelude::*;

const LINES: Source<str> = Source::new("lines");

fn main() {
    let lengths = LINES.read().map(|line| line.len());
    let texts = LINES.read().map(|line| line.to_string());
    let _ = lengths.merge(texts);
}
